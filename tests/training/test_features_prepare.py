from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Task
from tenure.core.ports import Problem
from tenure.model.preparation import Output
from tenure.training.features.prepare import choose_recipe, fit_preparation

NAMES = ("store", "department", "width", "height", "noise")


def a_shop(task: Task = Task.REGRESSION, *, rows: int = 3000, classes: int = 3, seed: int = 0) -> Problem:
    """Return a problem whose target follows a store and department together, and the ratio of two numbers."""
    rng = np.random.default_rng(seed)
    store, department = rng.integers(1, 13, rows), rng.integers(0, 9, rows)
    width, height = rng.uniform(1, 5, rows), rng.uniform(1, 5, rows)
    habit = np.random.default_rng(7).normal(size=(13, 9)) * 3
    signal = habit[store, department] + width / height
    cuts = np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])
    return Problem(
        task=task,
        classes={Task.REGRESSION: 0, Task.BINARY: 2, Task.MULTICLASS: classes}[task],
        matrix=np.column_stack([store, department, width, height, rng.normal(size=rows)]).astype(np.float64),
        names=NAMES,
        categorical=(False, True, False, False, False),
        target={
            Task.REGRESSION: signal,
            Task.BINARY: (signal > np.median(signal)).astype(np.int64),
            Task.MULTICLASS: np.searchsorted(cuts, signal).astype(np.int64),
        }[task],
        seed=seed,
        threads=1,
    )


def everything(problem: Problem) -> NDArray[np.int64]:
    return np.arange(len(problem.target))


def prepared_of(problem: Problem) -> tuple[Floats, Floats]:
    """Return what the training rows are told, and what the same rows would be told as new ones."""
    preparation, told = fit_preparation(choose_recipe(problem, everything(problem)), problem, everything(problem))
    return told, preparation.transform(problem.matrix)


def test_codes_that_look_like_numbers_are_levels() -> None:
    problem = a_shop()
    recipe = choose_recipe(problem, everything(problem))
    assert recipe.levels.sources.tolist() == [0, 1]


def test_a_pair_that_tells_more_than_its_parts_is_crossed() -> None:
    problem = a_shop()
    recipe = choose_recipe(problem, everything(problem))
    assert (0, 1) in recipe.encoded


def test_a_planted_ratio_is_found() -> None:
    problem = a_shop()
    pairs = choose_recipe(problem, everything(problem)).outputs
    assert Output("/", 2, 3) in pairs or Output("/", 3, 2) in pairs


def test_the_same_seed_gives_the_same_preparation() -> None:
    first, second = (prepared_of(a_shop()) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_no_row_is_told_its_own_target() -> None:
    problem = a_shop()
    told, _ = prepared_of(problem)
    problem.target[17] += 1e6
    recipe = choose_recipe(a_shop(), everything(problem))
    again = fit_preparation(recipe, problem, everything(problem))[1]
    changed = np.flatnonzero(np.abs(again - told).max(axis=1) > 1e3)
    assert len(changed) > 100
    assert 17 not in changed


def test_mean_outcomes_that_know_nothing_do_not_pretend_to() -> None:
    problem = a_shop(rows=2000)
    rng = np.random.default_rng(5)
    problem.matrix[:, 0] = rng.integers(0, 400, 2000)
    problem.target[:] = rng.normal(size=2000)
    recipe = choose_recipe(problem, everything(problem))
    told = fit_preparation(recipe, problem, everything(problem))[1]
    for at in range(len(recipe.encoded)):
        assert np.corrcoef(told[:, at], problem.target)[0, 1] < 0.1


def test_rows_outside_the_fold_are_never_read() -> None:
    problem, other = a_shop(), a_shop()
    train = everything(problem)[:2000]
    other.target[2000:] = np.nan
    other.matrix[2000:] = np.nan
    ours, theirs = (fit_preparation(choose_recipe(p, train), p, train) for p in (problem, other))
    np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_array_equal(ours[0].transform(problem.matrix), theirs[0].transform(problem.matrix))


def test_weights_count_like_repeated_rows() -> None:
    problem = a_shop(rows=400)
    weight = np.random.default_rng(3).integers(1, 4, 400)
    weighted = Problem(
        **{name: getattr(problem, name) for name in Problem.__dataclass_fields__} | {"weight": weight * 1.0}
    )
    rows = np.repeat(np.arange(400), weight)
    recipe = choose_recipe(problem, everything(problem))
    ours = fit_preparation(recipe, weighted, everything(problem))[0]
    theirs = fit_preparation(recipe, problem, rows)[0]
    singles = [at for at, (_, right) in enumerate(recipe.encoded) if right < 0]
    for at in singles:
        np.testing.assert_allclose(ours.lookups[at].values, theirs.lookups[at].values)


@pytest.mark.parametrize("task", list(Task))
def test_every_task_is_prepared(task: Task) -> None:
    problem = a_shop(task)
    told, as_new = prepared_of(problem)
    assert told.shape == as_new.shape
    assert told.shape[1] > 3


def test_very_many_classes_have_no_mean_outcomes() -> None:
    problem = a_shop(Task.MULTICLASS, classes=26)
    assert choose_recipe(problem, everything(problem)).encoded == ()


def test_a_table_of_one_column_has_nothing_to_prepare() -> None:
    problem = a_shop()
    alone = Problem(problem.task, 0, problem.matrix[:, 2:3], ("width",), (False,), problem.target)
    preparation, told = fit_preparation(choose_recipe(alone, everything(alone)), alone, everything(alone))
    assert preparation.width == 0
    assert told.shape == (3000, 0)


def test_empty_and_constant_columns_do_no_harm() -> None:
    problem = a_shop()
    problem.matrix[:, 1] = np.nan
    problem.matrix[:, 3] = 2.0
    problem.matrix[::2, 0] = np.nan
    told, as_new = prepared_of(problem)
    assert not np.isinf(told).any()
    assert not np.isinf(as_new).any()
