"""Intervals for scores and for paired gains.

Row-wise metrics: normal interval on row losses, summed by cluster where rows belong together (delta method for RMSE).
AUC: DeLong, Clarke-Pearson 1988, in the mid-rank form of Sun and Xu 2014.
Everything else: bootstrap over rows or clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.metrics import Metric, Targets, positive
from tenure.core.modelling import Floats, Score

_Z95: Final = 1.959963984540054
_BOOTSTRAPS: Final = 300
_BOOTSTRAP_ROWS: Final = 20_000

Clusters = NDArray[np.int64]


def clusters_of(table: pl.DataFrame, *, group: str | None, time: str | None) -> Clusters | None:
    """Return which rows count together: equal groups, or stretches of neighbours in time; None where rows stand alone.

    A stretch has n^(1/3) rows, the usual length of a block in a block bootstrap (Buehlmann 2002).
    """
    if group is not None:
        of_group: Clusters = table[group].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
        return of_group
    if time is not None:
        length = max(round(table.height ** (1 / 3)), 1)
        of_time: Clusters = table[time].rank("ordinal").fill_null(1).cast(pl.Int64).to_numpy() // length
        return of_time
    return None


def score_with_interval(
    metric: Metric,
    target: Targets,
    predicted: Floats,
    *,
    clusters: Clusters | None = None,
    weight: Floats | None = None,
    seed: int = 0,
) -> Score:
    """Return the metric with its 95 % interval.

    `clusters` (int64, one value a row) keeps rows that belong together on one side of every resample: groups, or
    stretches of time. `weight` (n,) is how much each row counts.
    """
    value = metric(target, predicted, weight=weight)
    rows = len(target)
    if metric.row_loss is not None and metric.from_mean_loss is not None:
        losses = metric.row_loss(target, predicted)
        mean, error = _mean_and_error(losses, clusters, weight)
        ends = (
            metric.from_mean_loss(max(mean - _Z95 * error, 0.0)),
            metric.from_mean_loss(mean + _Z95 * error),
        )
        return Score(metric.name, value, min(ends), max(ends), rows)
    is_ranking = metric.name == "roc_auc" and (predicted.ndim == 1 or predicted.shape[1] == 2)
    if is_ranking and clusters is None and weight is None:
        error = float(np.sqrt(_delong(target == 1, positive(predicted)[None, :])[0, 0]))
        return Score(metric.name, value, max(value - _Z95 * error, 0.0), min(value + _Z95 * error, 1.0), rows)
    error = _bootstrap_error(
        lambda at: metric(target[at], predicted[at], weight=None if weight is None else weight[at]),
        rows,
        clusters,
        seed,
    )
    return Score(metric.name, value, value - _Z95 * error, value + _Z95 * error, rows)


def paired_gain(
    metric: Metric,
    target: Targets,
    new: Floats,
    old: Floats,
    *,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return how much better `new` is than `old` on the same rows: gain, low, high (95 %, positive is better)."""
    gain = metric.gain(metric(target, new), metric(target, old))
    if metric.name == "roc_auc" and clusters is None and (new.ndim == 1 or new.shape[1] == 2):
        covariance = _delong(target == 1, np.vstack([positive(new), positive(old)]))
        if not np.isfinite(covariance).all():
            return gain, float("-inf"), float("inf")
        error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    elif metric.row_loss is not None and metric.from_mean_loss is not None:
        losses = (metric.row_loss(target, new), metric.row_loss(target, old))
        ours, theirs = (_slope(metric.from_mean_loss, float(np.mean(loss))) * loss for loss in losses)
        _, error = _mean_and_error(ours - theirs, clusters)
    else:
        error = _bootstrap_error(
            lambda at: metric.gain(metric(target[at], new[at]), metric(target[at], old[at])),
            len(target),
            clusters,
            seed,
        )
    return gain, gain - _Z95 * error, gain + _Z95 * error


