"""Health in plain sentences, for the page and the terminal alike: days, shares of the skill, prices, the alarm dial."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final

from tenure.core.health import AlarmRate, Audit, Change, Price, Reading, Span, WindowHealth
from tenure.core.metrics import METRICS
from tenure.core.modelling import Score
from tenure.reporting.words import (
    GAP,
    Estimate,
    metric_in_words,
    money,
    money_range,
    number,
    of_100,
    plural,
    sentence,
)

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_SPOKEN: Final = ("the prediction", "the decision", "all columns together")
_DAY_SECONDS: Final = 86_400
_NEARLY_WHOLE_DAY: Final = 0.95


class Harm(IntEnum):
    """What a change does, from what is known of its price; dearest first."""

    COSTS = 0
    MAY_COST = 1
    UNKNOWN = 2
    HARMLESS = 3


def harm_of(change: Change, tolerance: float | None) -> Harm:
    """Return what a change does: it costs where even the lower bound of its price lies beyond what is tolerated."""
    if change.harmless:
        return Harm.HARMLESS
    if change.price is None:
        return Harm.UNKNOWN
    return Harm.COSTS if change.harmful or change.price.drop.low > (tolerance or 0.0) else Harm.MAY_COST


def day(at: str, *, hours: bool = False) -> str:
    """Return an ISO moment as people say it: 3 March 2026, with the hour where `hours` matter."""
    moment = datetime.fromisoformat(at)
    text = f"{moment.day}{GAP}{_MONTHS[moment.month - 1]} {moment.year}"
    return f"{text}, {moment:%H:%M}" if hours else text


def is_short(window: WindowHealth) -> bool:
    """Say whether a window is shorter than a day, so that its hour matters."""
    length = datetime.fromisoformat(window.end) - datetime.fromisoformat(window.start)
    return length.total_seconds() < _NEARLY_WHOLE_DAY * _DAY_SECONDS


def stretch(window: WindowHealth) -> str:
    """Return a window as a stretch of time: 2 to 9 March 2026."""
    if is_short(window):
        return f"{day(window.start, hours=True)} to {datetime.fromisoformat(window.end):%H:%M}"
    start, end = datetime.fromisoformat(window.start), datetime.fromisoformat(window.end)
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day} to {day(window.end)}"
    first = f"{start.day}{GAP}{_MONTHS[start.month - 1]}" if start.year == end.year else day(window.start)
    return f"{first} to {day(window.end)}"


def percent(share: float) -> str:
    """Return a share in hundredths: 0.4 %, 5 %, 12 %."""
    return f"{number(share * 100, digits=2)}{GAP}%"


def ranged(span: Span) -> Estimate:
    """Return a span as the estimate that words and charts take."""
    return Estimate(span.value, span.low, span.high)


def about(subject: str) -> str:
    """Return what a change is about, fit to begin a line: The prediction, or a column's own name."""
    return f"{subject[:1].upper()}{subject[1:]}" if subject in _SPOKEN else subject


def metric_label(metric: str) -> str:
    """Return a metric's name as engineers write it."""
    return METRICS[metric].label if metric in METRICS else metric


def is_better_above(metric: str) -> bool:
    """Say whether more of a metric is better."""
    return METRICS[metric].greater_is_better if metric in METRICS else True


def metric_figure(metric: str, value: float) -> str:
    """Return a metric's value in as few words as its sentence allows: 84 of 100, or a plain number."""
    counted = "of 100" in metric_in_words(Score(metric, value, value, value, 1))
    return of_100(value) if counted else number(value)


def metric_figures(metric: str, value: float, low: float, high: float) -> str:
    """Return a metric's value with its range: 84 of 100 (82 to 86)."""
    counted = "of 100" in metric_in_words(Score(metric, value, low, high, 1))
    ends = (number(low * 100, digits=2), number(high * 100, digits=2)) if counted else (number(low), number(high))
    return f"{metric_figure(metric, value)} ({ends[0]} to {ends[1]})"


def price_words(change: Change, harm: Harm, *, currency: str, monthly: float | None) -> str:
    """Return what a change costs as one sentence; `monthly` is how many decisions a month brings, where known."""
    price = change.price
    if price is None:
        why = f": {change.unpriced}" if change.unpriced else ""
        return "Nothing needs paying for it: harmless." if change.harmless else sentence(f"Its price is not known{why}")
    if harm is Harm.HARMLESS:
        most = max(price.skill.high, 0.0)
        return f"It costs at most {percent(most)} of the skill: harmless." if most else "It costs nothing: harmless."
    if price.money is None:
        return sentence(_skill_words(price, harm))
    paid = _money_words(price.money, currency, monthly)
    if price.money.low > 0 >= price.skill.low:
        return sentence(f"It costs {paid}, and up to {percent(max(price.skill.high, 0.0))} of the skill")
    return sentence(f"{_skill_words(price, harm)}, {paid}")


