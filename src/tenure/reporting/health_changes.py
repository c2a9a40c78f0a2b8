"""What changed, as a list for people: faults and falls, then what moved by its price, then what asks for a look."""

from __future__ import annotations

from collections.abc import Iterable
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


def entries_of(report: HealthReport, *, currency: str, monthly: float | None) -> tuple[Entry, ...]:
    """Return everything that happened: what blocks, what moved by its price, and what asks for a look.

    A finding that says of a change that it moved is told with the change, not beside it; a broken rule stands alone.
    `monthly` is how many decisions a month brings, for prices in money.
    """
    # The newest window may not be full yet: then the findings are of the one before.
    faults = {fault for window in report.windows[-2:] for fault in window.faults}
    moved = {change.subject for change in report.changes}
    told = {id(f): f for f in loud(report) if f.subject in moved and f"{f.check}: {f.subject}" not in faults}
    apart = [f for f in loud(report) if id(f) not in told]
    ranked = sorted(report.changes, key=lambda change: harm_of(change, report.tolerance))
    return (
        *(_of_finding(f, report.digest) for f in apart if f.verdict.blocks),
        *(_of_change(c, report, told.values(), currency=currency, monthly=monthly) for c in ranked),
        *(_of_finding(f, report.digest) for f in apart if not f.verdict.blocks),
    )


def _of_finding(finding: Finding, source: str) -> Entry:
    name = check_in_words(finding.check)
    title = f"{name[:1].upper()}{name[1:]}"
    if finding.subject:
        title += f": {finding.subject}"
    tone = finding.verdict.value
    cost, hint = "", finding.measurement.hint
    return Entry(title, _BADGES[finding.verdict], tone, finding.says, cost, hint, source, finding.verdict.blocks)


def _of_change(
    change: Change, report: HealthReport, told: Iterable[Finding], *, currency: str, monthly: float | None
) -> Entry:
    harm = harm_of(change, report.tolerance)
    blocking = next((f for f in told if f.subject == change.subject and f.verdict.blocks), None)
    since = ""
    if change.since is not None:
        hours = bool(report.windows) and is_short(report.windows[-1])
        since = f" Since {day(change.since, hours=hours)}."
    return Entry(
        title=about(change.subject),
        badge=badge_words(change, harm),
        tone="fail" if blocking is not None else _TONES[harm],
        says=sentence(change.says) + since,
        cost=price_words(change, harm, currency=currency, monthly=monthly),
        todo=(blocking.measurement.hint if blocking is not None else "") or remedy(change, harm),
        source=report.digest,
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
