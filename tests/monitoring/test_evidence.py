"""Evidence for colour: honest p-values, corrected indices, plain words, and a reason where there is nothing to say."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema
from tenure.monitoring.evidence import LEARNING, Evidence, evidence, q_values
from tenure.monitoring.layout import ColumnLayout, Layout, layout_of
from tenure.monitoring.sketches import sketch

AT = datetime(2026, 1, 5, tzinfo=UTC)
KINDS = {
    "normal": Kind.NUMERIC,
    "count": Kind.NUMERIC,
    "flag": Kind.BOOLEAN,
    "holes": Kind.NUMERIC,
    "few": Kind.CATEGORICAL,
    "many": Kind.CATEGORICAL,
}
SCHEMA = Schema(tuple(Column(name, "", kind) for name, kind in KINDS.items()))


def world(rng: np.random.Generator, rows: int, *, shift: float = 0.0, gone: float = 0.02) -> pl.DataFrame:
    holes = np.where(rng.random(rows) < gone, np.nan, rng.normal(size=rows))
    return pl.DataFrame(
        {
            "normal": 10 + rng.normal(shift, 1, rows),
            "count": rng.poisson(2, rows),
            "flag": rng.random(rows) < 0.1,
            "holes": holes,
            "few": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
            "many": rng.integers(0, 400, rows).astype(str),
        }
    )


def compared(
    reference: pl.DataFrame, current: pl.DataFrame, schema: Schema = SCHEMA, *, learning: bool = False
) -> dict[str, Evidence]:
    layout = layout_of(reference, schema)
    old, new = (sketch(frame, layout, start=AT, end=AT) for frame in (reference, current))
    return {found.column: found for found in evidence(old, new, layout, learning=learning)}


@pytest.mark.parametrize("rows", [60, 200, 800])
def test_chances_are_honest_where_nothing_changed(rows: int) -> None:
    rng = np.random.default_rng(1)
    reference = world(rng, 6_000)
    layout = layout_of(reference, SCHEMA)
    old = sketch(reference, layout, start=AT, end=AT)
    p, indices = [], []
    for _ in range(120):
        found = evidence(old, sketch(world(rng, rows), layout, start=AT, end=AT), layout)
        assert [e.column for e in found if e.skipped] == ["many"]  # four hundred levels: nothing to tell
        p += [e.p for e in found if e.skipped is None]
        indices += [e.psi.value for e in found if e.skipped is None]
    assert np.mean(np.array(p) < 0.05) <= 0.06
    assert np.mean(np.array(p) < 0.005) <= 0.01
    assert abs(np.mean(indices)) < 0.3 / rows


@pytest.mark.parametrize("rows", [200, 3_000])
def test_the_interval_of_the_index_holds_the_truth_nine_times_in_ten(rows: int) -> None:
    rng = np.random.default_rng(2)
    reference = world(rng, 20_000)
    layout = layout_of(reference, SCHEMA)
    old = sketch(reference, layout, start=AT, end=AT)
    truth = evidence(old, sketch(world(rng, 200_000, shift=0.4), layout, start=AT, end=AT), layout)[0].psi.value
    spans = [
        evidence(old, sketch(world(rng, rows, shift=0.4), layout, start=AT, end=AT), layout)[0].psi for _ in range(150)
    ]
    held = np.mean([span.low <= truth <= span.high for span in spans])
    assert 0.83 <= held <= 0.98
    assert np.mean([span.value for span in spans]) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("normal", pl.col("normal") + 1, "its median went from 10 to 11"),
        ("normal", (pl.col("normal") - 10) * 3 + 10, "and the range of its middle 80 % went from 8.7"),
        ("flag", pl.col("normal") > 10.5, "the share of true went from"),
        ("holes", pl.when(pl.col("normal") > 10).then(pl.col("holes")), "empty cells went from 2"),
        ("few", pl.col("few").replace("a", "b"), "the share of 'a' went from 6"),
        ("few", pl.col("few").replace("c", "z"), "values that were rare or unknown before"),
    ],
)
def test_a_planted_shift_colours_its_column_only_and_is_told_in_words(column: str, change: pl.Expr, words: str) -> None:
    rng = np.random.default_rng(3)
    found = compared(world(rng, 8_000), world(rng, 600).with_columns(change.alias(column)))
    assert {name for name, each in found.items() if each.coloured} == {column}
    assert words in found[column].says
    assert found[column].psi.low > 0
    measured = found[column].measured("psi")
    assert measured.value == found[column].psi.value
    assert column in measured.says


def test_while_learning_only_what_is_large_is_coloured() -> None:
    rng = np.random.default_rng(4)
    reference, moved, far = world(rng, 8_000), world(rng, 1_000, shift=0.45), world(rng, 1_000, shift=0.9)
    assert compared(reference, moved)["normal"].coloured
    assert not compared(reference, moved, learning=True)["normal"].coloured
    assert compared(reference, far, learning=True)["normal"].coloured
    assert LEARNING.psi == 0.25


def test_a_sure_but_tiny_shift_is_not_coloured() -> None:
    rng = np.random.default_rng(5)
    found = compared(world(rng, 50_000), world(rng, 50_000, shift=0.1))["normal"]
    assert found.p < 1e-6
    assert not found.coloured


def test_a_rare_value_that_spreads_is_seen_in_flags_and_in_constants() -> None:
    rng = np.random.default_rng(6)
    layout = Layout(
        (
            ColumnLayout("flag", Kind.BOOLEAN, edges=(0.5,), values=(0.0, 1.0)),
            ColumnLayout("constant", Kind.NUMERIC, edges=(float(np.nextafter(1.0, 0)), 1.0)),
        )
    )
    was = pl.DataFrame({"flag": rng.random(9_000) < 0.001, "constant": np.ones(9_000)})
    now = pl.DataFrame({"flag": rng.random(500) < 0.2, "constant": np.where(rng.random(500) < 0.3, 2.0, 1.0)})
    flag, constant = evidence(*(sketch(frame, layout, start=AT, end=AT) for frame in (was, now)), layout)
    assert flag.coloured
    assert constant.coloured
    assert constant.says.startswith("it always was 1, and now 3")


def test_dates_constants_and_thin_columns_are_skipped_with_a_reason() -> None:
    schema = Schema(
        (
            Column("day", "", Kind.DATETIME),
            Column("same", "", Kind.NUMERIC),
            Column("empty", "", Kind.NUMERIC),
            Column("lacking", "", Kind.CATEGORICAL),
        )
    )
    frame = pl.DataFrame(
        {"day": [AT] * 50, "same": [1.0] * 50, "empty": [None] * 50}, schema_overrides={"empty": pl.Float64}
    )
    found = compared(frame, frame, schema)
    assert all(each.skipped for each in found.values())
    assert found["day"].skipped == "dates move on by themselves."
    assert compared(world(np.random.default_rng(7), 100), world(np.random.default_rng(8), 5))["few"].skipped


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_follow_the_step_up_rule(p: list[float]) -> None:
    q = q_values(p)
    for level in (0.01, 0.05, 0.2):
        ordered = sorted(p)
        passed = [i + 1 for i, value in enumerate(ordered) if value * len(p) / (i + 1) <= level]
        assert sum(value <= level for value in q) >= (max(passed) if passed else 0)
        limit = ordered[max(passed) - 1] if passed else -1.0
        assert all((one <= level) == (value <= limit) for one, value in zip(q, p, strict=True))


cells = st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 1e300])), max_size=60)
texts = st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=60)


@settings(max_examples=50, deadline=None)
@given(numbers=st.tuples(cells, cells), names=st.tuples(texts, texts))
def test_no_column_breaks_it(numbers: tuple[list[float | None], ...], names: tuple[list[str | None], ...]) -> None:
    for kind, dtype, pair in ((Kind.NUMERIC, pl.Float64, numbers), (Kind.CATEGORICAL, pl.String, names)):
        frames = [pl.DataFrame({"x": pl.Series(values, dtype=dtype)}) for values in pair]
        found = compared(*frames, Schema((Column("x", "", kind),)))["x"]
        if found.skipped is None:
            assert 0 <= found.p <= 1
            assert np.isfinite([found.psi.value, found.psi.low, found.psi.high]).all()
            assert found.psi.low <= max(found.psi.value, 0.0) <= found.psi.high + 1e-12
