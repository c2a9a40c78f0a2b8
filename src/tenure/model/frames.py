"""Any table a user may hold becomes a polars frame: polars, pandas, pyarrow, rows as dicts, columns as lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import narwhals as nw
import numpy as np
import polars as pl

from tenure.core.errors import UnreadableDataError
from tenure.model.values import text_of

_PLAIN_NUMBERS: Final = frozenset(
    np.dtype(name) for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
)
_TEXTS: Final = ("object", "str", "string")
"""Names of pandas' types whose values are Python objects."""


def as_polars(frame: object) -> pl.DataFrame:
    """Return a table as a polars frame; pandas' missing values become null, column names become text.

    Takes polars (also lazy), pandas, anything that speaks Arrow's stream protocol, a sequence of dicts, or a dict of
    columns. Neither pandas nor pyarrow is imported.

    Raises:
        UnreadableDataError: it is none of these, or polars cannot hold its values.
    """
    try:
        return _as_polars(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise UnreadableDataError(
            f"A {type(frame).__name__} cannot be read as a table: {error}.",
            hint="Give a polars, pandas or pyarrow table, a list of dicts, or a dict of columns.",
        ) from error


def _as_polars(frame: object) -> pl.DataFrame:
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if nw.dependencies.is_pandas_dataframe(frame):
        return _from_pandas(nw.from_native(frame, eager_only=True))
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    if isinstance(frame, Mapping):
        return pl.DataFrame({str(name): _column(str(name), values) for name, values in frame.items()})
    if (
        isinstance(frame, Sequence)
        and not isinstance(frame, str | bytes)
        and all(isinstance(r, Mapping) for r in frame)
    ):
        names = dict.fromkeys(str(name) for row in frame for name in row)
        return pl.DataFrame([_column(name, [row.get(name) for row in frame]) for name in names])
    raise TypeError("it is no table")


def _column(name: str, values: Any) -> pl.Series:
    """Return Python values as a column: text where their types do not go together."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        numbers = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)
        read = float if numbers else text_of
        return pl.Series(name, [None if v is None else read(v) for v in values])


def _from_pandas(frame: nw.DataFrame[Any]) -> pl.DataFrame:
    """Copy through numpy and lists, since pandas' own Arrow export needs pyarrow.

    Columns of one plain type are copied together: one at a time takes 0.1 ms each, however few the rows.
    """
    native, names = frame.to_native(), [str(name) for name in frame.columns]
    alike: dict[Any, list[int]] = {}
    for at, dtype in enumerate(native.dtypes):
        alike.setdefault(dtype, []).append(at)
    columns: dict[int, pl.Series] = {}
    for dtype, places in alike.items():
        block = native.iloc[:, places]
        if isinstance(dtype, np.dtype) and dtype in _PLAIN_NUMBERS:
            numbers = np.asfortranarray(block.to_numpy())
            copied = pl.DataFrame({str(at): numbers[:, place] for place, at in enumerate(places)})
            columns |= zip(places, copied.fill_nan(None).iter_columns(), strict=True)
        elif dtype in _TEXTS:
            texts, missing = block.to_numpy(dtype=object, copy=True), block.isna().to_numpy()
            texts[missing] = None
            columns |= {at: _column(names[at], texts[:, place].tolist()) for place, at in enumerate(places)}
        else:
            columns |= {at: _from_pandas_column(names[at], frame[:, at]) for at in places}
    return pl.DataFrame([columns[at].alias(name) for at, name in enumerate(names)])


def _from_pandas_column(name: str, series: nw.Series[Any]) -> pl.Series:
    missing = pl.Series(series.is_null().to_numpy())
    kind = series.dtype
    if kind.is_numeric() or kind == nw.Boolean:
        filled = series.fill_null(0) if missing.any() and kind != nw.Boolean else series
        values = filled.fill_null(False) if missing.any() and kind == nw.Boolean else filled
        column = pl.Series(name, values.to_numpy())
    elif kind == nw.Datetime or kind == nw.Duration or kind == nw.Date:
        column = pl.Series(name, [None if gone else value for value, gone in zip(series, missing, strict=True)])
    else:
        texts = series.cast(nw.String) if isinstance(kind, nw.Categorical | nw.Enum) else series
        return _column(name, [None if gone else value for value, gone in zip(texts, missing, strict=True)])
    return column.set(missing, None) if missing.any() else column
