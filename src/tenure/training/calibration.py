"""Calibrate the ensemble, and measure the intervals around its answers, from out-of-fold predictions.

Temperature: Guo et al. 2017. Curve: isotonic regression (Zadrozny and Elkan 2002) where rows are many. Each is accepted
only where it lowers the log-loss on rows that did not choose it.
Interval of a value: split-conformal quantiles with the finite-sample correction (Vovk et al. 2005), by bins of the
value. Interval of a probability: an inductive Venn-Abers pair (Vovk and Petej 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize_scalar

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Indices
from tenure.model.fitted import calibrated, tempered
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval, ValueInterval

_RANGE: Final = (-1.2, 1.2)
"""Natural logarithms of the temperatures looked at."""
_MOST_ROWS: Final = 20_000
_TAIL: Final = 0.05
_VALUE_BINS: Final = 10
_ROWS_A_BIN: Final = 200
_KNOTS: Final = 256
_CURVE_ROWS: Final = 5_000
_CURVE_MOST_ROWS: Final = 100_000
_CURVE_RARE: Final = 500
"""Rows of the rarer class that a curve needs."""
_CURVE_SLOPE: Final = 0.01
"""Part of the stated probability that stays in a curve, so that it keeps the order of rows where it would be flat."""


@dataclass(frozen=True)
class Calibration:
    """The accepted temperature (1 for none) and curve, what that is called, and why in one sentence."""

    temperature: float = 1.0
    name: str = "none"
    reason: str = "Values need no calibration."
    curve: ProbabilityCurve | None = None

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities (n, k), just as the model will; values come back as they are."""
        return calibrated(probabilities, self.temperature, self.curve)


def best_temperature(target: NDArray[Any], probabilities: Floats, *, weight: Floats | None = None) -> float:
    """Return the temperature of the lowest log-loss, from evenly spaced rows where there are very many."""
    step = -(-len(target) // _MOST_ROWS)
    seen, truth = probabilities[::step], target[::step]
    counts = None if weight is None else weight[::step]

    def loss(log_temperature: float) -> float:
        return _mean_loss(truth, tempered(seen, float(np.exp(log_temperature))), counts)

    found = minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))


