"""The tables of the health page, for the engineer: changes with prices, falls, courses, events, windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tenure.core.evidence import Verdict
from tenure.core.health import Change, HealthReport, Span, WindowHealth
from tenure.reporting.blocks import Cell, Table
from tenure.reporting.health_figures import course_words, ranked_courses, told
from tenure.reporting.health_timeline import Event, events_of
from tenure.reporting.health_words import about, day, is_short, percent
from tenure.reporting.words import GAP, listing, money, number, plural, short, whole

_WINDOWS_SHOWN: Final = 12
_WINDOWS_LISTED: Final = 104
_EVENTS_LISTED: Final = 60
_NAMED: Final = 5
_NONE: Final = "–"
_EVENT_WORDS: Final = {
    Verdict.FAIL: "harm",
    Verdict.WARN: "alarm",
    Verdict.PASS: "note",
    Verdict.SKIPPED: "no estimate",
}


def changes_table(report: HealthReport, source: str, currency: str) -> Table:
    """Return every change with its index, importance and price, as the numbers are."""
    return Table(
        "What moved, with its price (90 % ranges)",
        ("What", "Psi", "Importance", "Read as", "Metric worse by", "% of the skill", f"{currency} per 1,000"),
        tuple(_change_row(change) for change in report.changes),
        source,
        "Psi is corrected for chance: 0 is not moved at all. Importance is the share of the skill that rests on it. "
        "Instrument: measured differently, the truth as before; world: other rows come. The dearer reading is shown.",
    )


def _change_row(change: Change) -> tuple[Cell, ...]:
    price = change.price
    skill = _NONE
    if price is not None:
        skill = _ranged(*(number(100 * s, digits=2) for s in (price.skill.value, price.skill.low, price.skill.high)))
    return (
        Cell(about(change.subject)),
        Cell(_spanned(change.psi), "range"),
        Cell(percent(change.importance) if change.importance is not None else _NONE, "number"),
        Cell(price.reading.value if price is not None else f"not priced: {change.unpriced or 'no reason given'}"),
        Cell(_spanned(price.drop if price is not None else None), "range"),
        Cell(skill, "range"),
        Cell(_spanned(price.money if price is not None else None), "range"),
    )


def _spanned(span: Span | None) -> str:
    return _NONE if span is None else _ranged(number(span.value), number(span.low), number(span.high))


def _ranged(value: str, low: str, high: str) -> str:
    """Return a number with its range, which may break between the two only."""
    return f"{value} ({low}{GAP}to{GAP}{high})"


def falls_table(report: HealthReport, source: str) -> Table:
    """Return where a fall of the realised metric comes from, slice by slice."""
    rows = tuple(
        (
            Cell(f"{fall.column} = {fall.slice}"),
            Cell(whole(fall.rows), "number"),
            Cell(_spanned(fall.fall), "range"),
            Cell(f"{fall.share * 100:.0f} of 100", "bar", share=min(max(fall.share, 0.0), 1.0)),
        )
        for fall in sorted(report.falls, key=lambda fall: -fall.share)
    )
    head = ("Rows with", "Outcomes known", "Mean loss rose by (95 %)", "Part of the whole fall")
    return Table("Where the fall comes from", head, rows, source, dense=True)


def courses_table(report: HealthReport, source: str, drawn: int) -> Table | None:
    """Return the courses that were not drawn, as words."""
    rest = [c for c in ranked_courses(report) if any(v is not None for v in c.middle)][drawn:]
    rest += [c for c in report.courses if all(v is None for v in c.middle)]
    if not rest:
        return None
    rows = tuple((Cell(about(c.subject)), Cell(course_words(c) or "Nothing came in.")) for c in rest)
    return Table("Further columns", ("Column", "How it stands"), rows, source, folded=True)


def events_table(report: HealthReport, source: str) -> Table | None:
    """Return what happened when, newest first."""
    events = events_of(report)
    if not events:
        return None
    hours = is_short(report.windows[-1])
    rows = tuple(
        (
            Cell(day(event.first.start, hours=hours), "number"),
            Cell(_until(event, hours=hours)),
            Cell(
                _EVENT_WORDS[event.verdict],
                "badge",
                tone=event.verdict.value if event.verdict is not Verdict.PASS else "",
            ),
            Cell(event.says),
        )
        for event in events[:_EVENTS_LISTED]
    )
    left = len(events) - len(rows)
    note = f"{plural(left, 'older event')} not listed." if left else ""
    return Table("What happened when, newest first", ("From", "To", "Kind", "What"), rows, source, note)


def _until(event: Event, *, hours: bool) -> str:
    if event.open:
        return "still so"
    return day(event.last.end, hours=hours) if event.first is not event.last else "one window"


def windows_tables(report: HealthReport, source: str, currency: str) -> tuple[Table, ...]:
    """Return every window, newest first; all but the latest are folded."""
    newest = list(reversed(report.windows))
    left = len(newest) - _WINDOWS_LISTED
    older = f"{plural(left, 'older window')} in the record {short(source)}." if left > 0 else ""
    note = "Known: of 100 outcomes; * still coming in. Drift: 1 is an alarm."
    latest, rest = newest[:_WINDOWS_SHOWN], newest[_WINDOWS_SHOWN:_WINDOWS_LISTED]
    tables = [_windows_table("Windows, newest first", latest, source, currency, note)]
    if rest:
        tables.append(_windows_table("Earlier windows", rest, source, currency, older, folded=True))
    return tuple(tables)


def _windows_table(
    caption: str,
    windows: Sequence[WindowHealth],
    source: str,
    currency: str,
    note: str,
    *,
    folded: bool = False,
) -> Table:
    head = (
        "From (UTC)",
        "Rows",
        "By",
        "Known",
        f"Estimated (90{GAP}%)",
        f"Came true (95{GAP}%)",
        "Value",
        "Drift",
        "Remarks",
    )
    return Table(caption, head, tuple(_window_row(w, currency) for w in windows), source, note, folded)


def _window_row(w: WindowHealth, currency: str) -> tuple[Cell, ...]:
    guess, real = told(w), w.realised
    said = _ranged(*map(number, (guess.value, guess.low, guess.high))) if guess else _NONE
    if w.estimated is not None and w.estimated.refused is not None:
        said = "refused"
    return (
        Cell(w.start[:16].replace("T", " ").removesuffix(" 00:00"), "number"),
        Cell(whole(w.rows), "number"),
        Cell(", ".join(f"v{v}" for v in w.versions) or _NONE),
        Cell(f"{w.matured * 100:.0f}{'' if w.ripe else ' *'}", "number"),
        Cell(said, "range"),
        Cell(_ranged(*map(number, (real.value, real.low, real.high))) if real else _NONE, "range"),
        Cell(money(w.value, currency) if w.value is not None else _NONE, "number"),
        Cell(number(w.drift, digits=2) if w.drift is not None else _NONE, "number"),
        Cell(window_remarks(w) or _NONE),
    )


def window_remarks(w: WindowHealth) -> str:
    """Return what was broken or moved in a window: faults first, at most five moved columns."""
    moved = listing(w.drifted[:_NAMED]) + (" and more" if len(w.drifted) > _NAMED else "")
    parts = [*([f"broken: {', '.join(w.faults)}"] if w.faults else []), *([f"moved: {moved}"] if moved else [])]
    return "; ".join(parts)
