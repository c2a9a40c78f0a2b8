"""What a simulation says, in plain sentences: for the page, its Markdown and the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tenure.core.health import Span
from tenure.core.simulation import Deed, Measure, PolicyResult, Simulation
from tenure.reporting.health_words import day, metric_label, ranged
from tenure.reporting.words import GAP, listing, money, money_range, number, plural, seconds_in_words, whole

WITHOUT: Final = "static"
_DAY_SECONDS: Final = 86_400
_DONE: Final = {
    Deed.RETRAIN: ("retrained", "time"),
    Deed.CORRECTION: ("corrected", "time"),
    Deed.PROMOTION: ("put a new version in office", "time"),
    Deed.ROLLBACK: ("rolled back", "time"),
}
DEED_WORDS: Final = {
    Deed.ALARM: "alarm",
    Deed.RETRAIN: "retrained",
    Deed.CORRECTION: "corrected",
    Deed.PROMOTION: "took office",
    Deed.ROLLBACK: "rolled back",
    Deed.HELD: "not good enough",
    Deed.STEP: "step of the ladder",
    Deed.ESCALATION: "left to a person",
    Deed.PROPOSAL: "proposed",
    Deed.MISSED: "look missed",
}


def policy_words(name: str) -> str:
    """Return what people call a policy."""
    return "without tenure" if name == WITHOUT else f"“{name}”"


def figure_of(simulation: Simulation, value: float) -> str:
    """Return a total or a difference of totals with its unit."""
    if simulation.measure is Measure.MONEY:
        return money(value, simulation.unit)
    return number(value, digits=4)


def span_words(simulation: Simulation, span: Span) -> str:
    """Return a total or difference with its range."""
    if simulation.measure is Measure.MONEY:
        return f"{money(span.value, simulation.unit)} ({money_range(ranged(span), simulation.unit)})"
    return f"{number(span.value, digits=4)} ({number(span.low, digits=4)}{GAP}to{GAP}{number(span.high, digits=4)})"


def total_words(simulation: Simulation, span: Span) -> str:
    """Return a total with its range; what errors cost without its sign."""
    if not simulation.is_cost:
        return span_words(simulation, span)
    return span_words(simulation, Span(-span.value, -span.high, -span.low))


def ahead_words(simulation: Simulation, gain: Span) -> str:
    """Return how far a policy is ahead of another, with its range."""
    return "the same" if gain.low == gain.high else span_words(simulation, gain)


def measure_words(simulation: Simulation) -> str:
    """Return what totals are called."""
    if simulation.measure is Measure.MONEY:
        return "cost of errors" if simulation.is_cost else "money made"
    return metric_label(simulation.metric)


def period_words(simulation: Simulation) -> str:
    """Return the stretch of time that was flown."""
    return f"{day(simulation.starts[0])} to {day(simulation.ends[-1])}"


def headline(simulation: Simulation) -> str:
    """Return the answer: what the first policy made of the time, beside no tenure at all."""
    told = flown(simulation)
    if not told:
        return "Flown without tenure only, so there is nothing to compare."
    first = told[0]
    gain, count = first.over_static, plural(len(simulation.starts), "window")
    apart = figure_of(simulation, abs(gain.value))
    what = f"“{first.name}”" if len(told) > 1 or first.name != "as it is" else "tenure"
    if gain.low > 0:
        return f"With {what}, {_better(simulation, apart)} over {count} than without."
    if gain.high < 0:
        return f"With {what}, {_worse(simulation, apart)} over {count} than without."
    return f"Over {count}, {what} made no difference beyond chance."


def _better(simulation: Simulation, apart: str) -> str:
    if simulation.measure is Measure.MONEY:
        return f"{apart} better off"
    return f"{metric_label(simulation.metric)} was better by {apart}"


def _worse(simulation: Simulation, apart: str) -> str:
    if simulation.measure is Measure.MONEY:
        return f"{apart} worse off"
    return f"{metric_label(simulation.metric)} was worse by {apart}"


def flown(simulation: Simulation) -> tuple[PolicyResult, ...]:
    """Return the policies that were flown beside the static one, in order."""
    return tuple(policy for policy in simulation.policies if policy.name != WITHOUT)


def counted(policy: PolicyResult) -> str:
    """Return what a policy did, counted, in one sentence."""
    did = []
    for deed, (verb, unit) in _DONE.items():
        if count := policy.count(deed):
            did.append(f"{verb} {plural(count, unit)}" if count > 1 else f"{verb} once")
    left = policy.count(Deed.ESCALATION) + policy.count(Deed.PROPOSAL)
    if left:
        did.append(f"left {plural(left, 'decision')} to a person")
    alarms = policy.count(Deed.ALARM)
    if alarms:
        did.append(f"raised {plural(alarms, 'alarm')}")
    bad = f" {_bad(policy)}" if policy.count(Deed.PROMOTION) else ""
    return f"{_upper(policy_words(policy.name))} {listing(did) or 'did nothing'}.{bad}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bad(policy: PolicyResult) -> str:
    count = policy.bad_promotions
    if not count:
        return "None of the new versions was worse than what it replaced, beyond chance."
    return f"{plural(count, 'new version was', 'new versions were')} worse than what it replaced, beyond chance."


def duel_words(simulation: Simulation, one: str, other: str, gain: Span) -> str:
    """Return who did better, by how much, and whether that is beyond chance."""
    if gain.low == gain.high:
        return f"{_upper(policy_words(one))} and {policy_words(other)} came to the same."
    better, worse = (one, other) if gain.value >= 0 else (other, one)
    low, high = (gain.low, gain.high) if gain.value >= 0 else (-gain.high, -gain.low)
    span = Span(abs(gain.value), low, high)
    sure = "" if low > 0 else " That may be chance."
    return (
        f"{_upper(policy_words(better))} did better than {policy_words(worse)} by {span_words(simulation, span)}.{sure}"
    )


def hindsight_words(simulation: Simulation) -> str:
    """Return what the best in hindsight is, and what it came to."""
    return (
        f"The best in hindsight came to {span_words(simulation, simulation.best_total)}: in each window the best of "
        "all models that were made in any flight before it began. Nobody could have known which one, and the best of "
        "several noisy numbers looks better than it is, so that the regret is an upper bound."
    )


def pace_words(simulation: Simulation) -> str:
    """Return how long it took beside the naive way, and what that is."""
    pace = simulation.pace
    walks = plural(pace.walks, "walk")
    anew, ours = f"does each of {walks} anew", ""
    if pace.walk_budget is not None and pace.whole_budget is not None:
        anew = f"gives each of {walks} the project’s whole budget ({seconds_in_words(pace.whole_budget)})"
        ours = f" Walks were given {seconds_in_words(pace.walk_budget)} here, so models live may be better."
    return (
        f"All flights together took {seconds_in_words(pace.seconds)}. A loop that answers, logs and settles each of "
        f"{whole(pace.rows)} rows one by one ({pace.row_seconds * 1000:.1f} ms each, measured on a sample) and {anew} "
        f"would take about {seconds_in_words(pace.naive)}: {pace.factor:.1f} times as long.{ours}"
    )


def delay_words(simulation: Simulation) -> str:
    """Return how long outcomes took."""
    if simulation.delay == 0:
        return "outcomes were taken as known at once"
    return f"outcomes were known {seconds_in_words(simulation.delay)} after the prediction"


def window_words(simulation: Simulation, at: int) -> str:
    """Return a window as its days."""
    start, end = simulation.starts[at], simulation.ends[at]
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    if seconds < _DAY_SECONDS:
        return f"{day(start, hours=True)} to {datetime.fromisoformat(end):%H:%M}"
    first, last = day(start), day(end)
    return f"{first.removesuffix(last[-5:])} to {last}"
