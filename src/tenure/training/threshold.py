"""Choose the probability from which the answer is yes: what pays where values are given, else a broad best F1.

Where values are given and probabilities are calibrated, the break-even probability is the best threshold and needs no
tuning (Elkan 2001). Otherwise the centre of a plateau is taken, not its highest point, which is mostly luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.core.project import ValueSection

_GOOD_ENOUGH: Final = 0.8
_SCANNED: Final = 200
_MOST_ROWS: Final = 100_000


@dataclass(frozen=True)
class Choice:
    """A threshold and the sentence that says why."""

    threshold: float
    reason: str


def choose_threshold(
    target: NDArray[Any], probability: Floats, value: ValueSection, *, positive: str, weight: Floats | None = None
) -> Choice:
    """Return the threshold on the probability of the positive class.

    `target` is 1 for rows that are positive; `positive` is that class in words; `weight` (n,) is how much each row
    counts.
    """
    if value.is_given:
        at = value.break_even
        return Choice(at, f"From {at:.1%} on, acting is worth more than it costs, by the values in the project file.")
    truth = target == 1
    step = -(-len(truth) // _MOST_ROWS)
    truth, probability = truth[::step], probability[::step]
    counts = np.ones(len(truth)) if weight is None else weight[::step]
    thresholds = np.unique(np.quantile(probability, np.linspace(0, 1, _SCANNED + 1)))
    scores = f1_scores(truth, probability, thresholds, weight=counts)
    at_half = float(f1_scores(truth, probability, np.array([0.5]), weight=counts)[0])
    if at_half >= _GOOD_ENOUGH * float(scores.max()):
        return Choice(0.5, "The more likely answer is given: 50 % divides yes from no.")
    at = _plateau_centre(thresholds, scores, int(truth.sum()))
    said, true = (float(np.average(part, weights=counts)) for part in (probability >= 0.5, truth))
    reason = (
        f"At 50 % the model would say {positive!r} for {said:.1%} of the rows, where it is true for {true:.1%}. "
        f"From {at:.1%} on it finds more of them without too many false alarms."
    )
    return Choice(at, reason)


def f1_scores(
    truth: NDArray[np.bool_], probability: Floats, thresholds: Floats, *, weight: Floats | None = None
) -> Floats:
    """Return the F1 of the positive class at each threshold; `weight` (n,) is how much each row counts."""
    counts = np.ones(len(truth)) if weight is None else weight
    order = np.argsort(probability, kind="stable")
    at = np.searchsorted(probability[order], thresholds, "left")
    said, right = (_from_each(part[order])[at] for part in (counts, counts * truth))
    scores: Floats = 2.0 * right / np.maximum(said + counts[truth].sum(), 1e-12)
    return scores


def _from_each(counts: Floats) -> Floats:
    """Return the sums from each position to the end, and 0 for the end itself."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0.0)


def _plateau_centre(thresholds: Floats, scores: Floats, positives: int) -> float:
    """Return the middle of the thresholds around the best one that are within a standard error of it."""
    best = int(np.argmax(scores))
    top = float(scores[best])
    error = float(np.sqrt(max(top * (1 - top), 1e-4) / max(positives, 1)))
    near = scores >= top - error
    first = last = best
    while first > 0 and near[first - 1]:
        first -= 1
    while last < len(scores) - 1 and near[last + 1]:
        last += 1
    return float((thresholds[first] + thresholds[last]) / 2)
