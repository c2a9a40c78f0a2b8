"""Sketches: what a window held, column by column, small enough to keep for ever and exact to merge.

A sketch holds counts, the smallest and the largest value, and fixed-point sums. All but the two extremes are whole
numbers, so merging is associative and commutative bit for bit, and a reference is a list of sketches that nobody ever
scans again.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import ArtifactError
from tenure.core.modelling import Floats
from tenure.monitoring.layout import ColumnLayout, Layout
from tenure.monitoring.sketch_counts import MOST_ROWS, STEPS, Tally, tally

_FORMAT: Final = 1
_LARGEST: Final = float(np.finfo(np.float64).max)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSketch:
    """What one column held in a window.

    `missing` cells are empty, `infinite` and `unreadable` ones hold no number in a column of numbers; the model takes
    all three for missing. `low` and `high` are None where there is no number. `counts` (int64) are those of the bins,
    or of the levels and last of all other texts. `total` sums the distances from the centre in fixed-point steps,
    `squares` their squares; a value farther than 1,024 scales from the centre counts as that far.
    """

    layout: ColumnLayout
    rows: int
    missing: int
    infinite: int
    unreadable: int
    low: float | None
    high: float | None
    counts: NDArray[np.int64]
    total: int
    squares: int

    @property
    def known(self) -> int:
        """Return how many cells hold something that the model can read."""
        return self.rows - self.missing - self.infinite - self.unreadable

    @property
    def missing_share(self) -> float:
        """Return the share of cells in which the model finds nothing, for whatever reason; 0 without rows."""
        return 1 - self.known / self.rows if self.rows else 0.0

    @property
    def shares(self) -> Floats:
        """Return the share of each bin, or level and all others, of the known cells; zeros where none is known."""
        return self.counts / max(self.known, 1)

    @property
    def other_share(self) -> float:
        """Return the share of known cells that hold none of the kept levels; 0 for numbers."""
        return float(self.shares[-1]) if self.layout.is_text else 0.0

    @property
    def mean(self) -> float | None:
        """Return the mean of the numbers; far values count as 1,024 scales from the centre."""
        if self.layout.is_text or not self.known:
            return None
        return _bounded(self.layout.centre + self.layout.scale * (self.total / self.known / STEPS), self.low, self.high)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation of the numbers (divided by n), with far values as in `mean`."""
        if self.layout.is_text or not self.known:
            return None
        spread = self.known * self.squares - self.total**2  # whole numbers: nothing cancels
        return _bounded(self.layout.scale * (math.sqrt(spread) / self.known / STEPS), 0.0, None)

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile of the numbers, linear within a bin and exact where values have bins of their own."""
        if self.layout.is_text or self.low is None or self.high is None:
            return None
        reached = np.cumsum(self.counts)
        wanted = min(max(q, 0.0), 1.0) * self.known
        at = int(np.argmax((reached >= wanted) & (self.counts > 0)))
        if self.layout.values:
            return _bounded(self.layout.values[at], self.low, self.high)
        edges = self.layout.edges
        left = max(self.low, edges[at - 1]) if at else self.low
        right = min(self.high, edges[at]) if at < len(edges) else self.high
        part = 1 - (int(reached[at]) - wanted) / int(self.counts[at])
        return _bounded(left * (1 - part) + right * part, left, right)

    def merged(self, other: ColumnSketch) -> ColumnSketch:
        """Return the sketch of both columns' cells; both have the same layout."""
        return ColumnSketch(
            self.layout,
            self.rows + other.rows,
            self.missing + other.missing,
            self.infinite + other.infinite,
            self.unreadable + other.unreadable,
            min((low for low in (self.low, other.low) if low is not None), default=None),
            max((high for high in (self.high, other.high) if high is not None), default=None),
            self.counts + other.counts,
            self.total + other.total,
            self.squares + other.squares,
        )


def _bounded(value: float, low: float | None, high: float | None) -> float:
    return min(max(value, -_LARGEST if low is None else low), _LARGEST if high is None else high)


