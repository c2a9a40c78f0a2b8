"""The figures of the health page: which numbers of a report are drawn, and the words that stand around them.

`source` is the report's digest, which costs something to compute and is therefore passed along.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from markupsafe import Markup

from tenure.core.health import Course, HealthReport, WindowHealth
from tenure.core.modelling import Score
from tenure.reporting import health_charts as charts
from tenure.reporting.figures import Figure, Key, figure, svg
from tenure.reporting.health_value import Worth
from tenure.reporting.health_words import about, audit_words, is_better_above, metric_label, percent, ranged
from tenure.reporting.look import SMALL
from tenure.reporting.words import Estimate, hundredths, money, number, plural, scored

DRAWN: Final = 120
COURSES_DRAWN: Final = 12
_EMPTY_WORTH_DRAWING: Final = 0.005
_TOLD_IN_WORDS: Final = 16


def clearly_below(score: Score, report: HealthReport) -> bool:
    """Say whether a realised score lies below the promise by more than chance, and beyond the tolerance."""
    expected = report.expected
    if expected is None or expected.metric != score.metric:
        return False
    limit = limit_of(report)
    if is_better_above(score.metric):
        return score.high < min(expected.low, limit if limit is not None else expected.low)
    return score.low > max(expected.high, limit if limit is not None else expected.high)


def limit_of(report: HealthReport) -> float | None:
    """Return the value of the metric at which harm begins; None where no tolerance is known."""
    if report.expected is None or report.tolerance is None:
        return None
    down = report.tolerance if is_better_above(report.expected.metric) else -report.tolerance
    return report.expected.value - down


def told(window: WindowHealth) -> Estimate | None:
    """Return what was told of a window before its outcomes; None where nothing was, or it was refused."""
    guess = window.estimated
    if guess is None or guess.value is None or guess.refused is not None:
        return None
    low = guess.low if guess.low is not None else guess.value
    high = guess.high if guess.high is not None else guess.value
    return Estimate(guess.value, low, high)


def metric_of(report: HealthReport) -> str | None:
    """Return the metric that the windows are judged by."""
    scores = [w.realised.metric for w in report.windows if w.realised is not None]
    guesses = [w.estimated.metric for w in report.windows if w.estimated is not None]
    named = [*scores[-1:], *guesses[-1:], *([report.expected.metric] if report.expected is not None else [])]
    return named[0] if named else None


def performance_figure(report: HealthReport, source: str) -> Figure | None:
    """Return what was told beside what came true, by window; None where there is neither."""
    metric = metric_of(report)
    windows = report.windows[-DRAWN:]
    known = [
        charts.Known(
            w.start,
            Estimate(w.realised.value, w.realised.low, w.realised.high),
            ill=clearly_below(w.realised, report),
            young=not w.ripe,
        )
        for w in windows
        if w.realised is not None and w.realised.metric == metric
    ]
    guesses = [(w.start, told(w)) for w in windows]
    guessed = any(guess is not None for _, guess in guesses)
    if metric is None or not (known or guessed):
        return None
    expected = report.expected if report.expected is not None and report.expected.metric == metric else None
    limit = limit_of(report) if expected is not None else None
    ill = sum(k.ill for k in known)
    refused = sum(w.estimated is not None and w.estimated.refused is not None for w in windows)
    label = metric_label(metric)
    upshot = f"{plural(ill, 'window')} clearly worse than promised" if ill else "no window clearly worse than promised"
    if not known:
        upshot = "only estimated, as no outcome is known yet"
    keys = [
        *([Key("band", "estimated before outcomes were known (90\u00a0%)")] if guessed else []),
        *([Key("dot", "came true (95\u00a0%)")] if known else []),
        *([Key("hollow", "outcomes still coming in")] if any(k.young for k in known) else []),
        *([Key("alarm", "clearly worse than promised")] if ill else []),
        *([Key("promise", "promised (95\u00a0%)")] if expected is not None else []),
        *([Key("limit", "where harm begins")] if limit is not None else []),
    ]
    missing = f" No estimate was given for {plural(refused, 'window')}; the timeline says why."
    return figure(
        "course",
        partial(
            charts.performance,
            guesses,
            known,
            promised=Estimate(expected.value, expected.low, expected.high) if expected is not None else None,
            limit=limit,
            label=label,
        ),
        title=f"How well it answers, window by window: {upshot}",
        alt=f"{label} by window; {upshot}. "
        + "; ".join(_window_in_words(w) for w in windows[-_TOLD_IN_WORDS:] if w.realised or told(w)),
        note=f"{'More' if is_better_above(metric) else 'Less'} is better.{missing if refused else ''}",
        keys=tuple(keys),
        source=source,
    )


def _window_in_words(window: WindowHealth) -> str:
    guess = told(window)
    parts = [
        *([f"estimated {number(guess.value)} ({number(guess.low)} to {number(guess.high)})"] if guess else []),
        *([f"came true {scored(window.realised)}"] if window.realised is not None else []),
    ]
    return f"{window.start[:10]}: {', '.join(parts)}"


def audited(report: HealthReport) -> list[tuple[WindowHealth, Estimate, bool]]:
    """Return final windows with how far what came true was from what was told, its range, and whether that held."""
    out = []
    for window in report.windows[-DRAWN:]:
        guess = told(window)
        if guess is None or window.realised is None or not window.ripe:
            continue
        off = window.realised.value - guess.value
        held = guess.low <= window.realised.value <= guess.high
        out.append((window, Estimate(off, guess.low - guess.value, guess.high - guess.value), held))
    return out


def audit_figure(report: HealthReport, source: str) -> Figure | None:
    """Return how far estimates were off, window by window; None with fewer than three that can be held to account."""
    points = audited(report)
    if len(points) < 3:
        return None
    held = sum(fits for *_, fits in points)
    metric = metric_of(report)
    title = f"What came true lay in the estimated range in {held} of {plural(len(points), 'window')} drawn"
    return figure(
        "audit",
        partial(
            charts.misses,
            [(w.start, off, fits) for w, off, fits in points],
            label="came true less estimated",
        ),
        title=title,
        alt=f"{title}. {audit_words(report.audit, metric)}",
        keys=(
            Key("bar pale", "estimated range (90\u00a0%)"),
            Key("dot", "came true"),
            Key("alarm", "outside the range"),
        ),
        source=source,
    )


def drift_figure(report: HealthReport, source: str) -> Figure | None:
    """Return the level of the drift detector by window with its alarms and the faults of the feed."""
    windows = report.windows[-DRAWN:]
    levels = [(w.start, w.drift) for w in windows if w.drift is not None]
    faults = [w.start for w in windows if w.faults]
    if not levels:
        return None
    alarms = sum(level >= 1 for _, level in levels)
    upshot = f"past it in {plural(alarms, 'window')}" if alarms else "no alarm"
    top = max(level for _, level in levels)
    title = f"Drift on its way to an alarm: {upshot}"
    broken = "; ".join(f"{w.start[:10]}: {', '.join(w.faults)}" for w in windows if w.faults)
    return figure(
        "drift",
        partial(charts.drift, levels, faults),
        title=title,
        alt=f"{title}. Latest level {number(levels[-1][1], digits=2)} (1 is an alarm)."
        + (f" Broken feed: {broken}" if broken else ""),
        note="An alarm alone pages nobody: what the change costs decides."
        + (f" Levels above {number(charts.HIGHEST)} are drawn at it." if top > charts.HIGHEST else ""),
        keys=(
            Key("", "drift level"),
            Key("limit", "alarm"),
            *((Key("fault", "the feed was broken"),) if faults else ()),
        ),
        source=source,
    )


def value_figure(report: HealthReport, source: str, worth: Worth) -> Figure | None:
    """Return the money by window beside the best possible; young windows are paler."""
    paid = [w for w in report.windows if w.value is not None][-DRAWN:]
    made = [w.value or 0.0 for w in paid]
    best = [None if worth.is_cost else w.value_best for w in paid]
    young = [not w.ripe for w in paid]
    what = "What errors cost" if worth.is_cost else "What its decisions made"
    marked = any(b is not None for b in best)
    return figure(
        "value",
        partial(
            charts.amounts,
            [w.start for w in paid],
            made,
            best,
            young=young,
            label=f"{worth.currency} in the window",
        ),
        title=f"{what}, window by window",
        alt=f"{what} by window. "
        + "; ".join(f"{w.start[:10]}: {money(w.value or 0.0, worth.currency)}" for w in paid[-_TOLD_IN_WORDS:]),
        note="Only decisions whose outcome is known count, so late windows still grow." if any(young) else "",
        keys=(
            Key("bar", "cost" if worth.is_cost else "made"),
            *((Key("pale", "outcomes still coming in"),) if any(young) else ()),
            *((Key("mark", "best possible"),) if marked else ()),
        ),
        source=source,
    )


def maturity_figure(report: HealthReport, source: str) -> Figure | None:
    """Return the share of outcomes known by window; None where none is."""
    windows = report.windows[-DRAWN:]
    if not any(w.matured for w in windows):
        return None
    young = [not w.ripe for w in windows]
    waits = f"{plural(sum(young), 'window')} still {'waits' if sum(young) == 1 else 'wait'} for outcomes"
    title = f"Outcomes that are known: {waits if any(young) else 'every window is final'}"
    return figure(
        "maturity",
        partial(charts.maturity, [w.start for w in windows], [w.matured for w in windows], young=young),
        title=title,
        alt=f"{title}. "
        + "; ".join(f"{w.start[:10]}: {hundredths(w.matured)} of 100" for w in windows[-_TOLD_IN_WORDS:]),
        keys=(
            Key("bar", "final"),
            *(
                (Key("pale", "young: known outcomes are weighted by how likely it was to know them by now"),)
                if any(young)
                else ()
            ),
        ),
        source=source,
    )


def ranked_courses(report: HealthReport) -> list[Course]:
    """Return courses, those of what changed first (dearest first), then as the report has them (by importance)."""
    place = {change.subject: i for i, change in enumerate(report.changes)}
    return sorted(report.courses, key=lambda course: place.get(course.subject, len(place)))


def course_figures(report: HealthReport, source: str) -> tuple[Figure, ...]:
    """Return one small figure for each of the first courses that has anything to draw."""
    drawable = [c for c in ranked_courses(report) if any(v is not None for v in c.middle)]
    return tuple(_course_figure(c, i, source) for i, c in enumerate(drawable[:COURSES_DRAWN], 1))


def _course_figure(course: Course, place: int, source: str) -> Figure:
    starts, middle = course.starts[-DRAWN:], course.middle[-DRAWN:]
    share = course.level is not None
    of = f": share of “{course.level}”" if share else ""
    draw = partial(
        charts.course,
        starts,
        middle,
        course.low[-DRAWN:],
        course.high[-DRAWN:],
        usual=(course.usual_middle, course.usual_low, course.usual_high),
        share=share,
    )
    note = course_words(course)
    name = f"course-{place}"
    title = f"{about(course.subject)}{of}"
    made = figure(name, draw, title=title, alt=f"{title} by window. {note}", note=note, source=source, small=True)
    missing = course.missing[-DRAWN:]
    if max((m for m in missing if m is not None), default=0.0) < _EMPTY_WORTH_DRAWING:
        return made
    strip = svg(charts.emptiness(starts, missing, size=SMALL), name=f"{name}-e")
    return replace(made, wide=Markup("").join((made.wide, strip)))


def course_words(course: Course) -> str:
    """Return where a course stands now, and what is usual."""
    say = (lambda v: f"{hundredths(v)} of 100") if course.level is not None else number
    latest = next((v for v in reversed(course.middle) if v is not None), None)
    parts = [] if latest is None else [f"Now {say(latest)}"]
    if course.usual_middle is not None:
        usual = f"usual {say(course.usual_middle)}"
        if course.usual_low is not None and course.usual_high is not None and course.level is None:
            usual += f" ({number(course.usual_low)} to {number(course.usual_high)})"
        parts.append(usual)
    empty = next((v for v in reversed(course.missing) if v is not None), None)
    if empty is not None and max(empty, course.usual_missing or 0.0) >= _EMPTY_WORTH_DRAWING:
        before = f", usual {hundredths(course.usual_missing)}" if course.usual_missing is not None else ""
        parts.append(f"empty {hundredths(empty)} of 100{before}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def price_figure(report: HealthReport, source: str) -> Figure | None:
    """Return what each change costs with its range beside what is tolerated; None with fewer than two prices."""
    priced = [(change.subject, change.price) for change in report.changes if change.price is not None][:COURSES_DRAWN]
    if len(priced) < 2:
        return None
    dearest = max((price for _, price in priced), key=lambda price: abs(price.drop.value))
    limit = None
    if report.tolerance is not None and dearest.drop.value:
        # A price says the same fall in the metric and in the skill, so it tells what the tolerance is in the skill.
        limit = abs(report.tolerance * dearest.skill.value / dearest.drop.value)
    says = "; ".join(
        f"{s}: {percent(p.skill.value)} ({percent(p.skill.low)} to {percent(p.skill.high)})" for s, p in priced
    )
    return figure(
        "prices",
        partial(charts.prices, [about(s) for s, _ in priced], [ranged(p.skill) for _, p in priced], limit=limit),
        title="What each change costs",
        alt=f"Share of the skill that each change costs. {says}",
        keys=(Key("", "cost (90\u00a0%)"), *((Key("limit", "tolerated"),) if limit is not None else ())),
        source=source,
    )
