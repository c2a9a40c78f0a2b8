"""Choose weights for an ensemble: greedy selection with replacement (Caruana et al. 2004), shrunk on few rows.

Weights are chosen by a proper loss, also where the metric is a ranking or a share: it is smoother, so fewer rows
mislead it, and mixing by it keeps probabilities honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices, Task

STEPS: Final = 25
SMALLEST_WEIGHT: Final = 0.04
_FEW_ROWS: Final = 500
_SHRUNK_ROWS: Final = 2000
_SHRINKAGE: Final = 0.2
_MOST_ROWS: Final = 100_000
_PRICED_ROWS: Final = 20_000
_PRICES: Final = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Of a unit of cost, in units of how far candidates' losses are apart."""
_NEAR: Final = 0.05


@dataclass(frozen=True, eq=False)
class Pool:
    """The out-of-fold answers of several candidates, (m, n), in the form that mixing needs.

    Of probabilities only the one given to the true class matters to the log-loss, so one number a row is enough for
    every task. `absolute` judges regression by absolute instead of squared errors. `weight` (n,) is how much each row
    counts, None where all count the same.
    """

    task: Task
    target: NDArray[Any]
    answers: Floats
    absolute: bool = False
    weight: Floats | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        target: NDArray[Any],
        predictions: Sequence[Floats],
        *,
        absolute: bool = False,
        weight: Floats | None = None,
    ) -> Pool:
        """Make a pool of probabilities (n, k) or values (n,)."""
        rows = np.arange(len(target))
        picked = [p[rows, target] if task.is_classification else p for p in predictions]
        return cls(task, target, np.vstack(picked), absolute, weight)

    def at(self, rows: Indices) -> Pool:
        """Return the pool on some of its rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, target=self.target[rows], answers=self.answers[:, rows], weight=weight)

    def thinned(self, most: int) -> Pool:
        """Return the pool on at most so many evenly spaced rows."""
        rows = self.answers.shape[1]
        return self.at(np.arange(0, rows, -(-rows // most)))

    def row_losses(self, answers: Floats | None = None) -> Floats:
        """Return the loss of every answer (m, n): of the candidates, or of other answers for the same rows."""
        given = self.answers if answers is None else answers
        if self.task.is_classification:
            losses: Floats = -np.log(np.maximum(given, 1e-15))
            return losses
        errors: Floats = given - self.target
        return np.abs(errors) if self.absolute else np.square(errors)

    def losses(self, answers: Floats | None = None) -> Floats:
        """Return the mean loss of each candidate or of each row of other answers."""
        means: Floats = np.average(self.row_losses(answers), axis=1, weights=self.weight)
        return means

    def loss(self, weights: Floats) -> float:
        """Return the mean loss of one mixture."""
        return float(self.losses((weights @ self.answers)[None, :])[0])


def choose_weights(pool: Pool) -> Floats:
    """Return weights (m,) that sum to 1; candidates below 4 % are left out.

    Fewer than 500 rows start from the mean of the best three, fewer than 2,000 are drawn a fifth of the way to equal
    weights, because so few rows cannot tell good candidates apart.
    """
    rows = pool.answers.shape[1]
    part = pool.thinned(_MOST_ROWS)
    return _settled(_greedy(part, _start(part, rows)), rows)


def choose_within(pool: Pool, costs: Floats, affords: Callable[[Sequence[int]], bool]) -> Floats | None:
    """Return the weights (m,) of the lowest loss among mixtures of candidates that `affords` together.

    `costs` (m,) say what each candidate adds about. The same greedy selection runs at several prices of a unit of cost
    (methods.md 9, point 3), because the best candidate alone may leave room for no other. None where no candidate is
    affordable.
    """
    rows = pool.answers.shape[1]
    part = pool.thinned(_PRICED_ROWS)
    losses = part.losses()
    alone = [at for at in range(len(losses)) if affords([at])]
    if not alone:
        return None
    spread = float(losses[alone].max() - losses[alone].min())
    priced = costs / max(float(costs[alone].max()), 1e-12) * spread
    found = [_settled(_greedy_within(part, price * priced, affords), rows) for price in _PRICES]
    return min(found, key=part.loss)


def _settled(counts: Floats, rows: int) -> Floats:
    """Return weights from how often each candidate was taken, without the small ones."""
    weights = counts / counts.sum()
    weights[weights < SMALLEST_WEIGHT] = 0.0
    if rows < _SHRUNK_ROWS:
        selected = weights > 0
        weights = (1 - _SHRINKAGE) * weights / weights.sum() + _SHRINKAGE * selected / selected.sum()
    normed: Floats = weights / weights.sum()
    return normed


def _greedy_within(pool: Pool, priced: Floats, affords: Callable[[Sequence[int]], bool]) -> Floats:
    """Add the candidate that helps most for its price, while all taken together are affordable.

    Returns how often each was added at the best moment. A candidate pays when it is first taken.
    """
    counts, total = np.zeros(len(pool.answers)), np.zeros(pool.answers.shape[1])
    best_counts, best = counts, np.inf
    for taken in range(1, STEPS + 1):
        chosen = [int(at) for at in np.flatnonzero(counts)]
        eligible = [at for at in range(len(counts)) if at in chosen or affords([*chosen, at])]
        losses = pool.losses((total + pool.answers[eligible]) / taken)
        added = np.where(counts[eligible] > 0, 0.0, priced[eligible])
        place = int(np.argmin(losses + added))
        counts[eligible[place]] += 1
        total += pool.answers[eligible[place]]
        if losses[place] < best:
            best_counts, best = counts.copy(), float(losses[place])
    return best_counts


def steadied(weights: Floats, losses: Floats, floor: float) -> Floats:
    """Return weights (m,) drawn halfway to equal ones of all good candidates; those of infinite loss are none.

    Good is the better half, and whoever is above the loss of the best by less than a twentieth of what that is better
    than `floor`, the baseline's loss. Where times change, which of several good candidates was best in the past says
    little of the time to come: on sets in time order this won up to .15 AUC and lost up to 1 % of the error.
    """
    best, known = float(losses.min()), losses[np.isfinite(losses)]
    near = losses <= max(best + _NEAR * max(floor - best, 0.0), float(np.median(known)))
    drawn: Floats = (weights + near / near.sum()) / 2
    return drawn


def _start(pool: Pool, rows: int) -> Floats:
    counts = np.zeros(len(pool.answers))
    if rows < _FEW_ROWS:
        counts[np.argsort(pool.losses(), kind="stable")[:3]] = 1.0
    return counts


def _greedy(pool: Pool, counts: Floats) -> Floats:
    """Add the candidate that helps most, again and again, and return how often each was added at the best moment."""
    counts = counts.copy()
    total = counts @ pool.answers
    best_counts, best = counts, np.inf
    for taken in range(int(counts.sum()) + 1, STEPS + 1):
        losses = pool.losses((total + pool.answers) / taken)
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total += pool.answers[chosen]
        if losses[chosen] < best:
            best_counts, best = counts.copy(), float(losses[chosen])
    return best_counts


def cross_fitted_weights(
    pool: Pool, folds: Sequence[Indices], choose: Callable[[Pool], Floats] = choose_weights
) -> list[Floats]:
    """Return, for each fold's rows (positions in the pool), weights that `choose` finds on all other rows."""
    chosen = []
    for rows in folds:
        others = np.ones(pool.answers.shape[1], dtype=bool)
        others[rows] = False
        chosen.append(choose(pool.at(np.flatnonzero(others)) if others.any() else pool))
    return chosen


def mix(weights: Floats, predictions: Sequence[Floats]) -> Floats:
    """Return the weighted mean of predictions; those of weight 0 are not looked at."""
    parts = [weight * predicted for weight, predicted in zip(weights, predictions, strict=True) if weight > 0]
    mixed: Floats = np.sum(parts, axis=0)
    return mixed
