"""Summaries: the same for windows of any size, known variance, defined for every sketch there can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats
from tenure.monitoring.layout import ColumnLayout, Layout, layout_of
from tenure.monitoring.sketches import WindowSketch, merged, sketch
from tenure.monitoring.summaries import scale_of, summaries

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS = {
    "normal": Kind.NUMERIC,
    "amount": Kind.NUMERIC,
    "often_zero": Kind.NUMERIC,
    "flag": Kind.BOOLEAN,
    "rare_flag": Kind.BOOLEAN,
    "some_empty": Kind.NUMERIC,
    "few": Kind.CATEGORICAL,
    "many": Kind.CATEGORICAL,
    "constant": Kind.NUMERIC,
}
SCHEMA = Schema(tuple(Column(name, "", kind) for name, kind in KINDS.items()))


def world(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "normal": rng.normal(size=rows),
            "amount": np.exp(2 * rng.normal(size=rows)),
            "often_zero": np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(size=rows)),
            "flag": rng.random(rows) < 0.3,
            "rare_flag": rng.random(rows) < 0.002,
            "some_empty": np.where(rng.random(rows) < 0.02, np.nan, rng.normal(size=rows)),
            "few": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
            "many": rng.integers(0, 300, rows).astype(str),
            "constant": np.ones(rows),
        }
    )


def sketched(frames: list[pl.DataFrame], layout: Layout) -> list[WindowSketch]:
    return [sketch(frame, layout, start=START + i * DAY, end=START + (i + 1) * DAY) for i, frame in enumerate(frames)]


@pytest.fixture(scope="module")
def reference() -> tuple[Layout, list[WindowSketch]]:
    rng = np.random.default_rng(1)
    frames = [world(rng, 1_000) for _ in range(20)]
    layout = layout_of(pl.concat(frames), SCHEMA)
    return layout, sketched(frames, layout)


def values_of(reference: tuple[Layout, list[WindowSketch]], windows: list[WindowSketch]) -> dict[str, Floats]:
    layout, known = reference
    table = summaries(windows, scale_of(merged(known, layout), layout))
    names = [f"{column}: {name}" for column, name in zip(table.columns, table.names, strict=True)]
    return dict(zip(names, table.values.T, strict=True))


@pytest.mark.parametrize("rows", [30, 100, 1_000])
def test_chance_moves_summaries_by_no_more_than_their_variance_says(
    reference: tuple[Layout, list[WindowSketch]], rows: int
) -> None:
    layout, known = reference
    rng = np.random.default_rng(2)
    scale = scale_of(merged(known, layout), layout)
    table = summaries(sketched([world(rng, rows) for _ in range(150)], layout), scale)
    usual = summaries(known, scale)
    centre = usual.values.mean(axis=0)
    granted = table.variances + usual.variances.mean(axis=0) / len(known) + table.allowances
    z = (table.values - centre) / np.sqrt(granted)
    root_mean_square = np.sqrt((z**2).mean(axis=0))
    # Angles of rare shares move by up to their whole variance with the size of the window; nothing else does.
    assert (root_mean_square <= 1.6).all(), list(
        zip(table.columns, table.names, root_mean_square.round(2), strict=True)
    )
    assert np.median(root_mean_square) <= 1.15


def test_every_column_has_a_summary_and_dates_only_that_of_their_empty_cells() -> None:
    days = pl.DataFrame({"day": [START + i * DAY for i in range(60)], "x": np.arange(60.0)})
    schema = Schema((Column("day", "", Kind.DATETIME), Column("x", "", Kind.NUMERIC)))
    layout = layout_of(days, schema)
    windows = sketched([days], layout)
    table = summaries(windows, scale_of(windows[0], layout))
    assert table.columns.count("day") == 1
    assert table.columns.count("x") == 3


@pytest.mark.parametrize(
    ("column", "change", "moved"),
    [
        ("normal", pl.col("normal") + 0.5, "normal: mean"),
        ("amount", pl.col("amount") * 3, "amount: mean"),
        ("normal", pl.col("normal") * 2, "normal: spread"),
        ("flag", ~pl.col("flag"), "flag: share of"),
        ("rare_flag", pl.col("normal") > 1.5, "rare_flag: share of"),
        ("some_empty", pl.when(pl.col("normal") > 0).then(pl.col("some_empty")), "some_empty: empty"),
        ("few", pl.col("few").replace("a", "c"), "few: share of"),
        ("few", pl.col("few").replace("c", "new"), "few: mean"),
        ("many", pl.lit("new"), "many: share of"),
    ],
)
def test_a_planted_shift_moves_the_summary_that_is_made_for_it(
    reference: tuple[Layout, list[WindowSketch]], column: str, change: pl.Expr, moved: str
) -> None:
    layout, known = reference
    frame = world(np.random.default_rng(3), 1_000)
    windows = [*known, *sketched([frame.with_columns(change.alias(column))], layout)]
    values = values_of(reference, windows)
    far = {
        name: abs(v[-1] - v[:-1].mean()) / max(float(v[:-1].std()), 0.01)
        for name, v in values.items()
        if np.isfinite(v[-1])
    }
    assert max(value for name, value in far.items() if name.startswith(moved)) > 8
    assert max(value for name, value in far.items() if not name.startswith(f"{column}:")) < 5


def test_a_constant_that_starts_to_vary_is_seen_where_the_layout_gives_it_edges() -> None:
    layout = Layout((ColumnLayout("constant", Kind.NUMERIC, edges=(float(np.nextafter(1.0, 0)), 1.0)),))
    still, varied = (pl.DataFrame({"constant": values}) for values in ([1.0] * 100, [1.0] * 50 + [2.0] * 50))
    windows = sketched([still, varied], layout)
    table = summaries(windows, scale_of(windows[0], layout))
    (at,) = [i for i, name in enumerate(table.names) if name != "empty"]
    assert abs(table.values[1, at] - table.values[0, at]) > 10 * np.sqrt(table.variances[1, at])


def test_one_odd_row_among_hundreds_never_counts_like_a_shift(
    reference: tuple[Layout, list[WindowSketch]],
) -> None:
    layout, known = reference
    frame = world(np.random.default_rng(4), 500)
    odd = pl.DataFrame(
        {
            name: [value]
            for name, value in zip(KINDS, (9.0, 1e9, 1e9, True, True, float("nan"), "new", "new", 5.0), strict=True)
        }
    )
    scale = scale_of(merged(known, layout), layout)
    table = summaries(sketched([frame, pl.concat([frame, odd], how="vertical_relaxed")], layout), scale)
    assert (np.abs(table.values[1] - table.values[0]) <= 1.6 * np.sqrt(table.variances[0])).all()


def test_order_of_rows_changes_nothing(reference: tuple[Layout, list[WindowSketch]]) -> None:
    layout, known = reference
    frame = world(np.random.default_rng(5), 400)
    windows = sketched([frame, frame.sample(fraction=1, shuffle=True, seed=1)], layout)
    table = summaries(windows, scale_of(merged(known, layout), layout))
    np.testing.assert_array_equal(table.values[0], table.values[1])


cells = st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, -1e308])), max_size=40)
texts = st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=40)


@settings(max_examples=50, deadline=None)
@given(numbers=st.tuples(cells, cells), names=st.tuples(texts, texts))
def test_every_sketch_is_summed_up(
    numbers: tuple[list[float | None], ...], names: tuple[list[str | None], ...]
) -> None:
    schema = Schema((Column("x", "", Kind.NUMERIC), Column("name", "", Kind.CATEGORICAL)))
    frames = [
        pl.DataFrame(
            {
                "x": pl.Series(number[: len(name)], dtype=pl.Float64),
                "name": pl.Series(name[: len(number)], dtype=pl.String),
            }
        )
        for number, name in zip(numbers, names, strict=True)
    ]
    layout = layout_of(frames[0], schema)
    windows = sketched([*frames, frames[0].clear()], layout)
    table = summaries(windows, scale_of(windows[0], layout))
    assert not np.isinf(table.values).any()
    assert (table.variances[np.isfinite(table.variances)] > 0).all()
    assert np.isfinite(table.allowances).all()
    assert np.isnan(table.values[-1]).all()  # a window of no rows says nothing