def rising_curve(target: NDArray[Any], probabilities: Floats, *, weight: Floats | None = None) -> ProbabilityCurve:
    """Return what came true (n of 0 or 1) as a rising curve of the probability of the positive class (n, 2).

    Made from up to 256 bins of equal size; the ends stay away from 0 and 1 by what one more row could change. Of very
    many rows evenly spaced ones are looked at.
    """
    step = -(-len(target) // _CURVE_MOST_ROWS)
    bins = _Bins.of(target[::step], probabilities[::step, 1], None if weight is None else weight[::step])
    lower, upper = bins.with_another(0.0), bins.with_another(1.0)
    # One probability from the pair of a Venn-Abers predictor (Vovk and Petej 2014, section 4).
    merged = np.maximum.accumulate(upper / (1.0 - lower + upper))
    at, height = bins.stated, merged
    if at[0] > 0.0:
        at, height = np.append(0.0, at), np.append(merged[0], height)
    if at[-1] < 1.0:
        at, height = np.append(at, 1.0), np.append(height, merged[-1])
    value = (1.0 - _CURVE_SLOPE) * height + _CURVE_SLOPE * at
    return ProbabilityCurve(tuple(at.tolist()), tuple(value.tolist()))


def calibrate(
    target: NDArray[Any], probabilities: Floats, folds: Sequence[Indices], *, weight: Floats | None = None
) -> tuple[Calibration, Floats]:
    """Return the calibration of out-of-fold probabilities, and the probabilities as honestly calibrated.

    `folds` are the rows (positions) of each fold: each is calibrated by what all others choose. With fewer than two
    folds nothing can be shown, so nothing is changed. `weight` (n,) is how much each row counts.
    """
    if len(folds) < 2:
        return Calibration(reason="One block of rows cannot show whether calibrating helps."), probabilities
    ways: dict[str, Callable[[Indices], Calibration]] = {
        "temperature": lambda at: Calibration(best_temperature(target[at], probabilities[at], weight=_part(weight, at)))
    }
    if _bears_a_curve(target, probabilities):
        ways["isotonic"] = lambda at: Calibration(
            curve=rising_curve(target[at], probabilities[at], weight=_part(weight, at))
        )
    before = _mean_loss(target, probabilities, weight)
    adjusted = {name: _cross_fitted(way, probabilities, folds) for name, way in ways.items()}
    losses = {name: _mean_loss(target, said, weight) for name, said in adjusted.items()}
    best = min(losses, key=losses.__getitem__)
    if losses[best] >= before:
        reason = f"The probabilities are right as they are: adjusting them leaves the log-loss at {before:.4f}."
        return Calibration(reason=reason), probabilities
    chosen = ways[best](np.arange(len(target)))
    gain = f"that lowers the log-loss from {before:.4f} to {losses[best]:.4f}."
    if chosen.curve is not None:
        reason = f"Probabilities are moved to what came true at each height; {gain}"
    else:
        reason = f"Probabilities are made {'less' if chosen.temperature > 1 else 'more'} sure; {gain}"
    return Calibration(chosen.temperature, best, reason, chosen.curve), adjusted[best]


def residual_interval(target: Floats, predicted: Floats, *, weight: Floats | None = None) -> ValueInterval:
    """Return the 90 % interval of a value from out-of-fold residuals, by up to ten bins of the predicted value.

    A bin holds 200 rows or more; `weight` (n,) is how much each row counts. Mondrian conformal prediction (Vovk et al.
    2005): nine of ten hold within every bin.
    """
    bins = max(min(_VALUE_BINS, len(target) // _ROWS_A_BIN), 1)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="right")
    sizes = np.bincount(place, minlength=len(edges) + 1)
    if sizes.min() < min(_ROWS_A_BIN // 2, len(target)):
        # Ties made bins that are too small.
        edges, place = np.empty(0), np.zeros(len(target), dtype=np.int64)
    residuals = target - predicted
    ends = [_residual_ends(residuals[place == at], _part(weight, place == at)) for at in range(len(edges) + 1)]
    return ValueInterval(tuple(edges.tolist()), tuple(low for low, _ in ends), tuple(high for _, high in ends))


def probability_interval(
    target: NDArray[Any], probability: Floats, *, weight: Floats | None = None
) -> ProbabilityInterval:
    """Return between what the probability of the positive class lies, from out-of-fold ones (n,) as calibrated.

    For each of up to 256 bins: the isotonic fit there if one more row of that bin came false, and if it came true.
    """
    bins = _Bins.of(target, probability, weight)
    ends = bins.with_another(0.0), bins.with_another(1.0)
    return ProbabilityInterval(tuple(bins.edges.tolist()), tuple(ends[0].tolist()), tuple(ends[1].tolist()))


@dataclass(frozen=True, eq=False)
class _Bins:
    """Rows in bins of rising probability: what was stated and came true on average, and how many rows."""

    edges: Floats
    stated: Floats
    true: Floats
    rows: Floats

    @classmethod
    def of(cls, target: NDArray[Any], probability: Floats, weight: Floats | None) -> _Bins:
        """Put rows into up to 256 bins of about equal size; equal probabilities share a bin."""
        counts = np.ones(len(target)) if weight is None else weight * (len(weight) / weight.sum())
        edges = np.unique(np.quantile(probability, np.linspace(0, 1, min(_KNOTS, len(target)) + 1)[1:-1]))
        place = np.searchsorted(edges, probability, side="right")
        rows = np.bincount(place, weights=counts, minlength=len(edges) + 1).astype(np.float64)
        held = rows > 0
        # The lower edge of the first bin that holds rows falls away: what is below belongs to it too.
        edges = edges[held[1:] & (np.cumsum(held)[1:] > 1)]
        stated, true = (
            np.bincount(place, weights=counts * part, minlength=len(held))[held] / rows[held]
            for part in (probability, (target == 1).astype(np.float64))
        )
        return cls(edges, stated, true, rows[held])

    def with_another(self, outcome: float) -> Floats:
        """Return for each bin its isotonic fit after one more row with that outcome came into just that bin."""
        fits = np.empty(len(self.rows))
        for at, (share, rows) in enumerate(zip(self.true, self.rows, strict=True)):
            true, counts = self.true.copy(), self.rows.copy()
            true[at], counts[at] = (share * rows + outcome) / (rows + 1.0), rows + 1.0
            fits[at] = isotonic_regression(true, weights=counts).x[at]
        return fits


def _bears_a_curve(target: NDArray[Any], probabilities: Floats) -> bool:
    if probabilities.shape[1] != 2 or len(target) < _CURVE_ROWS:
        return False
    positives = int(np.sum(target == 1))
    return min(positives, len(target) - positives) >= _CURVE_RARE


def _cross_fitted(way: Callable[[Indices], Calibration], probabilities: Floats, folds: Sequence[Indices]) -> Floats:
    """Return probabilities, each fold's calibrated by what all other rows choose."""
    adjusted = probabilities.copy()
    for rows in folds:
        others = np.ones(len(probabilities), dtype=bool)
        others[rows] = False
        adjusted[rows] = way(np.flatnonzero(others)).apply(probabilities[rows])
    return adjusted


def _residual_ends(residuals: Floats, weight: Floats | None) -> tuple[float, float]:
    """Return the residuals that leave a twentieth of the rows, the next one counted in, outside at either end."""
    order = np.argsort(residuals, kind="stable")
    n = len(residuals)
    counts = np.ones(n) if weight is None else weight[order] * (n / weight.sum())
    upto = np.cumsum(counts)
    low = int(np.searchsorted(upto, _TAIL * (n + 1), side="right")) - 1
    high = int(np.searchsorted(upto, (1 - _TAIL) * (n + 1), side="left"))
    return float(residuals[order[max(low, 0)]]), float(residuals[order[min(high, n - 1)]])


def _mean_loss(target: NDArray[Any], probabilities: Floats, weight: Floats | None) -> float:
    return float(np.average(log_losses(target, probabilities), weights=weight))


def _part(weight: Floats | None, at: NDArray[Any]) -> Floats | None:
    return None if weight is None else weight[at]
