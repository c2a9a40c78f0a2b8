"""Distil an ensemble into one LightGBM student that answers as it does, at a known cost.

The student learns what the teacher says of its own training rows and of many made-up ones: real rows, each with some of
its columns taken from another (FAST-DAD, Fakoor et al. 2020, 2006.14284). Boosting minimises the squared error: of
log-odds for binary tasks, of the value in regression.
What members say of rows that they did not learn from would teach less: it holds nothing of those rows' own targets. And
a fold's student cannot learn that way, so that its score would not be that of the student who serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import lightgbm as lgb
import numpy as np

from tenure.core.modelling import Configuration, DataShape, Floats, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.fitted import WeightedMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.training.row_time import RowLimit, RowTime
from tenure.training.served import answer_of

STUDENT: Final = "student"
_SWAPPED: Final = 0.3
"""Part of a made-up row's columns that come from another row."""
_SIZES: Final = ((1.0, 4), (1.0, 2), (1.0, 1), (1.0, 0), (0.5, 1), (0.5, 0), (0.25, 1))
"""Parts of the real rows, and made-up rows for each of them; the first that the time allows is taken."""
_MOST_ROWS: Final = 60_000
_FEWEST_MADE: Final = 1_000
_RATE: Final = 0.05
_QUICKEST_RATE: Final = 0.3
_NEEDED: Final = 6.0
"""Rounds times learning rate that a student should have."""
_MOST_ROUNDS: Final = 2_000
_FEWEST_ROUNDS: Final = 20
_USEFUL_ROUNDS: Final = 150
"""Trees are made smaller where the limit allows fewer than this."""
_LEAVES: Final = (31, 15, 7)
_SECONDS_PER_CELL: Final = 12e-9
"""One tree, one row, one column, one thread; as everywhere."""
_SECONDS_PER_TREE: Final = 4e-4
_USED: Final = 0.8
"""Of the time left, for what is planned by these figures."""
_TIMELESS_SECONDS: Final = 20.0
"""What a student may take where no clock may be looked at, by the same figures."""
_MOST_LOG_ODDS: Final = 14.0
_SALT: Final = 13


@dataclass(frozen=True)
class Lesson:
    """How large a student may be, and how many rows it learns from."""

    rounds: int
    leaves: int
    rate: float
    rows: int
    made: int

    @property
    def configuration(self) -> Configuration:
        """Return the lesson as the configuration of a candidate."""
        params = {"num_leaves": self.leaves, "learning_rate": self.rate, "rows": self.rows, "made": self.made}
        return Configuration(STUDENT, DistilledFamily.name, params)


def plan_lesson(
    problem: Problem, limit: RowLimit, *, teacher: RowTime, rounds: int, fits: int, seconds: float, workers: int
) -> Lesson | None:
    """Return the largest lesson that the limit and the time allow, None where none is useful.

    `teacher` is what a row takes the teacher, `rounds` the most that one of its members took; `fits` students learn
    within `seconds`, `workers` of them at once. Values and log-odds of two classes only.
    """
    if problem.task is Task.MULTICLASS:
        return None
    room = limit.allowed - limit.plan.microseconds
    leaves, most = next(
        (leaves, most)
        for leaves in _LEAVES
        for most in [_rounds_within(room, leaves)]
        if most >= _USEFUL_ROUNDS or leaves == _LEAVES[-1]
    )
    wanted = min(most, max(3 * rounds, 2 * _USEFUL_ROUNDS), _MOST_ROUNDS)
    left = _USED * min(seconds, _TIMELESS_SECONDS) * workers
    for share, made in _SIZES:
        rows = int(min(len(problem.target), _MOST_ROWS) * share)
        told = min(made * rows, max(_MOST_ROWS - rows, _FEWEST_MADE))
        asking = 2 * (rows + told) * teacher.in_tables * 1e-6
        round_of_all = fits * ((rows + told) * max(len(problem.names), 4) * _SECONDS_PER_CELL + _SECONDS_PER_TREE)
        chosen = min(wanted, int((left - asking) / round_of_all))
        if chosen >= min(wanted, _USEFUL_ROUNDS) and chosen >= _FEWEST_ROUNDS:
            rate = float(np.clip(_NEEDED / chosen, _RATE, _QUICKEST_RATE))
            return Lesson(chosen, leaves, rate, rows, told)
    return None


