"""Judge what moved: faults by their cost, drift by the detector and its price, so that harmless drift pages nobody."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.health import Change, Estimate, Price, Reading, Span
from tenure.monitoring.alarm import noted
from tenure.monitoring.detector import DriftCourse
from tenure.monitoring.evidence import Evidence, percent
from tenure.monitoring.figures import figure
from tenure.monitoring.inputs import DECISION, PREDICTION
from tenure.monitoring.prices import ALL_TOGETHER, TOLERANCE, Priced, is_harmful, is_harmless

DRIFT: Final = "drift"
ESTIMATED_SCORE: Final = "estimated-score"
PSI: Final = "psi"
_NAMED: Final = 3
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


def price_words(price: Price) -> str:
    """Say what a shift costs: 'costs about 5 % (3 to 7 %) of the skill'."""
    low, high = max(price.skill.low, 0.0), max(price.skill.high, 0.0)
    if high < TOLERANCE:
        return f"costs at most {percent(high)} of the skill"
    return f"costs about {percent(max(price.skill.value, 0.0))} ({percent(low)} to {percent(high)}) of the skill"


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
    says = f"{finding.says} It {price_words(price)}."
    said = replace(dated, measurement=replace(dated.measurement, says=says))
    priced_at = noted(said, skill=price.skill.value, skill_high=price.skill.high)
    return replace(priced_at, verdict=Verdict.WARN) if is_harmless(price) else priced_at


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
        price = priced.prices.get(item.column)
        if item.coloured and price is not None:
            measured = replace(measured, says=f"{measured.says.removesuffix('.')}; it {price_words(price)}.")
        finding = threshold.judge(measured, check=PSI)
        share = importance.get(item.column)
        findings.append(finding if share is None else noted(finding, importance=share))
    return tuple(findings)


def drift_finding(course: DriftCourse, at: int, priced: Priced, traces: Sequence[Trace]) -> Finding:
    """Return where the drift detector stands after window `at`; it pages only where the drift surely costs skill."""
    rate = course.rate
    if rate.learning:
        reason = f"learning: {rate.known} of {rate.needed} windows are known."
        return Finding(DRIFT, Verdict.SKIPPED, Measurement(DRIFT, 0.0, skipped=reason))
    level, alarmed = course.levels[at], course.alarmed[at]
    blame = [name for name, part in course.columns[at].items() if part >= 0.1][:_NAMED]
    dearest = max(priced.prices.values(), key=lambda price: price.skill.low, default=None)
    harmful = alarmed and dearest is not None and is_harmful(dearest)
    threshold = Threshold(warn=1.0, fail=1.0 if harmful else math.inf)
    measurement = Measurement(
        DRIFT,
        max(level, 1.0 + 1e-9) if alarmed else min(level, 1.0),
        says=_drift_words(alarmed, blame, dearest),
        hint="See what changed with: tenure diagnose. Outcomes will tell whether it does harm.",
        evidence={"level": level, "blame": course.blame[at], "allowed_per_year": rate.allowed},
    )
    finding = threshold.judge(measurement, check=DRIFT)
    if not alarmed:
        return finding
    began = since(traces, list(course.alarmed[: at + 1]))
    return noted(finding, since=began.isoformat())


def _drift_words(alarmed: bool, blame: Sequence[str], price: Price | None) -> str:
    if not alarmed:
        return "The rows wobble as they always did."
    whom = ", ".join(f"{name!r}" for name in blame) or "The columns"
    says = f"{whom} moved further than {'it' if len(blame) == 1 else 'they'} ever did by chance"
    if price is None:
        return f"{says}; what that costs cannot be told."
    return f"{says}; that {price_words(price)}, {_READ_AS[price.reading]}."


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
        changes.append(
            Change(
                item.column,
                says=fault.measurement.says if fault is not None else item.says or "it moved a little, and stays so",
                since=since(traces, [trace.unwell(item.column) for trace in traces]).isoformat(),
                psi=None if item.skipped is not None else item.psi,
                importance=importance.get(item.column),
                **_cost(item.column, priced),
            )
        )
    if ALL_TOGETHER in priced.prices:
        says = f"{len(changes)} columns moved together"
        changes.append(Change(ALL_TOGETHER, says, **_cost(ALL_TOGETHER, priced)))
    return tuple(sorted(changes, key=lambda change: -(change.price.skill.low if change.price else -1.0)))


def _cost(subject: str, priced: Priced) -> dict[str, Any]:
    price = priced.prices.get(subject)
    if subject in (PREDICTION, DECISION):
        return {"unpriced": "it follows from what comes in."}
    return {
        "price": price,
        "unpriced": None if price is not None else priced.unpriced.get(subject),
        "harmless": price is not None and is_harmless(price),
    }
