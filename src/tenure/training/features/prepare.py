"""Fits prepared features: mean outcomes by category, numbers against their category's mean, and pairs of numbers.

All is learned from a fold's own training rows: which columns exist, on a sample of them, and what they hold. A
training row's mean outcomes come from rows of other inner folds, so that no row tells its own target (Micci-Barreca
2001, with out-of-fold means; methods.md 1.2, prep A).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Problem
from tenure.model.preparation import JUST_LEFT, Levels, Lookup, Output, Preparation, Table, Whole
from tenure.model.probe import quick_booster

_SAMPLE: Final = 100_000
_SCREENED: Final = 5_000
_INNER_FOLDS: Final = 5
_PRIOR_ROWS: Final = 10.0
"""A category's mean outcome is drawn to the mean of all, as if that many more rows had it."""
_FEWEST_LEVELS: Final = 3
_MOST_LEVELS: Final = 500
_WIDEST: Final = 10_000
"""Whole numbers over a wider range than this are amounts, not codes."""
_MOST_KEYS: Final = 4_000_000
_MOST_SINGLES: Final = 20
_MOST_CROSSED: Final = 12
_MOST_CROSSES: Final = 20
_MOST_ENCODED: Final = 60
MOST_CLASSES: Final = 9
"""Mean outcomes of more classes would be too many columns, so there are none."""
_NUMBERS: Final = 12
_GROUPS: Final = 5
_GROUPED: Final = 8
_MOST_PAIRS: Final = 60
_MOST_CELLS: Final = 40_000_000
"""Of prepared columns held at once."""
_ROUNDS: Final = 30
_OPERATORS: Final = "+-*/"
_GROUP_OPERATORS: Final = "-/"

Key = tuple[int, int]
"""Two level columns, the second -1 for none."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """Which prepared columns exist.

    `encoded` are keyed by levels and hold mean outcomes. `grouped` are level columns, each with the number whose mean
    is kept. `outputs` combine encoded columns and (counted on from there) grouped means.
    """

    levels: Levels
    encoded: tuple[Key, ...]
    grouped: tuple[Key, ...]
    outputs: tuple[Output, ...]


def choose_recipe(problem: Problem, train: Indices) -> Recipe:
    """Return which columns to prepare, judged on a sample of the training rows."""
    rng = np.random.default_rng(problem.seed)
    rows = _sampled(train, _SAMPLE, rng)
    levels = _levels(problem, rows)
    most = max(_MOST_CELLS // len(train), 1)
    encoded = _chosen_keys(_Sample.of(problem, levels, rows), most)
    left = most - len(encoded) * _outcome_count(problem)
    grouped, outputs = _chosen_pairs(problem, levels, _sampled(rows, _SCREENED, rng), min(left, _MOST_PAIRS))
    return Recipe(levels, tuple(encoded), grouped, outputs)


def fit_preparation(recipe: Recipe, problem: Problem, train: Indices) -> tuple[Preparation, Floats]:
    """Return the preparation of a fold, and the prepared columns of its training rows (n, width)."""
    matrix = problem.matrix[train]
    learned = _Learned(recipe.levels.of(matrix), recipe.levels, _weights(problem, train))
    inner = _inner(problem, len(train))
    for key in recipe.encoded:
        learned.add_outcomes(key, _outcomes(problem, train), inner)
    shown = len(learned.lookups)
    for level, number in recipe.grouped:
        learned.add_number(level, matrix[:, number])
    columns = matrix.shape[1]
    outputs = [Output(JUST_LEFT, columns + at, columns + at) for at in range(shown)]
    outputs += [Output(o.operator, o.left, o.right + (shown if o.right >= columns else 0)) for o in recipe.outputs]
    preparation = Preparation.of(columns, recipe.levels, learned.tables, learned.lookups, outputs)
    return preparation, preparation.combined(matrix, learned.known())


def _sampled(rows: Indices, most: int, rng: np.random.Generator) -> Indices:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _levels(problem: Problem, rows: Indices) -> Levels:
    """Return the columns that can be read as levels: categories, and whole numbers of few values."""
    found: list[tuple[int, float, int]] = []
    for at, is_category in enumerate(problem.categorical):
        seen = np.unique(problem.matrix[rows, at])
        seen = seen[~np.isnan(seen)]
        if len(seen) < _FEWEST_LEVELS or not np.array_equal(seen, np.floor(seen)):
            continue
        spread = float(seen[-1] - seen[0])
        if is_category or (len(seen) <= _MOST_LEVELS and spread < _WIDEST):
            found.append((at, float(seen[0]), int(spread) + 1))
    sources, low, size = zip(*found, strict=True) if found else ((), (), ())
    return Levels(np.array(sources, dtype=np.int64), np.array(low, dtype=np.float64), np.array(size, dtype=np.int64))


def _outcome_count(problem: Problem) -> int:
    """Return in how many columns mean outcomes are told; none for very many classes."""
    if problem.task is not Task.MULTICLASS:
        return 1
    return problem.classes if problem.classes <= MOST_CLASSES else 0


def _outcomes(problem: Problem, rows: Indices) -> Floats:
    """Return what the mean outcomes are means of, (n, outcomes)."""
    target = problem.target[rows][:, None]
    if problem.task is Task.MULTICLASS:
        target = target == np.arange(_outcome_count(problem))
    outcomes: Floats = target.astype(np.float64)
    return outcomes


def _weights(problem: Problem, rows: Indices) -> Floats:
    return np.ones(len(rows)) if problem.weight is None else problem.weight[rows]


def _inner(problem: Problem, rows: int) -> Whole:
    """Return each row's inner fold."""
    return np.random.default_rng((problem.seed, rows)).permutation(rows) % _INNER_FOLDS


