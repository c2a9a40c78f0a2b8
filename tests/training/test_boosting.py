from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from training_worlds import planted, ticking

from tenure.core.modelling import Configuration, Task
from tenure.core.ports import Deadline, Problem
from tenure.model.members.lightgbm import LightGBMMember
from tenure.training.boosting import Boosted, Sets, binned_columns, binned_rows, boost, widened
from tenure.training.portfolio import values

ROWS = np.arange(600)
TRAIN, VALID = ROWS[ROWS % 4 > 0], ROWS[ROWS % 4 == 0]


def a_configuration(problem: Problem, **more: object) -> Configuration:
    return Configuration("a", "lightgbm", values("plain", problem.shape) | {"min_data_in_leaf": 5} | more)


def grown(problem: Problem, deadline: Deadline, *, rounds: int | None = None, **more: object) -> Boosted:
    valid = binned_rows(problem, VALID) if rounds is None else None
    sets = Sets(binned_rows(problem, TRAIN), valid, len(TRAIN))
    return boost(a_configuration(problem, **more), problem, sets, rounds=rounds, deadline=deadline)


def test_without_a_clock_time_changes_nothing() -> None:
    slow, quick = (grown(planted(Task.BINARY), Deadline(inf, ticking(step))) for step in (1e6, 1e-6))
    assert slow.text == quick.text
    assert slow.rate == 0.05


def test_without_a_clock_a_configuration_may_name_its_own_rate() -> None:
    found = grown(planted(Task.BINARY), Deadline(inf, ticking()), learning_rate=0.2)
    assert found.rate == 0.2


def test_many_classes_may_learn_faster_where_time_is_short() -> None:
    rates = []
    for classes in (4, 20):
        problem = planted(Task.MULTICLASS, classes=classes)
        rates.append(grown(problem, Deadline(3.0, ticking(0.05))).rate)
    assert rates == [0.15, 0.3]


def test_learning_stops_soon_after_the_validated_loss_does() -> None:
    problem = planted(Task.REGRESSION)
    found = grown(problem, Deadline(inf, ticking()))
    assert 10 < found.rounds < 2000


def test_splits_are_counted_by_column(plenty: Deadline) -> None:
    problem = planted(Task.REGRESSION)
    found = grown(problem, plenty, rounds=10)
    assert found.splits.shape == (4,)
    assert found.splits[0] > 0


def test_weights_say_which_rows_matter(plenty: Deadline) -> None:
    problem = planted(Task.REGRESSION)
    high = problem.target > np.median(problem.target)
    weighted = replace(problem, weight=np.where(high, 1.0, 1e-6), shared={})
    said = [
        LightGBMMember(p.task, grown(p, plenty, rounds=40).text).predict(p.matrix).mean() for p in (problem, weighted)
    ]
    assert said[1] > said[0] + 5


def test_rows_are_widened_without_losing_their_categories(plenty: Deadline) -> None:
    problem = planted(Task.REGRESSION)
    more = problem.matrix[:, :1] ** 2
    columns = binned_columns(problem, TRAIN, more[TRAIN])
    valid = widened(binned_rows(problem, VALID), binned_columns(problem, VALID, more[VALID], like=columns))
    sets = Sets(widened(binned_rows(problem, TRAIN), columns), valid, len(TRAIN))
    wide = boost(a_configuration(problem), problem, sets, rounds=None, deadline=plenty)
    assert wide.splits.shape == (5,)
    assert any(line.startswith("num_cat=") and line != "num_cat=0" for line in wide.text.splitlines())
    member = LightGBMMember(problem.task, wide.text)
    loss = np.mean((member.predict(np.hstack([problem.matrix, more])[VALID]) - problem.target[VALID]) ** 2)
    assert loss < 0.3 * problem.target.var()


def test_the_binned_rows_themselves_are_not_widened(plenty: Deadline) -> None:
    problem = planted(Task.REGRESSION)
    before = grown(problem, plenty, rounds=5).text
    columns = binned_columns(problem, TRAIN, problem.matrix[TRAIN, :1] * 2)
    widened(binned_rows(problem, TRAIN), columns)
    assert grown(problem, plenty, rounds=5).text == before


@pytest.mark.parametrize("seconds", [1e9, inf])
def test_few_rows_and_little_time_still_give_a_model(seconds: float) -> None:
    found = grown(planted(Task.MULTICLASS), Deadline(seconds, ticking()), rounds=3)
    assert found.rounds == 3


def test_a_number_missing_only_after_training_is_read_as_zero(plenty: Deadline) -> None:
    """LightGBM's own rule (its issues 4040 and 6139), which whoever fills gaps must know."""
    problem = planted(Task.REGRESSION)
    member = LightGBMMember(problem.task, grown(problem, plenty, rounds=20).text)
    row = problem.matrix[:1].copy()
    row[0, 0] = 0.5  # the only column with gaps keeps its value
    for noise in (2, 3):
        empty, zero = row.copy(), row.copy()
        empty[0, noise], zero[0, noise] = np.nan, 0.0
        np.testing.assert_array_equal(member.predict(empty), member.predict(zero))


def test_in_time_order_trees_see_all_of_few_columns_and_more_of_many() -> None:
    few = planted(Task.BINARY).shape
    many = replace(few, features=200)
    seen = {
        (in_time, shape.features): values("small-16", replace(shape, in_time=in_time))["feature_fraction"]
        for in_time in (False, True)
        for shape in (few, many)
    }
    assert seen[False, 4] == seen[False, 200] < seen[True, 200] < seen[True, 4] == 1.0
