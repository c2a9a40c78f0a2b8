"""Sort the findings of a health report by cause: which of them one person has to look at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.core.alarms import Severity, Sighting, Symptom
from tenure.core.evidence import SEVERITY, Finding, Verdict
from tenure.core.health import Change, HealthReport, Price, WindowHealth
from tenure.core.project import MonitoringSection
from tenure.monitoring.alarm import REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.rules import ENOUGH_ROWS, RULES, VOLUME

FEED, TRAFFIC, DRIFT, PERFORMANCE, ESTIMATE, CHECK = "feed", "traffic", "drift", "performance", "estimate", "check"
_ESTIMATED: Final = "estimated"
_OUTCOMES: Final = "the outcomes"
_JUDGED: Final = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of cause: how its headline begins, whether it is about one version, and how its symptoms are named."""

    lead: str
    is_of_version: bool
    symptom: Callable[[Finding], str]


_KINDS: Final = {
    FEED: _Kind("The rows that come in are broken.", False, lambda finding: finding.subject or finding.check),
    TRAFFIC: _Kind("", False, lambda finding: finding.check),
    DRIFT: _Kind("", True, lambda finding: finding.subject or finding.check),
    PERFORMANCE: _Kind("The model is worse than promised.", True, lambda _: _OUTCOMES),
    ESTIMATE: _Kind("The model is probably worse than promised.", True, lambda _: _OUTCOMES),
    CHECK: _Kind("A health check broke, so not all is known.", False, lambda finding: finding.check),
}


def kind_of(finding: Finding) -> str:
    """Return the kind of cause that a finding tells of.

    A broken check is a cause of its own; realised score and money are one; columns that moved are one.
    """
    if finding.verdict is Verdict.ERROR:
        return CHECK
    if finding.check in RULES:
        return FEED
    if finding.check in (VOLUME, ENOUGH_ROWS):
        return TRAFFIC
    if finding.check in (REALISED_SCORE, REALISED_VALUE):
        return PERFORMANCE
    return ESTIMATE if finding.check.startswith(_ESTIMATED) else DRIFT


def sightings_of(
    health: HealthReport, monitoring: MonitoringSection, *, currency: str, now: datetime
) -> tuple[Sighting, ...]:
    """Return what a health report found of each kind of cause, also where it found nothing."""
    full = full_windows(health, monitoring, now=now)
    looked = next((window.start for window in reversed(full)), None)
    came_true = next((window.start for window in reversed(full) if _is_ripe(window, health, monitoring)), None)
    is_small = any(f.check == ENOUGH_ROWS and f.verdict is Verdict.SKIPPED for f in health.findings)
    changes = {change.subject: change for change in health.changes}
    found = []
    for name, kind in _KINDS.items():
        findings = [finding for finding in health.findings if kind_of(finding) == name]
        by_symptom: dict[str, list[Finding]] = {}
        for finding in findings:
            by_symptom.setdefault(kind.symptom(finding), []).append(finding)
        symptoms = [
            _symptom(symptom, some, changes.get(symptom), currency=currency)
            for symptom, some in by_symptom.items()
            if any(finding.verdict in (Verdict.WARN, Verdict.FAIL, Verdict.ERROR) for finding in some)
        ]
        can_tell = any(finding.verdict in _JUDGED for finding in findings)
        found.append(
            Sighting(
                name,
                lead=kind.lead,
                version=health.version if kind.is_of_version else None,
                window=came_true if name == PERFORMANCE else looked,
                symptoms=tuple(sorted(symptoms, key=lambda symptom: symptom.severity is not Severity.PAGE)),
                judged=name == CHECK or (can_tell and (name == PERFORMANCE or not is_small)),
                doubtful=frozenset(
                    symptom
                    for symptom, some in by_symptom.items()
                    if all(finding.verdict is Verdict.SKIPPED for finding in some)
                ),
            )
        )
    return tuple(found)


def full_windows(health: HealthReport, monitoring: MonitoringSection, *, now: datetime) -> Sequence[WindowHealth]:
    """Return the windows that no more predictions can fall into, with enough rows to be judged, oldest first."""
    size = monitoring.window_rows
    return [
        window
        for at, window in enumerate(health.windows, start=1)
        if window.rows >= min(monitoring.min_rows, size or monitoring.min_rows)
        and (at < len(health.windows) or (_is_past(window, now) if size is None else window.rows >= size))
    ]


def _is_past(window: WindowHealth, now: datetime) -> bool:
    return datetime.fromisoformat(window.end) <= now


def _is_ripe(window: WindowHealth, health: HealthReport, monitoring: MonitoringSection) -> bool:
    is_known = window.realised is not None and window.realised.rows >= monitoring.min_rows
    return window.ripe and is_known and health.version in window.versions


def _symptom(name: str, findings: Sequence[Finding], change: Change | None, *, currency: str) -> Symptom:
    """Return the worst of the findings of one symptom, with what is known of it besides."""
    worst = max(findings, key=lambda finding: SEVERITY[finding.verdict])
    since = worst.measurement.evidence.get("since") or (change.since if change else None)
    return Symptom(
        name,
        Severity.PAGE if worst.verdict.blocks else Severity.NOTICE,
        says=worst.says,
        hint=worst.measurement.hint,
        since=None if since is None else str(since),
        price=price_words(change, currency=currency),
    )


def price_words(change: Change | None, *, currency: str) -> str | None:
    """Return what a change costs in words, None where that is not known."""
    if change is None or change.price is None:
        return None
    if change.harmless:
        return "harmless: within the tolerance even at worst"
    price: Price = change.price
    skill = f"{price.skill.value:.1%} of the skill ({price.skill.low:.1%} to {price.skill.high:.1%})"
    if price.money is None:
        return skill
    money = (
        f"{price.money.value:,.0f} {currency} per 1,000 decisions ({price.money.low:,.0f} to {price.money.high:,.0f})"
    )
    return f"{skill}, {money}"
