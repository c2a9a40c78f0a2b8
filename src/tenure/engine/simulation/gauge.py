"""What a window is worth under given answers: the owner's money, else losses from which the metric follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.health import Span
from tenure.core.metrics import Metric
from tenure.core.modelling import Floats, Task
from tenure.core.project import Project
from tenure.core.simulation import Measure
from tenure.core.uncertainty import mean_with_interval, paired_gain
from tenure.core.value import Flags, likeliest
from tenure.monitoring.realised import Answered, money_of

DRAWS: Final = 2_000
_ENDS: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers to the rows of one window whose outcome is known: as in `monitoring.realised.Answered`."""

    target: NDArray[Any]
    predicted: Floats
    said_yes: Flags | None

    @property
    def known(self) -> NDArray[np.int64]:
        """Return which rows have an outcome."""
        is_known = np.isfinite(self.target) if self.target.dtype.kind == "f" else self.target >= 0
        return np.flatnonzero(is_known)


@dataclass(frozen=True, slots=True)
class Gauge:
    """How flights of a project are compared."""

    project: Project
    task: Task
    metric: Metric

    @property
    def measure(self) -> Measure:
        """Return money where the owner said what decisions are worth, else what the metric is made of."""
        value = self.project.value
        if (self.task is Task.BINARY and value.is_given) or (self.task is Task.REGRESSION and value.error_cost):
            return Measure.MONEY
        is_mean = self.metric.row_loss is not None and self.metric.from_mean_loss is not None
        return Measure.LOSS if is_mean else Measure.METRIC

    @property
    def unit(self) -> str:
        """Return the currency, or the metric's name."""
        return self.project.value.currency if self.measure is Measure.MONEY else self.metric.name

    @property
    def greater_is_better(self) -> bool:
        """Say whether a greater total is better."""
        return self.measure is Measure.MONEY or self.metric.greater_is_better

    def amount(self, answers: Answers) -> tuple[float, int]:
        """Return what a window came to and how many rows it counts: money, sum of losses, or metric times rows."""
        known = self._known(answers)
        if len(known) == 0:
            return 0.0, 0
        if self.measure is Measure.MONEY:
            return float(self._money(known).sum()), len(known)
        if self.metric.row_loss is not None and self.measure is Measure.LOSS:
            return float(self.metric.row_loss(known.target, known.predicted).sum()), len(known)
        value = self.metric(known.target, known.predicted)
        return (value * len(known), len(known)) if math.isfinite(value) else (0.0, 0)

    def score(self, answers: Answers) -> float | None:
        """Return the metric of a window; None where it has none."""
        known = self._known(answers)
        value = self.metric(known.target, known.predicted) if len(known) else math.nan
        return value if math.isfinite(value) else None

    def totals(self, amounts: Floats, rows: Floats) -> Floats:
        """Return the total of amounts over the last axis: money, or the metric over all rows."""
        sums: Floats = amounts.sum(axis=-1)
        if self.measure is Measure.MONEY:
            return sums
        means: Floats = sums / np.maximum(rows.sum(axis=-1), 1)
        if self.measure is Measure.METRIC or self.metric.from_mean_loss is None:
            return means
        turned: Floats = np.vectorize(self.metric.from_mean_loss, otypes=[np.float64])(means)
        return turned

    def better(self, one: Floats, other: Floats) -> Floats:
        """Return how much better totals are than others."""
        difference: Floats = one - other
        return difference if self.greater_is_better else -difference

    def gain(self, pairs: Sequence[tuple[Answers, Answers]]) -> Span:
        """Return how much better the first answers of each window are than the second, by rows (95 %).

        Money for each row, or the metric over all rows.
        """
        known = [(self._known(new), self._known(old)) for new, old in pairs]
        if self.measure is Measure.MONEY:
            return Span(
                *mean_with_interval(np.concatenate([self._money(new) - self._money(old) for new, old in known]))
            )
        target = np.concatenate([new.target for new, _ in known])
        new, old = (np.concatenate([pair[side].predicted for pair in known]) for side in (0, 1))
        return Span(*paired_gain(self.metric, target, new, old))

    def _known(self, answers: Answers) -> Answered:
        at = answers.known
        acted = None
        if answers.said_yes is not None:
            acted, capacity = answers.said_yes[at], self.project.value.capacity
            acted = acted if capacity is None else likeliest(acted, answers.predicted[at][:, -1], most=capacity)
        return Answered(answers.target[at], answers.predicted[at], acted)

    def _money(self, known: Answered) -> Floats:
        money = money_of(known, self.project.value)
        assert money is not None  # the measure is money only where there is some
        return money.made


def block_draws(windows: int, rng: np.random.Generator, *, draws: int = DRAWS) -> NDArray[np.int64]:
    """Return resamples of windows (draws, windows): circular blocks of n^(1/3) windows (Politis and Romano 1992)."""
    length = max(round(windows ** (1 / 3)), 1)
    blocks = -(-windows // length)
    starts = rng.integers(0, windows, (draws, blocks))
    places = (starts[:, :, None] + np.arange(length)) % windows
    chosen: NDArray[np.int64] = places.reshape(draws, -1)[:, :windows]
    return chosen


def span_of(value: float, drawn: Floats) -> Span:
    """Return a value with the 95 % interval of its resamples."""
    low, high = np.percentile(drawn, _ENDS)
    return Span(value, min(float(low), value), max(float(high), value))
