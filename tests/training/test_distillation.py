from __future__ import annotations

import time
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_worlds import planted

from tenure.core.modelling import Floats, Task
from tenure.core.ports import Deadline, Problem
from tenure.model.fitted import WeightedMember
from tenure.training.distillation import DistilledFamily, Lesson, plan_lesson
from tenure.training.ensemble import Pool
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.row_time import RowLimit, RowTime, time_of
from tenure.training.served import answer_of

TEACHER = RowTime.of_trees(3_000, 90_000)


def taught(problem: Problem, deadline: Deadline, *, rounds: int = 120) -> tuple[WeightedMember, ...]:
    """Return two members that learned from the first half of the rows."""
    family, half = LightGBMFamily(), np.arange(len(problem.target) // 2)
    parts = [
        family.fit(configuration, problem, half, None, rounds=rounds, deadline=deadline)
        for configuration in family.configurations(problem.shape)[:2]
    ]
    return tuple(WeightedMember(f"m{at}", 0.5, part.member) for at, part in enumerate(parts) if part is not None)


def loss(problem: Problem, said: Floats) -> float:
    half = len(problem.target) // 2
    return float(Pool.of(problem.task, problem.target[half:], [said[half:]]).losses()[0])


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_a_student_answers_new_rows_as_its_teacher_does(task: Task, plenty: Deadline) -> None:
    problem = planted(task, rows=2_000)
    teacher = taught(problem, plenty)
    lesson = Lesson(rounds=150, leaves=15, rate=0.05, rows=2_000, made=4_000)
    half = np.arange(1_000)
    fits = [
        DistilledFamily(teacher).fit(lesson.configuration, problem, half, None, rounds=150, deadline=plenty)
        for _ in range(2)
    ]
    assert fits[0] is not None
    assert fits[1] is not None
    said, again = (fit.member.predict(problem.matrix) for fit in fits if fit is not None)
    np.testing.assert_array_equal(said, again)
    told = answer_of(teacher, problem.matrix)
    assert said.shape == told.shape
    assert np.corrcoef(said[1_000:].ravel(), told[1_000:].ravel())[0, 1] > 0.97
    floor = np.full_like(told, problem.target.mean()) if task is Task.REGRESSION else np.full_like(told, 0.5)
    assert loss(problem, said) - loss(problem, told) < 0.1 * (loss(problem, floor) - loss(problem, told))
    assert fits[0].rounds == 150
    assert fits[0].leaves <= 150 * 15


def test_a_passed_deadline_leaves_no_stunted_student(plenty: Deadline) -> None:
    problem = planted(Task.REGRESSION)
    lesson = Lesson(rounds=50, leaves=7, rate=0.1, rows=300, made=0)
    family, rows = DistilledFamily(taught(problem, plenty, rounds=5)), np.arange(300)
    passed = Deadline(0.0, time.monotonic)
    assert family.fit(lesson.configuration, problem, rows, None, rounds=50, deadline=passed) is None


@given(microseconds=st.floats(20.0, 2_000.0), seconds=st.floats(0.1, 100.0) | st.just(inf))
def test_a_lesson_is_within_the_limit(microseconds: float, seconds: float) -> None:
    problem, limit = planted(Task.BINARY), RowLimit(microseconds, RowTime(10.0))
    lesson = plan_lesson(problem, limit, teacher=TEACHER, rounds=500, fits=4, seconds=seconds, workers=2)
    if lesson is not None:
        assert limit.affords(RowTime.of_trees(lesson.rounds, lesson.rounds * lesson.leaves))
        assert 0.05 <= lesson.rate <= 0.3
    else:
        assert microseconds < 30.0 or seconds < 10.0


def test_more_room_is_for_a_larger_student_and_more_time_for_more_rows() -> None:
    problem = planted(Task.BINARY)
    plan = [
        plan_lesson(problem, RowLimit(us, RowTime()), teacher=TEACHER, rounds=500, fits=4, seconds=inf, workers=2)
        for us in (10.0, 40.0, 400.0)
    ]
    sizes = [lesson.rounds * lesson.leaves for lesson in plan if lesson is not None]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 3
    short = plan_lesson(problem, RowLimit(400.0), teacher=TEACHER, rounds=500, fits=4, seconds=1.2, workers=2)
    assert short is not None
    assert plan[-1] is not None
    assert short.made * short.rounds < plan[-1].made * plan[-1].rounds


def test_several_classes_are_not_distilled() -> None:
    problem = planted(Task.MULTICLASS)
    found = plan_lesson(problem, RowLimit(400.0), teacher=TEACHER, rounds=500, fits=4, seconds=inf, workers=2)
    assert found is None


def test_a_member_of_log_odds_is_timed_like_any_other(plenty: Deadline) -> None:
    problem = planted(Task.BINARY)
    lesson = Lesson(rounds=30, leaves=7, rate=0.1, rows=600, made=1_000)
    family = DistilledFamily(taught(problem, plenty, rounds=5))
    fitted = family.fit(lesson.configuration, problem, np.arange(600), None, rounds=30, deadline=plenty)
    assert fitted is not None
    assert time_of(fitted, problem, timer=pytest.fail).microseconds <= RowTime.of_trees(30, 30 * 7).microseconds
