from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_worlds import forward_blocks

from tenure.core.errors import EmptyDataError
from tenure.core.modelling import Scheme, ValidationPlan
from tenure.core.ports import Deadline
from tenure.training.budget import Budget, Course, affordable, makespan


def plan(scheme: Scheme, count: int) -> ValidationPlan:
    return ValidationPlan(scheme, "by hand", count, "", "rmse", "By hand.")


def still(seconds: float) -> Budget:
    """Return a budget whose time stands still."""
    return Budget(seconds, Deadline(seconds, lambda: 0.0), workers=2)


def test_every_cross_fold_chooses_and_none_reports() -> None:
    blocks = np.column_stack([np.arange(90) % 3, np.zeros(90)]).astype(np.int16)
    course = Course.of(plan(Scheme.CROSS, 3), blocks)
    assert len(course.choosing) == 3
    assert course.reporting is None
    assert course.choosing_work == 180
    assert course.closing_work == 0


def test_the_last_forward_fold_only_reports() -> None:
    course = Course.of(plan(Scheme.FORWARD, 4), forward_blocks(100))
    assert [len(fold.train) for fold in course.choosing] == [25, 50]
    assert course.reporting is not None
    assert course.reporting.valid.min() == 75
    assert course.closing_work == 100


def test_a_shortened_course_has_one_fit_and_its_other_half_reports() -> None:
    rows = 15_000
    blocks = np.column_stack([np.arange(rows) % 5, np.zeros(rows)]).astype(np.int16)
    course = Course.of(plan(Scheme.CROSS, 5), blocks).shortened()
    (only,) = course.choosing
    assert course.reporting is not None
    assert course.reports_at_once
    assert len(only.valid) == len(course.reporting.valid) == 1_500
    assert not set(only.valid) & set(course.reporting.valid)
    assert course.choosing_work == 12_000
    assert course.closing_work == rows


def test_few_rows_are_not_halved() -> None:
    course = Course.of(plan(Scheme.FORWARD, 4), forward_blocks(400))
    assert course.shortened() is course


def test_a_single_forward_fold_gets_a_fold_to_choose_by() -> None:
    course = Course.of(plan(Scheme.FORWARD, 2), forward_blocks(100, 2))
    assert course.reporting is not None
    (only,) = course.choosing
    np.testing.assert_array_equal(np.concatenate([only.train, only.valid]), course.reporting.train)


def test_a_plan_without_rows_to_learn_from_is_refused() -> None:
    blocks = forward_blocks(100)
    blocks[:, 1] = 9
    with pytest.raises(EmptyDataError):
        Course.of(plan(Scheme.FORWARD, 4), blocks)


def test_folds_without_known_outcomes_are_left_out() -> None:
    blocks = forward_blocks(100)
    blocks[:, 1] += 1
    course = Course.of(plan(Scheme.FORWARD, 4), blocks)
    assert [len(fold.train) for fold in course.choosing] == [25]
    assert course.reporting is not None
    assert len(course.reporting.train) == 50


@given(spare=st.floats(0, 1e4), needed=st.none() | st.floats(0, 1e3), heats_left=st.integers(1, 10))
def test_a_heat_never_gets_more_than_there_is(spare: float, needed: float | None, heats_left: int) -> None:
    assert 0 <= still(100.0).heat_seconds(spare, needed, heats_left=heats_left) <= spare


def test_no_heat_is_started_that_would_be_stunted() -> None:
    assert still(100.0).heat_seconds(5.0, 10.0, heats_left=3) == 0
    assert still(100.0).heat_seconds(7.0, 10.0, heats_left=3) == 7.0


def test_time_is_shared_among_as_many_heats_as_it_holds() -> None:
    assert still(100.0).heat_seconds(40.0, 10.0, heats_left=8) == 10.0
    assert still(100.0).heat_seconds(40.0, 10.0, heats_left=2) == 20.0


@given(turns=st.lists(st.lists(st.integers(1, 1000), min_size=1, max_size=8), min_size=1, max_size=3))
def test_fits_of_a_heat_fit_into_it(turns: list[list[int]]) -> None:
    budget = still(60.0)
    slots = [[budget.slot(30.0, rows, turns) * 1000 for rows in turn] for turn in turns]
    wall = sum(makespan([int(slot) for slot in turn], budget.workers) for turn in slots) / 1000
    assert wall <= 30.0


def test_five_equal_jobs_take_two_workers_three_turns() -> None:
    assert makespan([10] * 5, 2) == 30


def test_time_for_the_end_is_kept() -> None:
    assert still(40.0).racing(5.0).left == pytest.approx(40.0 - 5.0 - still(40.0).closing)


@given(
    costs=st.lists(st.floats(0.1, 10.0), min_size=1, max_size=6),
    seconds=st.floats(0.0, 30.0),
)
def test_closing_fits_stay_within_the_time_and_at_least_one_is_done(costs: list[float], seconds: float) -> None:
    chosen = affordable(costs, list(range(len(costs))), seconds)
    assert chosen
    assert chosen[0] == len(costs) - 1
    assert len(chosen) == 1 or sum(costs[at] for at in chosen) <= seconds
