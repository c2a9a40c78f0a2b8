"""Files are sketched window by window as their rows would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tenure.core.data import Column, Kind, Schema
from tenure.monitoring.layout import Layout, layout_of
from tenure.monitoring.sketch_files import sketch_file
from tenure.monitoring.sketches import merged, sketch

START = datetime(2026, 1, 5)
DAY = timedelta(days=1)
ROWS = 150_000  # more than a batch


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.integers(0, 7 * 86_400, size=ROWS))
    numbers = {f"n{i}": rng.normal(size=ROWS) for i in range(12)}  # more than a pass
    moments = np.datetime64(START, "us") + seconds.astype("timedelta64[s]")
    return pl.DataFrame({"at": moments, **numbers, "plan": rng.choice(["basic", "plus", "max"], size=ROWS)})


@pytest.fixture(scope="module")
def layout(rows: pl.DataFrame) -> Layout:
    kinds = [Kind.NUMERIC] * 12 + [Kind.CATEGORICAL]
    columns = [Column(name, "", kind) for name, kind in zip(rows.columns[1:], kinds, strict=True)]
    return layout_of(rows.head(5_000), Schema((*columns, Column("gone", "", Kind.NUMERIC))))


def by_day(rows: pl.DataFrame, layout: Layout) -> list[bytes]:
    days = [START + i * DAY for i in range(7)]
    parts = [rows.filter((pl.col("at") >= day) & (pl.col("at") < day + DAY)) for day in days]
    return [sketch(part, layout, start=day, end=day + DAY).to_bytes() for day, part in zip(days, parts, strict=True)]


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "in no order"])
def test_windows_of_a_parquet_file_are_those_of_its_rows(
    rows: pl.DataFrame, layout: Layout, tmp_path: Path, shuffled: bool
) -> None:
    path = tmp_path / "rows.parquet"
    (rows.sample(fraction=1, shuffle=True, seed=1) if shuffled else rows).write_parquet(path, row_group_size=40_000)
    found = sketch_file(path, layout, time="at", length=DAY)
    assert [window.to_bytes() for window in found] == by_day(rows, layout)


def test_a_lazy_frame_and_an_expression_do_as_well(rows: pl.DataFrame, layout: Layout) -> None:
    lazy = rows.with_columns(hours=pl.col("at") + timedelta(hours=1)).lazy()
    found = sketch_file(lazy, layout, time=pl.col("hours") - timedelta(hours=1), length=DAY)
    assert [window.to_bytes() for window in found] == by_day(rows, layout)


def test_a_csv_file_is_read_as_its_rows(rows: pl.DataFrame, layout: Layout, tmp_path: Path) -> None:
    some = rows.head(3_000)
    some.write_csv(tmp_path / "rows.csv")
    (found,) = sketch_file(tmp_path / "rows.csv", layout)
    assert found.to_bytes() == sketch(some, layout, start=found.start, end=found.end).to_bytes()


def test_without_a_length_all_dated_rows_make_one_window(rows: pl.DataFrame, layout: Layout) -> None:
    undated = rows.head(10).with_columns(at=pl.lit(None, dtype=pl.Datetime("us")))
    (found,) = sketch_file(pl.concat([rows, undated]).lazy(), layout, time="at")
    span = rows["at"][0].replace(tzinfo=UTC), rows["at"][-1].replace(tzinfo=UTC)
    assert (found.start, found.end, found.rows) == (*span, ROWS)
    days = sketch_file(rows.lazy(), layout, time="at", length=DAY)
    assert merged(days, layout).columns["n0"].total == found.columns["n0"].total


def test_windows_are_counted_from_the_origin() -> None:
    lazy = pl.LazyFrame({"at": [START, START + timedelta(days=8)], "x": [1.0, 2.0]})
    layout = layout_of(lazy.collect(), Schema((Column("x", "", Kind.NUMERIC),)))
    starts = [w.start for w in sketch_file(lazy, layout, time="at", length=7 * DAY)]
    assert starts == [START.replace(tzinfo=UTC), (START + 7 * DAY).replace(tzinfo=UTC)]
    (whole,) = sketch_file(lazy, layout, time="at", length=9 * DAY, origin=START)
    assert whole.rows == 2


@pytest.mark.parametrize("times", [[], [None], ["soon"], [float("nan")], [[1]]], ids=str)
def test_a_file_without_a_readable_time_has_no_window(times: list[object]) -> None:
    lazy = pl.LazyFrame({"at": times, "x": [1.0] * len(times)})
    layout = layout_of(pl.DataFrame({"x": [1.0]}), Schema((Column("x", "", Kind.NUMERIC),)))
    assert sketch_file(lazy, layout, time="at", length=DAY) == []


def test_a_file_without_known_columns_is_sketched_as_missing(tmp_path: Path) -> None:
    pl.DataFrame({"new": [1, 2]}).write_parquet(tmp_path / "new.parquet")
    layout = layout_of(pl.DataFrame({"x": [1.0]}), Schema((Column("x", "", Kind.NUMERIC),)))
    (found,) = sketch_file(tmp_path / "new.parquet", layout)
    assert (found.rows, found.columns["x"].missing) == (2, 2)
