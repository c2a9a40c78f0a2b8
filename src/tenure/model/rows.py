"""What identifies a row across snapshots: its key, or a hash of what it holds."""

from __future__ import annotations

import hashlib
from collections import Counter

import polars as pl

from tenure.core.data import Role, Schema

_CELL_END = "\x1f"
_EMPTY_CELL = "\x00"


def row_ids(frame: pl.DataFrame, schema: Schema) -> list[str]:
    """Return one text for each row, unique in the frame and equal for equal rows of another snapshot.

    The key where there is one and it is unique; otherwise the first 16 hex digits of the SHA-1 of all cells that are
    not ignored, and a running number on exact repeats. Numbers of any width count as equal.
    """
    key = schema.key
    if key is not None and key in frame.columns:
        keys = frame[key].cast(pl.String)
        if keys.null_count() == 0 and keys.n_unique() == frame.height:
            return keys.to_list()
    names = [c.name for c in schema.columns if c.role is not Role.IGNORED and c.name in frame.columns]
    if not names:
        return [str(at) for at in range(frame.height)]
    texts = frame.select(pl.concat_str([_cell(frame[name]) for name in names], separator=_CELL_END)).to_series()
    seen: Counter[str] = Counter()
    ids = []
    for text in texts:
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]
        seen[digest] += 1
        ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return ids


def _cell(series: pl.Series) -> pl.Expr:
    """Return the column as text that does not depend on how wide its numbers or times are stored."""
    column = pl.col(series.name)
    if series.dtype.is_numeric():
        column = column.cast(pl.Float64)
    elif series.dtype == pl.Date or series.dtype == pl.Datetime:
        column = column.cast(pl.Datetime("us")).to_physical()
    elif series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        return pl.lit(pl.Series(series.name, [str(value) for value in series.to_list()], dtype=pl.String))
    return column.cast(pl.String).fill_null(_EMPTY_CELL)
