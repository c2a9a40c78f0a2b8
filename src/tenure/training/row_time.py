"""Estimate how long one row takes to answer, from counts alone: the same model has the same estimate everywhere.

The figures were taken with single rows through the row path, caches warm, on two virtual cores of a current server
(LightGBM 4.7, CatBoost 1.2.10, numpy 2): a tree of L leaves takes about 14 ns for each doubling of leaves and 6 ns
besides. Ensembles whose trees leave the caches are slower, by up to four times from half a million leaves on. They are
rounded up where they spread, and an ensemble aims at 60 % of the limit, so that other machines and busy hours have
room; the robustness check `latency` still measures the model that results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, log2
from statistics import median
from typing import Final

from tenure.core.modelling import Floats, Task
from tenure.core.ports import Fitted, Member, Problem
from tenure.model.members.catboost import CatBoostMember
from tenure.model.members.constant import ConstantMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.linear import LinearMember
from tenure.model.members.mlp import MLPMember
from tenure.model.members.prepared import PreparedMember
from tenure.model.operations import TextShape, TextTopics
from tenure.model.plan import ColumnPlan
from tenure.training.budget import Course
from tenure.training.track import Entrant, Fit

AIM: Final = 0.6
"""Of the limit."""
_ROW: Final = 10.0
_NUMBER: Final = 0.3
_TEXT_SHAPE: Final = 15.0
_TEXT_TOPICS: Final = 100.0
_CONSTANT: Final = 2.0
_BOOSTER: Final = 3.0
_TREE: Final = 0.006
_DOUBLING: Final = 0.014
_CACHED_LEAVES: Final = 500_000
_SLOWEST: Final = 4.0
_PREPARATION: Final = 10.0
_PREPARED_COLUMN: Final = 0.1
_DESIGN: Final = 16.0
_DESIGN_COLUMN: Final = 0.004
_COEFFICIENT: Final = 0.001
_NETWORK: Final = 60.0
_NETWORK_WEIGHT: Final = 0.0012
_CATBOOST: Final = 160.0
_CATBOOST_COLUMN: Final = 0.7
_CATBOOST_TREE: Final = 0.03
_TIMED_ROWS: Final = 20
_TIMED_SECONDS: Final = 0.05
_IN_TABLES: Final = 0.03
"""Part of a row's fixed time that is left in tables."""


@dataclass(frozen=True, slots=True)
class RowTime:
    """What one row takes in microseconds: `fixed` for being asked at all, `work` for what was learned.

    Work is slower the more `leaves` compete for the caches.
    """

    fixed: float = 0.0
    work: float = 0.0
    leaves: int = 0

    def __add__(self, other: RowTime) -> RowTime:
        return RowTime(self.fixed + other.fixed, self.work + other.work, self.leaves + other.leaves)

    @property
    def microseconds(self) -> float:
        """Return the estimate for a row."""
        crowded = (self.leaves - _CACHED_LEAVES) / _CACHED_LEAVES
        return self.fixed + self.work * min(1.0 + 0.8 * max(crowded, 0.0), _SLOWEST)

    @property
    def in_tables(self) -> float:
        """Return about how many microseconds a row takes where many are answered at once."""
        return self.work + _IN_TABLES * self.fixed

    def times(self, count: float) -> RowTime:
        """Return the time of so many of the same."""
        return RowTime(count * self.fixed, count * self.work, int(count * self.leaves))

    def grown(self, factor: float) -> RowTime:
        """Return the time of so many times the work."""
        return RowTime(self.fixed, factor * self.work, int(factor * self.leaves))

    @classmethod
    def of_trees(cls, trees: int, leaves: int, *, fixed: float = _BOOSTER) -> RowTime:
        """Return the time of one booster; it grows with its trees and with its leaves."""
        each = _TREE + _DOUBLING * log2(1.0 + leaves / max(trees, 1))
        return cls(fixed, trees * each, leaves)

    @classmethod
    def of_plan(cls, plan: ColumnPlan) -> RowTime:
        """Return the time before any member is asked: reading the row, and encoding each number of it."""
        shapes, topics = (sum(isinstance(op, kind) for op in plan.operations) for kind in (TextShape, TextTopics))
        return cls(_ROW + _NUMBER * plan.width + _TEXT_SHAPE * shapes + _TEXT_TOPICS * topics)


