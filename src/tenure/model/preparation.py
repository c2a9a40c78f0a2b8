"""Prepared features: numbers that one fold's training rows add to the encoded matrix.

What is known of a category, or of two together (mean outcomes, mean numbers), is looked up, and pairs of numbers are
combined. One row takes the same steps as a table, so it gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

Whole = NDArray[np.int64]

_TABLE_BITS: Final = 40
_CHUNK: Final = 4096


def _divided(left: Floats, right: Floats) -> Floats:
    ratio: Floats = left / np.where(right == 0, np.nan, right)
    return ratio


JUST_LEFT: Final = ""
OPERATORS: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divided,
}


@dataclass(frozen=True, eq=False)
class Levels:
    """Columns read as levels: the whole numbers from `low` on, `size` of them; then missing; then anything else."""

    sources: Whole
    low: Floats
    size: Whole

    def of(self, matrix: Floats) -> Whole:
        """Return the level of each cell of these columns, (n, columns), and a last column of zeros."""
        shifted = matrix.take(self.sources, axis=1) - self.low
        known = (shifted >= 0) & (shifted < self.size) & (shifted == np.floor(shifted))
        found = np.zeros((shifted.shape[0], shifted.shape[1] + 1), dtype=np.int64)
        found[:, :-1] = np.where(known, shifted, np.where(np.isnan(shifted), self.size, self.size + 1))
        return found

    def spread(self, at: int) -> int:
        """Return how many levels a column may have; 1 for no column (`at` is -1)."""
        return int(self.size[at]) + 2 if at >= 0 else 1


@dataclass(frozen=True, eq=False)
class Table:
    """The known keys of one level column, or of two (`right` is -1 for none), sorted."""

    left: int
    right: int
    keys: Whole


@dataclass(frozen=True, eq=False)
class Lookup:
    """One value for each key of a table, and one for a key that is not in it."""

    table: int
    values: Floats
    default: float


@dataclass(frozen=True, slots=True)
class Output:
    """A prepared column: an operator between two inputs, or just the left one.

    Inputs are the encoded columns, then the lookups.
    """

    operator: str
    left: int
    right: int


@dataclass(frozen=True, eq=False)
class Preparation:
    """Turns an encoded matrix of `columns` numbers a row into `width` prepared ones.

    `places` says in which prepared column each output goes; columns without an output stay NaN.
    """

    columns: int
    levels: Levels
    tables: tuple[Table, ...]
    lookups: tuple[Lookup, ...]
    outputs: tuple[Output, ...]
    places: tuple[int, ...]
    width: int

    @classmethod
    def of(
        cls,
        columns: int,
        levels: Levels,
        tables: Sequence[Table],
        lookups: Sequence[Lookup],
        outputs: Sequence[Output],
    ) -> Self:
        """Return the preparation whose prepared columns are the outputs in their order."""
        width = len(outputs)
        return cls(columns, levels, tuple(tables), tuple(lookups), tuple(outputs), tuple(range(width)), width)

    def transform(self, matrix: Floats) -> Floats:
        """Return the prepared columns of an encoded matrix, (n, width) float64, NaN where there is no number."""
        prepared = np.empty((matrix.shape[0], self.width))
        for start in range(0, matrix.shape[0], _CHUNK):
            rows = matrix[start : start + _CHUNK]
            prepared[start : start + _CHUNK] = self._combined(rows, self._looked_up(rows))
        return prepared

    def combined(self, matrix: Floats, known: Floats) -> Floats:
        """Return the same for rows whose lookups gave `known` (n, lookups)."""
        prepared = np.empty((matrix.shape[0], self.width))
        for start in range(0, matrix.shape[0], _CHUNK):
            rows = slice(start, start + _CHUNK)
            prepared[rows] = self._combined(matrix[rows], known[rows])
        return prepared

    def _combined(self, matrix: Floats, known: Floats) -> Floats:
        steps = self._steps
        inputs = np.concatenate([matrix, known], axis=1)
        left, right = inputs.take(steps.left, axis=1), inputs.take(steps.right, axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            for operate, span in steps.spans:
                left[:, span] = operate(left[:, span], right[:, span])
        left[np.isinf(left)] = np.nan
        prepared = np.full((matrix.shape[0], self.width), np.nan)
        prepared[:, steps.places] = left
        return prepared

    def sources(self) -> list[tuple[int, ...]]:
        """Return which encoded columns each prepared column is made of."""
        found: list[tuple[int, ...]] = [()] * self.width
        for output, place in zip(self.outputs, self.places, strict=True):
            found[place] = tuple(sorted(self._sources_of(output.left) | self._sources_of(output.right)))
        return found

    def narrowed(self, used: NDArray[np.bool_]) -> Preparation:
        """Return a preparation that fills only the prepared columns that are used (width,), and keeps no more."""
        kept = [(output, place) for output, place in zip(self.outputs, self.places, strict=True) if used[place]]
        inputs = sorted({at for output, _ in kept for at in (output.left, output.right) if at >= self.columns})
        moved = {at: self.columns + position for position, at in enumerate(inputs)}
        lookups = [self.lookups[at - self.columns] for at in inputs]
        tables = sorted({lookup.table for lookup in lookups})
        return replace(
            self,
            tables=tuple(self.tables[at] for at in tables),
            lookups=tuple(replace(lookup, table=tables.index(lookup.table)) for lookup in lookups),
            outputs=tuple(
                Output(output.operator, moved.get(output.left, output.left), moved.get(output.right, output.right))
                for output, _ in kept
            ),
            places=tuple(place for _, place in kept),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the preparation as plain data, without its arrays."""
        return {
            "columns": self.columns,
            "levels": [part.tolist() for part in (self.levels.sources, self.levels.low, self.levels.size)],
            "tables": [[table.left, table.right, len(table.keys)] for table in self.tables],
            "lookups": [lookup.table for lookup in self.lookups],
            "outputs": [[output.operator, output.left, output.right] for output in self.outputs],
            "places": list(self.places),
            "width": self.width,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the keys of all tables and the values of all lookups, one after the other."""
        return {
            "keys": np.concatenate([np.empty(0, dtype=np.int64), *(table.keys for table in self.tables)]),
            "values": np.concatenate([np.empty(0), *(lookup.values for lookup in self.lookups)]),
            "defaults": np.array([lookup.default for lookup in self.lookups], dtype=np.float64),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a preparation from `to_dict` and `arrays`."""
        sizes = [size for _, _, size in data["tables"]]
        keys = _split(arrays["keys"], sizes)
        values = _split(arrays["values"], [sizes[at] for at in data["lookups"]])
        sources, low, size = data["levels"]
        lookups = zip(data["lookups"], values, arrays["defaults"].tolist(), strict=True)
        return cls(
            columns=data["columns"],
            levels=Levels(np.array(sources, dtype=np.int64), np.array(low, dtype=np.float64), np.array(size, np.int64)),
            tables=tuple(Table(left, right, own) for (left, right, _), own in zip(data["tables"], keys, strict=True)),
            lookups=tuple(Lookup(*lookup) for lookup in lookups),
            outputs=tuple(Output(*output) for output in data["outputs"]),
            places=tuple(data["places"]),
            width=data["width"],
        )

    def _sources_of(self, at: int) -> set[int]:
        if at < self.columns:
            return {at}
        table = self.tables[self.lookups[at - self.columns].table]
        return {int(self.levels.sources[level]) for level in (table.left, table.right) if level >= 0}

    def _looked_up(self, matrix: Floats) -> Floats:
        """Return what the tables know of each row, (n, lookups)."""
        if not self.lookups:
            return np.empty((matrix.shape[0], 0))
        index = self._index
        levels = self.levels.of(matrix)
        wanted = levels.take(index.left, axis=1) * index.factor + levels.take(index.right, axis=1) + index.head
        place = index.keys.searchsorted(wanted)
        hit = (index.keys.take(place) == wanted).take(index.table, axis=1)
        at = np.where(hit, place.take(index.table, axis=1) + index.shift, 0)
        known: Floats = np.where(hit, index.values.take(at), index.default)
        return known

    @cached_property
    def _index(self) -> _Index:
        return _Index.of(self)

    @cached_property
    def _steps(self) -> _Steps:
        return _Steps.of(self)


@dataclass(frozen=True, eq=False)
class _Steps:
    """The outputs sorted by operator: their inputs, where they go, and which of them each operator gives."""

    left: Whole
    right: Whole
    places: Whole
    spans: list[tuple[Callable[[Floats, Floats], Floats], slice]]

    @classmethod
    def of(cls, own: Preparation) -> Self:
        names = [JUST_LEFT, *OPERATORS]
        ranks = np.array([names.index(output.operator) for output in own.outputs], dtype=np.int64)
        order = np.argsort(ranks, kind="stable")
        ends = np.cumsum(np.bincount(ranks, minlength=len(names)))
        starts = ends - np.bincount(ranks, minlength=len(names))
        return cls(
            left=np.array([output.left for output in own.outputs], dtype=np.int64)[order],
            right=np.array([output.right for output in own.outputs], dtype=np.int64)[order],
            places=np.array(own.places, dtype=np.int64)[order],
            spans=[
                (OPERATORS[name], slice(start, end))
                for name, start, end in zip(names, starts, ends, strict=True)
                if name in OPERATORS and end > start
            ],
        )


def _split(array: NDArray[Any], sizes: Sequence[int]) -> list[NDArray[Any]]:
    """Return the parts of an array that have these sizes."""
    return np.split(array, np.cumsum(sizes)[:-1]) if sizes else []


@dataclass(frozen=True, eq=False)
class _Index:
    """All tables in one sorted array, so that one search answers a row."""

    left: Whole
    right: Whole
    factor: Whole
    head: Whole
    keys: Whole
    table: Whole
    shift: Whole
    values: Floats
    default: Floats

    @classmethod
    def of(cls, own: Preparation) -> Self:
        """Lay out the tables one after the other; the last key is never asked for, so that every search ends at one."""
        head = np.arange(len(own.tables), dtype=np.int64) << _TABLE_BITS
        starts = np.cumsum([0, *(len(table.keys) for table in own.tables)])
        table = np.array([lookup.table for lookup in own.lookups], dtype=np.int64)
        ends = np.cumsum([len(lookup.values) for lookup in own.lookups])
        sizes = np.array([len(lookup.values) for lookup in own.lookups])
        return cls(
            left=np.array([t.left for t in own.tables], dtype=np.int64),
            right=np.array([t.right for t in own.tables], dtype=np.int64),
            factor=np.array([own.levels.spread(t.right) for t in own.tables], dtype=np.int64),
            head=head,
            keys=np.concatenate(
                [*(t.keys + h for t, h in zip(own.tables, head, strict=True)), [np.iinfo(np.int64).max]]
            ),
            table=table,
            shift=ends - sizes - starts[table],
            values=np.concatenate([*(lookup.values for lookup in own.lookups), [np.nan]]),
            default=np.array([lookup.default for lookup in own.lookups]),
        )
