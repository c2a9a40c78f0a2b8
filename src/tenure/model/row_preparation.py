"""Prepared features of one row: those of all members together, since each call of numpy costs as much as many numbers.

The folds of one configuration share most levels, and many pairs of numbers; what several members want is worked out
once. Bit for bit what `Preparation.transform` gives.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.model.preparation import JUST_LEFT, OPERATORS, Lookup, Preparation, Table, Whole

_MOST_KNOWN: Final = 1 << 16
"""Keys of a table whose values are kept at hand."""

Pair = tuple[str, int, int]
"""An operator, and the registers of the numbers it combines."""


class _Known(dict[int, "array[float]"]):
    """What some lookups say of a key, side by side; found when the key is first asked for."""

    def __init__(self, lookups: Sequence[tuple[Whole, Lookup]]) -> None:
        super().__init__()
        self._lookups = lookups

    def __missing__(self, key: int) -> array[float]:
        found = array("d", (_value(key, keys, lookup) for keys, lookup in self._lookups))
        if len(self) < _MOST_KNOWN:
            self[key] = found
        return found


def _value(key: int, keys: Whole, lookup: Lookup) -> float:
    place = int(keys.searchsorted(key))
    return float(lookup.values[place]) if place < len(keys) and keys[place] == key else lookup.default


@dataclass(frozen=True, eq=False)
class _RowTable:
    """What is known of the key of two levels (positions in the list of levels), and in which registers it goes."""

    left: int
    right: int
    factor: int
    registers: slice
    known: _Known


class RowPreparation:
    """All preparations of a model as one list of steps. Safe to share between threads.

    `used` are, for each preparation, the numbers (encoded, then prepared) that its member reads; `reads` are the
    encoded numbers that are needed. The numbers of a row lie in registers: the encoded ones, a zero, the lookups, the
    pairs.
    """

    def __init__(self, preparations: Sequence[Preparation], used: Sequence[Collection[int]]) -> None:
        self.columns = preparations[0].columns
        narrow = [_narrowed(own, wanted) for own, wanted in zip(preparations, used, strict=True)]
        self._levels: dict[tuple[int, float, int], int] = {}
        self._tables: list[_RowTable] = []
        known = self._place_lookups(narrow)
        self._first_pair = self.columns + 1 + sum(map(len, known))
        wanted = [self._pairs_of(own, places) for own, places in zip(narrow, known, strict=True)]
        ranks = {name: rank for rank, name in enumerate((JUST_LEFT, *OPERATORS))}
        self._pairs = sorted(dict.fromkeys(pair for pairs in wanted for pair in pairs), key=lambda pair: ranks[pair[0]])
        self._layout = self._laid_out(narrow, wanted)
        levels = {source for source, _, _ in self._levels}
        self.reads = frozenset(levels | {at for pair in self._pairs for at in pair[1:] if at < self.columns})

    def _place_lookups(self, narrow: Sequence[Preparation]) -> list[list[int]]:
        """Give every lookup its register, beside the others with the same key, and return them for each preparation."""
        alike: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        for member, own in enumerate(narrow):
            for at, lookup in enumerate(own.lookups):
                alike.setdefault(self._key(own, own.tables[lookup.table]), []).append((member, at))
        registers = [[0] * len(own.lookups) for own in narrow]
        start = self.columns + 1
        for key, places in alike.items():
            found = [narrow[member].lookups[at] for member, at in places]
            keys = [narrow[member].tables[lookup.table].keys for (member, _), lookup in zip(places, found, strict=True)]
            known = _Known(list(zip(keys, found, strict=True)))
            self._tables.append(_RowTable(*key, slice(start, start + len(places)), known))
            for register, (member, at) in enumerate(places, start):
                registers[member][at] = register
            start += len(places)
        return registers

    def _key(self, own: Preparation, table: Table) -> tuple[int, int, int]:
        """Return the positions of a table's levels, and the factor of the left one; -1 is no level, and always 0."""
        levels = own.levels
        left, right = (
            self._levels.setdefault(
                (int(levels.sources[at]), float(levels.low[at]), int(levels.size[at])), len(self._levels)
            )
            if at >= 0
            else -1
            for at in (table.left, table.right)
        )
        return left, right, levels.spread(table.right)

    def _pairs_of(self, own: Preparation, known: Sequence[int]) -> list[Pair]:
        registers = [*range(self.columns), *known]
        return [(output.operator, registers[output.left], registers[output.right]) for output in own.outputs]

    def _laid_out(self, narrow: Sequence[Preparation], wanted: Sequence[Sequence[Pair]]) -> Whole:
        """Return the register of each member's numbers, one member after the other; the zero for what is not read."""
        registers = {pair: register for register, pair in enumerate(self._pairs, self._first_pair)}
        layout: list[int] = []
        for own, pairs in zip(narrow, wanted, strict=True):
            prepared = [self.columns] * own.width
            for pair, place in zip(pairs, own.places, strict=True):
                prepared[place] = registers[pair]
            layout += [*range(self.columns), *prepared]
        return np.array(layout, dtype=np.int64)

    def on_row(self, numbers: array[float]) -> tuple[Callable[[], None], array[float]]:
        """Return what prepares the row whose encoded numbers lie in `numbers`, and where the numbers of all members go.

        To be called in one thread only.
        """
        registers = array("d", bytes(8 * (self._first_pair + len(self._pairs))))
        result = array("d", bytes(8 * len(self._layout)))
        values, said, encoded = np.frombuffer(registers), np.frombuffer(result), np.frombuffer(numbers)
        levels = list(self._levels)
        tables = [(table.left, table.right, table.factor, table.registers, table.known) for table in self._tables]
        own, layout, combine = values[: self.columns], self._layout, self._combiner(values)

        def prepare() -> None:
            own[:] = encoded
            codes = [_code(numbers[source] - low, size) for source, low, size in levels]
            codes.append(0)
            for left, right, factor, places, known in tables:
                registers[places] = known[codes[left] * factor + codes[right]]
            combine()
            values.take(layout, out=said, mode="clip")

        return prepare, result

    def _combiner(self, values: Floats) -> Callable[[], None]:
        """Return what works out the pairs in the registers `values`."""
        left, right = (np.array([pair[side] for pair in self._pairs], dtype=np.int64) for side in (1, 2))
        first, second = values[self._first_pair :], np.empty(len(left))
        names = [name for name, _, _ in self._pairs]
        spans = [
            (OPERATORS[name], slice(names.index(name), names.index(name) + names.count(name)))
            for name in OPERATORS
            if name in names
        ]
        parts = [(operate, first[span], second[span]) for operate, span in spans]

        def combine() -> None:
            values.take(left, out=first, mode="clip")
            values.take(right, out=second, mode="clip")
            with np.errstate(over="ignore", invalid="ignore"):
                for operate, one, other in parts:
                    one[:] = operate(one, other)
            first[np.isinf(first)] = np.nan

        return combine


def _narrowed(own: Preparation, used: Collection[int]) -> Preparation:
    return own.narrowed(np.array([own.columns + at in used for at in range(own.width)], dtype=np.bool_))


def _code(moved: float, size: int) -> int:
    """Return the level of a number counted from the lowest; as in `Levels.of`."""
    if 0.0 <= moved < size and moved.is_integer():
        return int(moved)
    return size if moved != moved else size + 1
