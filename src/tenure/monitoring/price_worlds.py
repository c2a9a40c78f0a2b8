"""Weigh reference rows to look like a window: the world reading of a drift, and whether it can be right.

A weight is the share of a cell (a stretch of a column's values, a level, or empty) in the window over that in the
reference; for several columns together it comes from a ridge logistic regression on their cells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.modelling import Floats

Codes = NDArray[np.int64]
_BINS: Final = 10
_LEVELS: Final = 20
_MOST: Final = 20.0
_LEAST_IN_CELL: Final = 5
_MOST_UNSUPPORTED: Final = 0.05
_LEAST_EFFECTIVE: Final = 200.0
_LEAST_EFFECTIVE_SHARE: Final = 0.1
_RIDGE: Final = 5.0
_STEPS: Final = 6
_FITTED_ROWS: Final = 3_000
_Z90: Final = 1.6448536269514722


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One column of reference and window as cells: codes from 0 to `count` - 1."""

    reference: Codes
    window: Codes
    count: int

    def unsupported(self) -> float:
        """Return the share of the window that lies in cells where the reference holds next to nothing."""
        known = np.bincount(self.reference, minlength=self.count)
        return float(np.mean(known[self.window] < _LEAST_IN_CELL)) if self.window.size else 0.0

    def weights(self, kept: Floats | None = None, came: Floats | None = None) -> Floats:
        """Return the weight of each reference row; `kept` and `came` count rows of reference and window."""
        before = np.bincount(self.reference, weights=kept, minlength=self.count) + 0.5
        now = np.bincount(self.window, weights=came, minlength=self.count) + 0.5
        ratio: Floats = np.minimum((now / now.sum()) / (before / before.sum()), _MOST)
        return ratio[self.reference]


def cells_of(reference: pl.Series, window: pl.Series) -> Cells:
    """Cut a column into cells: ten stretches of equal mass, or its twenty commonest levels; the rest; empty."""
    if reference.dtype == pl.String:
        levels = reference.drop_nulls().value_counts(sort=True)[reference.name].head(_LEVELS).to_list()
        coded = [_level_codes(values.cast(pl.String), levels) for values in (reference, window)]
        return Cells(coded[0], coded[1], len(levels) + 2)
    known, came = (v.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy() for v in (reference, window))
    both = np.concatenate([known[np.isfinite(known)], came[np.isfinite(came)]])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, _BINS + 1)[1:-1])) if both.size else np.zeros(0)
    coded = [np.where(np.isfinite(v), np.searchsorted(edges, v, side="left"), edges.size + 1) for v in (known, came)]
    return Cells(coded[0].astype(np.int64), coded[1].astype(np.int64), edges.size + 2)


def _level_codes(values: pl.Series, levels: Sequence[str]) -> Codes:
    codes = values.replace_strict(levels, range(len(levels)), default=len(levels), return_dtype=pl.Int64)
    return codes.set(values.is_null(), len(levels) + 1).to_numpy().astype(np.int64)


