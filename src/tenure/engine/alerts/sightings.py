"""Sort the findings of a health report by cause: which of them one person has to look at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.core.alarms import Alarm, Severity, Sighting, Symptom
from tenure.core.evidence import SEVERITY, Finding, Verdict
from tenure.core.health import Change, HealthReport, WindowHealth
from tenure.core.project import MonitoringSection
from tenure.monitoring.alarm import POOLED_WINDOWS, REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.drift_findings import ESTIMATED_SCORE, price_words
from tenure.monitoring.freshness import OUTCOME_FRESHNESS, OUTCOME_VALUES, TRAFFIC_FRESHNESS
from tenure.monitoring.quarantine import QUARANTINED_ROWS
from tenure.monitoring.rules import ENOUGH_ROWS, RULES, VOLUME

FEED: Final = "feed"
TRAFFIC: Final = "traffic"
OUTCOMES: Final = "outcomes"
DRIFT: Final = "drift"
PERFORMANCE: Final = "performance"
ESTIMATE: Final = "estimate"
CHECK: Final = "check"
_KIND_OF: Final = {
    **dict.fromkeys((*RULES, QUARANTINED_ROWS), FEED),
    **dict.fromkeys((VOLUME, ENOUGH_ROWS, TRAFFIC_FRESHNESS), TRAFFIC),
    **dict.fromkeys((OUTCOME_FRESHNESS, OUTCOME_VALUES), OUTCOMES),
    **dict.fromkeys((REALISED_SCORE, REALISED_VALUE), PERFORMANCE),
    ESTIMATED_SCORE: ESTIMATE,
}
_BY_THE_CLOCK: Final = (TRAFFIC, OUTCOMES, CHECK)
"""What is judged at every look and not by window: a day counts as its window."""
_WHOLE: Final = "the model"
_JUDGED: Final = frozenset((Verdict.PASS, Verdict.WARN, Verdict.FAIL))


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of cause: how its headline begins, whether it is about one version, and how its symptoms are named."""

    lead: str
    is_of_version: bool
    symptom: Callable[[Finding], str]


_KINDS: Final = {
    FEED: _Kind("The rows that come in are broken.", False, lambda finding: finding.subject or finding.check),
    TRAFFIC: _Kind("", False, lambda finding: finding.check),
    OUTCOMES: _Kind("The outcomes that come in cannot be relied on.", False, lambda finding: finding.check),
    DRIFT: _Kind("", True, lambda finding: finding.subject or finding.check),
    PERFORMANCE: _Kind("The model is worse than promised.", True, lambda _: _WHOLE),
    ESTIMATE: _Kind("The model is probably worse than promised.", True, lambda _: _WHOLE),
    CHECK: _Kind("A health check broke, so not all is known.", False, lambda finding: finding.check),
}


def kind_of(finding: Finding) -> str:
    """Return the kind of cause that a finding tells of.

    A broken check is a cause of its own; realised score and money are one; whatever else is known is drift.
    """
    return CHECK if finding.verdict is Verdict.ERROR else _KIND_OF.get(finding.check, DRIFT)


def sightings_of(
    health: HealthReport,
    monitoring: MonitoringSection,
    *,
    currency: str,
    now: datetime,
    alarms: Sequence[Alarm] = (),
) -> tuple[Sighting, ...]:
    """Return what a health report found of each kind of cause, also where it found nothing.

    `alarms` are those that live: a fall that has its own alarm keeps it, whatever becomes of the feed.
    """
    full = full_windows(health, monitoring, now=now)
    looked = next((window.start for window in reversed(full)), None)
    came_true = next((window.start for window in reversed(full) if _is_ripe(window, health, monitoring)), None)
    labels = {PERFORMANCE: came_true, **dict.fromkeys(_BY_THE_CLOCK, now.date().isoformat())}
    is_small = any(f.check == ENOUGH_ROWS and f.verdict is Verdict.SKIPPED for f in health.findings)
    is_of_feed = _falls_with_feed(health, alarms)
    found = []
    for kind in _KINDS:
        by_symptom = _by_symptom(health, kind, is_of_feed=is_of_feed)
        verdicts = {finding.verdict for some in by_symptom.values() for finding in some}
        judged = kind == CHECK or (bool(verdicts & _JUDGED) and not (is_small and kind in (FEED, DRIFT, ESTIMATE)))
        found.append(
            Sighting(
                kind,
                lead=_lead(kind, by_symptom),
                version=health.version if _KINDS[kind].is_of_version else None,
                window=labels.get(kind, looked),
                symptoms=_symptoms(health, kind, by_symptom, currency=currency),
                judged=judged,
                doubtful=frozenset(
                    name for name, some in by_symptom.items() if all(f.verdict is Verdict.SKIPPED for f in some)
                ),
            )
        )
    return tuple(found)


