"""Judge what moved: faults by their cost, drift by the detector and its price, so that harmless drift pages nobody."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.health import AlarmRate, Change, Estimate, Price, Reading, Span
from tenure.monitoring.alarm import noted
from tenure.monitoring.detector import DriftCourse
from tenure.monitoring.evidence import Evidence, percent
from tenure.monitoring.figures import figure
from tenure.monitoring.inputs import DECISION, PREDICTION
from tenure.monitoring.prices import ALL_TOGETHER, TOLERANCE, Priced, is_harmful

DRIFT: Final = "drift"
ESTIMATED_SCORE: Final = "estimated-score"
PSI: Final = "psi"
_NAMED: Final = 3
_BLAMED: Final = 0.1
_FAR_SKILL: Final = 0.1
_FAR_MONEY: Final = 10.0
"""What pages even while what is normal is still being learned: this share of the skill, so many times the money."""
_DRIFT_HINT: Final = "See what changed with: tenure diagnose. Outcomes will tell whether it does harm."
_READ_AS: Final = {
    Reading.INSTRUMENT: "if the columns are measured differently",
    Reading.WORLD: "if other rows come than before",
}


@dataclass(frozen=True, slots=True)
class Trace:
    """What is remembered of a window: when it began, which columns were broken, which had moved."""

    start: datetime
    broken: frozenset[str]
    moved: frozenset[str]

    def unwell(self, subject: str) -> bool:
        """Say whether a column was broken or had moved."""
        return subject in self.broken or subject in self.moved


def since(traces: Sequence[Trace], holds: Sequence[bool]) -> datetime:
    """Return the start of the unbroken run of windows, up to the last, of which something holds."""
    start = traces[-1].start
    for trace, held in zip(reversed(traces), reversed(holds), strict=True):
        if not held:
            break
        start = trace.start
    return start


def price_words(price: Price, *, currency: str = "") -> str:
    """Say what a shift costs: 'about 5 % (3 to 7 %) of the skill', and the money where the owner gave values."""
    if price.money is None:
        return _skill_words(price.skill)
    low, value, high = (max(bound, 0.0) for bound in (price.money.low, price.money.value, price.money.high))
    per = f"{currency} per 1,000 decisions".strip()
    if round(high) == 0:
        return f"{_skill_words(price.skill)}, and no money"
    if price.money.low <= 0:
        return f"{_skill_words(price.skill)}, and at most {high:,.0f} {per}"
    return f"{_skill_words(price.skill)}, and {value:,.0f} {per} ({low:,.0f} to {high:,.0f})"


def _skill_words(skill: Span) -> str:
    low, high = max(skill.low, 0.0), max(skill.high, 0.0)
    if high < TOLERANCE:
        return f"at most {percent(high)} of the skill"
    if skill.value > 1:
        return "more than all of its skill" + (f" (at least {percent(low)})" if low < 1 else "")
    most = percent(high) if high <= 1 else "all"
    return f"about {percent(max(skill.value, 0.0))} ({percent(low)} to {most}) of the skill"


def _costs(subject: str, priced: Priced) -> str:
    """Say what the shift of a priced subject costs, and turns."""
    cost = f"costs {price_words(priced.prices[subject], currency=priced.currency)}"
    return cost + (
        f", and turns {percent(priced.swayed[subject])} of the decisions" if subject in priced.swayed else ""
    )


def weighed_faults(faults: Sequence[Finding], priced: Priced, traces: Sequence[Trace]) -> tuple[Finding, ...]:
    """Return the faults with when each began; one whose price surely is below the tolerance is a warning."""
    return tuple(_weighed(finding, priced, traces) for finding in faults)


def _weighed(finding: Finding, priced: Priced, traces: Sequence[Trace]) -> Finding:
    subject = finding.subject or ""
    if not finding.verdict.blocks:
        return finding
    began = since(traces, [subject in trace.broken for trace in traces])
    dated = noted(finding, since=began.isoformat())
    price = priced.prices.get(subject)
    if finding.verdict is not Verdict.FAIL or price is None:
        return dated
    says = f"{finding.says} It {_costs(subject, priced)}."
    said = replace(dated, measurement=replace(dated.measurement, says=says))
    priced_at = noted(said, skill=price.skill.value, skill_high=price.skill.high)
    return replace(priced_at, verdict=Verdict.WARN) if priced.is_harmless(subject) else priced_at


def evidence_findings(
    found: Sequence[Evidence], broken: Collection[str], priced: Priced, importance: Mapping[str, float]
) -> tuple[Finding, ...]:
    """Return one finding a column: colour, never an alarm. A column whose feed is broken is no drift."""
    threshold = Threshold(warn=0.0)
    findings = []
    for item in found:
        if item.column in broken:
            continue
        measured = item.measured(PSI)
        if item.coloured and item.column in priced.prices:
            measured = replace(measured, says=f"{measured.says.removesuffix('.')}; it {_costs(item.column, priced)}.")
        finding = threshold.judge(measured, check=PSI)
        share = importance.get(item.column)
        findings.append(finding if share is None else noted(finding, importance=share))
    return tuple(findings)


def drift_finding(course: DriftCourse, at: int, priced: Priced, traces: Sequence[Trace]) -> Finding:
    """Return where the drift detector stands after window `at`; it pages only where the drift surely costs something.

    Its price is that of what it blames; a broken column is told with its feed. `traces` go up to that window.
    """
    if course.rate.learning:
        return _learning(course.rate, priced, traces)
    level, alarmed = course.levels[at], course.alarmed[at]
    blamed = [name for name, part in course.columns[at].items() if part >= _BLAMED]
    broken = traces[-1].broken
    dearest = priced.dearest(_priced_for(blamed, broken, priced))
    harmful = alarmed and dearest is not None and priced.is_harmful(dearest)
    threshold = Threshold(warn=1.0, fail=1.0 if harmful else math.inf)
    measurement = Measurement(
        DRIFT,
        max(level, 1.0 + 1e-9) if alarmed else min(level, 1.0),
        says=_drift_words(blamed, broken, dearest, priced) if alarmed else "The rows wobble as they always did.",
        hint=_DRIFT_HINT,
        evidence={"level": level, "blame": course.blame[at], "allowed_per_year": course.rate.allowed},
    )
    finding = threshold.judge(measurement, check=DRIFT)
    if not alarmed:
        return finding
    return noted(finding, since=since(traces, list(course.alarmed[: at + 1])).isoformat(), priced=dearest)


def _priced_for(blamed: Sequence[str], broken: Collection[str], priced: Priced) -> Collection[str]:
    """Return whose price an alarm may have; all together say nothing where one of them is broken."""
    own = {name for name in blamed if name not in broken and name != ALL_TOGETHER}
    if broken:
        return own
    if own <= {PREDICTION, DECISION} and ALL_TOGETHER not in priced.prices:
        return priced.prices  # nothing is blamed that comes in, so whatever moved is the cause
    return own | {ALL_TOGETHER}


def _drift_words(blamed: Sequence[str], broken: frozenset[str], dearest: str | None, priced: Priced) -> str:
    """Say what moved, and what of it costs most."""
    named = blamed[:_NAMED]
    whom = ", ".join(f"{name!r}" for name in named) or "The columns"
    says = f"{whom} moved further than {'it' if len(named) == 1 else 'they'} ever did by chance"
    if dearest is None:
        why = "what broke in the feed is told by itself" if broken else "what that costs cannot be told"
        return f"{says}; {why}."
    whose = "that" if named == [dearest] else ALL_TOGETHER if dearest == ALL_TOGETHER else f"{dearest!r}"
    cost = _costs(dearest, priced)
    if whose == ALL_TOGETHER:
        cost = "cost" + cost.removeprefix("costs").replace(" and turns ", " and turn ")
    return f"{says}; {whose} {cost}, {_READ_AS[priced.prices[dearest].reading]}."


def _learning(rate: AlarmRate, priced: Priced, traces: Sequence[Trace]) -> Finding:
    """Return that the detector learns; a column that cost far too much in both of the latest windows pages."""
    known = f"{rate.known} of {rate.needed} windows are known"
    limit = None if priced.money_limit is None else _FAR_MONEY * priced.money_limit
    twice = traces[-1].moved & traces[-2].moved if len(traces) > 1 else frozenset()
    dearest = priced.dearest(
        [
            name
            for name in twice
            if name in priced.prices and is_harmful(priced.prices[name], tolerance=_FAR_SKILL, money_limit=limit)
        ]
    )
    if dearest is None:
        return Finding(DRIFT, Verdict.SKIPPED, Measurement(DRIFT, 0.0, skipped=f"learning: {known}."))
    measurement = Measurement(
        DRIFT,
        priced.burden(dearest),
        says=(
            f"{dearest!r} moved far in two windows running; that {_costs(dearest, priced)}, "
            f"{_READ_AS[priced.prices[dearest].reading]}. What is normal is still being learned: {known}."
        ),
        hint=_DRIFT_HINT,
        evidence={"priced": dearest, "allowed_per_year": rate.allowed},
    )
    began = since(traces, [dearest in trace.moved for trace in traces])
    return noted(Finding(DRIFT, Verdict.FAIL, measurement), since=began.isoformat())


def estimate_finding(estimate: Estimate, drop: Span | None, *, tolerance: float, label: str, alarmed: bool) -> Finding:
    """Return how far the estimated metric lies below the promise.

    Outcomes decide, so this only warns, but where the drift detector is in alarm and even the lower bound is beyond the
    tolerance (units of the metric).
    """
    if estimate.refused is not None or drop is None or estimate.value is None:
        reason = estimate.refused or "no estimate could be made."
        return Finding(ESTIMATED_SCORE, Verdict.SKIPPED, Measurement(ESTIMATED_SCORE, 0.0, skipped=reason))
    threshold = Threshold(warn=0.0, fail=0.0 if alarmed else math.inf)
    says = f"Without outcomes, {label} is thought to be {figure(estimate.value)}"
    if estimate.low is not None and estimate.high is not None:
        says += f" ({figure(estimate.low)} to {figure(estimate.high)}, 90 % sure)"
    measurement = Measurement(
        ESTIMATED_SCORE,
        drop.low - tolerance,
        says=f"{says} in the latest window.",
        hint="Wait for outcomes, or ask for some: they decide.",
        low=drop.low,
        high=drop.high,
        evidence={"drop": drop.value, "level": 0.9, "method": estimate.method, "rows": estimate.rows},
    )
    return threshold.judge(measurement, check=ESTIMATED_SCORE)


def changes_of(
    found: Sequence[Evidence],
    faults: Sequence[Finding],
    blamed: Collection[str],
    priced: Priced,
    importance: Mapping[str, float],
    traces: Sequence[Trace],
) -> tuple[Change, ...]:
    """Return what moved or broke, dearest first, and all columns together where that has a price."""
    broken = {finding.subject: finding for finding in reversed(faults) if finding.verdict.blocks}
    changes = []
    for item in found:
        if not (item.coloured or item.column in blamed or item.column in broken):
            continue
        fault = broken.get(item.column)
        moved = _with_turns(item.says or "it moved a little, and stays so", item.column, priced)
        changes.append(
            Change(
                item.column,
                says=moved if fault is None else fault.measurement.says,
                since=since(traces, [trace.unwell(item.column) for trace in traces]).isoformat(),
                psi=None if item.skipped is not None else item.psi,
                importance=importance.get(item.column),
                **_cost(item.column, priced),
            )
        )
    if ALL_TOGETHER in priced.prices and len(changes) > 1:
        says = _with_turns(f"{len(changes)} columns moved together", ALL_TOGETHER, priced)
        changes.append(Change(ALL_TOGETHER, says, **_cost(ALL_TOGETHER, priced)))
    return tuple(sorted(changes, key=lambda change: -priced.burden(change.subject)))


def _with_turns(says: str, subject: str, priced: Priced) -> str:
    """Return what is said of a change, with the share of decisions that it turns where that speaks against harmless."""
    if subject not in priced.swayed:
        return says
    return f"{says.removesuffix('.')}, which turns {percent(priced.swayed[subject])} of the decisions"


def _cost(subject: str, priced: Priced) -> dict[str, Any]:
    price = priced.prices.get(subject)
    if subject in (PREDICTION, DECISION):
        return {"unpriced": "it follows from what comes in."}
    return {
        "price": price,
        "unpriced": None if price is not None else priced.unpriced.get(subject),
        "harmless": priced.is_harmless(subject),
        "harmful": priced.is_harmful(subject),
    }
