"""Calibrate the ensemble: one temperature for probabilities, residual quantiles for the interval of a value.

Temperature: Guo et al. 2017; accepted only where it lowers the log-loss on rows that did not choose it.
Interval: split-conformal quantiles with the finite-sample correction (Vovk et al. 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Indices
from tenure.model.fitted import tempered

_RANGE: Final = (-1.2, 1.2)
"""Natural logarithms of the temperatures looked at."""
_MOST_ROWS: Final = 20_000
_TAIL: Final = 0.05


@dataclass(frozen=True)
class Calibration:
    """The accepted temperature (1 for none), what it is called, and why in one sentence."""

    temperature: float = 1.0
    name: str = "none"
    reason: str = "Values need no calibration."


def best_temperature(target: NDArray[Any], probabilities: Floats) -> float:
    """Return the temperature of the lowest log-loss, from evenly spaced rows where there are very many."""
    step = -(-len(target) // _MOST_ROWS)
    seen, truth = probabilities[::step], target[::step]

    def loss(log_temperature: float) -> float:
        return float(np.mean(log_losses(truth, tempered(seen, float(np.exp(log_temperature))))))

    found = minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))


def calibrate(target: NDArray[Any], probabilities: Floats, folds: Sequence[Indices]) -> tuple[Calibration, Floats]:
    """Return the calibration of out-of-fold probabilities, and the probabilities as honestly calibrated.

    `folds` are the rows (positions) of each fold: each is calibrated by the temperature of all others. With fewer than
    two folds nothing can be shown, so nothing is changed.
    """
    if len(folds) < 2:
        return Calibration(reason="One block of rows cannot show whether calibrating helps."), probabilities
    adjusted = probabilities.copy()
    for rows in folds:
        others = np.ones(len(target), dtype=bool)
        others[rows] = False
        adjusted[rows] = tempered(probabilities[rows], best_temperature(target[others], probabilities[others]))
    before = float(np.mean(log_losses(target, probabilities)))
    after = float(np.mean(log_losses(target, adjusted)))
    if after >= before:
        reason = f"The probabilities are right as they are: adjusting them leaves the log-loss at {before:.4f}."
        return Calibration(reason=reason), probabilities
    temperature = best_temperature(target, probabilities)
    direction = "less" if temperature > 1 else "more"
    reason = f"Probabilities are made {direction} sure; that lowers the log-loss from {before:.4f} to {after:.4f}."
    return Calibration(temperature, "temperature", reason), adjusted


def residual_interval(target: Floats, predicted: Floats) -> tuple[float, float]:
    """Return what to add to a value for the ends of its 90 % interval, from out-of-fold residuals."""
    residuals = np.sort(target - predicted)
    n = len(residuals)
    low = int(np.floor(_TAIL * (n + 1))) - 1
    high = int(np.ceil((1 - _TAIL) * (n + 1))) - 1
    return float(residuals[max(low, 0)]), float(residuals[min(high, n - 1)])
