"""What identifies a row across snapshots: its key, or a hash of what it holds."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Role, Schema
from tenure.core.modelling import Indices

_CELL_END = "\x1f"
_EMPTY_CELL = "\x00"
_AT_ONCE: Final = 100_000


def row_ids(frame: pl.DataFrame, schema: Schema, rows: Indices | None = None) -> list[str]:
    """Return one text for each row, or for those at `rows`: unique in the frame, equal for equal rows elsewhere.

    The key where there is one and it is unique; otherwise the first 16 hex digits of the SHA-1 of all cells that are
    not ignored, and a running number on exact repeats. Numbers of any width count as equal.
    """
    key = schema.key
    if key is not None and key in frame.columns:
        keys = frame[key].cast(pl.String)
        if keys.null_count() == 0 and keys.n_unique() == frame.height:
            return (keys if rows is None else keys[rows]).to_list()
    asked = np.arange(frame.height) if rows is None else rows
    names = [c.name for c in schema.columns if c.role is not Role.IGNORED and c.name in frame.columns]
    if not names:
        return [str(at) for at in asked]
    cells = frame.select(_hashable(frame[name]) for name in names)
    ids = []
    for start in range(0, len(asked), _AT_ONCE):
        part = cells[asked[start : start + _AT_ONCE]]
        texts = part.select(pl.concat_str([_cell(part[name]) for name in names], separator=_CELL_END)).to_series()
        ids += [hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16] for text in texts]
    return [f"{each}-{time}" if time > 1 else each for each, time in zip(ids, _times(cells)[asked], strict=True)]


def _times(cells: pl.DataFrame) -> Indices:
    """Return for each row how many of the rows up to it hold the same, itself counted."""
    hashes = cells.hash_rows()
    if hashes.n_unique() == len(hashes):
        return np.ones(len(hashes), dtype=np.int64)
    counted = hashes.to_frame("row").select(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("row"))
    return counted.to_series().to_numpy()


def _hashable(series: pl.Series) -> pl.Series:
    """Return the column, as text where it holds what polars cannot hash."""
    if series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        return pl.Series(series.name, [str(value) for value in series.to_list()], dtype=pl.String)
    return series


def _cell(series: pl.Series) -> pl.Expr:
    """Return the column as text that does not depend on how wide its numbers or times are stored."""
    column = pl.col(series.name)
    if series.dtype.is_numeric():
        column = column.cast(pl.Float64)
    elif series.dtype == pl.Date or series.dtype == pl.Datetime:
        column = column.cast(pl.Datetime("us")).to_physical()
    return column.cast(pl.String).fill_null(_EMPTY_CELL)