@dataclass(frozen=True, slots=True)
class RowLimit:
    """How many microseconds an estimate may come to, `plan` of which are gone before members are asked."""

    allowed: float = inf
    plan: RowTime = field(default_factory=RowTime)

    @classmethod
    def of(cls, milliseconds: float, plan: ColumnPlan) -> RowLimit:
        """Return what `serving.max_latency_ms` leaves to the members, some of it being kept as head-room."""
        return cls(AIM * 1_000.0 * milliseconds, RowTime.of_plan(plan))

    def whole(self, *parts: RowTime) -> RowTime:
        """Return the time of a row, from its reading on, that all these parts answer."""
        return sum(parts, start=self.plan)

    def affords(self, *parts: RowTime) -> bool:
        """Say whether that stays within the limit."""
        return self.whole(*parts).microseconds <= self.allowed


def time_of(fitted: Fitted, problem: Problem, *, timer: Callable[[], float]) -> RowTime:
    """Return the time of a fitted member.

    Kinds that nothing is known of (a model of the owner's own) are timed on a few of the problem's rows instead.
    """
    member = fitted.member
    if isinstance(member, ConstantMember):
        return RowTime(_CONSTANT)
    if isinstance(member, LinearMember):
        return RowTime(_DESIGN + _DESIGN_COLUMN * member.design.width + _COEFFICIENT * member.coefficients.size)
    if isinstance(member, MLPMember):
        return RowTime(_NETWORK, _NETWORK_WEIGHT * sum(array.size for array in member.arrays.values()))
    if isinstance(member, CatBoostMember):
        columns, trees = len(member.categorical), fitted.rounds or 0
        return RowTime(_CATBOOST + _CATBOOST_COLUMN * columns, _CATBOOST_TREE * trees)
    if isinstance(member, LightGBMMember | PreparedMember):
        trees = (fitted.rounds or 1) * (problem.classes if problem.task is Task.MULTICLASS else 1)
        if isinstance(member, LightGBMMember):
            return RowTime.of_trees(trees, fitted.leaves)
        more = _PREPARATION + _PREPARED_COLUMN * member.preparation.width
        return RowTime.of_trees(trees, fitted.leaves, fixed=_BOOSTER + more)
    return RowTime(_timed(member, problem.matrix, timer))


def _timed(member: Member, rows: Floats, timer: Callable[[], float]) -> float:
    member.predict(rows[:1])  # The first row also wakes what is loaded late.
    taken: list[float] = []
    while len(taken) < _TIMED_ROWS and sum(taken) < _TIMED_SECONDS:
        before, row = timer(), len(taken) % len(rows)
        member.predict(rows[row : row + 1])
        taken.append(timer() - before)
    return 1e6 * median(taken)


class RowTimes:
    """The times of a race's fits, each estimated once, and whether those to be served stay within the limit."""

    def __init__(self, problem: Problem, limit: RowLimit, timer: Callable[[], float]) -> None:
        self.limit = limit
        self._problem = problem
        self._timer = timer
        self._known: dict[Fit, RowTime] = {}

    def of(self, fit: Fit) -> RowTime:
        """Return the time of a row that one fit's member answers."""
        if fit not in self._known:
            self._known[fit] = time_of(fit.fitted, self._problem, timer=self._timer)
        return self._known[fit]

    def served(self, entrant: Entrant, course: Course, folds: int | None = None) -> RowTime:
        """Return the time of a row that all members which an entrant is to serve with answer.

        Those are the members of all choosing folds or of the first so many; or one that learns from all rows, with as
        many more trees.
        """
        if course.reporting is None:
            return sum((self.of(entrant.fits[at]) for at in sorted(entrant.fits)[:folds]), start=RowTime())
        fit = entrant.report or entrant.fits[max(entrant.fits)]
        return self.of(fit).grown((entrant.rounds(len(course.refitted)) or 1) / (fit.fitted.rounds or 1))

    def whole(self, fits: Sequence[Fit]) -> RowTime:
        """Return the time of a row, from its reading on, that the members of all these fits answer."""
        return self.limit.whole(*(self.of(fit) for fit in fits))

    def affords(self, entrants: Sequence[Entrant], course: Course, folds: int | None = None) -> bool:
        """Say whether a row that all these entrants answer is thought to stay within the limit."""
        if self.limit.allowed == inf:
            return True
        return self.limit.affords(*(self.served(entrant, course, folds) for entrant in entrants))
