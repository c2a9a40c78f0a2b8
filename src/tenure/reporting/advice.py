"""What to do next, the most useful first: from findings, from what the owner has not said yet, from how sure we are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenure.core.data import Snapshot
from tenure.core.evidence import SEVERITY, Finding, QualityReport, Report, RobustnessReport, Verdict
from tenure.core.lifecycle import GateDecision, Outcome
from tenure.core.modelling import Leaderboard, Task, ValidationPlan
from tenure.core.project import Project
from tenure.reporting.words import check_in_words, listing, of_100, plural, sentence, whole

_MOST: Final = 6
_QUARANTINE_WORTH_SAYING: Final = 0.005


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do: what, why, how, and the digest of the record it follows from.

    `rank` orders (small first); `urgent` is true only where nothing moves until it is done.
    """

    rank: int
    what: str
    why: str
    how: str
    source: str
    urgent: bool = False


def advise(
    project: Project,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    robustness: RobustnessReport,
    decision: GateDecision,
) -> tuple[Advice, ...]:
    """Return at most six things to do, the most useful first."""
    every = [
        *_from_findings(quality, snapshot),
        *_from_findings(robustness, snapshot),
        *_from_values(project, leaderboard),
        *_from_dropped(project, quality),
        *_from_quarantine(quality),
        *_from_sureness(leaderboard, decision),
        *_from_plan(project, snapshot, plan),
        _outcomes(decision),
    ]
    unique = {advice.what: advice for advice in sorted(every, key=lambda a: -a.rank)}
    return tuple(sorted(unique.values(), key=lambda a: a.rank))[:_MOST]


def _from_findings(report: Report, snapshot: Snapshot) -> Iterator[Advice]:
    """Turn what failed or warned, and says what to do, into advice; one loud check must not fill the list."""
    heard: dict[str, int] = Counter(
        f.check for f in report.findings if f.verdict in (Verdict.WARN, Verdict.FAIL, Verdict.ERROR)
    )
    told: set[str] = set()
    for finding in sorted(report.findings, key=lambda f: -SEVERITY[f.verdict]):
        if finding.verdict not in (Verdict.WARN, Verdict.FAIL, Verdict.ERROR) or _has_own_advice(finding):
            continue
        if finding.check in told or not (finding.measurement.hint or finding.verdict.blocks):
            continue
        told.add(finding.check)
        others = heard[finding.check] - 1
        rank = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.WARN: 30}[finding.verdict]
        yield Advice(
            rank,
            _what(finding, snapshot, about_data=isinstance(report, QualityReport)),
            sentence(finding.says) + (f" {plural(others, 'more finding')} like it." if others else ""),
            finding.measurement.hint or "Look at the finding in the engineer’s part below.",
            report.digest,
            urgent=finding.verdict.blocks,
        )


def _has_own_advice(finding: Finding) -> bool:
    """Say whether `_from_dropped` or `_from_quarantine` speaks of it in the owner's words."""
    spoken = finding.check == "quarantine" or bool(finding.measurement.evidence.get("leaks"))
    return spoken and not finding.verdict.blocks


def _what(finding: Finding, snapshot: Snapshot, *, about_data: bool) -> str:
    name = check_in_words(finding.check)
    if finding.verdict is Verdict.ERROR:
        return f"Repair the check “{finding.check}”"
    if finding.subject is None:
        return f"Look into {name}"
    if finding.subject in snapshot.schema and finding.measurement.evidence.get("suspects"):
        return f"Say when “{finding.subject}” is known"
    if about_data and finding.subject in snapshot.schema:
        return f"Fix the column “{finding.subject}” ({name})"
    return f"Look into {name}: {finding.subject}"


def _from_values(project: Project, leaderboard: Leaderboard) -> Iterator[Advice]:
    task = project.project.task
    if task is Task.BINARY and not project.value.is_given:
        yield Advice(
            10,
            "Say what right and wrong decisions are worth",
            "Then the cut-off is set where acting pays, and this page speaks in money.",
            "Fill true_positive and false_positive under [value] in tenure.toml, then run again.",
            leaderboard.digest,
        )
    if task is Task.REGRESSION and project.value.error_cost is None:
        yield Advice(
            40,
            "Say what being off by one costs",
            "Then this page speaks in money.",
            "Fill error_cost under [value] in tenure.toml.",
            leaderboard.digest,
        )


def _from_dropped(project: Project, quality: QualityReport) -> Iterator[Advice]:
    """Ask about columns that were kept from the model because they seem to know the answer."""
    leaks = {str(name) for f in quality.findings for name in f.measurement.evidence.get("leaks", ())}
    named = [column for column in quality.dropped if column in leaks]
    settled = {c for c, spec in project.data.columns.items() if spec.available is not None or not spec.use}
    open_ones = [c for c in named if c not in settled][:3]
    if open_ones:
        quoted = listing([f"“{c}”" for c in open_ones])
        yield Advice(
            20,
            f"Say when {quoted} {'is' if len(open_ones) == 1 else 'are'} known",
            "It looks as if the answer were already in it, so the model was not allowed to see it.",
            'Known when predicting: available = "at_prediction" under [data.columns.NAME]; known later: "after".',
            quality.digest,
        )


def _from_quarantine(quality: QualityReport) -> Iterator[Advice]:
    total = quality.rows + quality.quarantined_rows
    if quality.quarantine and total and quality.quarantined_rows / total >= _QUARANTINE_WORTH_SAYING:
        most = max(quality.quarantine, key=lambda q: q.rows)
        yield Advice(
            25,
            f"Repair {plural(quality.quarantined_rows, 'row')} that were set aside",
            f"{of_100(quality.quarantined_rows / total)} rows could not be used. Most frequent reason: {most.reason}.",
            "They are kept; mend them where they are made, and the next run reads them again.",
            quality.digest,
        )


def _from_sureness(leaderboard: Leaderboard, decision: GateDecision) -> Iterator[Advice]:
    comparison = decision.comparison
    if decision.outcome is Outcome.HOLD and comparison is not None and comparison.gain > 0 >= comparison.low:
        half = (comparison.high - comparison.low) / 2
        factor = max((half / comparison.gain) ** 2, 1.0)
        yield Advice(
            15,
            "Collect more rows with a known outcome",
            f"The new model looks better, but {whole(comparison.rows)} rows are too few to be sure.",
            f"If it keeps looking this much better, about {factor:.1f} times as many rows settle it."
            if factor <= 20
            else "The difference is so small that more rows alone will hardly settle it; new columns may.",
            decision.digest,
        )
    elif leaderboard.score.rows < 2000:
        yield Advice(
            50,
            "Collect more rows with a known outcome",
            f"All numbers here rest on {whole(leaderboard.score.rows)} rows.",
            "Four times as many rows make every range on this page half as wide.",
            leaderboard.digest,
        )


def _from_plan(project: Project, snapshot: Snapshot, plan: ValidationPlan) -> Iterator[Advice]:
    dates = [c.name for c in snapshot.schema.features if c.kind.value == "datetime"]
    if plan.time is None and project.data.time is None and dates:
        yield Advice(
            35,
            f"Check whether “{dates[0]}” is when predictions are made",
            "If it is, the model should be judged on later rows than it learned from, as it will be used.",
            f'Write time = "{dates[0]}" under [data] in tenure.toml, then run again.',
            plan.digest,
        )


def _outcomes(decision: GateDecision) -> Advice:
    return Advice(
        60,
        "Send back what came true",
        "Only then can the promise on this page be checked, and a worse model be noticed and replaced.",
        "tenure outcomes FILE, or POST /outcomes while serving.",
        decision.digest,
    )