def _skill_words(price: Price, harm: Harm) -> str:
    skill = price.skill
    if skill.value > 1:
        return "It costs more than all of the skill" if harm is Harm.COSTS else "It may cost more than all of the skill"
    if harm is Harm.COSTS:
        ends = f"{number(skill.low * 100, digits=2)} to {percent(skill.high)}"
        return f"It costs about {percent(skill.value)} of the skill ({ends})"
    if skill.low > 0:
        return f"It may cost {number(skill.low * 100, digits=2)} to {percent(skill.high)} of the skill"
    return f"It may cost nothing, or up to {percent(max(skill.high, 0.0))} of the skill"


def _money_words(cost: Span, currency: str, monthly: float | None) -> str:
    if cost.value <= 0 or cost.low < 0:
        words = f"up to {money(max(cost.high, 0.0), currency)} per 1,000 decisions"
        return words + (
            f", or {money(cost.high * monthly / 1000, currency)} a month" if monthly and cost.high > 0 else ""
        )
    words = f"about {money(cost.value, currency)} per 1,000 decisions ({money_range(ranged(cost), currency)})"
    return words + (f", or {money(cost.value * monthly / 1000, currency)} a month" if monthly else "")


def badge_words(change: Change, harm: Harm) -> str:
    """Return a change's price in two or three words."""
    if harm is Harm.HARMLESS:
        return "harmless"
    if change.price is None:
        return "price not known"
    skill = change.price.skill
    if harm is Harm.COSTS:
        return f"costs {'more than all' if skill.value > 1 else f'about {percent(skill.value)}'}"
    return f"may cost up to {percent(min(max(skill.high, 0.0), 1.0))}"


def remedy(change: Change, harm: Harm) -> str:
    """Return what to do about a change."""
    if harm is Harm.HARMLESS:
        return "Nothing needs doing."
    if harm is Harm.UNKNOWN:
        return "Send outcomes as they become known: they tell what it costs."
    if harm is Harm.MAY_COST:
        return "Wait for outcomes: they settle it. Meanwhile ask whether this change was meant."
    if change.price is not None and change.price.reading is Reading.INSTRUMENT and change.subject not in _SPOKEN:
        return (
            f"Ask whoever delivers “{change.subject}” whether it is measured or sent differently. If it is, have it "
            "sent as before; if not, the world changed: run tenure again on newer rows."
        )
    return "Other cases come than those it learned from. Run tenure again when their outcomes are known: tenure run"


def alarm_words(alarms: AlarmRate | None) -> tuple[str, ...]:
    """Return what the owner's dial of false alarms means for this project."""
    if alarms is None:
        return ("How often the drift alarm is wrong here is not known yet.",)
    asked = f"You asked for at most {_false_alarms(alarms.allowed)} a year."
    if alarms.learning:
        known = f"The drift alarm is still learning: it knows {alarms.known} of the {alarms.needed} windows it needs."
        return (asked, known, "Until then it does not ring; broken columns and outcomes are looked at all the same.")
    return (asked, *_measured_words(alarms))


def _measured_words(alarms: AlarmRate) -> tuple[str, ...]:
    span = alarms.measured
    if span is None:
        return (f"It knows {plural(alarms.known, 'window')} as normal; too few to replay and count.",)
    # A rate a year is read to a tenth: more digits would claim more than a replay can know.
    value, low, high = (f"{v:.1f}".removesuffix(".0") for v in (span.value, span.low, span.high))
    text = (
        f"Replayed on {plural(alarms.replayed, 'window')} of its own reference, in which nothing happened, the drift "
        f"alarm rang {value} times a year (between {low} and {high}, 95{GAP}% sure)."
    )
    if span.low > alarms.allowed:
        return (text, "That is more often than you asked for: read its alarms with care.")
    if span.high <= alarms.allowed:
        return (text, "That keeps within what you asked for.")
    return (text, "That fits what you asked for; more windows will make it surer.")


def _false_alarms(count: float) -> str:
    return f"{number(count)}{GAP}false alarm{'' if count == 1 else 's'}"


def audit_words(audit: Audit | None, metric: str | None) -> str:
    """Return how past estimates did against what came true."""
    if audit is None or not audit.windows:
        return "No estimate could be held against what came true yet."
    due = f"{0.9 * audit.windows:.0f}"
    said = (
        f"What was estimated before outcomes were known held in {audit.held} of {plural(audit.windows, 'window')} "
        f"(its 90{GAP}% ranges promise about {due} of them)."
    )
    if audit.error is None:
        return said
    of = f" in {metric_label(metric)}" if metric else ""
    said += f" It was off by {number(audit.error, digits=2)}{of} on average"
    return said + (
        f"; saying that nothing changed would have been off by {number(audit.still, digits=2)}."
        if audit.still is not None
        else "."
    )