def effective(weights: Floats) -> float:
    """Return how many rows of equal weight would tell as much (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum()) if weights.any() else 0.0


def refusal(weights: Floats, unsupported: float) -> str | None:
    """Say why the reference cannot speak for the window, None where it can."""
    if unsupported > _MOST_UNSUPPORTED:
        return f"{unsupported:.0%} of the window is like nothing in the reference."
    rows = effective(weights)
    if rows < max(_LEAST_EFFECTIVE, _LEAST_EFFECTIVE_SHARE * weights.size):
        return f"only {rows:,.0f} rows of the reference are left once they are weighted to look like the window."
    return None


def weights_of(cells: Sequence[Cells], rng: np.random.Generator) -> Floats:
    """Return the weight of each reference row so that all these columns together look like the window.

    One column: the ratio of shares. Several: the odds that a row is of the window, from a ridge logistic regression
    that Newton's method fits to a few thousand rows of each side.
    """
    if len(cells) == 1:
        return cells[0].weights()
    every = _one_hot([cell.reference for cell in cells], cells)
    known, came = (_some(codes, rng) for codes in (cells[0].reference.size, cells[0].window.size))
    design = np.concatenate([every[known], _one_hot([cell.window[came] for cell in cells], cells)])
    slope = _ridge_logistic(design, np.arange(design.shape[0]) >= known.size)
    odds: Floats = np.exp(np.clip(every @ slope[1:] + slope[0], -30, 30)) * known.size / max(came.size, 1)
    return np.minimum(odds, _MOST)


def _some(rows: int, rng: np.random.Generator) -> Codes:
    return np.arange(rows) if rows <= _FITTED_ROWS else rng.choice(rows, _FITTED_ROWS, replace=False)


def _ridge_logistic(design: Floats, is_window: NDArray[np.bool_]) -> Floats:
    """Return intercept and slopes, (d + 1,)."""
    design = np.column_stack([np.ones(design.shape[0]), design])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[0] = 1e-6
    slope = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ slope, -30, 30)))
        gradient = design.T @ (is_window - chance) - penalty * slope
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        slope += step
        if np.abs(step).max() < 1e-2:
            break
    return slope


def _one_hot(codes: Sequence[Codes], cells: Sequence[Cells]) -> Floats:
    return np.column_stack([np.eye(cell.count)[code] for code, cell in zip(codes, cells, strict=True)])


@dataclass(frozen=True, slots=True)
class Company:
    """Whether the other columns moved as they must if other rows came: 1 as they must, 0 not at all (with error)."""

    share: float
    error: float

    @property
    def stayed(self) -> bool:
        """Say whether the others surely stayed where they were: the column alone moved, so it is the instrument."""
        return self.share + _Z90 * self.error < 0.5

    @property
    def came_along(self) -> bool:
        """Say whether the others surely moved along: other rows came."""
        return self.share - _Z90 * self.error > 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Where rows stand in each column, and whether they are empty: one or two numbers for a column.

    `owner` names the column of each mark, `known` (n, k) holds the reference's, `moved` (k,) is how far the means of
    `window_rows` rows of a window lie from the reference's, `spread` (k, k) the covariance.
    """

    owner: NDArray[np.str_]
    known: Floats
    moved: Floats
    spread: Floats
    window_rows: int


def marks_of(cells: Mapping[str, Cells]) -> Marks:
    """Return the marks of all columns."""
    owner: list[str] = []
    known: list[Floats] = []
    moved: list[float] = []
    for name, cell in cells.items():
        place = np.bincount(cell.reference, minlength=cell.count) / cell.reference.size
        middle = np.cumsum(place) - place / 2
        for of in (middle, np.arange(cell.count) == cell.count - 1):
            mark = of[cell.reference].astype(np.float64)
            if mark.std() > 1e-9:
                owner.append(name)
                known.append(mark)
                moved.append(float(of[cell.window].mean() - mark.mean()))
    table = np.column_stack(known) if known else np.zeros((0, 0))
    spread = np.cov(table, rowvar=False).reshape(len(owner), -1) if owner else np.zeros((0, 0))
    window_rows = next((cell.window.size for cell in cells.values()), 0)
    return Marks(np.array(owner, dtype=np.str_), table, np.array(moved), spread, window_rows)


def company_of(subject: str, weights: Floats, marks: Marks, *, without: Collection[str] = ()) -> Company | None:
    """Hold what the other columns did against what they must do if rows were chosen by `subject`.

    `weights` (n,) are those of the subject alone: rows weighted by them say where the means of the others must go.
    Where they went is regressed on that by generalised least squares, and what weights move by chance is taken off the
    evidence. None where nothing follows; columns in `without` are no witnesses.
    """
    at = np.flatnonzero(~np.isin(marks.owner, [subject, *without]))
    if at.size == 0:
        return None
    rows, share = weights.size, weights / weights.sum()
    wanted = (share - 1 / rows) @ marks.known[:, at]
    spread = marks.spread[np.ix_(at, at)]
    spread = spread + 0.02 * float(np.trace(spread)) / at.size * np.eye(at.size)
    toward = np.linalg.solve(spread, wanted)
    told = float(wanted @ toward)
    evidence = told - at.size * float(np.square(share - 1 / rows).sum())
    if evidence <= 0:
        return None
    error = np.sqrt((1 / marks.window_rows + 1 / rows) * told) / evidence
    return Company(float(toward @ marks.moved[at]) / told, float(error))
