"""Fits linear scores on sparse terms: one model for each fold and one of all rows, together in one matrix."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from tenure.core.modelling import Floats, Task

_PATH: Final = (1.0, 4.0, 16.0)
"""Inverse strength of the penalty, from strong to weak, as scikit-learn's C."""
_STEPS: Final = 12
_FLOOR: Final = 1e-3

Narrow = NDArray[np.float32]


def fit_scores(
    weights: csr_matrix, outcome: Floats, learns: NDArray[np.bool_], applies: NDArray[np.int64], task: Task
) -> Narrow:
    """Return what each term adds to the score of each model, (terms, models) float32.

    `weights` is (rows, terms) float32, `outcome` (rows,) is 0 or 1 for classes. Model m learns from the rows where
    `learns[:, m]`; the models that the rows' own scores come from (`applies`) settle the penalty: it weakens while
    their loss falls. There is no intercept but a common one, so that the scores of all models can be compared.
    """
    fitting = _Fitting(weights, outcome.astype(np.float32)[:, None], learns, task)
    best = coefficients = np.zeros((weights.shape[1], learns.shape[1]))
    best_loss = fitting.loss(best, applies)
    for strength in _PATH:
        coefficients = fitting.solve(coefficients, strength)
        loss = fitting.loss(coefficients, applies)
        if loss >= best_loss:
            break
        best, best_loss = coefficients, loss
    return np.ascontiguousarray(best, dtype=np.float32)


class _Fitting:
    """The penalised losses of several models on the same terms; their sum is at its minimum where each one is."""

    def __init__(self, weights: csr_matrix, outcome: Narrow, learns: NDArray[np.bool_], task: Task) -> None:
        self.weights = weights
        self.turned = weights.T.tocsr()
        self.outcome = outcome
        self.sizes = np.maximum(learns.sum(axis=0), 1)
        self.shares = (learns / self.sizes).astype(np.float32)
        self.is_logistic = task.is_classification
        share = float(np.clip(outcome.mean(), _FLOOR, 1 - _FLOOR))
        self.offset = np.float32(np.log(share / (1 - share)) if self.is_logistic else outcome.mean())

    def loss(self, coefficients: Floats, applies: NDArray[np.int64]) -> float:
        """Return the mean loss of the rows, each by the model that applies to it."""
        losses, _ = self._losses(coefficients)
        return float(np.mean(losses[np.arange(len(applies)), applies]))

    def solve(self, start: Floats, strength: float) -> Floats:
        """Return the coefficients at the minimum (terms, models)."""
        penalty = 1.0 / (strength * self.sizes)

        def evaluate(flat: Floats) -> tuple[float, Floats]:
            coefficients = flat.reshape(start.shape)
            losses, slopes = self._losses(coefficients)
            pulled = coefficients * penalty
            gradient = self.turned @ (slopes * self.shares) + pulled
            value = float(np.sum(losses * self.shares, dtype=np.float64)) + 0.5 * float(np.sum(coefficients * pulled))
            return value, gradient.ravel()

        # a rough minimum ranks texts as well as an exact one
        options = {"maxiter": _STEPS, "maxcor": 5, "ftol": 1e-4, "gtol": 1e-6}
        found = minimize(evaluate, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        answer: Floats = found.x.reshape(start.shape)
        return answer

    def _losses(self, coefficients: Floats) -> tuple[Narrow, Narrow]:
        """Return the loss of every row by every model, and its slope in the score."""
        score = self.weights @ coefficients.astype(np.float32) + self.offset
        if not self.is_logistic:
            miss = score - self.outcome
            return 0.5 * np.square(miss), miss
        sign = 2 * self.outcome - 1
        losses = np.logaddexp(np.float32(0), -sign * score)
        return losses, -sign * (1 - np.exp(-losses))
