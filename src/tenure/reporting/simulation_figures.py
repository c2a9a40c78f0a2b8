"""The figures of a simulation: its charts with the words around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

from tenure.core.metrics import METRICS
from tenure.core.simulation import Deed, Measure, PolicyResult, Simulation
from tenure.reporting import simulation_charts as charts
from tenure.reporting.charts import intervals
from tenure.reporting.figures import Figure, Key, figure
from tenure.reporting.health_words import metric_label, ranged
from tenure.reporting.simulation_words import (
    DEED_WORDS,
    WITHOUT,
    duel_words,
    figure_of,
    flown,
    policy_words,
    span_words,
)
from tenure.reporting.words import plural

_SIGNS: Final = ("line", "second", "third", "fourth")
_BAD: Final = frozenset({Deed.ALARM, Deed.ROLLBACK, Deed.MISSED})
_MARKED: Final = {Deed.RETRAIN: "hollow", Deed.PROMOTION: "dot", Deed.ALARM: "alarm", Deed.ROLLBACK: "fault"}
_LANES: Final = (
    Deed.ALARM,
    Deed.RETRAIN,
    Deed.CORRECTION,
    Deed.HELD,
    Deed.STEP,
    Deed.PROMOTION,
    Deed.ROLLBACK,
    Deed.ESCALATION,
    Deed.PROPOSAL,
    Deed.MISSED,
)
BEST: Final = "the best in hindsight"


def sign_of(simulation: Simulation, policy: PolicyResult) -> str:
    """Return how a policy's line looks."""
    if policy.name == WITHOUT:
        return "without"
    return _SIGNS[flown(simulation).index(policy) % len(_SIGNS)]


def _keys(simulation: Simulation, *, best: bool) -> tuple[Key, ...]:
    keys = [Key(sign_of(simulation, policy), policy_words(policy.name)) for policy in simulation.policies]
    return (*keys, Key("best", BEST)) if best else tuple(keys)


def gain_figure(simulation: Simulation, source: str) -> Figure | None:
    """Return how far ahead of no tenure each policy is, window after window; None where only static was flown."""
    told = flown(simulation)
    if not told:
        return None
    static = simulation.policy(WITHOUT)
    lines = [
        charts.Line(policy.name, sign_of(simulation, policy), _ahead(simulation, _amounts(policy), static))
        for policy in told
    ]
    lines.append(charts.Line(BEST, "best", _ahead(simulation, simulation.best, static)))
    ends = [figure_of(simulation, policy.over_static.value) for policy in told]
    is_money = simulation.measure is Measure.MONEY
    label = f"{simulation.unit} ahead of no tenure, so far" if is_money else "better by so much, all windows so far"
    return figure(
        "gain",
        partial(charts.courses, simulation.ends, lines, label=label, zero=True),
        title="How far ahead of running without tenure, window after window",
        alt="Ahead of running without tenure at the end: "
        + "; ".join(f"{policy_words(p.name)} {end}" for p, end in zip(told, ends, strict=True)),
        note="Above the line is better than never retraining.",
        keys=tuple(key for key in _keys(simulation, best=True) if key.sign != "without"),
        source=source,
    )


def _amounts(policy: PolicyResult) -> tuple[float, ...]:
    return tuple(window.amount for window in policy.windows)


def _ahead(simulation: Simulation, amounts: Sequence[float], static: PolicyResult) -> list[float]:
    rows = [window.known for window in static.windows]
    one, other = _so_far(simulation, amounts, rows), _so_far(simulation, _amounts(static), rows)
    sign = 1 if simulation.greater_is_better else -1
    return [sign * (a - b) for a, b in zip(one, other, strict=True)]


def _so_far(simulation: Simulation, amounts: Sequence[float], rows: Sequence[int]) -> list[float]:
    """Return the total of all windows up to each: money, or the metric over them."""
    sums = list(accumulate(amounts))
    if simulation.measure is Measure.MONEY:
        return sums
    means = [total / max(count, 1) for total, count in zip(sums, accumulate(rows), strict=True)]
    turn = METRICS[simulation.metric].from_mean_loss
    if simulation.measure is Measure.METRIC or turn is None:
        return means
    return [turn(mean) for mean in means]


