"""Guesses: right on eleven real tables, sensible on planted ones, and never a crash on odd ones."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Kind, Role
from tenure.core.errors import ConfigError, TargetError, TargetMissingError, TenureError
from tenure.core.modelling import Task
from tenure.ingest.infer import guess

NAMES = (
    *("telco_churn", "california_housing", "bike_sharing_hourly", "elec2", "bank_marketing", "walmart_weekly_sales"),
    *("letter_recognition", "mammography", "ames_housing", "cnae9_wide", "fine_food_reviews"),
)


def catalogued(name: str, path: Path) -> dict[str, Any]:
    catalog = path.parent / "catalog.toml"
    if not catalog.exists():
        pytest.skip("there is no catalog.toml beside the data")
    sets: list[dict[str, Any]] = tomllib.loads(catalog.read_text())["dataset"]
    return next(entry for entry in sets if entry["name"] == name)


@pytest.mark.parametrize("name", NAMES)
def test_real_tables_are_guessed_right(name: str, real_data: Callable[[str], Path]) -> None:
    path = real_data(name)
    truth = catalogued(name, path)
    frame = pl.read_parquet(path)
    found = guess(frame, truth["target"])
    assert found.task == truth["task"]
    assert found.time == truth.get("time")
    assert found.positive == truth.get("positive")
    assert found.group is None
    kinds = {column.name: column.kind for column in found.schema.columns}
    assert [column for column, kind in kinds.items() if kind is Kind.TEXT] == truth["text"]
    assert kinds[truth["target"]] is (Kind.NUMERIC if truth["task"] == "regression" else Kind.CATEGORICAL)
    away = [column.name for column in found.schema.columns if column.role in (Role.KEY, Role.IGNORED)]
    assert away == truth["id_columns"]
    assert set(truth["leakage"]) <= {suspicion.column for suspicion in found.suspicious}
    if truth["task"] != "regression":
        assert len(found.classes) == truth.get("classes", 2)


@pytest.mark.parametrize(
    ("values", "task", "positive"),
    [
        (["yes", "no", "no"], Task.BINARY, "yes"),
        (["good", "bad", "bad"], Task.BINARY, "good"),
        (["great", "other", "great"], Task.BINARY, "great"),
        ([True, False, False], Task.BINARY, "true"),
        ([0, 1, 1], Task.BINARY, "1"),
        ([0.0, 1.0, None], Task.BINARY, "1"),
        ([1, 2, 2, 2], Task.BINARY, "1"),
        (["a", "b", "c"], Task.MULTICLASS, None),
        ([1, 2, 3, 4], Task.MULTICLASS, None),
        ([1.5, 2.5, 3.5], Task.REGRESSION, None),
        (list(range(21)), Task.REGRESSION, None),
    ],
)
def test_task_and_positive_class_follow_the_values(values: list[Any], task: Task, positive: str | None) -> None:
    found = guess(pl.DataFrame({"y": values, "x": range(len(values))}), "y")
    assert (found.task, found.positive) == (task, positive)
    assert found.classes[-1:] == (() if positive is None else (positive,)) or task is Task.MULTICLASS


def _people(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "row": range(rows),
            "customer_id": [f"c{i % 80}" for i in range(rows)],
            "visit_id": rng.permutation(rows) + 10_000,
            "born_on": [date(1950, 1, 1) + timedelta(int(d)) for d in rng.integers(0, 20_000, rows)],
            "seen_on": [date(2026, 1, 1) + timedelta(int(d)) for d in rng.integers(0, 90, rows)],
            "nothing": [None] * rows,
            "same": ["x"] * rows,
            "plan": rng.choice(["a", "b"], rows),
            "left": rng.choice(["yes", "no"], rows),
        },
        schema_overrides={"nothing": pl.String},
    )


def test_roles_of_a_planted_table_are_found() -> None:
    found = guess(_people(), "left")
    assert (found.time, found.group, found.key) == ("seen_on", "customer_id", "visit_id")
    ignored = {column.name: column.reason for column in found.schema.with_role(Role.IGNORED)}
    assert set(ignored) == {"row", "nothing", "same"}
    assert all(ignored.values())
    assert {"task", "positive", "time", "group", "key", "window"} == set(found.sentences)


def test_date_that_sorts_the_rows_wins_over_one_named_like_time() -> None:
    frame = _people().sort("born_on")
    assert guess(frame, "left").time == "born_on"


def test_what_is_given_is_not_guessed() -> None:
    found = guess(_people(), "left", time="born_on", group="plan", positive="no", task=Task.BINARY)
    assert (found.time, found.group, found.positive) == ("born_on", "plan", "no")
    assert set(found.sentences) == {"key", "window"}


def test_copies_parts_and_names_of_the_target_are_suspicious() -> None:
    rng = np.random.default_rng(5)
    left = rng.choice(["yes", "no"], 500)
    frame = pl.DataFrame(
        {
            "left": left,
            "code": np.where(left == "yes", "L", "S"),
            "score": np.where(left == "yes", 1.0, 0.0) + rng.random(500) / 2,
            "final_status": rng.choice(["a", "b"], 500),
            "fine": rng.random(500),
        }
    )
    assert {suspicion.column for suspicion in guess(frame, "left").suspicious} == {"code", "score", "final_status"}
    parts = pl.DataFrame({"one": rng.random(200), "two": rng.random(200), "fine": rng.random(200)})
    suspects = guess(parts.with_columns(total=pl.col("one") + pl.col("two")), "total").suspicious
    assert {suspicion.column for suspicion in suspects} == {"one", "two"}


@pytest.mark.parametrize(
    ("values", "task", "says"),
    [
        (["a", "a", None], None, "only 'a'"),
        ([None, None, None], None, "empty in every row"),
        (["a", "b", "c"], Task.BINARY, "3 values"),
        (["a", "b", "a"], Task.MULTICLASS, "two values only"),
        (["a", "b", "c"], Task.REGRESSION, "not numeric"),
        ([f"v{i}" for i in range(600)], None, "600 classes"),
    ],
)
def test_target_that_cannot_be_learned_is_refused(values: list[Any], task: Task | None, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        guess(pl.DataFrame({"y": values, "x": range(len(values))}, schema_overrides={"y": pl.String}), "y", task=task)


def test_missing_column_suggests_the_nearest_and_one_column_has_one_role() -> None:
    with pytest.raises(TargetMissingError) as caught:
        guess(_people(), "lefft")
    assert caught.value.hint == "Did you mean 'left'?"
    with pytest.raises(ConfigError, match="as group and as key"):
        guess(_people(), "left", group="plan", key="plan")
    with pytest.raises(ConfigError, match="no such value"):
        guess(_people(), "left", positive="maybe")


_SERIES = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=30),
    st.lists(st.none() | st.floats(), min_size=1, max_size=30),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=30),
    st.lists(st.none() | st.text(max_size=6), min_size=1, max_size=30),
    st.lists(st.none() | st.dates(), min_size=1, max_size=30),
    st.lists(st.none() | st.datetimes(), min_size=1, max_size=30),
    st.lists(st.none() | st.lists(st.integers(0, 3)), min_size=1, max_size=30),
)


@given(
    st.lists(_SERIES, min_size=1, max_size=4),
    st.lists(st.text(min_size=1, max_size=5), min_size=4, max_size=4, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_odd_tables_give_a_guess_or_an_error_of_ours(columns: list[list[Any]], names: list[str]) -> None:
    rows = min(map(len, columns))
    frame = pl.DataFrame(
        [pl.Series(name, values[:rows], strict=False) for name, values in zip(names, columns, strict=False)]
    )
    try:
        found = guess(frame, names[0])
    except TenureError:
        return
    assert [column.name for column in found.schema.columns] == frame.columns
    assert found.schema.target == names[0]


@pytest.mark.parametrize(
    ("rows", "step", "window"),
    [(2_000, timedelta(minutes=2), "1d"), (2_000, timedelta(hours=1), "30d"), (60, timedelta(days=7), "365d")],
)
def test_the_window_holds_enough_rows_to_judge(rows: int, step: timedelta, window: str) -> None:
    seen = [datetime(2026, 1, 1) + step * at for at in range(rows)]
    table = pl.DataFrame({"seen": seen, "size": range(rows), "left": [at % 3 == 0 for at in range(rows)]})
    assert guess(table, "left", time="seen").window == window


def test_a_weekly_table_is_not_cut_into_days() -> None:
    seen = [datetime(2026, 1, 1) + timedelta(days=7 * (at // 1_000)) for at in range(20_000)]
    table = pl.DataFrame({"seen": seen, "size": range(20_000), "left": [at % 3 == 0 for at in range(20_000)]})
    assert guess(table, "left", time="seen").window == "7d"


def test_without_a_time_traffic_is_cut_by_rows() -> None:
    table = pl.DataFrame({"size": range(50), "left": ["yes", "no"] * 25})
    assert guess(table, "left").window == "500 rows"
