"""Find groups of rows where a model does badly, and make sure that they are no accident.

After SliceLine (Sagadeeva and Boehm, SIGMOD 2021): one or two conditions on binned columns. Groups are found on one
half of the rows and confirmed on the other with a one-sided Welch test, by Holm's rule over all that were found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column, Kind
from tenure.core.modelling import Floats, Indices

_BINS: Final = 8
_FOUND: Final = 20
_LEAST_SHARE: Final = 0.01
_LEAST_ROWS: Final = 50
_ALPHA: Final = 0.05

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slice:
    """A group of rows that was confirmed: in words, its share of all rows, and its mean loss over that of all rows."""

    says: str
    share: float
    ratio: float
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class _Binned:
    """One column as small codes (-1 where it is empty or rare), and each code in words."""

    codes: Codes
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    conditions: tuple[tuple[int, int], ...]
    strength: float


def weak_slices(
    frame: pl.DataFrame,
    columns: Sequence[Column],
    loss: Floats,
    rng: np.random.Generator,
    *,
    ratio: float,
    share: float,
) -> list[Slice]:
    """Return the confirmed groups of rows whose loss (n,) is above `ratio` times that of all rows, surest first.

    Groups below `share` of all rows are left out, and so is a group that has a condition in common with a surer one:
    it would tell the same story again. Where no group reaches `ratio`, the surest one is returned.
    """
    binned = [b for column in columns if (b := _binned(frame[column.name], column)) is not None]
    order = rng.permutation(loss.size)
    find, confirm = order[: loss.size // 2], order[loss.size // 2 :]
    found = sorted(_candidates(binned, loss, find), key=lambda candidate: -candidate.strength)[:_FOUND]
    tested = [(candidate, _welch(loss, _inside(candidate, binned), confirm)) for candidate in found]
    kept = _holm(tested)
    overall = float(loss.mean())
    told: list[tuple[_Found, Slice]] = []
    for candidate in sorted(kept, key=lambda one: -one.strength):
        inside = _inside(candidate, binned)
        words = " and ".join(binned[column].words[code] for column, code in candidate.conditions)
        worse = float(loss[confirm][inside[confirm]].mean()) / overall
        one = Slice(words, float(inside.mean()), worse, int(inside.sum()))
        if one.share >= share:
            told.append((candidate, one))
    notable = [(candidate, one) for candidate, one in told if one.ratio > ratio]
    return _unlike(notable) or [one for _, one in told[:1]]


def _unlike(told: Sequence[tuple[_Found, Slice]]) -> list[Slice]:
    """Return the groups that have no condition in common with an earlier one."""
    seen: set[tuple[int, int]] = set()
    kept = []
    for candidate, one in told:
        if seen.isdisjoint(candidate.conditions):
            kept.append(one)
            seen.update(candidate.conditions)
    return kept


def _binned(values: pl.Series, column: Column) -> _Binned | None:
    """Return the column in at most eight bins, or None where it cannot be binned or holds one value only."""
    name = column.name
    if column.kind in (Kind.CATEGORICAL, Kind.BOOLEAN) or (
        column.kind is Kind.NUMERIC and values.dtype.is_integer() and values.n_unique() <= _BINS
    ):
        texts = values.cast(pl.String)
        levels = texts.drop_nulls().value_counts(sort=True)[name].head(_BINS).to_list()
        codes = texts.replace_strict(levels, range(len(levels)), default=-1, return_dtype=pl.Int64)
        words = tuple(f"{name} is {level}" for level in levels)
    elif column.kind is Kind.NUMERIC:
        numbers = values.cast(pl.Float64).fill_nan(None)
        known = numbers.drop_nulls().to_numpy()
        known = known[np.isfinite(known)]
        if known.size == 0:
            return None
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1], method="higher"))
        cells = numbers.fill_null(np.nan).to_numpy()
        codes = pl.Series(np.where(np.isnan(cells), -1, np.searchsorted(edges, cells, side="right")))
        ends = itertools.pairwise((-np.inf, *edges, np.inf))
        words = tuple(_between(name, low, high, whole=values.dtype.is_integer()) for low, high in ends)
    else:
        return None
    filled = codes.fill_null(-1).to_numpy().astype(np.int64)
    return _Binned(filled, words) if np.unique(filled).size > 1 else None


def _between(name: str, low: float, high: float, *, whole: bool) -> str:
    """Return the bin from `low` up to, but without, `high` in words."""
    if np.isinf(low):
        return f"{name} is below {high:.4g}"
    if np.isinf(high):
        return f"{name} is {low:.4g} or more"
    if whole:
        return f"{name} is {low:.4g}" if high - low == 1 else f"{name} is {low:.4g} to {high - 1:.4g}"
    return f"{name} is between {low:.4g} and {high:.4g}"


def _candidates(binned: Sequence[_Binned], loss: Floats, rows: Indices) -> Iterator[_Found]:
    """Yield groups of one or two conditions whose loss is above the rest's on `rows`, with the strength of that."""
    part = loss[rows]
    least = max(_LEAST_ROWS / 2, _LEAST_SHARE * rows.size)
    for chosen in (*((i,) for i in range(len(binned))), *itertools.combinations(range(len(binned)), 2)):
        code = np.zeros(rows.size, dtype=np.int64)
        known = np.ones(rows.size, dtype=np.bool_)
        for i in chosen:
            own = binned[i].codes[rows]
            code, known = code * _BINS + np.maximum(own, 0), known & (own >= 0)
        size = _BINS ** len(chosen)
        count = np.bincount(code[known], minlength=size)
        total = np.bincount(code[known], weights=part[known], minlength=size)
        square = np.bincount(code[known], weights=part[known] ** 2, minlength=size)
        for joint in np.flatnonzero((count >= least) & (count < rows.size)):
            strength = _strength(count[joint], total[joint], square[joint], part)
            if strength > 0:
                yield _Found(_conditions(chosen, int(joint)), strength)


