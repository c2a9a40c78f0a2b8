"""What features that look at the target learn from, so that no row's feature has seen the row's own target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Fold, Indices, Task

_PARTS: Final = 5
_MOST_OUTPUTS: Final = 9


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The target as columns, and the folds by which features of the target are fitted.

    `columns` is (n, outputs) float64: class 1 or not for binary tasks, one column a class otherwise, a regression
    target moved to mean 0 and spread 1. Every row is in the `valid` of exactly one fold: its feature comes from the
    fold's `train`.
    """

    task: Task
    columns: Floats
    folds: tuple[Fold, ...]

    @classmethod
    def of(
        cls,
        task: Task,
        classes: int,
        target: NDArray[Any],
        *,
        rng: np.random.Generator,
        folds: Sequence[Fold] = (),
    ) -> Outcomes:
        """Return the outcomes of a target (class codes or values).

        `folds` are followed where rows must not learn from just any other row, as with groups or time; rows that they
        never validate, and all rows without them, get five random folds among themselves.
        """
        return cls(task, _columns(task, classes, target), (*folds, *_rest(len(target), folds, rng)))

    @property
    def outputs(self) -> int:
        """Return how many columns there are; none where there are too many classes."""
        return int(self.columns.shape[1])

    @cached_property
    def fold_of(self) -> Indices:
        """Return the fold that validates each row, (n,)."""
        fold_of = np.zeros(len(self.columns), dtype=np.int64)
        for at, fold in enumerate(self.folds):
            fold_of[fold.valid] = at
        return fold_of

    @cached_property
    def learns(self) -> NDArray[np.bool_]:
        """Return which rows each fold trains on, (n, folds + 1); the last column is for a model of all rows."""
        learns = np.ones((len(self.columns), len(self.folds) + 1), dtype=bool)
        for at, fold in enumerate(self.folds):
            learns[:, at] = False
            learns[fold.train, at] = True
        return learns


def _columns(task: Task, classes: int, target: NDArray[Any]) -> Floats:
    if task is Task.REGRESSION:
        columns = ((target - np.mean(target)) / (np.std(target) or 1.0))[:, None]
    elif task is Task.BINARY:
        columns = target[:, None] == 1
    else:
        columns = target[:, None] == np.arange(classes if classes <= _MOST_OUTPUTS else 0)
    return np.asarray(columns, dtype=np.float64)


def _rest(rows: int, folds: Sequence[Fold], rng: np.random.Generator) -> Iterator[Fold]:
    """Yield random folds of the rows that `folds` never validate."""
    left = np.ones(rows, dtype=bool)
    for fold in folds:
        left[fold.valid] = False
    rest: Indices = np.flatnonzero(left)
    part = rng.permutation(len(rest)) % _PARTS
    for at in range(min(_PARTS, len(rest))):
        yield Fold(rest[part != at], rest[part == at])