def measured_on(score: Score, rows: int) -> Score:
    """Return the score with the interval in which its value lies, 95 % sure, when it is measured on `rows` new rows.

    Both measurements err: the new one by the square root of rows over new rows as much as the old one.
    """
    wider = float(np.sqrt(1.0 + score.rows / max(rows, 1)))
    low, high = (score.value + wider * (end - score.value) for end in (score.low, score.high))
    return replace(score, low=low, high=high)


def _slope(turn: Callable[[float], float], mean: float) -> float:
    """Return how fast the metric moves with the mean loss (central difference), for the delta method."""
    step = 1e-6 * abs(mean) or 1e-12
    return (turn(mean + step) - turn(max(mean - step, 0.0))) / (step + min(step, mean))


def mean_with_interval(values: Floats, *, clusters: Clusters | None = None) -> tuple[float, float, float]:
    """Return the mean of `values` with its 95 % interval: mean, low, high."""
    mean, error = _mean_and_error(values, clusters)
    return mean, mean - _Z95 * error, mean + _Z95 * error


def _mean_and_error(values: Floats, clusters: Clusters | None, weight: Floats | None = None) -> tuple[float, float]:
    """Return the (weighted) mean and its standard error, by the linear form of a ratio where rows have weights."""
    n = len(values)
    mean = float(np.average(values, weights=weight)) if n else float("nan")
    if n < 2:
        return mean, float("inf")
    if clusters is None and weight is None:
        return mean, float(np.std(values, ddof=1) / np.sqrt(n))
    pulls = values - mean if weight is None else (values - mean) * (weight / weight.mean())
    _, code = np.unique(np.arange(n) if clusters is None else clusters, return_inverse=True)
    sums = np.bincount(code, weights=pulls)
    g = len(sums)
    if g < 2:
        return mean, float("inf")
    return mean, float(np.sqrt(np.sum(sums**2) * g / (g - 1)) / n)


def _bootstrap_error(
    statistic: Callable[[NDArray[np.int64]], float], rows: int, clusters: Clusters | None, seed: int
) -> float:
    """Return the standard error of a statistic of row positions; infinite where there is nothing to resample."""
    rng = np.random.default_rng(seed)
    if clusters is None:
        size = min(rows, _BOOTSTRAP_ROWS)
        if rows < 2:
            return float("inf")
        return _spread([statistic(rng.integers(0, rows, size)) for _ in range(_BOOTSTRAPS)]) * float(
            np.sqrt(size / rows)
        )
    _, code = np.unique(clusters, return_inverse=True)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    if len(members) < 2:
        return float("inf")
    return _spread(
        [
            statistic(np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))]))
            for _ in range(_BOOTSTRAPS)
        ]
    )


def _spread(draws: list[float]) -> float:
    finite = np.asarray(draws)[np.isfinite(draws)]
    return float(np.std(finite)) if finite.size else float("inf")


def _delong(truth: NDArray[np.bool_], scores: Floats) -> Floats:
    """Return the covariance matrix of the AUCs of `scores` (m, n)."""
    m = scores.shape[0]
    n_pos, n_neg = int(truth.sum()), int((~truth).sum())
    if n_pos < 2 or n_neg < 2:
        return np.full((m, m), np.inf)
    of_pos, of_neg = np.empty((m, n_pos)), np.empty((m, n_neg))
    for i in range(m):
        pos, neg = scores[i, truth], scores[i, ~truth]
        sorted_neg, sorted_pos = np.sort(neg), np.sort(pos)
        below = np.searchsorted(sorted_neg, pos, "left") + np.searchsorted(sorted_neg, pos, "right")
        above = np.searchsorted(sorted_pos, neg, "left") + np.searchsorted(sorted_pos, neg, "right")
        of_pos[i] = below / (2 * n_neg)
        of_neg[i] = 1 - above / (2 * n_pos)
    covariance: Floats = np.atleast_2d(np.cov(of_pos)) / n_pos + np.atleast_2d(np.cov(of_neg)) / n_neg
    return covariance
