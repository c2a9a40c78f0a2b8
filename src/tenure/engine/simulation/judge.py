"""Flights side by side: what each came to, how far apart they are, and how far from the best in hindsight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.health import Span
from tenure.core.metrics import metric_named
from tenure.core.modelling import Floats, Leaderboard, Task
from tenure.core.simulation import Duel, Measure, Pace, PolicyResult, Simulation, WindowResult
from tenure.engine.simulation.flight import Flight
from tenure.engine.simulation.gauge import Answers, Gauge, block_draws, span_of
from tenure.engine.simulation.hindsight import Hindsight
from tenure.engine.workspace import open_workspace

_SALT: Final = 60


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same for all flights: rows that the first model learned from, the planned windows, notes, pace."""

    learned: int
    planned: int
    pace: Pace
    notes: tuple[str, ...] = ()


def judged(flights: Sequence[Flight], frame: Frame) -> Simulation:
    """Return the flights side by side over the windows that all of them flew; the first is flown without tenure.

    Each comparison is paired by window: resampled blocks of windows are the same for all. The best in hindsight takes
    in each window the best of all models that were made in any flight before it began. It knows what nobody could and
    picks among noisy numbers, so that it bounds from above what any choice among these models could have reached.
    """
    count = min(len(flight.windows) for flight in flights)
    gauge = gauge_of(flights[0])
    hindsight = Hindsight(flights, count)
    results = [[_result(gauge, flight, at) for at in range(count)] for flight in flights]
    amounts = np.array([[result.amount for result in row] for row in results])
    rows = np.array([[result.known for result in row] for row in results], dtype=np.float64)
    best, best_rows = _best(gauge, flights[0], hindsight, count)
    rng = np.random.default_rng((flights[0].project.training.seed, _SALT))
    scale = _Scale(gauge, block_draws(count, rng))
    policies = tuple(
        _policy(gauge, scale, flight, at, results[at], amounts, rows, (best, best_rows), hindsight)
        for at, flight in enumerate(flights)
    )
    windows = [flown.window for flown in flights[0].windows[:count]]
    return Simulation(
        measure=gauge.measure,
        unit=gauge.unit,
        metric=gauge.metric.name,
        greater_is_better=gauge.greater_is_better,
        starts=tuple(window.start.isoformat() for window in windows),
        ends=tuple(window.end.isoformat() for window in windows),
        policies=policies,
        best=tuple(best.tolist()),
        best_total=scale.total(best, best_rows),
        duels=tuple(
            Duel(policies[one].name, policies[other].name, scale.gain(amounts[one], amounts[other], rows[one]))
            for other, one in combinations(range(len(flights)), 2)
        ),
        learned=frame.learned,
        delay=flights[0].project.data.outcome_delay,
        pace=frame.pace,
        planned=frame.planned,
        is_cost=gauge.measure is Measure.MONEY and flights[0].task is Task.REGRESSION,
        notes=frame.notes,
    )


