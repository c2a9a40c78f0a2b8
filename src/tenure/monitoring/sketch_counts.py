"""Count the cells of one column, many parts (windows) in one pass over its values.

All sums are whole numbers, so counting the parts of a table and adding gives the same as counting the table, bit for
bit. Values are compared with every edge of the layout, a block at a time: blocks stay in the cache, and comparing is
what processors do fastest (10 ns a value with 31 edges on one core; a binary search takes 30, polars' `cut` 70).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.monitoring.layout import ColumnLayout
from tenure.monitoring.sketch_cells import Numbers, numbers_read, texts_read

STEPS: Final = 2**12
"""How many steps of the fixed-point sums make one `ColumnLayout.scale`."""

FARTHEST: Final = 2**10
"""Values farther than this many scales from the centre count as that far in the sums."""

MOST_ROWS: Final = 2**18
"""Rows that may be counted at once: (STEPS x FARTHEST)^2 x MOST_ROWS < 2^63."""

_BLOCK: Final = 16_384

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What one column holds in each of n parts; int64 arrays of shape (n,), `counts` of shape (n, places).

    `low` and `high` are float64, NaN where a part holds no number.
    """

    missing: Counts
    infinite: Counts
    unreadable: Counts
    low: Floats
    high: Floats
    counts: Counts
    total: Counts
    squares: Counts


def tally(cells: pl.Series | None, layout: ColumnLayout, bounds: Counts) -> Tally:
    """Count the cells of each part: part i, never empty, holds the cells from `bounds[i]` up to `bounds[i + 1]`.

    At most MOST_ROWS cells. A column that is not there (None) misses all its cells.
    """
    if cells is None:
        return _without_numbers(np.diff(bounds), np.zeros((bounds.size - 1, layout.places), dtype=np.int64))
    if layout.is_text:
        return _tally_texts(texts_read(cells), layout, bounds)
    return _tally_numbers(numbers_read(cells, layout.kind, layout.format), layout, bounds)


def _without_numbers(missing: Counts, counts: Counts) -> Tally:
    none, nowhere = np.zeros(missing.size, dtype=np.int64), np.full(missing.size, np.nan)
    return Tally(missing, none, none, nowhere, nowhere, counts, none, none)


def _tally_texts(texts: pl.Series, layout: ColumnLayout, bounds: Counts) -> Tally:
    others = len(layout.levels)
    place = texts.cast(pl.Enum(layout.levels), strict=False).to_physical().cast(pl.UInt8).fill_null(others).to_numpy()
    counts = _counts(place, layout.places, bounds)
    missing = _sums(texts.is_null().to_numpy(), bounds[:-1])
    counts[:, others] -= missing
    return _without_numbers(missing, counts)


def _tally_numbers(numbers: Numbers, layout: ColumnLayout, bounds: Counts) -> Tally:
    values, starts = numbers.values, bounds[:-1]
    none = np.zeros(starts.size, dtype=np.int64)
    gaps, infinite, unreadable = (
        none if flags is None else _sums(flags, starts)
        for flags in (np.isnan(values), numbers.infinite, numbers.unreadable)
    )
    has_gaps = bool(gaps.any())
    place, steps = _placed(values, layout, has_gaps=has_gaps)
    counts = _counts(place, layout.places, bounds)
    counts[:, 0] -= gaps  # no edge lies below NaN
    low, high = (np.fmin, np.fmax) if has_gaps else (np.minimum, np.maximum)
    return Tally(
        missing=gaps - infinite - unreadable,
        infinite=infinite,
        unreadable=unreadable,
        low=low.reduceat(values, starts) + 0.0,  # no -0.0: which of two zeros comes first must not show
        high=high.reduceat(values, starts) + 0.0,
        counts=counts,
        total=np.add.reduceat(steps, starts),
        squares=np.add.reduceat(steps * steps, starts),
    )


def _sums(flags: NDArray[np.bool_], starts: Counts) -> Counts:
    return np.add.reduceat(flags, starts, dtype=np.int64)


def _placed(values: Floats, layout: ColumnLayout, *, has_gaps: bool) -> tuple[NDArray[np.uint8], Counts]:
    """Return the bin of each value and its distance from the centre in steps; 0 for both where it is NaN."""
    place, steps = np.zeros(values.size, dtype=np.uint8), np.empty(values.size, dtype=np.int64)
    size = min(_BLOCK, values.size)
    above, away = np.empty(size, dtype=np.bool_), np.empty(size, dtype=np.float64)
    with np.errstate(over="ignore"):
        for start in range(0, values.size, size):
            block = values[start : start + size]
            here, flags, distance = place[start : start + size], above[: block.size], away[: block.size]
            for edge in layout.edges:
                np.greater(block, edge, out=flags)
                np.add(here, flags.view(np.uint8), out=here)
            np.subtract(block, layout.centre, out=distance)
            np.divide(distance, layout.scale, out=distance)
            np.clip(distance, -FARTHEST, FARTHEST, out=distance)
            np.multiply(distance, STEPS, out=distance)
            np.rint(distance, out=distance)
            if has_gaps:
                np.nan_to_num(distance, copy=False)
            steps[start : start + size] = distance
    return place, steps


def _counts(place: NDArray[np.uint8], places: int, bounds: Counts) -> Counts:
    parts = bounds.size - 1
    if parts == 1:
        return np.bincount(place, minlength=places).astype(np.int64).reshape(1, places)
    first = np.repeat(np.arange(parts) * places, np.diff(bounds))
    return np.bincount(first + place, minlength=parts * places).astype(np.int64).reshape(parts, places)