def _by_symptom(health: HealthReport, kind: str, *, is_of_feed: bool) -> dict[str, list[Finding]]:
    """Return the findings of a kind by symptom; where a fall `is_of_feed`, it is a symptom of the feed."""
    mine: tuple[str, ...] = (kind,)
    if kind in (FEED, PERFORMANCE) and is_of_feed:
        mine = (FEED, PERFORMANCE) if kind == FEED else ()
    found: dict[str, list[Finding]] = {}
    for finding in health.findings:
        if kind_of(finding) in mine:
            found.setdefault(_KINDS[kind_of(finding)].symptom(finding), []).append(finding)
    return found


def _falls_with_feed(health: HealthReport, alarms: Sequence[Alarm]) -> bool:
    """Say whether a model that does badly is a symptom of broken rows: in the windows that performance was judged on.

    They break now at a cost, or people still hold a page of them; and the fall has no alarm of its own.
    """
    known = [window for window in health.windows if window.realised is not None and health.version in window.versions]
    if not any(window.faults for window in known[-POOLED_WINDOWS:]):
        return False
    if any(alarm.is_live and (alarm.kind, alarm.version) == (PERFORMANCE, health.version) for alarm in alarms):
        return False
    is_paged = any(alarm.is_live and alarm.kind == FEED and alarm.severity is Severity.PAGE for alarm in alarms)
    return is_paged or any(finding.verdict.blocks and kind_of(finding) == FEED for finding in health.findings)


def _lead(kind: str, by_symptom: Mapping[str, Sequence[Finding]]) -> str:
    """Return how the headline begins: of rows that were mended since, nothing is said."""
    blocking = (finding for some in by_symptom.values() for finding in some if finding.verdict.blocks)
    return _KINDS[kind].lead if any(kind_of(finding) == kind for finding in blocking) else ""


def _symptoms(
    health: HealthReport, kind: str, by_symptom: Mapping[str, Sequence[Finding]], *, currency: str
) -> tuple[Symptom, ...]:
    """Return what is wrong, pages first."""
    changes = {change.subject: change for change in health.changes}
    found = []
    for name, findings in by_symptom.items():
        worst = max(findings, key=lambda finding: SEVERITY[finding.verdict])
        if worst.verdict in (Verdict.WARN, Verdict.FAIL, Verdict.ERROR):
            # The detector speaks of many columns, and says whose price its alarm has.
            priced = str(worst.measurement.evidence.get("priced", name))
            found.append(_symptom(name, worst, changes.get(priced), currency=currency))
    return tuple(sorted(found, key=lambda symptom: symptom.severity is not Severity.PAGE))


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


def _symptom(name: str, worst: Finding, change: Change | None, *, currency: str) -> Symptom:
    since = worst.measurement.evidence.get("since") or (change.since if change else None)
    return Symptom(
        name,
        Severity.PAGE if worst.verdict.blocks else Severity.NOTICE,
        says=worst.says,
        hint=worst.measurement.hint,
        since=None if since is None else str(since),
        price=_price(change, currency=currency),
    )


def _price(change: Change | None, *, currency: str) -> str | None:
    """Return what a change costs in words, None where that is not known."""
    if change is None or change.price is None:
        return None
    if change.harmless:
        return "harmless: within the tolerance even at worst"
    return price_words(change.price, currency=currency)
