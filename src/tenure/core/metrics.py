"""The metric catalogue: one row a metric, with its direction and what it needs.

Targets are class codes (int64, 0 ... k-1 in class order) or values (float64). Predictions are probabilities of shape
(n, k) or values of shape (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import ConfigError, did_you_mean
from tenure.core.modelling import Floats, Task

Targets = NDArray[Any]
_TINY: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Metric:
    """One way to score predictions.

    `row_loss` gives a loss for each row (smaller is better) whose mean decides the metric, where there is one;
    `from_mean_loss` turns that mean into the metric.
    """

    name: str
    label: str
    greater_is_better: bool
    tasks: frozenset[Task]
    function: Callable[[Targets, Floats, Floats | None], float]
    row_loss: Callable[[Targets, Floats], Floats] | None = None
    from_mean_loss: Callable[[float], float] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest value that it can take."""
        return (-inf if self.name == "r2" else 0.0), (1.0 if self.greater_is_better else inf)

    def __call__(self, target: Targets, predicted: Floats, *, weight: Floats | None = None) -> float:
        """Return the metric of predictions against targets; `weight` (n,) is how much each row counts."""
        return self.function(target, predicted, weight)

    def gain(self, new: float, old: float) -> float:
        """Return new minus old, turned so that positive is better."""
        return new - old if self.greater_is_better else old - new


def positive(predicted: Floats) -> Floats:
    """Return the probability of the positive (last) class."""
    return predicted[:, -1] if predicted.ndim == 2 else predicted


def auc(is_positive: NDArray[Any], score: Floats, *, weight: Floats | None = None) -> float:
    """Return the area under the ROC curve by mid-ranks; NaN where one class is missing."""
    truth = np.asarray(is_positive).astype(bool)
    if weight is not None:
        return _weighted_auc(truth, score, weight)
    n_pos, n_neg = int(truth.sum()), int((~truth).sum())
    if n_pos == 0 or n_neg == 0:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mid_rank[inverse][truth].sum())
    return (rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)


def _weighted_auc(truth: NDArray[np.bool_], score: Floats, weight: Floats) -> float:
    """Return the share of the weight of pairs in which the positive row stands higher; ties count half."""
    _, inverse = np.unique(score, return_inverse=True)
    positives, negatives = (np.bincount(inverse, weights=weight * part) for part in (truth, ~truth))
    pairs = float(positives.sum() * negatives.sum())
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum()) / pairs if pairs > 0 else float("nan")


def _auc_metric(target: Targets, predicted: Floats, weight: Floats | None) -> float:
    if predicted.ndim == 1 or predicted.shape[1] == 2:
        return auc(target == 1, positive(predicted), weight=weight)
    each = [auc(target == c, predicted[:, c], weight=weight) for c in range(predicted.shape[1])]
    return float(np.nanmean(each)) if not np.all(np.isnan(each)) else float("nan")


def average_precision(is_positive: NDArray[Any], score: Floats, *, weight: Floats | None = None) -> float:
    """Return the area under the precision-recall curve, as a step function; ties are taken together."""
    counts = np.ones(len(score)) if weight is None else weight
    truth = np.asarray(is_positive).astype(float) * counts
    total = truth.sum()
    if total == 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.diff(score[order]) != 0, True)
    hits, seen = np.cumsum(truth[order])[last_of_tie], np.cumsum(counts[order])[last_of_tie]
    return float(np.sum(np.diff(np.append(0.0, hits / total)) * hits / seen))


def log_losses(target: Targets, predicted: Floats) -> Floats:
    """Return -log of the probability given to what came true, for each row."""
    chosen = predicted[np.arange(len(target)), np.asarray(target, dtype=np.int64)]
    losses: Floats = -np.log(np.clip(chosen, _TINY, 1.0))
    return losses


def _errors(target: Targets, predicted: Floats) -> Floats:
    wrong: Floats = (np.argmax(predicted, axis=1) != target).astype(np.float64)
    return wrong


def _brier(target: Targets, predicted: Floats) -> Floats:
    truth = np.zeros_like(predicted)
    truth[np.arange(len(target)), np.asarray(target, dtype=np.int64)] = 1.0
    squares: Floats = ((predicted - truth) ** 2).sum(axis=1) / (2.0 if predicted.shape[1] == 2 else 1.0)
    return squares


