"""The page that `tenure monitor` writes: how the model in office is doing, in the look of the dossier."""

from __future__ import annotations

from functools import partial
from typing import Final

from tenure.core.evidence import SEVERITY, Finding, Verdict
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import Action
from tenure.core.metrics import METRICS
from tenure.core.modelling import Score
from tenure.core.project import Project
from tenure.reporting import charts
from tenure.reporting.advice import Advice
from tenure.reporting.blocks import (
    Block,
    Cell,
    Drawings,
    Fact,
    Facts,
    Pairs,
    Paragraph,
    Remarks,
    Section,
    Steps,
    Table,
    remark,
)
from tenure.reporting.figures import Figure, figure
from tenure.reporting.findings import findings_section
from tenure.reporting.page import Hero, Page, render
from tenure.reporting.words import (
    Estimate,
    listing,
    metric_in_words,
    money,
    number,
    of_100,
    plural,
    scored,
    short,
    whole,
)

_CHIPS: Final = {
    Health.LEARNING: ("Too early to tell", "quiet"),
    Health.HEALTHY: ("Healthy", ""),
    Health.CHANGED: ("Something changed", "quiet"),
    Health.ILL: ("Needs attention", "alarm"),
}
_NEXT: Final = {
    Health.LEARNING: "Nothing needs doing. Judging starts when enough predictions and outcomes have come in.",
    Health.HEALTHY: "Nothing needs doing. The next window is looked at in the same way.",
    Health.CHANGED: "Watching goes on. A change alone is no harm; what comes true decides.",
    Health.ILL: "Somebody should look. What to do stands below, the most useful first.",
}
_WINDOWS_DRAWN: Final = 60
_WINDOWS_LISTED: Final = 52
_REMARKS: Final = 5


def health_page(report: HealthReport, project: Project, *, action: Action | None = None) -> str:
    """Return the health of the model in office as one self-contained HTML page.

    `action` is what the loop chose because of this report, where it has chosen.
    """
    chip, tone = _CHIPS[report.status]
    version = f"v{report.version}" if report.version is not None else "no model"
    page = Page(
        title=f"{project.project.name}: {chip.lower()}",
        project=project.project.name,
        what=f"health of {version}",
        dated=report.windows[-1].end[:10] if report.windows else "",
        hero=Hero(
            chip=chip,
            tone=tone,
            question=project.project.question,
            headline=report.headline or chip,
            lead=_lead(report),
            facts=Facts(_facts(report, project)),
            next=_next(report, action),
            undo="puts the version before back in office, if there is one." if report.version is not None else None,
            source=report.digest,
        ),
        owner=tuple(s for s in (_course(report, project), _found(report), _steps(report, action)) if s.blocks),
        engineer=(
            findings_section("findings", "All findings", report),
            *_windows(report, project),
            _lineage(report, action),
        ),
        engineer_lead="Every finding and window, with the records they rest on.",
        footer=f"Written by tenure from the health record {short(report.digest)}. This file needs no network.",
    )
    return render(page)


def _scored_windows(report: HealthReport) -> list[tuple[WindowHealth, Score]]:
    return [(w, w.realised) for w in report.windows if w.realised is not None]


def _lead(report: HealthReport) -> tuple[str, ...]:
    sentences = []
    if report.expected is not None:
        sentences.append(f"Promised when it took office: {_lower(metric_in_words(report.expected))}")
    own = [(window, score) for window, score in _scored_windows(report) if window.versions == (report.version,)]
    if own:
        window, score = own[-1]
        sentences.append(f"Lately ({window.start[:10]} to {window.end[:10]}): {_lower(metric_in_words(score))}")
    return tuple(sentences)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _facts(report: HealthReport, project: Project) -> tuple[Fact, ...]:
    if not report.windows:
        return ()
    rows = sum(w.rows for w in report.windows)
    known = sum(w.matured * w.rows for w in report.windows)
    facts = [
        Fact(whole(rows), f"predictions in {plural(len(report.windows), 'window')}", report.digest),
        Fact(of_100(known / rows if rows else 0.0), "of their outcomes are known", report.digest),
    ]
    values = [w.value for w in report.windows if w.value is not None]
    if values:
        earned = money(sum(values), project.value.currency)
        facts.insert(0, Fact(earned, "earned by decisions whose outcome is known", report.digest))
    return tuple(facts)


def _next(report: HealthReport, action: Action | None) -> str:
    if action is None:
        return _NEXT[report.status]
    done = "Done" if action.carried_out else "Chosen"
    command = f" To do it: {action.proposal}" if action.proposal else ""
    return f"{done}: {action.verb.value}. {action.reason}{command}"


def _course(report: HealthReport, project: Project) -> Section:
    blocks: list[Block] = []
    drawn = _scored_windows(report)[-_WINDOWS_DRAWN:]
    if drawn:
        blocks.append(Drawings((_score_figure(report, drawn),)))
    paid = [w for w in report.windows if w.value is not None][-_WINDOWS_DRAWN:]
    if paid:
        blocks.append(Drawings((_value_figure(report, paid, project.value.currency),)))
    if not blocks:
        text = "No outcome is known yet, so nothing can be said of how often it was right."
        blocks.append(Paragraph(text, report.digest))
    return Section("course", "How it is doing", tuple(blocks))


