"""Detect what decides the split: an order in time, owners of several rows, exact copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Kind, Schema
from tenure.core.modelling import Floats, Indices
from tenure.model.probe import quick_numbers

_FEWEST_MOMENTS: Final = 4
"""Fewer different times cannot give three blocks with a past and a future."""
_COPIES_MATTER: Final = 0.005
_COMMON_PATTERN: Final = 0.01
_PATTERNS: Final = 0.9
"""Where more rows than this repeat an earlier one, they are the few patterns that rows can have, and no copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What ties rows together.

    `time` is the time column, `moments` its values in seconds (float64), None where there are fewer than four
    different ones; `groups` (codes) is None where no group repeats. `copies` (equal codes for rows with equal features)
    is None where copies are rare; a row that makes up over 1 % of the table is a common pattern and no copy.
    `copy_share` is the share of rows whose features equal those of an earlier row.
    """

    time: str | None
    moments: Floats | None
    group: str | None
    groups: Indices | None
    copies: Indices | None
    copy_share: float


def detect_structure(frame: pl.DataFrame, schema: Schema, dropped: frozenset[str]) -> Structure:
    """Look at the clean table for what ties its rows together; `dropped` columns are no features."""
    moments = _moments(frame, schema)
    group = schema.group if schema.group is not None and frame[schema.group].n_unique() < frame.height else None
    names = [column.name for column in schema.features if column.name not in dropped]
    copies, share = _copies(frame, names)
    return Structure(
        time=schema.time,
        moments=moments,
        group=group,
        groups=_codes(frame[group]) if group is not None else None,
        copies=copies if _COPIES_MATTER < share <= _PATTERNS else None,
        copy_share=share,
    )


def _moments(frame: pl.DataFrame, schema: Schema) -> Floats | None:
    if schema.time is None or frame[schema.time].n_unique() < _FEWEST_MOMENTS:
        return None
    series = frame[schema.time]
    return quick_numbers(series, Kind.NUMERIC if series.dtype.is_numeric() else Kind.DATETIME)


def _codes(series: pl.Series) -> Indices:
    """Return a code for each value; rows without an owner are owners of themselves."""
    codes = series.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy().copy()
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=0) + 1 + np.arange(alone.size)
    return codes


def _copies(frame: pl.DataFrame, names: list[str]) -> tuple[Indices, float]:
    """Return equal codes for rows with equal features, and the share of rows that repeat an earlier one."""
    if not names:
        return np.arange(frame.height), 0.0
    codes = frame.select(names).hash_rows(seed=0).rank("dense").cast(pl.Int64).to_numpy() - 1
    sizes = np.bincount(codes)
    common = sizes[codes] > _COMMON_PATTERN * frame.height
    units = np.where(common, sizes.size + np.arange(frame.height), codes)
    return units, 1 - sizes.size / max(frame.height, 1)
