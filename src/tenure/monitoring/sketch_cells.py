"""Read the cells of a column for counting, exactly as the model reads them, and say why a number could not be read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Kind
from tenure.core.modelling import Floats
from tenure.model.values import NO_MOMENT, mapped, moments_of, number_of, numbers_of, texts_of

Flags = NDArray[np.bool_]

_TEXTS: Final = (pl.String, pl.Categorical, pl.Enum)
_ROUGH: Final = (pl.Object, pl.List, pl.Array, pl.Struct, pl.Null)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column as numbers: `values` are float64, NaN where the model finds none.

    Of the cells without a number, `infinite` marks infinities and `unreadable` what is something else than a number;
    the others are empty. Both are None where there is no such cell.
    """

    values: Floats
    infinite: Flags | None = None
    unreadable: Flags | None = None


def numbers_read(cells: pl.Series, kind: Kind, date_format: str = "") -> Numbers:
    """Return the cells of a column of numbers, booleans or (`kind` DATETIME) dates, which are seconds since 1970."""
    if kind is Kind.DATETIME:
        return _dates(cells, date_format)
    if cells.dtype.is_integer() or cells.dtype == pl.Boolean:
        return Numbers(cells.cast(pl.Float64).fill_null(math.nan).to_numpy())
    if cells.dtype.is_float():
        return _floats(cells)
    if cells.dtype in _TEXTS or cells.dtype.is_decimal():
        return _texts(cells.cast(pl.String))
    values = numbers_of(cells)
    return Numbers(values, unreadable=_some(np.isnan(values) & cells.is_not_null().to_numpy()))


def _floats(cells: pl.Series) -> Numbers:
    values = cells.cast(pl.Float64).fill_null(math.nan).to_numpy()
    infinite = _some(np.isinf(values))
    return Numbers(values if infinite is None else np.where(infinite, math.nan, values), infinite)


def _texts(cells: pl.Series) -> Numbers:
    """Read numbers written as text; blanks and "nan" are empty cells.

    Polars reads plain numbers as Python does, much quicker, and leaves the odd ones.
    """
    quick = cells.cast(pl.Float64, strict=False)
    odd = (~quick.is_finite()).fill_null(True) & cells.is_not_null()
    marked = quick.fill_null(math.nan).to_numpy().copy()
    if odd.any():
        marked[odd.to_numpy()] = mapped(cells.filter(odd), _marked)
    unreadable = _some(np.isneginf(marked))
    infinite = _some(np.isposinf(marked))
    return Numbers(np.where(np.isinf(marked), math.nan, marked), infinite, unreadable)


def _marked(text: str) -> float:
    """Return the number, inf for either infinity, NaN for an empty cell, and -inf for what is no number."""
    number = number_of(text)
    if not math.isnan(number):
        return number
    word = text.strip().lower().lstrip("+-")
    if word in ("inf", "infinity"):
        return math.inf
    if word in ("", "nan"):
        return math.nan
    return -math.inf


def _dates(cells: pl.Series, date_format: str) -> Numbers:
    moments = moments_of(cells.cast(pl.String) if cells.dtype in _TEXTS else cells, date_format)
    lost = moments == NO_MOMENT
    values = np.where(lost, math.nan, moments / 1e6)
    return Numbers(values, unreadable=_some(lost & cells.is_not_null().to_numpy()))


def _some(flags: Flags) -> Flags | None:
    return flags if flags.any() else None


def texts_read(cells: pl.Series) -> pl.Series:
    """Return the cells of a column of categories or texts as String, null where empty; equal cells are read once."""
    if cells.dtype in _TEXTS or cells.dtype in _ROUGH or cells.dtype.is_integer() or cells.dtype == pl.Boolean:
        return texts_of(cells)
    known = cells.unique().drop_nulls()
    if known.is_empty():
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.String)
    return cells.replace_strict(known, texts_of(known), default=None, return_dtype=pl.String)