def _rounds_within(room: float, leaves: int) -> int:
    """Return how many trees of so many leaves a row can pass in so many microseconds."""
    few, many = 0, _MOST_ROUNDS + 1
    while many - few > 1:
        middle = (few + many) // 2
        if RowTime.of_trees(middle, middle * leaves).microseconds <= room:
            few = middle
        else:
            many = middle
    return few


class DistilledFamily:
    """Students of one teacher, an ensemble's members with their weights."""

    name: ClassVar[str] = "distilled"
    traits: ClassVar[Traits] = Traits(tasks=frozenset({Task.BINARY, Task.REGRESSION}))

    def __init__(self, teacher: Sequence[WeightedMember]) -> None:
        self._teacher = tuple(teacher)

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose nothing: what a student may cost is known at the end of a race only."""
        return ()

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        """Learn from the rows at `train` and from rows made of them; None where the time does not do."""
        params = configuration.params
        rng = np.random.default_rng((problem.seed, _SALT))
        rows = train if len(train) <= params["rows"] else np.sort(rng.choice(train, params["rows"], replace=False))
        origin, made = _made_up(problem.matrix, rows, params["made"], rng)
        told = np.concatenate([problem.matrix[rows], made])
        weight = None if problem.weight is None else problem.weight[np.concatenate([rows, origin])]
        data = lgb.Dataset(
            told,
            label=_scores(answer_of(self._teacher, told), problem.task),
            weight=weight,
            categorical_feature=[at for at, is_category in enumerate(problem.categorical) if is_category],
            params={"verbosity": -1, "num_threads": problem.threads, "feature_pre_filter": False},
        )
        booster = lgb.Booster(_params(configuration, problem), data)
        for _ in range(rounds or 0):
            if deadline.passed:
                return None
            if booster.update():
                break
        return _fitted(booster, problem)


def _made_up(matrix: Floats, rows: Indices, count: int, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Return made-up rows, and which real row each is made of."""
    origin, other = rng.choice(rows, count), rng.choice(rows, count)
    swapped = rng.random((count, matrix.shape[1])) < _SWAPPED
    return origin, np.where(swapped, matrix[other], matrix[origin])


def _scores(answers: Floats, task: Task) -> Floats:
    """Return what the student's trees add up to: log-odds of the second class, or values."""
    if task is Task.REGRESSION:
        return answers
    odds = np.log(np.maximum(answers[:, 1], 1e-15)) - np.log(np.maximum(answers[:, 0], 1e-15))
    bounded: Floats = np.clip(odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
    return bounded


def _params(configuration: Configuration, problem: Problem) -> dict[str, Any]:
    return {
        "objective": "l2",
        "num_leaves": configuration.params["num_leaves"],
        "learning_rate": configuration.params["learning_rate"],
        "min_data_in_leaf": 5,
        "seed": problem.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": problem.threads,
        "verbosity": -1,
    }


def _fitted(booster: lgb.Booster, problem: Problem) -> Fitted:
    text = booster.model_to_string()
    leaves = sum(int(line[11:]) for line in text.splitlines() if line.startswith("num_leaves="))
    if problem.task is Task.BINARY:
        # Trees of log-odds are those of a binary model: the library then answers with probabilities.
        text = text.replace("objective=regression\n", "objective=binary sigmoid:1\n", 1)
    member = LightGBMMember(problem.task, text, threads=problem.threads)
    return Fitted(member, booster.current_iteration(), leaves=leaves)
