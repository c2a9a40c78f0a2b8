"""Which rows a recipe learns from, and how much less older ones count; rows stand in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from tenure.core.data import Schema
from tenure.core.modelling import Floats, Indices
from tenure.core.retraining import Recipe

FEWEST_LEARNED = 500
"""Rows that a window holds at least, where there are as many."""


@dataclass(frozen=True, slots=True)
class Recency:
    """The window of a recipe over `rows` rows: the newest `share` of them, none before the position `first`.

    `half_life` counts rows.
    """

    rows: int
    share: float = 1.0
    first: int = 0
    half_life: float | None = None

    @classmethod
    def of(cls, recipe: Recipe, clean: pl.DataFrame, schema: Schema) -> Recency:
        """Read it from a recipe and the clean table; without a column of times no row is before `since`."""
        first = 0
        if recipe.since is not None and schema.time is not None and clean[schema.time].dtype.is_temporal():
            since = datetime.fromisoformat(recipe.since)
            naive = since.astimezone(UTC).replace(tzinfo=None) if since.tzinfo else since
            first = int((clean[schema.time].cast(pl.Datetime("us")) < naive).sum())
        half_life = None if recipe.half_life is None else max(recipe.half_life * clean.height, 1.0)
        return cls(clean.height, recipe.share, first, half_life)

    def learned(self, train: Indices) -> Indices:
        """Return which of some training rows (ascending positions) are learned from: the newest, at least 500."""
        wanted = min(-int(-self.share * len(train) // 1), int(np.sum(train >= self.first)))
        most = max(wanted, min(FEWEST_LEARNED, len(train)))
        return np.sort(train)[len(train) - most :]

    def weighted(self, counts: Floats | None) -> Floats | None:
        """Return how much each row counts in learning, 1 on average; `counts` is how much it counts anyway."""
        if self.half_life is None:
            return counts
        by_age = 0.5 ** ((self.rows - 1 - np.arange(self.rows)) / self.half_life)
        weights: Floats = by_age if counts is None else by_age * counts
        return np.asarray(weights / weights.mean())