def _score_figure(report: HealthReport, drawn: list[tuple[WindowHealth, Score]]) -> Figure:
    expected = report.expected if report.expected and report.expected.metric == drawn[0][1].metric else None
    label = METRICS[drawn[0][1].metric].label if drawn[0][1].metric in METRICS else drawn[0][1].metric
    better = METRICS[drawn[0][1].metric].greater_is_better if drawn[0][1].metric in METRICS else True
    ill = [_below(score, expected, better) for _, score in drawn]
    says = (
        f"{sum(ill)} of {len(ill)} windows are clearly worse than promised"
        if any(ill)
        else "No window is clearly worse"
    )
    return figure(
        "course",
        partial(
            charts.over_time,
            [w.start for w, _ in drawn],
            [Estimate(s.value, s.low, s.high) for _, s in drawn],
            expected=Estimate(expected.value, expected.low, expected.high) if expected else None,
            ill=ill,
            label=label,
        ),
        title="What came true, window by window, against the promise",
        alt=f"{label} by window. {says}. " + "; ".join(f"{w.start[:10]}: {scored(s)}" for w, s in drawn),
        note=f"Grey band: the promise, 95\u00a0% sure. Bars: 95\u00a0% intervals. {'More' if better else 'Less'} is "
        "better. Red: clearly worse than promised.",
        source=report.digest,
    )


def _below(score: Score, expected: Score | None, greater_is_better: bool) -> bool:
    if expected is None:
        return False
    return score.high < expected.low if greater_is_better else score.low > expected.high


def _value_figure(report: HealthReport, paid: list[WindowHealth], currency: str) -> Figure:
    amounts = [w.value or 0.0 for w in paid]
    total = money(sum(amounts), currency)
    return figure(
        "value",
        partial(charts.amounts_over_time, [w.start for w in paid], amounts, label=f"{currency} in the window"),
        title=f"{total} in {plural(len(paid), 'window')}, on decisions whose outcome is known",
        alt="; ".join(f"{w.start[:10]}: {money(a, currency)}" for w, a in zip(paid, amounts, strict=True)),
        note="Late windows grow as outcomes come in.",
        source=report.digest,
    )


def _notable(report: HealthReport) -> list[Finding]:
    found = [f for f in report.findings if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    return sorted(found, key=lambda f: -SEVERITY[f.verdict])


def _found(report: HealthReport) -> Section:
    poor = _notable(report)
    passed = sum(f.verdict is Verdict.PASS for f in report.findings)
    if not poor:
        text = f"Nothing stands out; {plural(passed, 'check')} passed." if passed else "Nothing could be checked yet."
        return Section("found", "What stands out", (Paragraph(text, report.digest),))
    blocks: list[Block] = [Remarks(tuple(remark(f, report.digest) for f in poor[:_REMARKS]))]
    if len(poor) > _REMARKS:
        blocks.append(Paragraph(f"{plural(len(poor) - _REMARKS, 'more finding')}: see the engineer’s part."))
    return Section("found", "What stands out", tuple(blocks))


def _steps(report: HealthReport, action: Action | None) -> Section:
    steps = []
    if action is not None and action.proposal is not None:
        steps.append(Advice(0, action.verb.value.capitalize(), action.reason, action.proposal, action.digest))
    for finding in _notable(report):
        hint = finding.measurement.hint
        if hint and hint not in [step.what for step in steps]:
            steps.append(Advice(1, hint, finding.says, "", report.digest, urgent=finding.verdict.blocks))
    return Section("next", "What to do next", (Steps(tuple(steps[:_REMARKS])),) if steps else ())


def _windows(report: HealthReport, project: Project) -> tuple[Section, ...]:
    if not report.windows:
        return ()
    rows = tuple(
        (
            Cell(w.start[:16].replace("T", " "), "number"),
            Cell(whole(w.rows), "number"),
            Cell(", ".join(f"v{v}" for v in w.versions) or "–"),
            Cell(f"{w.matured * 100:.0f} of 100", "number"),
            Cell(scored(w.realised) if w.realised is not None else "–", "number"),
            Cell(money(w.value, project.value.currency) if w.value is not None else "–", "number"),
            Cell(number(w.mean_prediction) if w.mean_prediction is not None else "–", "number"),
            Cell(listing(w.drifted[:6]) + (" and more" if len(w.drifted) > 6 else "") or "–"),
        )
        for w in reversed(report.windows[-_WINDOWS_LISTED:])
    )
    head = ("From (UTC)", "Rows", "By", "Outcomes known", "Came true", "Value", "Mean answer", "Moved")
    left = len(report.windows) - len(rows)
    note = f"{plural(left, 'older window')} in the record {short(report.digest)}." if left else ""
    table = Table("Windows, newest first", head, rows, report.digest, note)
    return (Section("windows", "Windows", (table,)),)


def _lineage(report: HealthReport, action: Action | None) -> Section:
    items = [("Health record", report.digest)]
    items += [(f"Made from ({i})", digest) for i, digest in enumerate(report.made_from, 1)]
    if report.expected is not None:
        items.append(("Promised", scored(report.expected)))
    if action is not None:
        items.append(("Action record", action.digest))
    return Section("lineage", "Where it all comes from", (Pairs(tuple(items), report.digest),))
