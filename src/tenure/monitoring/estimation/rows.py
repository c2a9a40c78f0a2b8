"""Rows whose outcomes are known, and how their features are read as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl

from tenure.core.metrics import Targets
from tenure.core.modelling import Floats, Indices
from tenure.core.value import Flags
from tenure.model.values import numbers_of, texts_of

_LEVELS: Final = 64
"""Levels of a text column that keep a number of their own; all others share one."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownRows:
    """Rows that were answered and whose outcome is known.

    `features` are the columns as the model reads them (float64 with NaN, or text), `predicted` the probabilities (n, k)
    or values (n,) that it gave without having learned from these rows, `target` class codes (int64) or values
    (float64), `acted` whether the owner's action followed (None where there is no action to take).
    """

    features: pl.DataFrame
    predicted: Floats
    target: Targets
    acted: Flags | None = None

    def __len__(self) -> int:
        return len(self.target)

    def at(self, rows: Indices) -> KnownRows:
        """Return the rows at these positions."""
        acted = None if self.acted is None else self.acted[rows]
        return KnownRows(self.features[rows], self.predicted[rows], self.target[rows], acted)

    def followed_by(self, later: KnownRows) -> KnownRows:
        """Return these rows and later ones; columns that one of them lacks are empty there."""
        acted = None if self.acted is None or later.acted is None else np.append(self.acted, later.acted)
        return KnownRows(
            pl.concat([self.features, _like(self.features, later.features)], how="vertical"),
            np.concatenate([self.predicted, later.predicted]),
            np.concatenate([self.target, later.target]),
            acted,
        )


def _like(model: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `model` out of `frame`, read alike; null where it has none."""
    read = [
        _read(frame[name], dtype) if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=dtype)
        for name, dtype in model.schema.items()
    ]
    return pl.DataFrame(read, height=frame.height)


def _read(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    if series.dtype == dtype:
        return series
    return texts_of(series) if dtype == pl.String else pl.Series(series.name, numbers_of(series)).cast(dtype)


@dataclass(frozen=True, slots=True)
class Reading:
    """How columns become numbers: numeric ones as they are, text ones as the rank of their level by frequency.

    `levels` maps each column to its known levels, None for a numeric one.
    """

    levels: dict[str, tuple[str, ...] | None]

    @classmethod
    def of(cls, features: pl.DataFrame) -> Self:
        """Learn the levels of the text columns: the 64 commonest of each."""
        return cls({name: _levels(features[name]) if _is_text(features[name]) else None for name in features.columns})

    def matrix(self, features: pl.DataFrame) -> Floats:
        """Return the columns as float64 (rows, columns), NaN where empty; unknown columns are left out.

        A level that was not among the known ones has the number after the last.
        """
        columns = [self._numbers(features, name, levels) for name, levels in self.levels.items()]
        return np.column_stack(columns) if columns else np.empty((features.height, 0))

    def _numbers(self, features: pl.DataFrame, name: str, levels: tuple[str, ...] | None) -> Floats:
        if name not in features.columns:
            return np.full(features.height, np.nan)
        if levels is None:
            numbers = numbers_of(features[name])
            return np.where(np.isfinite(numbers), numbers, np.nan)
        texts = texts_of(features[name])
        codes = {level: float(code) for code, level in enumerate(levels)}
        coded = texts.replace_strict(codes, default=float(len(levels)), return_dtype=pl.Float64)
        ranks: Floats = pl.select(pl.when(texts.is_null()).then(float("nan")).otherwise(coded)).to_series().to_numpy()
        return ranks


def _is_text(series: pl.Series) -> bool:
    return series.dtype in (pl.String, pl.Categorical, pl.Enum)


def _levels(series: pl.Series) -> tuple[str, ...]:
    counted = pl.DataFrame({"level": texts_of(series).drop_nulls()}).group_by("level").len()
    return tuple(counted.sort("len", "level", descending=[True, False])["level"].head(_LEVELS).to_list())