def _conditions(chosen: tuple[int, ...], joint: int) -> tuple[tuple[int, int], ...]:
    if len(chosen) == 1:
        return ((chosen[0], joint),)
    return ((chosen[0], joint // _BINS), (chosen[1], joint % _BINS))


def _strength(count: float, total: float, square: float, part: Floats) -> float:
    """Return Welch's t of the rows inside against those outside."""
    rest = part.size - count
    mean_in, mean_out = total / count, (part.sum() - total) / rest
    var_in = max(square / count - mean_in**2, 0.0)
    var_out = max((np.square(part).sum() - square) / rest - mean_out**2, 0.0)
    return float((mean_in - mean_out) / math.sqrt(max(var_in / count + var_out / rest, 1e-300)))


def _inside(candidate: _Found, binned: Sequence[_Binned]) -> NDArray[np.bool_]:
    inside = np.ones(binned[0].codes.size, dtype=np.bool_)
    for column, code in candidate.conditions:
        inside &= binned[column].codes == code
    return inside


def _welch(loss: Floats, inside: NDArray[np.bool_], rows: Indices) -> float:
    """Return the one-sided p-value that rows inside lose no more than those outside (normal tail: groups are large)."""
    own = inside[rows]
    count = int(own.sum())
    if count < 2 or count > rows.size - 2:
        return 1.0
    part = loss[rows]
    strength = _strength(count, float(part[own].sum()), float(np.square(part[own]).sum()), part)
    return 0.5 * math.erfc(strength / math.sqrt(2))


def _holm(tested: Sequence[tuple[_Found, float]]) -> list[_Found]:
    kept = []
    for position, (candidate, p) in enumerate(sorted(tested, key=lambda pair: pair[1])):
        if p > _ALPHA / (len(tested) - position):
            break
        kept.append(candidate)
    return kept
