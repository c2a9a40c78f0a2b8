"""Fits target means for columns of very many levels."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Floats, Indices
from tenure.model.operations import HASHED_LEVELS, TargetMean
from tenure.training.features.crossfit import Outcomes

_PRIOR_ROWS: Final = 10.0
_MOST_LEVELS: Final = 100_000
_LEAST_ROWS: Final = 2


def fit_means(texts: pl.Series, name: str, outcomes: Outcomes) -> tuple[TargetMean, Floats]:
    """Return the target means of a column's levels, and the column's numbers for learning (n, outputs).

    Each mean is drawn towards that of all rows as if ten more rows had it (Micci-Barreca 2001). In the numbers for
    learning, a row's mean comes from rows of other folds. Levels seen once count as unseen; above 100,000 levels
    their hashes stand for them.
    """
    counts = texts.alias("level").drop_nulls().value_counts(name="count").sort("level")
    repeated = counts.filter(pl.col("count") >= _LEAST_ROWS)["level"]
    levels = () if counts.height > _MOST_LEVELS else tuple(repeated.to_list())
    size = len(levels) or HASHED_LEVELS
    places = TargetMean(name, levels, np.empty((size + 1, 0))).places(texts)
    numbers = np.full(outcomes.columns.shape, np.nan)
    known = places >= 0
    for fold in outcomes.folds:
        valid = fold.valid[known[fold.valid]]
        numbers[valid] = _means(places, outcomes.columns, fold.train, size)[places[valid]]
    return TargetMean(name, levels, _means(places, outcomes.columns, np.arange(len(texts)), size)), numbers


def _means(places: Indices, columns: Floats, rows: Indices, size: int) -> Floats:
    """Return the mean of every level over `rows`, and last the mean of all: (size + 1, outputs)."""
    base = columns[rows].sum(axis=0) / max(len(rows), 1)
    known = rows[(places[rows] >= 0) & (places[rows] < size)]
    at = places[known]
    count = np.bincount(at, minlength=size)[:, None]
    sums = np.column_stack([np.bincount(at, weights=column, minlength=size) for column in columns[known].T])
    return np.vstack([(sums + _PRIOR_ROWS * base) / (count + _PRIOR_ROWS), base])
