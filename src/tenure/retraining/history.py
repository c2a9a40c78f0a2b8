"""What the question of a new model is asked with: the rows so far, the model in office, and the terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Problem
from tenure.core.retraining import Recipe, Way

Moments = NDArray[np.int64]
_RIPE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Making:
    """One step of how a model came to be: a recipe, and the moment (microseconds) whose knowledge it used."""

    recipe: Recipe
    as_of: int


@dataclass(frozen=True, eq=False)
class Incumbent:
    """A version, and how it came to be: learned anew first, then what was done to it since, in order of time.

    `answers` are what the version itself says or said of every row, (n, k) or (n,), NaN where that is not known; None
    where the version is nothing but what its making gives.
    """

    version: int
    making: tuple[Making, ...]
    answers: Floats | None = None

    @property
    def learned(self) -> int:
        """Return the moment after which no outcome went into its trees."""
        return max(step.as_of for step in self.making if step.recipe.way is not Way.RECALIBRATE)

    def as_of(self, moment: int) -> tuple[Making, ...]:
        """Return its making without the steps that were taken after a moment."""
        return tuple(step for step in self.making if step.as_of <= moment)


@dataclass(frozen=True, eq=False)
class History:
    """All rows so far in order of time.

    `problem` holds the encoded rows and their outcomes; outcomes that are not known yet may be anything. `times` are
    when the rows happened, `known` when their outcomes were (microseconds, far in the future for not yet), `window` the
    number of the window that each lies in, all (n,) int64 and the first and last ascending. `usable` (n,) is false for
    rows of faulty windows. `loss` returns the loss of rows (positions) under answers, (m,): the metric's or money lost.
    """

    problem: Problem
    times: Moments
    known: Moments
    window: Moments
    usable: NDArray[np.bool_]
    loss: Callable[[Indices, Floats], Floats]

    @cached_property
    def numbers(self) -> Moments:
        """Return the numbers of all windows, ascending."""
        numbers: Moments = np.unique(self.window)
        return numbers

    @cached_property
    def ends(self) -> Moments:
        """Return the time of the last row of each window, in the order of `numbers`."""
        ends: Moments = self.times[np.searchsorted(self.window, self.numbers, side="right") - 1]
        return ends

    def rows_of(self, at: int) -> Indices:
        """Return the usable rows of the window at that place in `numbers`."""
        first, last = np.searchsorted(self.window, [self.numbers[at], self.numbers[at] + 1])
        rows: Indices = np.flatnonzero(self.usable[first:last]) + first
        return rows

    def place(self, moment: int) -> int:
        """Return how many windows were over at a moment."""
        return int(np.searchsorted(self.ends, moment, side="right"))

    def ripe(self, now: int) -> list[int]:
        """Return the places of windows with usable rows, nearly all of whose outcomes are known, ascending."""
        over = range(self.place(now))
        rows = {at: self.rows_of(at) for at in over}
        return [at for at in over if len(rows[at]) and np.mean(self.known[rows[at]] <= now) >= _RIPE]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a new model.

    `volume` is rows a window, `horizon` the windows in which it must earn `cost` (units of the loss, summed over rows)
    with probability `bar`. `correction_cost` is what changing answers without learning costs. `blocks` latest windows
    judge; probes learn from at most `most_rows` rows. `unit` names the loss.
    """

    volume: float
    cost: float
    horizon: int = 4
    bar: float = 0.8
    blocks: int = 4
    most_rows: int = 50_000
    unit: str = "loss"
    correction_cost: float = 0.0
    seed: int = 0
