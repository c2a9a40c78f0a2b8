from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from reporting_worlds import schema_of

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Importance, Task
from tenure.reporting.answers import Answers
from tenure.reporting.drivers import drivers

N = 1000


def answers_of(rows: pl.DataFrame, chance: np.ndarray, *, task: Task = Task.BINARY) -> Answers:
    predicted = np.column_stack([1 - chance, chance]) if task is Task.BINARY else chance
    classes = ("no", "yes") if task is Task.BINARY else ()
    return Answers(task, classes, np.zeros(N, dtype=np.int64), predicted, predicted, rows, None, False)


def one(rows: pl.DataFrame, chance: np.ndarray, *, task: Task = Task.BINARY) -> str:
    schema = schema_of(rows, "target")
    return drivers(answers_of(rows, chance, task=task), schema, [Importance("x", 0.5)])[0].says


def test_rising_and_falling_features_are_told_in_plain_words() -> None:
    x = np.linspace(0, 100, N)
    assert one(pl.DataFrame({"x": x}), x / 200).startswith("The higher, the more: from 2\u00a0of\u00a0100 around 4.95")
    assert one(pl.DataFrame({"x": x}), 0.5 - x / 200).startswith("The higher, the fewer")
    assert one(pl.DataFrame({"x": x}), 900 - x, task=Task.REGRESSION).startswith(
        "The higher, the less: from 895 around 4.95"
    )


def test_hump_level_and_flat_features_are_told_apart() -> None:
    x = np.linspace(-1, 1, N)
    assert one(pl.DataFrame({"x": x}), 0.6 - 0.5 * x**2).startswith("Up and down: highest around")
    level = pl.DataFrame({"x": np.where(x > 0, "new", "old")})
    assert one(level, np.where(x > 0, 0.4, 0.1)).startswith("Highest for “new” (40")
    noise = np.random.default_rng(0)
    assert one(pl.DataFrame({"x": noise.permutation(x)}), noise.random(N)).startswith(("No clear", "Up and down"))
    assert one(pl.DataFrame({"x": np.ones(N)}), x * 0 + 0.3) == "The same everywhere in these rows."


def test_averages_are_those_of_the_rows_in_each_bin() -> None:
    rows = pl.DataFrame({"x": ["a", "b"] * (N // 2)})
    chance = np.where(np.arange(N) % 2 == 0, 0.2, 0.7)
    driver = drivers(answers_of(rows, chance), schema_of(rows, "target"), [Importance("x", 1.0)])[0]
    assert {p.label: p.answers[0] for p in driver.points} == pytest.approx({"a": 0.2, "b": 0.7})
    assert sum(p.rows for p in driver.points) == N


def test_dates_gaps_many_levels_text_and_unknown_columns_are_taken() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "when": [start + timedelta(days=i) for i in range(N)],
            "gaps": [None if i % 3 else float(i) for i in range(N)],
            "empty": pl.Series([None] * N, dtype=pl.Float64),
            "many": [f"level {i % 40}" for i in range(N)],
            "words": ["some text"] * N,
        }
    )
    schema = schema_of(rows, "target")
    text = Column("words", "String", Kind.TEXT)
    schema = Schema((*[c for c in schema.columns if c.name != "words"], text))
    names = [*rows.columns, "made up"]
    found = drivers(answers_of(rows, np.linspace(0, 1, N)), schema, [Importance(n, 0.1) for n in names])
    by_name = {d.feature: d for d in found}
    assert by_name["when"].points[0].label.endswith("\u00a02026")
    assert sum(p.rows for p in by_name["gaps"].points) == rows["gaps"].drop_nulls().len()
    assert by_name["empty"].points == ()
    assert by_name["many"].points[-1].label == "all others"
    assert by_name["words"].points == ()
    assert by_name["made up"].says == "Built from several columns."
