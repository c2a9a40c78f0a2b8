from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from training_worlds import planted, ticking

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Configuration, DataShape, Task
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.prepared import PreparedMember
from tenure.model.probe import quick_matrix
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.families.prepared import PreparedFamily

ROWS = np.arange(900)
TRAIN, VALID = ROWS[ROWS % 3 > 0], ROWS[ROWS % 3 == 0]
FAMILY = PreparedFamily()


def a_ratio(task: Task = Task.REGRESSION, seed: int = 0) -> Problem:
    """Return a problem whose target is the ratio of two numbers, and a category's habit."""
    rng = np.random.default_rng(seed)
    numbers, category = rng.uniform(1, 9, (900, 3)), rng.integers(0, 6, 900)
    signal = numbers[:, 0] / numbers[:, 1] + 0.3 * category
    target = {
        Task.REGRESSION: signal,
        Task.BINARY: (signal > np.median(signal)).astype(np.int64),
        Task.MULTICLASS: np.searchsorted(np.quantile(signal, [0.3, 0.6]), signal).astype(np.int64),
    }[task]
    matrix = np.column_stack([numbers, category])
    classes = {Task.REGRESSION: 0, Task.BINARY: 2, Task.MULTICLASS: 3}[task]
    return Problem(task, classes, matrix, ("a", "b", "c", "d"), (False, False, False, True), target, threads=1)


def named(problem: Problem, end: str) -> Configuration:
    return next(c for c in FAMILY.configurations(problem.shape) if c.name == f"prepared-{end}")


def fitted(problem: Problem, deadline: Deadline, end: str = "random-64-outcomes") -> Fitted:
    found = FAMILY.fit(named(problem, end), problem, TRAIN, VALID, rounds=None, deadline=deadline)
    assert found is not None
    return found


def test_prepared_features_beat_the_encoded_columns_where_a_ratio_is_planted(plenty: Deadline) -> None:
    problem = a_ratio()
    plain = next(c for c in LightGBMFamily().configurations(problem.shape) if c.name == "lightgbm-random-64")
    other = LightGBMFamily().fit(plain, problem, TRAIN, VALID, rounds=None, deadline=plenty)
    assert other is not None
    ours, theirs = (
        np.mean((f.member.predict(problem.matrix[VALID]) - problem.target[VALID]) ** 2)
        for f in (fitted(problem, plenty), other)
    )
    assert ours < 0.5 * theirs


@pytest.mark.parametrize("task", list(Task))
def test_the_member_answers_as_its_validated_loss_says(task: Task, plenty: Deadline) -> None:
    problem = a_ratio(task)
    said = fitted(problem, plenty).member.predict(problem.matrix[VALID])
    if task is Task.REGRESSION:
        assert np.mean((said - problem.target[VALID]) ** 2) < 0.2 * problem.target.var()
    else:
        assert np.mean(said.argmax(axis=1) == problem.target[VALID]) > 0.8


def test_one_row_gives_the_same_bits_as_a_table(plenty: Deadline) -> None:
    problem = a_ratio()
    member = fitted(problem, plenty).member
    matrix = problem.matrix[VALID].copy()
    matrix[::7, 0], matrix[::5, 3], matrix[::11, 1] = np.nan, 17.0, 0.0
    table = member.predict(matrix)
    for at in range(0, len(matrix), 9):
        assert member.predict(matrix[at : at + 1])[0] == table[at]


def test_a_stored_member_keeps_only_what_its_trees_read(plenty: Deadline, tmp_path: Path) -> None:
    problem = a_ratio()
    member = fitted(problem, plenty, "random-8").member
    assert isinstance(member, PreparedMember)
    assert len(member.preparation.outputs) <= member.preparation.width
    spec = json.loads(json.dumps(member.save(tmp_path, "00")))
    again = PreparedMember.load(tmp_path, spec)
    np.testing.assert_array_equal(again.predict(problem.matrix), member.predict(problem.matrix))


