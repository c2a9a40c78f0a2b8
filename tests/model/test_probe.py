from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.modelling import Task
from tenure.core.ports import Deadline
from tenure.model.probe import affordable_rounds, out_of_fold, probe_matrix, quick_booster, quick_matrix

FRAME = pl.DataFrame(
    {
        "n": [1, None, 3],
        "f": [0.5, float("inf"), float("nan")],
        "b": [True, None, False],
        "c": ["b", "a", None],
        "t": ["one two two", None, "three"],
        "d": pl.Series([datetime(1970, 1, 2), None, datetime(1970, 1, 1)], dtype=pl.Datetime("us")),
    }
)
KINDS = {"n": Kind.NUMERIC, "f": Kind.NUMERIC, "b": Kind.BOOLEAN, "c": Kind.CATEGORICAL, "t": Kind.TEXT}
COLUMNS = tuple(Column(n, str(d), KINDS.get(n, Kind.DATETIME)) for n, d in FRAME.schema.items())


def test_every_kind_becomes_one_number_and_empty_becomes_nan() -> None:
    nan = float("nan")
    expected = [[1, 0.5, 1, 2, 11, 86_400], [nan, nan, nan, 1, nan, nan], [3, nan, 0, nan, 5, 0]]
    np.testing.assert_array_equal(quick_matrix(FRAME, COLUMNS), expected)


def test_table_without_columns_is_an_empty_matrix() -> None:
    assert quick_matrix(FRAME, ()).shape == (3, 0)


def test_probe_reads_words_of_texts_and_the_calendar_but_no_elapsed_time() -> None:
    at = Column("d", "Datetime", Kind.DATETIME, Role.TIME)
    schema = Schema((*COLUMNS[:-1], at))
    matrix, sources = probe_matrix(FRAME, schema, schema.features)
    assert matrix.shape == (3, len(sources))
    assert sources.count("d") == 4
    words = matrix[:, [i for i, source in enumerate(sources) if source == "t"][1:]]
    assert sorted(words[0][words[0] > 0]) in ([1, 2], [3])
    assert words[1].sum() == 0
    assert np.nanmax(matrix[:, -4:]) < 32


def test_predictions_have_the_house_shape_and_repeat_themselves() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 3))
    classes = np.digitize(matrix[:, 0], [-0.5, 0.5])
    cases = (
        (Task.BINARY, (classes > 0).astype(int), 2, (300, 2)),
        (Task.MULTICLASS, classes, 3, (300, 3)),
        (Task.REGRESSION, matrix[:, 0], 0, (300,)),
    )
    for task, target, count, shape in cases:
        first, second = (quick_booster(matrix, target, task, count, rounds=5).predict(matrix) for _ in range(2))
        assert first.shape == shape
        np.testing.assert_array_equal(first, second)
        if task is not Task.REGRESSION:
            np.testing.assert_allclose(first.sum(axis=1), 1.0)


def test_one_round_with_a_depth_is_a_plain_tree() -> None:
    matrix = np.arange(200.0)[:, None]
    target = np.repeat([1.0, 5.0], 100)
    np.testing.assert_allclose(
        quick_booster(matrix, target, Task.REGRESSION, 0, rounds=1, depth=4).predict(matrix), target, atol=0.1
    )


def test_out_of_fold_gives_up_when_the_time_is_over() -> None:
    folds = [(np.arange(50), np.arange(50, 100))]
    late = Deadline(0, lambda: 1.0)
    assert out_of_fold(np.zeros((100, 1)), np.zeros(100), Task.REGRESSION, 0, folds, deadline=late) is None


def test_affordable_rounds_fall_with_the_work_and_stay_in_bounds() -> None:
    many = affordable_rounds(1.0, rows=1_000, features=10, classes=2, fits=3)
    few = affordable_rounds(1.0, rows=20_000, features=50, classes=26, fits=10)
    assert few == 10 < many <= 100