def total_figure(simulation: Simulation, source: str) -> Figure:
    """Return the money, or the metric over all windows, so far, for each policy."""
    rows = [window.known for window in simulation.policies[0].windows]
    lines = [
        charts.Line(p.name, sign_of(simulation, p), _so_far(simulation, _amounts(p), rows)) for p in simulation.policies
    ]
    lines.append(charts.Line(BEST, "best", _so_far(simulation, simulation.best, rows)))
    is_money = simulation.measure is Measure.MONEY
    label = f"{simulation.unit}, so far" if is_money else f"{metric_label(simulation.metric)}, all windows so far"
    return figure(
        "total",
        partial(charts.courses, simulation.ends, lines, label=label, zero=False),
        title="Money, all windows so far" if is_money else "The metric over all windows so far",
        alt=f"{label}: "
        + "; ".join(f"{policy_words(p.name)} {span_words(simulation, p.total)}" for p in simulation.policies),
        keys=_keys(simulation, best=True),
        source=source,
    )


def metric_figure(simulation: Simulation, source: str) -> Figure:
    """Return the metric of each window under each policy."""
    lines = [
        charts.Line(p.name, sign_of(simulation, p), [window.metric for window in p.windows])
        for p in simulation.policies
    ]
    marks = [mark for p in simulation.policies for mark in _marks(simulation, p)]
    signs = {mark.sign for mark in marks}
    label = metric_label(simulation.metric)
    is_better_above = METRICS[simulation.metric].greater_is_better
    return figure(
        "metric",
        partial(charts.courses, simulation.starts, lines, label=label, zero=False, marks=marks),
        title=f"{label[:1].upper()}{label[1:]} by window",
        alt=f"{label} by window under {plural(len(simulation.policies), 'policy', 'policies')}.",
        note=f"{'More' if is_better_above else 'Less'} is better.",
        keys=(
            *_keys(simulation, best=False),
            *(Key(sign, DEED_WORDS[deed]) for deed, sign in _MARKED.items() if sign in signs),
        ),
        source=source,
    )


def _marks(simulation: Simulation, policy: PolicyResult) -> Iterator[charts.Mark]:
    """Yield the acts of a policy, each on its line at the window that it followed."""
    for deed, sign in _MARKED.items():
        for act in policy.acts:
            value = policy.windows[act.window].metric
            if act.deed is deed and value is not None:
                yield charts.Mark(simulation.starts[act.window], value, sign)


def acts_figure(simulation: Simulation, policy: PolicyResult, at: int, source: str) -> Figure:
    """Return who held the office under a policy, and when what was done."""
    times = [*simulation.starts, simulation.ends[-1]]
    first, last = times[0], times[-1]
    reigns = [
        (f"v{reign.version}", max(reign.since, first), min(reign.until or last, last))
        for reign in policy.reigns
        if reign.until is None or reign.until > first
    ]
    acts = [
        charts.Lane(DEED_WORDS[deed], [act.at for act in policy.acts if act.deed is deed], is_bad=deed in _BAD)
        for deed in _LANES
        if policy.count(deed)
    ]
    count = len({name for name, _, _ in reigns})
    told = ", ".join(f"{lane.name} {len(lane.times)}" for lane in acts) or "nothing was done"
    return figure(
        f"acts-{at}",
        partial(charts.lanes, times, reigns, acts),
        title=f"Under {policy_words(policy.name)}: {plural(count, 'version')} in office",
        alt=f"In office: {', '.join(name for name, _, _ in reigns)}. {told}.",
        source=source,
    )


def duels_figure(simulation: Simulation, source: str) -> Figure | None:
    """Return each difference between two policies with its range; None with a single policy."""
    if not simulation.duels:
        return None
    labels = [f"{_plain(duel.one)} over {_plain(duel.other)}" for duel in simulation.duels]
    unit = simulation.unit if simulation.measure is Measure.MONEY else metric_label(simulation.metric)
    return figure(
        "duels",
        partial(
            intervals,
            labels,
            [ranged(duel.gain) for duel in simulation.duels],
            title=f"better by ({unit})",
            zero=True,
        ),
        title="Policy against policy, on the same windows (95 %)",
        alt=" ".join(duel_words(simulation, duel.one, duel.other, duel.gain) for duel in simulation.duels),
        note="Ranges come from resampled windows, the same for all. One that holds the dashed line may be chance.",
        source=source,
    )


def _plain(name: str) -> str:
    return "no tenure" if name == WITHOUT else name
