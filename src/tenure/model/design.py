"""How the encoded matrix becomes columns that a weighted sum can use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tenure.core.modelling import Floats, Indices

_LEVELS: Final = 30
_TAIL: Final = 0.005
_CHUNK: Final = 1 << 20
_QUANTILE_ROWS: Final = 100_000
_MOSTLY_ZERO: Final = 0.5
_STAND_IN_SHARE: Final = 0.01
_STAND_IN_TAIL: Final = 0.001
_STAND_IN_GAP: Final = 0.5
_STAND_IN_OTHERS: Final = 10
_PIECE_WEIGHT: Final = 0.5


class _Scaled(NamedTuple):
    """One design column of a number: clipped to low and high, then moved by centre and divided by scale."""

    low: float
    high: float
    centre: float
    scale: float


@dataclass(frozen=True, eq=False)
class LinearDesign:
    """How the encoded matrix becomes columns that a weighted sum can use.

    Numbers are clipped at their outer 0.5 %, standardised, and 0 where missing; a flag tells where they were missing.
    Numbers that are mostly zero, such as counts of words, keep their zeros: they are only divided by a typical value.
    A number may also be cut into pieces, each a column that rises within its piece and is flat outside, so that a
    weighted sum can follow a bent line. The 30 most frequent levels of each category become one column each, and one
    more says "missing or unseen" where training had missing values; a value that only stands in for "none" (999, say)
    has a column of its own too.

    `number`, `flag` and `level_of` are column positions in the encoded matrix, `level` the codes or values; `means` (of
    all design columns) is where explanations count from.
    """

    number: Indices
    low: Floats
    high: Floats
    centre: Floats
    scale: Floats
    flag: Indices
    level_of: Indices
    level: Floats
    means: Floats

    @property
    def width(self) -> int:
        """Return how many design columns there are."""
        return len(self.number) + len(self.flag) + len(self.level_of)

    @property
    def origins(self) -> Indices:
        """Return, for each design column, its column in the encoded matrix."""
        return np.concatenate([self.number, self.flag, self.level_of])

    @classmethod
    def fit(cls, matrix: Floats, categorical: Sequence[bool], *, pieces: int = 0) -> Self:
        """Learn the design from an encoded matrix (n, d), NaN for missing; numbers are cut into at most `pieces`.

        Quantiles are taken from at most 100,000 evenly spaced rows.
        """
        rows = matrix[:: max(1, matrix.shape[0] // _QUANTILE_ROWS)]
        numbers: list[tuple[int, *tuple[float, ...]]] = []
        flags: list[int] = []
        levels: list[tuple[int, float]] = []
        for at, is_category in enumerate(categorical):
            column = rows[:, at]
            known = column[~np.isnan(column)]
            if 0 < known.size < column.size:
                flags.append(at)
            if is_category:
                levels += [(at, code) for code in _frequent(known)]
            elif known.size:
                stand_ins = _stand_ins(known)
                levels += [(at, value) for value in stand_ins]
                numbers += [(at, *scaled) for scaled in _scalings(known[~np.isin(known, stand_ins)], pieces)]
        number, flag, level = (
            np.array(numbers, dtype=np.float64).reshape(-1, 5).T,
            np.array(flags, dtype=np.int64),
            np.array(levels, dtype=np.float64).reshape(-1, 2).T,
        )
        draft = cls(
            number=number[0].astype(np.int64),
            low=number[1],
            high=number[2],
            centre=number[3],
            scale=number[4],
            flag=flag,
            level_of=level[0].astype(np.int64),
            level=level[1],
            means=np.zeros(number.shape[1] + flag.size + level.shape[1]),
        )
        return replace(draft, means=draft.transform(rows).mean(axis=0, dtype=np.float64))

    def transform(self, matrix: Floats, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return the design of an encoded matrix: (n, width). `dtype` float32 halves the memory for fitting."""
        design = np.empty((matrix.shape[0], self.width), dtype=dtype)
        step = max(1, _CHUNK // max(self.width, 1))
        numbers, flags = len(self.number), len(self.number) + len(self.flag)
        for start in range(0, matrix.shape[0], step):
            rows, out = matrix[start : start + step], design[start : start + step]
            scaled = (np.minimum(np.maximum(rows[:, self.number], self.low), self.high) - self.centre) / self.scale
            out[:, :numbers] = np.where(np.isnan(scaled), 0.0, scaled)
            out[:, numbers:flags] = np.isnan(rows[:, self.flag])
            out[:, flags:] = rows[:, self.level_of] == self.level
        return design

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _frequent(codes: Floats) -> list[float]:
    """Return the most frequent codes; of two levels only the second, as the first says nothing new."""
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_LEVELS]
    kept = sorted(values[order].tolist())
    return kept[1:] if len(values) == 2 else kept


def _stand_ins(known: Floats) -> list[float]:
    """Return the smallest and the largest value where they are frequent and far off, as -1, 999 or 9999 are.

    Far off: by half of what the other values span (without their outer 0.1 %), or the only value below zero. There
    must be ten other values, because 0, 1, 2 are counts.
    """
    found: list[float] = []
    for end in (float(known.min()), float(known.max())):
        rest = known[~np.isin(known, [*found, end])]
        if np.mean(known == end) < _STAND_IN_SHARE or np.unique(rest).size < _STAND_IN_OTHERS:
            continue
        low, high = (float(q) for q in np.quantile(rest, (_STAND_IN_TAIL, 1 - _STAND_IN_TAIL)))
        gap = max(low - end, end - high)
        if low < high and gap > 0 and (gap >= _STAND_IN_GAP * (high - low) or end < 0 <= float(rest.min())):
            found.append(end)
    return found


def _scalings(known: Floats, pieces: int) -> Iterator[_Scaled]:
    """Yield the columns of one number: the number as a whole, then its pieces."""
    low, high = _clipping(known)
    if low == high:
        return
    values = np.clip(known, low, high)
    if known.min() >= 0 and np.mean(known == 0) >= _MOSTLY_ZERO:
        # dividing by the spread would make a word the larger the fewer texts have it
        above = known[known > 0]
        low, high = 0.0, float(np.quantile(above, 1 - _TAIL))
        values = np.clip(np.append(above, 0.0), low, high)
        yield _Scaled(low, high, 0.0, float(np.median(above)))
    else:
        yield _Scaled(low, high, float(np.mean(values)), float(np.std(values)))
    ends = _ends(values, pieces)
    if len(ends) > 2:
        for start, end in pairwise(ends):
            yield _Scaled(start, end, start, (end - start) / _PIECE_WEIGHT)


def _ends(values: Floats, pieces: int) -> list[float]:
    """Return where the pieces of a number end: between all values, or at quantiles where there are too many."""
    if pieces < 2:
        return []
    different = np.unique(values)
    if different.size > pieces + 1:
        different = np.unique(np.quantile(values, np.linspace(0, 1, pieces + 1), method="nearest"))
    ends: list[float] = different.tolist()
    return ends


def _clipping(known: Floats) -> tuple[float, float]:
    """Return where to clip: the outer 0.5 %, or the ends where nearly all values are equal."""
    low, high = (float(q) for q in np.quantile(known, (_TAIL, 1 - _TAIL)))
    return (low, high) if low < high else (float(known.min()), float(known.max()))
