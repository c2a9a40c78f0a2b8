"""Decide once how each column is counted: bins of equal mass for numbers, the commonest levels for categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats
from tenure.core.records import Record
from tenure.monitoring.sketch_cells import numbers_read, texts_read

KEPT_LEVELS: Final = 128
MOST_BINS: Final = 120
_SAMPLE: Final = 200_000
_QUARTILES_OF_NORMAL: Final = 1.3489795


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """How the cells of one column are counted.

    Numbers, booleans and dates (as seconds since 1970, UTC; `format` as in `core.data.Column`) fall into bins: bin i
    holds what is above `edges[i - 1]` and not above `edges[i]`. `values` are the values of the reference where they
    are so few that each has a bin of its own. Sums are kept of (x - centre) / scale.
    Categories and texts are counted by `levels`, the commonest first, and all others together.
    """

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    format: str = ""

    @property
    def is_text(self) -> bool:
        """Return whether cells are counted by level, not by bin."""
        return self.kind in (Kind.CATEGORICAL, Kind.TEXT)

    @property
    def places(self) -> int:
        """Return how many counts a sketch keeps of the column."""
        return len(self.levels if self.is_text else self.edges) + 1


@dataclass(frozen=True, slots=True)
class Layout(Record):
    """How every watched column is counted; sketches that share a layout can be compared and merged."""

    columns: tuple[ColumnLayout, ...]

    def __getitem__(self, name: str) -> ColumnLayout:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns, in order."""
        return tuple(column.name for column in self.columns)


def layout_of(reference: pl.DataFrame, schema: Schema, *, bins: int = 32) -> Layout:
    """Return the layout of the columns of `schema`, learned from the rows of `reference`.

    A column that `reference` lacks, or that holds nothing, gets one bin or one level. Up to 2 x `bins` bins (at most
    120 in all) are made where single values are so common that each gets a bin of its own. Never raises for data.
    """
    bins = min(max(bins, 2), MOST_BINS // 2)
    return Layout(tuple(_column_layout(reference, column, bins) for column in schema.columns))


def _column_layout(reference: pl.DataFrame, column: Column, bins: int) -> ColumnLayout:
    if column.name not in reference.columns:
        return ColumnLayout(column.name, column.kind, format=column.format)
    cells = reference[column.name]
    if column.kind in (Kind.CATEGORICAL, Kind.TEXT):
        return ColumnLayout(column.name, column.kind, levels=_levels(cells))
    numbers = numbers_read(cells, column.kind, column.format).values
    known = numbers[np.isfinite(numbers)]
    if known.size == 0:
        return ColumnLayout(column.name, column.kind, format=column.format)
    if known.size > _SAMPLE:
        known = known[np.random.default_rng(0).integers(known.size, size=_SAMPLE)]
    distinct = np.unique(known) + 0.0  # no -0.0
    if distinct.size == 1:  # below, at and above the constant: so that a change of it is seen
        lone = float(distinct[0])
        return ColumnLayout(
            column.name,
            column.kind,
            edges=(float(np.nextafter(lone, -np.inf)), lone),
            centre=lone,
            scale=_scale(known, lone),
            format=column.format,
        )
    few = distinct.size <= bins
    centre = float(np.quantile(known, 0.5, method="inverted_cdf")) + 0.0
    return ColumnLayout(
        column.name,
        column.kind,
        edges=tuple((_between(distinct) if few else _equal_mass(known, bins)).tolist()),
        values=tuple(distinct.tolist()) if few else (),
        centre=centre,
        scale=_scale(known, centre),
        format=column.format,
    )


def _levels(cells: pl.Series) -> tuple[str, ...]:
    """Return the commonest levels, equally common ones in the order of the alphabet."""
    counted = texts_read(cells).drop_nulls().alias("level").value_counts(name="rows")
    return tuple(counted.sort(["rows", "level"], descending=[True, False])["level"].head(KEPT_LEVELS).to_list())


def _between(distinct: Floats) -> Floats:
    """Return an edge halfway between neighbours; where no number lies between them, at the lower one."""
    lower, upper = distinct[:-1], distinct[1:]
    halfway = np.maximum(lower / 2 + upper / 2, lower)
    return np.where(halfway < upper, halfway, lower)


def _equal_mass(known: Floats, bins: int) -> Floats:
    """Return edges that cut `known` into `bins` parts; a value as common as a part gets a bin of its own."""
    cuts = np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf") + 0.0
    edges, times = np.unique(cuts, return_counts=True)
    return np.unique(np.append(edges, np.nextafter(edges[times > 1], -np.inf)))


def _scale(known: Floats, centre: float) -> float:
    """Return the spread that a normal column with these quartiles has.

    Where more than half of the values are equal: the median distance of the others; for a constant, its size or 1.
    """
    largest = float(np.finfo(np.float64).max)
    low, high = np.quantile(known, [0.25, 0.75], method="inverted_cdf") / _QUARTILES_OF_NORMAL
    with np.errstate(over="ignore"):
        spread = float(high - low)
        if spread <= 0:
            others = known[known != centre]
            spread = float(np.median(np.abs(others - centre))) if others.size else abs(centre)
    return min(spread, largest) if spread > 0 else 1.0