def _squares(target: Targets, predicted: Floats) -> Floats:
    squares: Floats = np.square(target - predicted)
    return squares


def _absolutes(target: Targets, predicted: Floats) -> Floats:
    absolutes: Floats = np.abs(target - predicted)
    return absolutes


def _r2(target: Targets, predicted: Floats, weight: Floats | None) -> float:
    mean = np.average(target, weights=weight)
    spread = float(np.average(np.square(target - mean), weights=weight))
    return 1.0 - float(np.average(_squares(target, predicted), weights=weight)) / spread if spread > 0 else float("nan")


def _balanced_accuracy(target: Targets, predicted: Floats, weight: Floats | None) -> float:
    right = np.argmax(predicted, axis=1) == target
    counts = np.ones(len(target)) if weight is None else weight
    each = [np.average(right[at], weights=counts[at]) for at in (target == c for c in np.unique(target[counts > 0]))]
    return float(np.mean(each))


def _f1(target: Targets, predicted: Floats, weight: Floats | None) -> float:
    guess = np.argmax(predicted, axis=1)
    counts = np.ones(len(target)) if weight is None else weight
    hit = float(counts[(guess == 1) & (target == 1)].sum())
    wrong = float(counts[guess != target].sum())
    return 2 * hit / (2 * hit + wrong) if hit + wrong > 0 else float("nan")


def _average_precision_metric(target: Targets, predicted: Floats, weight: Floats | None) -> float:
    return average_precision(target == 1, positive(predicted), weight=weight)


_BINARY: Final = frozenset({Task.BINARY})
_CLASSES: Final = frozenset({Task.BINARY, Task.MULTICLASS})
_VALUES: Final = frozenset({Task.REGRESSION})


def _of_mean(
    loss: Callable[[Targets, Floats], Floats], turn: Callable[[float], float]
) -> Callable[[Targets, Floats, Floats | None], float]:
    return lambda target, predicted, weight: turn(float(np.average(loss(target, predicted), weights=weight)))


def _same(mean: float) -> float:
    return mean


def _complement(mean: float) -> float:
    return 1.0 - mean


def _root(mean: float) -> float:
    return float(np.sqrt(mean))


def _by_rows(
    name: str,
    label: str,
    loss: Callable[[Targets, Floats], Floats],
    tasks: frozenset[Task],
    turn: Callable[[float], float] = _same,
    *,
    greater_is_better: bool = False,
) -> Metric:
    return Metric(name, label, greater_is_better, tasks, _of_mean(loss, turn), loss, turn)


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "ranking quality (AUC)", True, _CLASSES, _auc_metric),
        Metric("average_precision", "precision over recall", True, _BINARY, _average_precision_metric),
        _by_rows("log_loss", "log-loss", log_losses, _CLASSES),
        _by_rows("brier", "Brier score", _brier, _CLASSES),
        _by_rows("accuracy", "share right", _errors, _CLASSES, _complement, greater_is_better=True),
        Metric("balanced_accuracy", "share right, classes equal", True, _CLASSES, _balanced_accuracy),
        Metric("f1", "F1 of the positive class", True, _BINARY, _f1),
        _by_rows("rmse", "root mean squared error", _squares, _VALUES, _root),
        _by_rows("mae", "mean absolute error", _absolutes, _VALUES),
        Metric("r2", "share of variance explained", True, _VALUES, _r2),
    )
}

DEFAULT_METRIC: Final = {Task.BINARY: "roc_auc", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}
PROPER_LOSS: Final = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}


def metric_named(name: str, *, task: Task) -> Metric:
    """Return the metric of that name.

    Raises:
        ConfigError: no such metric, or it does not fit the task.
    """
    fitting = [m.name for m in METRICS.values() if task in m.tasks]
    if name not in METRICS:
        raise ConfigError(f"There is no metric {name!r}.", where="validation.metric", hint=did_you_mean(name, fitting))
    if task not in METRICS[name].tasks:
        raise ConfigError(
            f"The metric {name!r} does not fit a {task} task.",
            where="validation.metric",
            hint="Choose one of: " + ", ".join(fitting) + ".",
        )
    return METRICS[name]