@dataclass(frozen=True, eq=False)
class _Cells:
    """The rows of a table's keys: `cell` is each row's position in `keys`, or their number where its key is rare."""

    keys: Whole
    cell: Whole

    @classmethod
    def of(cls, levels: Levels, found: Whole, key: Key) -> _Cells:
        left, right = key
        whole = found[:, left] * levels.spread(right) + found[:, right]
        space = levels.spread(left) * levels.spread(right)
        counts = np.bincount(whole, minlength=space)
        keys = np.flatnonzero(counts >= (2 if right >= 0 else 1))
        place = np.full(space, len(keys))
        place[keys] = np.arange(len(keys))
        return cls(keys, place[whole])


@dataclass(frozen=True, eq=False)
class _Means:
    """Means by key, the mean of all, and what each row may be told."""

    values: Floats
    default: float
    told: Floats

    @classmethod
    def of_outcome(cls, cells: _Cells, outcome: Floats, weights: Floats, inner: Whole) -> _Means:
        """Return means drawn to the mean of all; a row is told what the other inner folds say."""
        count = len(cells.keys) + 1
        place = inner * count + cells.cell
        sums = np.bincount(place, weights * outcome, _INNER_FOLDS * count).reshape(_INNER_FOLDS, count)
        sizes = np.bincount(place, weights, _INNER_FOLDS * count).reshape(_INNER_FOLDS, count)
        all_sums, all_sizes = sums.sum(axis=0), sizes.sum(axis=0)
        values, default = _drawn(all_sums, all_sizes)
        told = np.empty_like(sums)
        for fold in range(_INNER_FOLDS):
            told[fold, :-1], told[fold, -1] = _drawn(all_sums - sums[fold], all_sizes - sizes[fold])
        return cls(values, default, told.ravel()[place])

    @classmethod
    def of_number(cls, cells: _Cells, numbers: Floats, weights: Floats) -> _Means:
        """Return plain means, NaN where all are missing."""
        there = ~np.isnan(numbers)
        count = len(cells.keys) + 1
        sums = np.bincount(cells.cell[there], (weights * numbers)[there], count)
        sizes = np.bincount(cells.cell[there], weights[there], count)
        means = np.divide(sums, sizes, out=np.full(count, np.nan), where=sizes > 0)
        default = float(sums.sum() / sizes.sum()) if sizes.sum() > 0 else float("nan")
        return cls(means[:-1], default, means[cells.cell])


def _drawn(sums: Floats, sizes: Floats) -> tuple[Floats, float]:
    """Return the drawn means of all cells but the last, which is of rare keys, and the mean of all."""
    mean = float(sums.sum() / max(sizes.sum(), 1e-12))
    return ((sums + _PRIOR_ROWS * mean) / (sizes + _PRIOR_ROWS))[:-1], mean