@dataclass(frozen=True, slots=True, eq=False)
class WindowSketch:
    """What every column of one window held; `layout` is the digest of the layout that it was counted by."""

    start: datetime
    end: datetime
    rows: int
    columns: dict[str, ColumnSketch]
    layout: str

    def merged(self, other: WindowSketch) -> WindowSketch:
        """Return the sketch of the rows of both, over the span of both.

        Raises:
            ArtifactError: they were counted by different layouts.
        """
        if self.layout != other.layout:
            raise _stranger()
        return WindowSketch(
            min(self.start, other.start),
            max(self.end, other.end),
            self.rows + other.rows,
            {name: column.merged(other.columns[name]) for name, column in self.columns.items()},
            self.layout,
        )

    def to_bytes(self) -> bytes:
        """Return the sketch as compressed JSON; equal sketches give equal bytes."""
        told = {
            "format": _FORMAT,
            "layout": self.layout,
            "start": microseconds_of(self.start),
            "end": microseconds_of(self.end),
            "rows": self.rows,
            "columns": [
                [c.missing, c.infinite, c.unreadable, c.low, c.high, c.total, c.squares, *c.counts.tolist()]
                for c in self.columns.values()
            ],
        }
        return zlib.compress(json.dumps(told, separators=(",", ":"), allow_nan=False).encode(), 6)

    @classmethod
    def from_bytes(cls, layout: Layout, data: bytes) -> WindowSketch:
        """Rebuild a sketch from `to_bytes` data.

        Raises:
            ArtifactError: the data are damaged, or were counted by another layout.
        """
        try:
            told = json.loads(zlib.decompress(data))
            if told["format"] != _FORMAT or told["layout"] != digest_of_layout(layout):
                raise _stranger()
            columns = {
                column.name: _column(column, told["rows"], cells)
                for column, cells in zip(layout.columns, told["columns"], strict=True)
            }
            return cls(moment_at(told["start"]), moment_at(told["end"]), told["rows"], columns, told["layout"])
        except (zlib.error, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise ArtifactError(
                "A stored sketch cannot be read.", hint="The state was damaged; restore it from a backup."
            ) from error


def _stranger() -> ArtifactError:
    return ArtifactError(
        "Two sketches were counted in different ways, so they cannot be compared.",
        hint="Sketch the rows again with the layout of the version in office.",
    )


def _column(layout: ColumnLayout, rows: int, told: list[Any]) -> ColumnSketch:
    missing, infinite, unreadable, low, high, total, squares, *counts = told
    if len(counts) != layout.places:
        raise ValueError(f"{len(counts)} counts for {layout.places} places")
    low, high = (None if bound is None else float(bound) for bound in (low, high))
    kept = np.array(counts, dtype=np.int64)
    return ColumnSketch(layout, rows, missing, infinite, unreadable, low, high, kept, total, squares)


def microseconds_of(moment: datetime) -> int:
    """Return microseconds since 1970; a moment without a zone is UTC."""
    return (in_utc(moment) - _EPOCH) // timedelta(microseconds=1)


def moment_at(microseconds: int) -> datetime:
    """Return the moment so many microseconds after 1970, or the nearest one that the calendar has."""
    least, most = microseconds_of(_EARLIEST), microseconds_of(_LATEST)
    return _EPOCH + timedelta(microseconds=min(max(microseconds, least), most))


def in_utc(moment: datetime) -> datetime:
    """Return the moment with the zone UTC, which is also that of a moment without one."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@lru_cache(maxsize=16)
def digest_of_layout(layout: Layout) -> str:
    """Return the digest of a layout, worked out once."""
    return layout.digest


def empty_sketch(layout: Layout) -> WindowSketch:
    """Return the sketch of no rows in no time: merged with any other, it changes nothing."""
    columns = {
        column.name: ColumnSketch(
            column, 0, 0, 0, 0, None, None, np.zeros(column.places, dtype=np.int64), total=0, squares=0
        )
        for column in layout.columns
    }
    return WindowSketch(_LATEST, _EARLIEST, 0, columns, digest_of_layout(layout))


def merged(sketches: Iterable[WindowSketch], layout: Layout) -> WindowSketch:
    """Return the sketch of the rows of all `sketches`, which share `layout`; the empty sketch where there is none.

    Raises:
        ArtifactError: a sketch was counted by another layout.
    """
    whole = empty_sketch(layout)
    for each in sketches:
        whole = whole.merged(each)
    return whole


def sketch(rows: pl.DataFrame, layout: Layout, *, start: datetime, end: datetime) -> WindowSketch:
    """Return the sketch of `rows`, raw or as the model reads them; never raises for data.

    A column of the layout that `rows` lacks misses all its cells; other columns are passed over. A moment without a
    zone is UTC.
    """
    whole = empty_sketch(layout)
    for offset in range(0, rows.height, MOST_ROWS):
        part = rows.slice(offset, MOST_ROWS)
        (counted,) = sketch_parts(part, layout, np.array([0, part.height], dtype=np.int64))
        whole = whole.merged(counted)
    return WindowSketch(in_utc(start), in_utc(end), whole.rows, whole.columns, whole.layout)


def sketch_parts(rows: pl.DataFrame, layout: Layout, bounds: NDArray[np.int64]) -> list[WindowSketch]:
    """Return one undated sketch for each part of at most MOST_ROWS rows.

    Part i, never empty, holds the rows from `bounds[i]` up to `bounds[i + 1]`.
    """
    sizes = np.diff(bounds).tolist()
    names = set(rows.columns)
    columns: list[dict[str, ColumnSketch]] = [{} for _ in sizes]
    for column in layout.columns:
        counted = tally(rows[column.name] if column.name in names else None, column, bounds)
        for part, size in enumerate(sizes):
            columns[part][column.name] = _sketched(column, size, counted, part)
    digest = digest_of_layout(layout)
    return [WindowSketch(_LATEST, _EARLIEST, size, columns[part], digest) for part, size in enumerate(sizes)]


def _sketched(layout: ColumnLayout, rows: int, counted: Tally, part: int) -> ColumnSketch:
    low, high = float(counted.low[part]), float(counted.high[part])
    return ColumnSketch(
        layout,
        rows,
        int(counted.missing[part]),
        int(counted.infinite[part]),
        int(counted.unreadable[part]),
        None if math.isnan(low) else low,
        None if math.isnan(high) else high,
        counted.counts[part],
        int(counted.total[part]),
        int(counted.squares[part]),
    )
