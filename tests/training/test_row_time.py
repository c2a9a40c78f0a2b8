from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_worlds import planted, ticking

from tenure.core.modelling import Task
from tenure.core.ports import Deadline, Fitted
from tenure.model.operations import Number
from tenure.model.plan import ColumnPlan
from tenure.training.families.catboost import CatBoostFamily
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.families.linear import LinearFamily
from tenure.training.families.prepared import PreparedFamily
from tenure.training.row_time import AIM, RowLimit, RowTime, time_of

TREES = st.integers(1, 20_000)
LEAVES = st.integers(2, 255)
TIMES = st.builds(lambda trees, leaves: RowTime.of_trees(trees, trees * leaves), TREES, LEAVES)


class Sleepless:
    """A member of a kind that nothing is known of."""

    kind = "unknown"

    def predict(self, matrix: Any) -> Any:
        return np.zeros(len(matrix))


@given(trees=TREES, more=TREES, leaves=LEAVES)
def test_more_trees_never_take_less(trees: int, more: int, leaves: int) -> None:
    few, many = (RowTime.of_trees(count, count * leaves) for count in (trees, trees + more))
    assert few.microseconds < many.microseconds
    assert few.microseconds < RowTime.of_trees(trees, trees * leaves + more).microseconds
    # Nor do more trees of as many leaves altogether.
    assert few.microseconds < RowTime.of_trees(trees + more, max(trees * leaves, trees + more)).microseconds


@given(parts=st.lists(TIMES, max_size=6), another=TIMES)
def test_another_member_never_takes_less(parts: list[RowTime], another: RowTime) -> None:
    limit = RowLimit()
    assert limit.whole(*parts).microseconds < limit.whole(*parts, another).microseconds


@given(time_=TIMES, factor=st.floats(1.0, 5.0))
def test_more_seeds_and_more_rounds_take_more(time_: RowTime, factor: float) -> None:
    assert time_.microseconds <= time_.grown(factor).microseconds <= time_.times(factor).microseconds


@given(parts=st.lists(TIMES, max_size=4), milliseconds=st.floats(0.01, 50.0))
def test_what_is_affordable_leaves_head_room(parts: list[RowTime], milliseconds: float) -> None:
    limit = RowLimit.of(milliseconds, ColumnPlan([Number("x")]))
    assert limit.affords(*parts) == (limit.whole(*parts).microseconds <= AIM * 1000 * milliseconds)
    assert limit.whole(*parts).microseconds > sum(part.fixed for part in parts)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", [LightGBMFamily(), LinearFamily(), PreparedFamily(), CatBoostFamily()])
def test_known_kinds_are_estimated_without_a_clock(task: Task, family: Any) -> None:
    if isinstance(family, CatBoostFamily):
        pytest.importorskip("catboost")
    problem, never = planted(task), Deadline(1e9, time.monotonic)
    configuration = family.configurations(problem.shape)[0]
    few, many = (
        time_of(
            family.fit(configuration, problem, np.arange(500), None, rounds=rounds, deadline=never),
            problem,
            timer=pytest.fail,
        )
        for rounds in (2, 8)
    )
    assert 3.0 < few.microseconds <= many.microseconds < 1_000.0
    assert (few.work < many.work) == (family.name != "linear")


def test_unknown_kinds_are_timed() -> None:
    found = time_of(Fitted(Sleepless()), planted(Task.REGRESSION), timer=ticking(0.002))
    assert found.microseconds == pytest.approx(2_000.0)
