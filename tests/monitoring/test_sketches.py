"""Sketches agree with the model's reading, merge exactly, survive being stored, and take any data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema
from tenure.core.errors import ArtifactError
from tenure.model.values import NO_MOMENT, moments_of, numbers_of, texts_of
from tenure.monitoring.layout import Layout, layout_of
from tenure.monitoring.sketch_counts import FARTHEST, MOST_ROWS, STEPS
from tenure.monitoring.sketches import ColumnSketch, WindowSketch, empty_sketch, merged, sketch

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
MANY = 1_000_000
NUMBERS = (Kind.NUMERIC, Kind.BOOLEAN)

odd_floats = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 3.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf")]),
)
odd_texts = st.one_of(
    st.text(max_size=4),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        ["", " ", "nan", "-inf", " Infinity ", "1_000", "true", "3.0", "3", "+5", ".5", "1e5", "0x1f", "١"]
    ),
    st.sampled_from(["2026-01-05", "2026-01-05T12:00:00Z", "5. Januar"]),
)
WAYS: list[tuple[Any, Any]] = [
    (pl.Float64, odd_floats),
    (pl.Float32, st.floats(width=32)),
    (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    (pl.UInt64, st.integers(0, 2**64 - 1)),
    (pl.Int8, st.integers(-128, 127)),
    (pl.Int128, st.integers(-(2**100), 2**100)),
    (pl.Boolean, st.booleans()),
    (pl.String, odd_texts),
    (pl.Categorical, odd_texts),
    (pl.Enum(["a", "b", "3"]), st.sampled_from(["a", "b", "3"])),
    (pl.Decimal(20, 3), st.decimals(-1_000_000, 1_000_000, places=3)),
    (pl.Date, st.dates()),
    (pl.Datetime("us"), st.datetimes()),
    (
        pl.Datetime("ms", "Europe/Berlin"),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
    ),
    (pl.Time, st.times()),
    (pl.Duration("us"), st.timedeltas(timedelta(-1_000), timedelta(1_000))),
    (pl.Binary, st.binary(max_size=3)),
    (pl.List(pl.Int64), st.lists(st.integers(0, 3), max_size=2)),
    (pl.Struct({"a": pl.Int64}), st.integers(0, 3).map(lambda a: {"a": a})),
    (pl.Object, st.one_of(odd_floats, odd_texts, st.booleans(), st.integers(0, 2**70))),
    (pl.Null, st.none()),
]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pl.Series:
    dtype, cell = draw(st.sampled_from(WAYS))
    cells = draw(st.lists(st.one_of(st.none(), cell, cell), min_size=rows, max_size=rows))
    return pl.Series(cells, dtype=dtype, strict=False)


@st.composite
def tables(draw: st.DrawFn, most: int = 12) -> pl.DataFrame:
    rows = draw(st.integers(0, most))
    return pl.DataFrame({name: draw(columns(rows)) for name in draw(st.sets(st.sampled_from("xyz")))})


schemas = st.lists(st.sampled_from(list(Kind)), min_size=0, max_size=3).map(
    lambda kinds: Schema(tuple(Column(name, "", kind) for name, kind in zip("xyz", kinds, strict=False)))
)


few_bins = st.integers(2, 6)


def told(rows: pl.DataFrame, layout: Layout, week: int = 0) -> WindowSketch:
    return sketch(rows, layout, start=START + week * WEEK, end=START + (week + 1) * WEEK)


def one(cells: pl.Series, kind: Kind, reference: pl.Series | None = None) -> ColumnSketch:
    known = pl.DataFrame({"x": cells if reference is None else reference})
    layout = layout_of(known, Schema((Column("x", "", kind),)))
    return told(pl.DataFrame({"x": cells}), layout).columns["x"]


@given(tables(), tables(), schemas, few_bins, st.data())
def test_any_rows_cut_anywhere_and_merged_are_the_rows_bit_for_bit(
    reference: pl.DataFrame, rows: pl.DataFrame, schema: Schema, bins: int, data: st.DataObject
) -> None:
    layout = layout_of(reference, schema, bins=bins)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows.height), max_size=4)))
    parts = [rows[low:high] for low, high in zip([0, *cuts], [*cuts, rows.height], strict=True)]
    sketches = data.draw(st.permutations([told(part, layout) for part in parts]))
    assert merged(sketches, layout).to_bytes() == told(rows, layout).to_bytes()


@given(tables(), tables(), tables(), schemas)
def test_merging_is_associative_and_commutative_and_nothing_changes_nothing(
    first: pl.DataFrame, second: pl.DataFrame, third: pl.DataFrame, schema: Schema
) -> None:
    layout = layout_of(first, schema)
    a, b, c = (told(rows, layout, week) for week, rows in enumerate((first, second, third)))
    assert a.merged(b).merged(c).to_bytes() == a.merged(b.merged(c)).to_bytes()
    assert a.merged(b).to_bytes() == b.merged(a).to_bytes()
    assert empty_sketch(layout).merged(a).to_bytes() == a.to_bytes() == a.merged(empty_sketch(layout)).to_bytes()


@given(tables(), tables(), schemas)
def test_a_sketch_survives_being_stored(reference: pl.DataFrame, rows: pl.DataFrame, schema: Schema) -> None:
    layout = Layout.from_dict(layout_of(reference, schema).to_dict())
    before = told(rows, layout)
    after = WindowSketch.from_bytes(layout, before.to_bytes())
    assert (after.start, after.end, after.rows) == (before.start, before.end, before.rows)
    assert after.to_bytes() == before.to_bytes()


@given(tables(), tables(), schemas, few_bins)
def test_every_cell_is_counted_once_as_the_model_reads_it(
    reference: pl.DataFrame, rows: pl.DataFrame, schema: Schema, bins: int
) -> None:
    layout = layout_of(reference, schema, bins=bins)
    for name, column in told(rows, layout).columns.items():
        known = read(rows[name], layout[name].kind) if name in rows.columns else np.array([])
        assert column.rows == rows.height
        assert column.known == column.counts.sum() == len(known)
        if layout[name].is_text:
            kept = layout[name].levels
            assert column.counts.tolist() == [
                *((known == level).sum() for level in kept),
                sum(text not in kept for text in known),
            ]
        else:
            at = np.searchsorted(np.array(layout[name].edges), known)
            assert column.counts.tolist() == np.bincount(at, minlength=layout[name].places).tolist()
            assert column.low == (known.min() if len(known) else None)
            assert column.high == (known.max() if len(known) else None)


def read(cells: pl.Series, kind: Kind) -> np.ndarray:
    if kind in NUMBERS:
        numbers = numbers_of(cells)
        return numbers[np.isfinite(numbers)]
    if kind is Kind.DATETIME:
        plain = cells.cast(pl.String) if cells.dtype in (pl.Categorical, pl.Enum) else cells
        moments = moments_of(plain)
        return moments[moments != NO_MOMENT] / 1e6
    return texts_of(cells).drop_nulls().to_numpy()


@given(tables(), tables(), schemas, few_bins, st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_figures_of_any_sketch_lie_between_its_extremes(
    reference: pl.DataFrame, rows: pl.DataFrame, schema: Schema, bins: int, shares: list[float]
) -> None:
    for column in told(rows, layout_of(reference, schema, bins=bins)).columns.values():
        assert 0 <= column.missing_share <= 1
        assert 0 <= column.other_share <= 1
        if column.layout.is_text or not column.known:
            assert (column.mean, column.deviation, column.quantile(0.5)) == (None, None, None)
            continue
        assert column.low is not None
        assert column.high is not None
        quantiles = [column.quantile(q) or 0.0 for q in sorted(shares)]
        assert quantiles == sorted(quantiles)
        assert all(column.low <= value <= column.high for value in (column.mean, *quantiles))  # type: ignore[operator]
        assert 0 <= column.deviation < float("inf")  # type: ignore[operator]


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(50, 3, size=n),
        lambda rng, n: np.exp(rng.normal(3, 1, size=n)),
        lambda rng, n: rng.poisson(4, size=n).astype(float),
        lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.gamma(2, 3, size=n)),
    ],
    ids=["normal", "lognormal", "counts", "mostly zero"],
)
def test_moments_and_quantiles_are_near_those_of_the_rows(
    draw: Callable[[np.random.Generator, int], np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    reference, values = draw(rng, 20_000), draw(rng, 10_000)
    column = one(pl.Series(values), Kind.NUMERIC, pl.Series(reference))
    step = column.layout.scale / STEPS
    assert column.mean == pytest.approx(values.mean(), abs=step)
    assert column.deviation == pytest.approx(values.std(), abs=step, rel=1e-4)
    for q in (0, 0.1, 0.5, 0.9, 1):
        near = np.quantile(values, [max(q - 0.005, 0), min(q + 0.005, 1)], method="inverted_cdf")
        assert near[0] <= column.quantile(q) <= near[1]  # type: ignore[operator]


def test_why_there_is_no_number_is_told() -> None:
    column = one(pl.Series(["1", " 2 ", "", "NaN", None, "inf", "-Infinity", "soon", "1_000", "true"]), Kind.NUMERIC)
    assert (column.missing, column.infinite, column.unreadable, column.known) == (3, 2, 2, 3)
    assert column.missing_share == 0.7
    floats = one(pl.Series([1.0, None, float("nan"), float("inf")]), Kind.NUMERIC)
    assert (floats.missing, floats.infinite, floats.unreadable, floats.known) == (2, 1, 0, 1)


def test_shares_of_levels_are_of_the_known_cells() -> None:
    cells = pl.Series(["a", "a", "b", "new", None])
    column = one(cells, Kind.CATEGORICAL, pl.Series(["a", "b"]))
    assert column.shares.tolist() == [0.5, 0.25, 0.25]
    assert column.missing_share == pytest.approx(0.2)


def test_a_number_reads_as_the_same_level_whatever_its_type() -> None:
    reference = pl.Series(["3", "4"])
    for cells in (pl.Series([3, 4, 3]), pl.Series([3.0, 4.0, 3.0]), pl.Series(["3", "4", "3"])):
        assert one(cells, Kind.CATEGORICAL, reference).counts.tolist() == [2, 1, 0]


def test_the_farthest_values_in_the_largest_part_do_not_overflow() -> None:
    reference = pl.Series(np.random.default_rng(0).normal(size=1_000))
    cells = pl.Series(np.full(MOST_ROWS + 5, -1e300))
    column = one(cells, Kind.NUMERIC, reference)
    assert column.total == -FARTHEST * STEPS * (MOST_ROWS + 5)
    assert column.squares == (FARTHEST * STEPS) ** 2 * (MOST_ROWS + 5)
    assert column.deviation == 0


def test_a_million_levels_keep_a_sketch_small() -> None:
    cells = pl.Series(np.arange(MANY)).cast(pl.String)
    layout = layout_of(pl.DataFrame({"x": cells}), Schema((Column("x", "", Kind.CATEGORICAL),)))
    window = told(pl.DataFrame({"x": cells}), layout)
    assert window.columns["x"].counts.sum() == MANY
    assert window.columns["x"].counts[-1] == MANY - len(layout["x"].levels)
    assert len(window.to_bytes()) < 1_000


def test_fifty_columns_take_less_than_fifty_kilobytes() -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    frame = pl.DataFrame({f"n{i}": rng.normal(size=rows) for i in range(40)}).with_columns(
        pl.Series(f"t{i}", rng.integers(0, 500, size=rows).astype(str)) for i in range(10)
    )
    kinds = [Kind.NUMERIC] * 40 + [Kind.CATEGORICAL] * 10
    schema = Schema(tuple(Column(name, "", kind) for name, kind in zip(frame.columns, kinds, strict=True)))
    assert len(told(frame, layout_of(frame, schema)).to_bytes()) < 25_000


def test_new_columns_are_passed_over_and_lost_ones_are_missing() -> None:
    layout = layout_of(pl.DataFrame({"x": [1.0, 2.0]}), Schema((Column("x", "", Kind.NUMERIC),)))
    column = told(pl.DataFrame({"new": [1, 2, 3]}), layout).columns["x"]
    assert (column.rows, column.missing, column.known) == (3, 3, 0)


def test_a_moment_without_a_zone_is_utc() -> None:
    layout = layout_of(pl.DataFrame(), Schema(()))
    window = sketch(pl.DataFrame(), layout, start=START.replace(tzinfo=None), end=START)
    assert window.start == window.end == START


def test_sketches_of_different_layouts_do_not_mix() -> None:
    schema = Schema((Column("x", "", Kind.NUMERIC),))
    rows = pl.DataFrame({"x": [1.0, 2.0]})
    here, there = layout_of(rows, schema), layout_of(rows * 2, schema)
    with pytest.raises(ArtifactError):
        told(rows, here).merged(told(rows, there))
    with pytest.raises(ArtifactError):
        WindowSketch.from_bytes(there, told(rows, here).to_bytes())


def test_damaged_data_are_refused() -> None:
    layout = layout_of(pl.DataFrame({"x": [1.0, 2.0]}), Schema((Column("x", "", Kind.NUMERIC),)))
    data = told(pl.DataFrame({"x": [1.0]}), layout).to_bytes()
    for damaged in (b"", data[:-5], b"no sketch"):
        with pytest.raises(ArtifactError):
            WindowSketch.from_bytes(layout, damaged)
