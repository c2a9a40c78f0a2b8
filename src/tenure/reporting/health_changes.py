"""What changed, as a list for people: faults and falls, then what moved by its price, then what asks for a look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tenure.core.evidence import SEVERITY, Finding, Verdict
from tenure.core.health import Change, HealthReport
from tenure.reporting.blocks import Entry
from tenure.reporting.health_words import Harm, about, badge_words, day, harm_of, is_short, price_words, remedy
from tenure.reporting.words import check_in_words, listing, plural, sentence

_LOUD: Final = (Verdict.WARN, Verdict.FAIL, Verdict.ERROR)
_TONES: Final = {Harm.COSTS: "fail", Harm.MAY_COST: "warn", Harm.UNKNOWN: "warn", Harm.HARMLESS: ""}
_BADGES: Final = {Verdict.FAIL: "needs action", Verdict.ERROR: "check broke", Verdict.WARN: "look"}
_SKIPPED_SAID: Final = 3


def loud(report: HealthReport) -> list[Finding]:
    """Return the findings that did not pass, worst first."""
    return sorted((f for f in report.findings if f.verdict in _LOUD), key=lambda f: -SEVERITY[f.verdict])


def entries_of(report: HealthReport, *, source: str, currency: str, monthly: float | None) -> tuple[Entry, ...]:
    """Return everything that happened: what blocks, what moved by its price, and what asks for a look.

    A finding that a change already tells of is told with the change, not beside it. `monthly` is how many decisions a
    month brings, for prices in money.
    """
    ranked = sorted(report.changes, key=lambda change: harm_of(change, report.tolerance))
    found = loud(report)
    with_it = {id(change): [f for f in found if _is_told_by(f, change, report)] for change in ranked}
    told = {id(f) for findings in with_it.values() for f in findings}
    apart = [f for f in found if id(f) not in told]
    changes = [_of_change(c, report, with_it[id(c)], source=source, currency=currency, monthly=monthly) for c in ranked]
    return (
        *(_of_finding(f, source) for f in apart if f.verdict.blocks),
        *sorted(changes, key=lambda entry: not entry.urgent),
        *(_of_finding(f, source) for f in apart if not f.verdict.blocks),
    )


def _is_told_by(finding: Finding, change: Change, report: HealthReport) -> bool:
    """Say whether a change tells of a finding: the same column, and no broken rule that the change says nothing of."""
    if finding.subject != change.subject:
        return False
    # The newest window may not be full yet: then the findings are of the one before.
    broken = {fault for window in report.windows[-2:] for fault in window.faults}
    is_rule = f"{finding.check}: {finding.subject}" in broken
    return not is_rule or finding.says.startswith(change.says.rstrip("."))


def _of_finding(finding: Finding, source: str) -> Entry:
    name = check_in_words(finding.check)
    title = f"{name[:1].upper()}{name[1:]}"
    if finding.subject:
        title += f": {finding.subject}"
    tone = finding.verdict.value
    cost, hint = "", finding.measurement.hint
    return Entry(title, _BADGES[finding.verdict], tone, finding.says, cost, hint, source, finding.verdict.blocks)


def _of_change(
    change: Change,
    report: HealthReport,
    told: Sequence[Finding],
    *,
    source: str,
    currency: str,
    monthly: float | None,
) -> Entry:
    harm = harm_of(change, report.tolerance)
    blocking = next((f for f in told if f.verdict.blocks), None)
    since = ""
    if change.since is not None:
        hours = bool(report.windows) and is_short(report.windows[-1])
        since = f" Since {day(change.since, hours=hours)}."
    return Entry(
        title=about(change.subject),
        badge=badge_words(change, harm) if blocking is None or harm is Harm.COSTS else _BADGES[blocking.verdict],
        tone="fail" if blocking is not None else _TONES[harm],
        says=sentence(change.says) + since,
        cost=price_words(change, harm, currency=currency, monthly=monthly),
        todo=(blocking.measurement.hint if blocking is not None else "") or remedy(change, harm),
        source=source,
        urgent=blocking is not None,
    )


def skipped_words(report: HealthReport) -> str:
    """Return which columns could not be looked at and why, in one sentence; empty where there is none."""
    skipped = [f for f in report.findings if f.verdict is Verdict.SKIPPED and f.subject is not None]
    if not skipped:
        return ""
    few = [f"“{f.subject}” ({(f.measurement.skipped or '').rstrip('.')})" for f in skipped[:_SKIPPED_SAID]]
    more = len(skipped) - len(few)
    return f"Not looked at: {listing(few) if not more else ', '.join(few)}{f' and {more} more' if more else ''}."


def falls_words(report: HealthReport) -> str:
    """Return where most of a fall comes from, in one sentence; empty where nothing is known."""
    if not report.falls:
        return ""
    first = max(report.falls, key=lambda fall: fall.share)
    text = f"{first.share * 100:.0f} of 100 parts of the fall come from rows with {first.column} = {first.slice}"
    others = len(report.falls) - 1
    return f"{text}; {plural(others, 'more group')} {'adds' if others == 1 else 'add'} to it." if others else f"{text}."