def test_configurations_of_a_fold_share_its_preparation(plenty: Deadline) -> None:
    problem = a_ratio()
    fitted(problem, plenty)
    made = [dict(fold.made) for fold in problem.shared["prepared"].known.values()]
    fitted(problem, plenty, "small-16-outcomes")
    assert [fold.made for fold in problem.shared["prepared"].known.values()] == made
    fitted(replace(problem, seed=1), plenty)
    assert len(problem.shared["prepared"].known) == 2


def test_two_threads_give_what_one_gives() -> None:
    def answers(problem: Problem, *, at_once: bool) -> list[float]:
        found: dict[str, float] = {}

        def learn(end: str) -> None:
            member = fitted(problem, Deadline(inf, ticking()), end).member
            found[end] = float(member.predict(problem.matrix).sum())

        threads = [threading.Thread(target=learn, args=(end,)) for end in ("random-64-outcomes", "small-16-outcomes")]
        for thread in threads:
            thread.start()
            if not at_once:
                thread.join()
        for thread in threads:
            thread.join()
        return [found[end] for end in sorted(found)]

    assert answers(a_ratio(), at_once=True) == answers(a_ratio(), at_once=False)


def test_a_table_with_nothing_to_prepare_is_left_to_others(plenty: Deadline) -> None:
    problem = a_ratio()
    alone = replace(problem, matrix=problem.matrix[:, :1], names=("a",), categorical=(False,), shared={})
    assert FAMILY.fit(named(problem, "random-64-outcomes"), alone, TRAIN, VALID, rounds=None, deadline=plenty) is None


def test_no_time_gives_nothing() -> None:
    problem = planted(Task.BINARY)
    proposed = FAMILY.configurations(problem.shape)[0]
    spent = Deadline(0.0, ticking())
    assert FAMILY.fit(proposed, problem, TRAIN[:300], None, rounds=None, deadline=spent) is None


def test_very_many_rows_are_left_to_others() -> None:
    assert FAMILY.configurations(DataShape(Task.BINARY, 5_000_000, 10, 0, 2)) == ()


def test_configurations_with_mean_outcomes_are_left_out_for_very_many_classes() -> None:
    few, many = (FAMILY.configurations(DataShape(Task.MULTICLASS, 5_000, 10, 0, classes)) for classes in (5, 26))
    assert len(many) < len(few)
    assert not any(configuration.params["outcomes"] for configuration in many)


def test_real_categories_and_numbers_are_prepared(
    real_data: Callable[[str], Path],
) -> None:
    frame = pl.read_parquet(real_data("telco_churn")).drop("customerID")
    schema = Schema(tuple(Column(name, str(dtype), _kind(dtype)) for name, dtype in frame.drop("Churn").schema.items()))
    matrix = quick_matrix(frame, schema.columns) - 1.0
    categorical = tuple(column.kind is Kind.CATEGORICAL for column in schema.columns)
    target = (frame["Churn"] == "Yes").cast(pl.Int64).to_numpy()
    problem = Problem(Task.BINARY, 2, matrix, tuple(c.name for c in schema.columns), categorical, target, threads=1)
    rows = np.random.default_rng(3).permutation(len(target))
    train, valid = np.sort(rows[:4000]), np.sort(rows[4000:])
    proposed = named(problem, "random-64-outcomes")
    found = FAMILY.fit(
        replace(proposed, params=proposed.params | {"learning_rate": 0.15}),
        problem,
        train,
        valid,
        rounds=None,
        deadline=Deadline(inf, ticking()),
    )
    assert found is not None
    likely = found.member.predict(problem.matrix[valid])[np.arange(len(valid)), target[valid]]
    assert -np.mean(np.log(likely)) < 0.44


def _kind(dtype: pl.DataType) -> Kind:
    return Kind.NUMERIC if dtype.is_numeric() else Kind.CATEGORICAL