class _Learned:
    """Tables and lookups as they are learned, and what they tell the training rows."""

    def __init__(self, found: Whole, levels: Levels, weights: Floats) -> None:
        self.tables: list[Table] = []
        self.lookups: list[Lookup] = []
        self._found, self._levels, self._weights = found, levels, weights
        self._told: list[Floats] = []
        self._cells: dict[Key, tuple[int, _Cells]] = {}

    def add_outcomes(self, key: Key, outcomes: Floats, inner: Whole) -> None:
        """Learn the mean outcomes by a key."""
        table, cells = self._table(key)
        for outcome in outcomes.T:
            self._add(table, _Means.of_outcome(cells, outcome, self._weights, inner))

    def add_number(self, level: int, numbers: Floats) -> None:
        """Learn the mean number by a level."""
        table, cells = self._table((level, -1))
        self._add(table, _Means.of_number(cells, numbers, self._weights))

    def known(self) -> Floats:
        """Return what the training rows are told, (n, lookups)."""
        return np.column_stack([np.empty((len(self._found), 0)), *self._told])

    def _table(self, key: Key) -> tuple[int, _Cells]:
        """Return a key's table, made at the first call, and its rows."""
        if key not in self._cells:
            cells = _Cells.of(self._levels, self._found, key)
            self._cells[key] = len(self.tables), cells
            self.tables.append(Table(*key, cells.keys))
        return self._cells[key]

    def _add(self, table: int, means: _Means) -> None:
        self.lookups.append(Lookup(table, means.values, means.default))
        self._told.append(means.told)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The rows by which keys are chosen."""

    levels: Levels
    found: Whole
    outcomes: Floats
    weights: Floats
    inner: Whole

    @classmethod
    def of(cls, problem: Problem, levels: Levels, rows: Indices) -> _Sample:
        found = levels.of(problem.matrix[rows])
        return cls(levels, found, _outcomes(problem, rows), _weights(problem, rows), _inner(problem, len(rows)))

    def told(self, key: Key) -> Floats:
        """Return the out-of-fold mean outcomes by a key, (n, outcomes)."""
        cells = _Cells.of(self.levels, self.found, key)
        means = [_Means.of_outcome(cells, o, self.weights, self.inner).told for o in self.outcomes.T]
        return np.column_stack(means)

    def loss(self, told: Floats) -> float:
        """Return the mean squared error of mean outcomes."""
        return float(np.average(np.square(told - self.outcomes).sum(axis=1), weights=self.weights))


def _chosen_keys(sample: _Sample, most: int) -> list[Key]:
    """Return the level columns to encode, and the pairs of them that tell more than both parts added up."""
    width = sample.outcomes.shape[1]
    if not width:
        return []
    told = [sample.told((at, -1)) for at in range(len(sample.levels.sources))]
    losses = [sample.loss(said) for said in told]
    best = sorted(range(len(told)), key=lambda at: (losses[at], at))
    mean = np.average(sample.outcomes, axis=0, weights=sample.weights)
    crosses: list[tuple[float, Key]] = []
    for left, right in combinations(sorted(best[:_MOST_CROSSED]), 2):
        if sample.levels.spread(left) * sample.levels.spread(right) > _MOST_KEYS:
            continue
        parts = min(losses[left], losses[right], sample.loss(told[left] + told[right] - mean))
        gain = parts - sample.loss(sample.told((left, right)))
        if gain > 0:
            crosses.append((-gain, (left, right)))
    chosen = [(at, -1) for at in best[:_MOST_SINGLES]] + [key for _, key in sorted(crosses)[:_MOST_CROSSES]]
    return chosen[: min(_MOST_ENCODED, most) // width]


def _chosen_pairs(
    problem: Problem, levels: Levels, rows: Indices, most: int
) -> tuple[tuple[Key, ...], tuple[Output, ...]]:
    """Return the grouped means and the pairs that a small booster gains most by, beside the encoded columns."""
    matrix = problem.matrix[rows]
    columns = matrix.shape[1]
    grouped, candidates = _candidates(problem, levels, _gains(problem, matrix, rows))
    if not candidates:
        return (), ()
    learned = _Learned(levels.of(matrix), levels, _weights(problem, rows))
    for level, number in grouped:
        learned.add_number(level, matrix[:, number])
    trial = Preparation.of(columns, levels, learned.tables, learned.lookups, candidates)
    gains = _gains(problem, np.hstack([matrix, trial.combined(matrix, learned.known())]), rows)[columns:]
    kept = [candidates[at] for at in sorted(np.argsort(-gains, kind="stable")[:most].tolist()) if gains[at] > 0]
    used = sorted({o.right - columns for o in kept if o.right >= columns})
    moved = {columns + at: columns + place for place, at in enumerate(used)}
    outputs = (Output(o.operator, o.left, moved.get(o.right, o.right)) for o in kept)
    return tuple(grouped[at] for at in used), tuple(outputs)


def _candidates(problem: Problem, levels: Levels, gains: Floats) -> tuple[list[Key], list[Output]]:
    """Return grouped means and pairs of the columns that matter most."""
    order = [int(at) for at in np.argsort(-gains, kind="stable") if gains[at] > 0]
    numbers = [at for at in order if not problem.categorical[at]]
    pairs = combinations(numbers[:_NUMBERS], 2)
    candidates = [Output(operator, left, right) for left, right in pairs for operator in _OPERATORS]
    level_of = {int(source): at for at, source in enumerate(levels.sources)}
    by = [at for at in order if at in level_of][:_GROUPS]
    grouped = [(level_of[group], number) for group in by for number in numbers[:_GROUPED] if number != group]
    for at, (_, number) in enumerate(grouped):
        candidates += [Output(operator, number, len(gains) + at) for operator in _GROUP_OPERATORS]
    return grouped, candidates


def _gains(problem: Problem, matrix: Floats, rows: Indices) -> Floats:
    """Return what a small booster gains by each column."""
    rounds = max(_ROUNDS // problem.classes, 3) if problem.task is Task.MULTICLASS else _ROUNDS
    target = problem.target[rows]
    return quick_booster(matrix, target, problem.task, problem.classes, rounds=rounds, seed=problem.seed).gains()
