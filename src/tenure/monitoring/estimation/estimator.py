"""Estimate the metric and the money of a window whose outcomes are not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl

from tenure.core.health import Estimate, Span
from tenure.core.metrics import Metric, positive
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.project import ValueSection
from tenure.core.value import PER, Flags, expected
from tenure.monitoring.estimation.outcomes import LEAST_ROWS, Chances, OutcomeModel, learn_outcomes
from tenure.monitoring.estimation.rows import KnownRows, Reading
from tenure.monitoring.estimation.support import Ground, Support

Z90: Final = 1.6448536269514722
_DRAWS: Final = 64
_MOST_KNOWN: Final = 20_000
_MOST_ROWS: Final = 10_000
_LEAST_COVERED: Final = 0.5
_LEAST_POSITIVES: Final = 30
"""With fewer expected positives a metric of order is told as an interval only."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Estimates `metric` of rows whose outcome is not known, from rows whose outcome is."""

    metric: Metric
    task: Task
    known: int
    reading: Reading
    outcomes: OutcomeModel
    ground: Ground

    @classmethod
    def learned(
        cls,
        metric: Metric,
        task: Task,
        reference: KnownRows,
        *,
        later: KnownRows | None = None,
        importance: Mapping[str, float] | None = None,
    ) -> Self:
        """Learn from the reference, in order of time where it has one; a second or two for 20,000 rows.

        `later` rows, whose outcomes became known since, widen the ground that a window can stand on; what they say of
        past estimates is for the ledger. `importance` maps columns to their share of the model's skill.
        """
        kept = reference.at(_spread(len(reference), _MOST_KNOWN))
        reading = Reading.of(kept.features)
        cells = reading.matrix(kept.features)
        outcomes = learn_outcomes(task, cells, kept.predicted, kept.target)
        said = _said(kept.predicted)
        if later is not None and len(later):
            newest = later.at(np.arange(max(len(later) - _MOST_KNOWN, 0), len(later)))
            # Half of the ground is the newest rows, whatever their number.
            cells = np.vstack([_half(cells), _half(reading.matrix(newest.features))])
            said = np.append(_half(said), _half(_said(newest.predicted)))
        names = tuple(reading.levels)
        return cls(metric, task, len(reference), reading, outcomes, Ground.of(names, cells, said, importance))

    def estimate(self, features: pl.DataFrame, predicted: Floats) -> Estimate:
        """Return the metric of rows with these `features` (as the model reads them) and predictions, unaudited.

        `low` and `high` hold the realised metric nine times of ten if the known rows speak for these; what past
        estimates got wrong is added by the ledger. `raw` is told even where the estimate is refused, for the ledger.
        """
        rows = len(predicted)
        nothing = Estimate(self.metric.name, rows, method=self.outcomes.method)
        if self.known < LEAST_ROWS:
            return replace(nothing, refused=f"only {self.known:,} rows with a known outcome; {LEAST_ROWS} are needed")
        if rows == 0:
            return replace(nothing, refused="the window holds no rows")
        cells, predicted = self._in_order(features, predicted)
        at = _spread(rows, _MOST_ROWS)
        support = self.ground.support(cells, _said(predicted))
        drawn = self._drawn(cells[at], predicted[at])
        if drawn.size == 0:
            reason = f"{self.metric.label} of such rows is not defined"
            return replace(nothing, effective_rows=support.effective_rows, refused=reason)
        raw = float(drawn.mean())
        half = Z90 * float(drawn.std()) * float(np.sqrt(len(at) / rows))
        told = replace(nothing, raw=raw, effective_rows=support.effective_rows)
        if support.covered < _LEAST_COVERED:
            return replace(told, refused=_unlike(support))
        is_certain = self.metric.row_loss is not None or self._positives(cells, predicted) >= _LEAST_POSITIVES
        return replace(told, value=raw if is_certain else None, low=raw - half, high=raw + half)

    def estimate_value(self, features: pl.DataFrame, predicted: Floats, acted: Flags, value: ValueSection) -> Span:
        """Return the money that 1,000 decisions like these are expected to make, with its 90 % interval of chance.

        For two classes: `acted` says on which rows the owner's action followed.
        """
        assert isinstance(self.outcomes, Chances)
        chance = self.outcomes.of(self.reading.matrix(features), predicted)
        money = expected(chance, acted, value)
        swing = expected(np.ones_like(chance), acted, value) - expected(np.zeros_like(chance), acted, value)
        half = Z90 * float(np.sqrt(np.sum(np.square(swing) * chance * (1.0 - chance)))) / len(chance)
        mean = float(money.mean())
        return Span(PER * mean, PER * (mean - half), PER * (mean + half))

    def _in_order(self, features: pl.DataFrame, predicted: Floats) -> tuple[Floats, Floats]:
        """Return features and predictions in an order of their own, so that the order they came in changes nothing."""
        cells = self.reading.matrix(features)
        order = np.lexsort([*cells.T, *np.atleast_2d(predicted.T)])
        return cells[order], predicted[order]

    def _drawn(self, cells: Floats, predicted: Floats) -> Floats:
        """Return the metric on outcomes drawn as they are likely, where it is defined."""
        targets = self.outcomes.draw(cells, predicted, np.random.default_rng(0), _DRAWS)
        told = np.array([self.metric(target, predicted) for target in targets])
        defined: Floats = told[np.isfinite(told)]
        return defined

    def _positives(self, cells: Floats, predicted: Floats) -> float:
        if not isinstance(self.outcomes, Chances):
            return float("inf")
        chance = self.outcomes.of(cells, predicted)
        return float(min(chance.sum(), (1.0 - chance).sum()))


def drop(estimate: Estimate, metric: Metric, promise: float) -> Span | None:
    """Return how much worse than the promise the estimate is (positive is worse), 90 %; None where it is refused."""
    if estimate.low is None or estimate.high is None:
        return None
    middle = estimate.value if estimate.value is not None else (estimate.low + estimate.high) / 2
    ends = sorted(metric.gain(promise, end) for end in (estimate.low, estimate.high))
    return Span(metric.gain(promise, middle), ends[0], ends[1])


def _unlike(support: Support) -> str:
    why = f", most of all because of {support.subject}" if support.subject else ""
    return f"only {support.covered:.0%} of the rows are like rows whose outcome is known{why}"


def _said(predicted: Floats) -> Floats:
    """Return one number a row: the value, the probability of the positive class, or the largest of many."""
    return predicted.max(axis=1) if predicted.ndim == 2 and predicted.shape[1] > 2 else positive(predicted)


def _half(rows: Floats) -> Floats:
    return rows[_spread(len(rows), 2_000)]


def _spread(rows: int, most: int) -> Indices:
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(np.int64)
