"""Shifts of known size that are put into one column of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Change = Callable[[pl.Series, "Usual", np.random.Generator], pl.Series]
RANKS: Final = ("most", "middle", "least")
_MANY_VALUES: Final = 10


@dataclass(frozen=True, eq=False)
class Usual:
    """What a column usually is: for numbers mean, deviation and a high quantile; for levels the two commonest."""

    mean: float = 0.0
    deviation: float = 0.0
    high: float = 0.0
    whole: bool = False
    common: tuple[str, ...] = ()


def usual(column: pl.Series) -> Usual:
    """Return what a column usually is."""
    given = column.drop_nulls()
    if not column.dtype.is_numeric():
        counts = given.value_counts(sort=True)
        return Usual(common=tuple(counts[column.name][:2]))
    values = given.cast(pl.Float64).to_numpy()
    return Usual(
        float(values.mean()), float(values.std()), float(np.quantile(values, 0.75)), bool((values % 1 == 0).all())
    )


def injected(rows: pl.DataFrame, name: str, shift: str, reference: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """Return rows with a shift put into one column; all else stays, to the bit."""
    changed = _CHANGES[shift](rows[name], usual(reference[name]), np.random.default_rng((seed, 7)))
    return rows.with_columns(changed.alias(name))


def shifts_of(column: pl.Series) -> tuple[str, ...]:
    """Return the shifts that can be put into a column."""
    return NUMERIC if column.dtype.is_numeric() else CATEGORICAL


def chosen_columns(reference: pl.DataFrame, importance: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the most important, a middle and the least important column of numbers, and of levels: (rank, name).

    Numbers with few values are left out where there are others, as a mean says little of them.
    """
    numbers = [c.name for c in reference.iter_columns() if c.dtype.is_numeric()]
    rich = [name for name in numbers if reference[name].n_unique() > _MANY_VALUES]
    levels = [c.name for c in reference.iter_columns() if not c.dtype.is_numeric()]
    chosen: list[tuple[str, str]] = []
    for names in (rich or numbers, levels):
        ranked = sorted(names, key=lambda name: -importance.get(name, 0.0))
        at = {len(ranked) - 1: "least", len(ranked) // 2: "middle", 0: "most"}  # one column alone matters most
        chosen += [(rank, ranked[place]) for place, rank in at.items() if ranked]
    return chosen


# ---- what is done to a column ----


def _moved(by: float) -> Change:
    def change(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
        return _numbers(column, _values(column) + by * usually.deviation, usually, rng)

    return change


def _stretched(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    return _numbers(column, usually.mean + 1.5 * (_values(column) - usually.mean), usually, rng)


def _noisy(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    return _numbers(column, _values(column) + usually.deviation * rng.standard_normal(len(column)), usually, rng)


def _multiplied(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    return _numbers(column, 100.0 * _values(column), usually, rng)


def _clipped(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    return _numbers(column, np.minimum(_values(column), usually.high), usually, rng)


def _emptied(share: float) -> Change:
    def change(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
        gone = pl.Series(rng.random(len(column)) < share)
        return column.zip_with(~gone, pl.Series([None] * len(column), dtype=column.dtype))

    return change


def _frozen(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    given = column.drop_nulls()
    return pl.Series([given[int(rng.integers(len(given)))]] * len(column), dtype=column.dtype)


def _exchanged(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    return column.replace(usually.common, usually.common[::-1])


def _renamed(column: pl.Series, usually: Usual, rng: np.random.Generator) -> pl.Series:
    new = pl.Series(rng.random(len(column)) < 0.1) & column.is_not_null()
    return column.zip_with(~new, pl.Series(["never seen"] * len(column)))


def _values(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).to_numpy()


def _numbers(column: pl.Series, values: NDArray[np.float64], usually: Usual, rng: np.random.Generator) -> pl.Series:
    """Return values as a column; where whole numbers come they stay whole, rounded up or down by chance."""
    if usually.whole:
        values = np.floor(values + rng.random(len(values)))
    changed = pl.Series(values).fill_nan(None)
    return changed.cast(pl.Int64) if usually.whole else changed


_CHANGES: Final[dict[str, Change]] = {
    "mean +0.1 sd": _moved(0.1),
    "mean +0.25 sd": _moved(0.25),
    "mean +0.5 sd": _moved(0.5),
    "mean +1 sd": _moved(1.0),
    "spread x1.5": _stretched,
    "noise of 1 sd": _noisy,
    "unit slip x100": _multiplied,
    "clipped at 75 %": _clipped,
    "5 % emptied": _emptied(0.05),
    "25 % emptied": _emptied(0.25),
    "frozen": _frozen,
    "two levels exchanged": _exchanged,
    "10 % a new level": _renamed,
}
NUMERIC: Final = tuple(_CHANGES)[:11]
CATEGORICAL: Final = tuple(_CHANGES)[8:]