def gauge_of(flight: Flight) -> Gauge:
    """Return how a flight is measured: by the metric that its first model was chosen by."""
    with open_workspace(flight.folder, project=flight.project) as workspace:
        first = workspace.registry.version(1)
        board = workspace.context.artifacts.get_record(Leaderboard, first.leaderboard)
    return Gauge(flight.project, flight.task, metric_named(board.metric, task=flight.task))


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Totals with intervals from the same resampled blocks of windows for all."""

    gauge: Gauge
    draws: NDArray[np.int64]

    def total(self, amounts: Floats, rows: Floats) -> Span:
        whole, drawn = self._totals(amounts, rows)
        return span_of(whole, drawn)

    def gain(self, one: Floats, other: Floats, rows: Floats) -> Span:
        """Return how much better `one` is than `other`; where both are equal, surely nothing."""
        (a, drawn_a), (b, drawn_b) = self._totals(one, rows), self._totals(other, rows)
        better = self.gauge.better(np.array([a]), np.array([b]))
        return span_of(float(better[0]), self.gauge.better(drawn_a, drawn_b))

    def _totals(self, amounts: Floats, rows: Floats) -> tuple[float, Floats]:
        return float(self.gauge.totals(amounts, rows)), self.gauge.totals(amounts[self.draws], rows[self.draws])


def _result(gauge: Gauge, flight: Flight, at: int) -> WindowResult:
    flown = flight.windows[at]
    answers = Answers(flown.said.target, flown.said.predicted, flown.said.said_yes)
    amount, known = gauge.amount(answers)
    versions, counts = np.unique(flown.said.version, return_counts=True)
    return WindowResult(
        rows=len(flown.said.version),
        known=known,
        amount=amount,
        metric=gauge.score(answers),
        version=int(versions[counts.argmax()]),
        status=flown.status,
    )


def _best(gauge: Gauge, flight: Flight, hindsight: Hindsight, count: int) -> tuple[Floats, Floats]:
    """Return the amounts by window of the best model in hindsight, and the rows that they count."""
    amounts, rows = np.zeros(count), np.zeros(count)
    for at in range(count):
        target = flight.windows[at].said.target
        found = [hindsight.answers(model, target, at) for model in hindsight.models]
        told = [gauge.amount(answers) for answers in found if answers is not None]
        pick = max if gauge.greater_is_better else min
        amounts[at], rows[at] = pick(told, key=lambda one: one[0])
    return amounts, rows


def _policy(
    gauge: Gauge,
    scale: _Scale,
    flight: Flight,
    at: int,
    results: Sequence[WindowResult],
    amounts: Floats,
    rows: Floats,
    best: tuple[Floats, Floats],
    hindsight: Hindsight,
) -> PolicyResult:
    end = flight.windows[len(results) - 1].window.end.isoformat()
    each = amounts[at] if gauge.measure == "money" else amounts[at] / np.maximum(rows[at], 1)
    goodness = np.where(rows[at] > 0, each if gauge.greater_is_better else -each, np.inf)
    return PolicyResult(
        name=flight.policy.name,
        changes=tuple(
            f"{section}.{key} = {value}"
            for section, keys in flight.policy.overrides.items()
            for key, value in keys.items()
        ),
        windows=tuple(results),
        acts=tuple(act for act in flight.acts if act.at <= end),
        reigns=tuple(reign for reign in flight.reigns if reign.since <= end),
        total=scale.total(amounts[at], rows[at]),
        over_static=scale.gain(amounts[at], amounts[0], rows[at]),
        regret=scale.gain(best[0], amounts[at], best[1]),
        worst=int(goodness.argmin()),
        bad_promotions=_bad_promotions(gauge, flight, hindsight, hindsight.versions[at], len(results)),
        walks=flight.walks,
        reused=flight.reused,
        seconds=dict(flight.seconds),
    )


def _bad_promotions(gauge: Gauge, flight: Flight, hindsight: Hindsight, models: dict[int, str], count: int) -> int:
    """Return how many promoted versions were surely worse than what they replaced.

    They are compared on the same rows while the newer one held the office, over the policy's horizon at most.
    """
    starts = [flown.window.start.isoformat() for flown in flight.windows[:count]]
    bad = 0
    for before, now in zip(flight.reigns, flight.reigns[1:], strict=False):
        if now.version < before.version:
            continue
        begin = bisect_left(starts, now.since)
        end = count if now.until is None else bisect_left(starts, now.until)
        end = min(end, begin + flight.project.operations.horizon)
        pairs = [
            (hindsight.answers(models[now.version], target, at), hindsight.answers(models[before.version], target, at))
            for at, target in ((at, flight.windows[at].said.target) for at in range(begin, end))
        ]
        both = [(new, old) for new, old in pairs if new is not None and old is not None]
        if both:
            bad += gauge.gain(both).high < 0
    return bad
