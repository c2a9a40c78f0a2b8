"""Plan the time of a training: what must run for each configuration, and how the seconds left are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import BudgetError, EmptyDataError
from tenure.core.modelling import Fold, Indices, ValidationPlan
from tenure.core.ports import Deadline

TRAINING_SHARE: Final = 0.70
"""Of the project's budget, the rest is for the other rooms."""
CHEAP_HEAT_SHARE: Final = 0.15
DISTILLING_SHARE: Final = 0.2
"""Kept for a student where the ensemble takes longer for a row than it may."""
_UNKNOWN_HEAT_SHARE: Final = 0.4
_USEFUL_HEAT: Final = 0.6
"""A heat with less than this part of what earlier heats took would fit stunted models."""
_CLOSING_SECONDS: Final = 0.6
_CLOSING_SHARE: Final = 0.05
_PAST_FOLDS: Final = 2
"""Folds in time to choose by: older ones had much fewer rows to learn from, and say little of the time to come."""
_FEWEST_TOLD: Final = 1_000
_LONG: Final = 1 / 3
"""A configuration that would take more of the time than this makes the course a short one."""
_PACKING: Final = 0.9
"""Part of a heat's seconds that fits may use; the rest is predicting, and workers waiting for each other."""


@dataclass(frozen=True, eq=False)
class Course:
    """What each configuration runs: folds to choose by, then the fold that reports; the best learn from all rows.

    Without a reporting fold (cross validation) the members of the folds are served themselves, and there is no refit.
    `in_time` says whether folds follow each other in time. `newest` are the rows that the refit learns from, where it
    is not to learn from all.
    """

    choosing: tuple[Fold, ...]
    reporting: Fold | None
    rows: int
    in_time: bool = False
    newest: Indices | None = None

    @classmethod
    def of(
        cls, plan: ValidationPlan, blocks: NDArray[np.int16], learned: Callable[[Indices], Indices] | None = None
    ) -> Course:
        """Read the course from a validation plan; folds without rows on either side are left out.

        `learned` says which of the rows that could be learned from are.

        Where the fold that reports has many rows, half of them choose, too: those before the others, where rows are in
        time. Where a forward plan has no fold to choose by, the last fifth of the reporting fold's training rows is
        one.

        Raises:
            EmptyDataError: no fold has rows to learn from.
        """
        folds = [fold for fold in plan.folds(blocks) if fold.train.size and fold.valid.size]
        if learned is not None:
            folds = [replace(fold, train=learned(fold.train)) for fold in folds]
        reporting = next((fold for fold in folds if fold.reports), None)
        choosing = tuple(fold for fold in folds if not fold.reports)
        if reporting is not None:
            choosing = choosing[-_PAST_FOLDS:]
        if not choosing and reporting is not None and reporting.train.size >= 2:
            cut = reporting.train.size - max(reporting.train.size // 5, 1)
            choosing = (Fold(reporting.train[:cut], reporting.train[cut:]),)
        if not choosing:
            raise EmptyDataError(
                "No fold of the validation plan has rows to learn from.",
                where="validation",
                hint="Give more rows, or a shorter data.outcome_delay.",
            )
        newest = None if learned is None else learned(np.arange(len(blocks)))
        course = cls(choosing, reporting, len(blocks), plan.time is not None, newest)
        short = course.shortened()
        if reporting is None or short is course or plan.embargo_seconds > 0:
            return course
        return replace(short, choosing=(choosing[-1], *short.choosing)) if course.in_time else short

    def shortened(self) -> Course:
        """Return the course that costs least: one fit, which is chosen by half of its validated rows.

        The other half reports, so no fit is needed for that; rows in time are cut in time. Too few validated rows for
        two halves leave the course as it is.
        """
        if self.reports_at_once:
            return replace(self, choosing=self.choosing[-1:]) if len(self.choosing) > 1 else self
        fold = self.reporting or self.choosing[0]
        if len(fold.valid) < 2 * _FEWEST_TOLD:
            return self
        turns = np.arange(len(fold.valid))
        first = turns < len(fold.valid) // 2 if self.in_time else turns % 2 == 0
        chosen, told = fold.valid[first], fold.valid[~first]
        told_of = Fold(fold.train, told, reports=True)
        return replace(self, choosing=(Fold(fold.train, chosen),), reporting=told_of)

    @property
    def reports_at_once(self) -> bool:
        """Say whether the choosing fold's own fits answer for the reporting rows."""
        return self.reporting is not None and self.reporting.train is self.choosing[-1].train

    @property
    def choosing_work(self) -> int:
        """Return the training rows of all folds that every configuration runs."""
        told = 0 if self.reporting is None or self.reports_at_once else len(self.reporting.train)
        return sum(len(fold.train) for fold in self.choosing) + told

    @property
    def closing_work(self) -> int:
        """Return the training rows of the refit."""
        return 0 if self.reporting is None else len(self.refitted)

    @property
    def refitted(self) -> Indices:
        """Return the rows that the refit learns from, ascending."""
        return np.arange(self.rows) if self.newest is None else self.newest


class Budget:
    """Shares the seconds of one training, up to a moment that nothing may pass."""

    def __init__(self, seconds: float, deadline: Deadline, *, workers: int) -> None:
        self.seconds = seconds
        self.deadline = deadline
        self.workers = workers

    @property
    def closing(self) -> float:
        """Return the seconds kept for what follows the last fit: scores, importance, writing the model."""
        return 0.0 if self.seconds == inf else _CLOSING_SECONDS + _CLOSING_SHARE * self.seconds

    def racing(self, promised: float) -> Deadline:
        """Return when fits must end, `promised` seconds of closing fits being kept."""
        return self.deadline.within(max(self.deadline.left - self.closing - promised, 0.0))

    def spare(self, course: Course, promised: float) -> float:
        """Return the seconds for choosing folds, after what their configurations may cost in closing fits."""
        work = course.choosing_work + course.closing_work
        return self.racing(promised).left * course.choosing_work / max(work, 1)

    def heat_seconds(self, spare: float, needed: float | None, *, heats_left: int) -> float:
        """Return the seconds for the next heat; 0 where too little is left for a useful one.

        `needed` is what a heat is known to take (None where nothing is known), `heats_left` counts the next one too.
        The time is shared equally among as many heats as it can hold.
        """
        if spare == inf:
            return inf
        if needed is None:
            return _UNKNOWN_HEAT_SHARE * spare
        if spare < _USEFUL_HEAT * needed:
            return 0.0
        return spare / min(max(int(spare / max(needed, 1e-9)), 1), heats_left)

    def is_long(self, course: Course, seconds: float) -> bool:
        """Say whether a configuration that takes so many seconds on the choosing folds leaves no room for others."""
        whole = seconds * (course.choosing_work + course.closing_work) / max(course.choosing_work, 1)
        return whole > _LONG * self.racing(0.0).left

    def slot(self, seconds: float, rows: int, turns: Sequence[Sequence[int]]) -> float:
        """Return the seconds for a fit on `rows` training rows, so that all turns end within `seconds`.

        `turns` are the training rows of all jobs; a turn starts when the one before has ended.
        """
        return _PACKING * seconds * rows / max(sum(makespan(turn, self.workers) for turn in turns), 1)


def makespan(jobs: Sequence[int], workers: int) -> int:
    """Return how long workers need for jobs of given lengths, each taking the next one when it is free."""
    busy = [0] * workers
    for length in jobs:
        free = busy.index(min(busy))
        busy[free] += length
    return max(busy)


def affordable(costs: Sequence[float], weights: Sequence[float], seconds: float) -> list[int]:
    """Return which candidates' closing fits fit into `seconds`, the weightiest first; always at least one."""
    chosen: list[int] = []
    spent = 0.0
    for at in sorted(range(len(costs)), key=lambda i: (-weights[i], i)):
        if not chosen or spent + costs[at] <= seconds:
            chosen.append(at)
            spent += costs[at]
    return chosen


def refuse(budget: float) -> BudgetError:
    """Return the error for a budget in which not even the baseline was fitted."""
    return BudgetError(
        f"The budget of {budget:g} seconds ended before even the baseline was fitted.",
        where="training.budget",
        hint="Give more time, for example: budget = '60s'.",
    )
