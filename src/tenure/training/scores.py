"""Score out-of-fold predictions with intervals, at a cost that does not grow with the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.metrics import Metric
from tenure.core.modelling import Floats, Indices, Score, ValidationPlan
from tenure.core.uncertainty import Clusters, score_with_interval

_RESAMPLED_CELLS: Final = 20_000
_STRETCHES: Final = 40


def score(
    metric: Metric,
    target: NDArray[Any],
    predicted: Floats,
    *,
    clusters: Clusters | None = None,
    weight: Floats | None = None,
    seed: int = 0,
) -> Score:
    """Return the metric with its 95 % interval; `weight` (n,) is how much each row counts.

    A metric without row losses needs hundreds of resamples; those look at evenly spaced rows of a large table, and the
    interval is narrowed by the square root of the share seen.
    """
    rows = len(target)
    step = -(-predicted.size // _RESAMPLED_CELLS)
    by_rows = metric.row_loss is not None
    is_ranking = metric.name == "roc_auc" and predicted.shape[1:] == (2,)
    if by_rows or step == 1 or (is_ranking and clusters is None and weight is None):
        return score_with_interval(metric, target, predicted, clusters=clusters, weight=weight, seed=seed)
    seen = np.arange(0, rows, step)
    part = None if clusters is None else clusters[seen]
    counts = None if weight is None else weight[seen]
    draft = score_with_interval(metric, target[seen], predicted[seen], clusters=part, weight=counts, seed=seed)
    value = metric(target, predicted, weight=weight)
    # With clusters the number of clusters decides the width, and it is the same in the part.
    narrowed = 1.0 if clusters is not None else float(np.sqrt(len(seen) / rows))
    low, high = (value + narrowed * (end - draft.value) for end in (draft.low, draft.high))
    return replace(draft, value=value, low=low, high=high, rows=rows)


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean of the scores of several folds, by their rows; folds without a score do not count."""
    known = [each for each in scores if np.isfinite(each.value)]
    if not known:
        return scores[0]
    weights = np.array([each.rows for each in known], dtype=np.float64)
    weights /= weights.sum()
    value = float(sum(weight * each.value for weight, each in zip(weights, known, strict=True)))
    half = [(each.high - each.low) / 2 for each in known]
    width = float(np.sqrt(sum((weight * part) ** 2 for weight, part in zip(weights, half, strict=True))))
    return Score(known[0].metric, value, value - width, value + width, sum(each.rows for each in scores))


def clusters_of(clean: pl.DataFrame, plan: ValidationPlan, rows: Indices) -> Clusters | None:
    """Return which rows belong together, one number a row of `rows`; None where rows stand alone.

    Rows of one group belong together; where rows follow each other in time, neighbours do: 40 stretches.
    """
    if plan.group is not None:
        codes = clean[plan.group].cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64)
        return codes.to_numpy()[rows]
    if plan.time is not None and len(rows) > 2 * _STRETCHES:
        return np.arange(len(rows), dtype=np.int64) * _STRETCHES // len(rows)
    return None
