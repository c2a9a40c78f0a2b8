"""The drift test: quiet on stable worlds, awake on planted shifts, calm about odd columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema, WindowPair
from tenure.core.evidence import Verdict, judged
from tenure.monitoring.drift.psi import PopulationStabilityIndex

SCHEMA = Schema(
    (
        Column("normal", "Float64", Kind.NUMERIC),
        Column("count", "Int64", Kind.NUMERIC),
        Column("flag", "Boolean", Kind.BOOLEAN),
        Column("few", "String", Kind.CATEGORICAL),
        Column("many", "String", Kind.CATEGORICAL),
    )
)


def world(rng: np.random.Generator, rows: int, *, shift: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "normal": rng.normal(shift, 1, rows),
            "count": rng.poisson(2, rows),
            "flag": rng.random(rows) < 0.2,
            "few": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
            "many": rng.integers(0, 200, rows).astype(str),
        }
    )


def findings(reference: pl.DataFrame, current: pl.DataFrame, schema: Schema = SCHEMA) -> dict[str, Verdict]:
    test = PopulationStabilityIndex()
    pair = WindowPair(reference, current, schema)
    found = judged(test.name, test.threshold, lambda: test.measure(pair), seen=pytest.fail)
    return {finding.subject or "": finding.verdict for finding in found}


@pytest.mark.parametrize("rows", [100, 500])
def test_two_hundred_stable_windows_colour_hardly_a_column(rows: int) -> None:
    rng = np.random.default_rng(3)
    reference = world(rng, 5_000)
    coloured = sum(
        verdict is Verdict.WARN for _ in range(200) for verdict in findings(reference, world(rng, rows)).values()
    )
    assert coloured <= 0.01 * 200 * len(SCHEMA.columns)


def test_a_planted_shift_is_found_and_only_there() -> None:
    rng = np.random.default_rng(4)
    found = findings(world(rng, 3_000), world(rng, 500, shift=0.6))
    assert found.pop("normal") is Verdict.WARN
    assert Verdict.WARN not in found.values()
    assert found["many"] is Verdict.SKIPPED  # two hundred levels in five hundred rows: nothing to tell


def test_values_never_seen_in_training_are_a_shift_of_their_column() -> None:
    rng = np.random.default_rng(5)
    current = world(rng, 500).with_columns(pl.lit("z").alias("few"))
    assert findings(world(rng, 3_000), current)["few"] is Verdict.WARN


def test_row_order_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    reference, current = world(rng, 1_000), world(rng, 300, shift=0.3)
    test = PopulationStabilityIndex()
    values = [
        [m.value for m in test.measure(WindowPair(reference, frame, SCHEMA))]
        for frame in (current, current.sample(fraction=1, shuffle=True, seed=1))
    ]
    assert values[0] == values[1]


cells = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, 1e300]))
columns = st.lists(cells, max_size=60)


@settings(max_examples=60, deadline=None)
@given(reference=columns, current=columns)
def test_no_column_of_numbers_breaks_the_test(reference: list[float | None], current: list[float | None]) -> None:
    schema = Schema((Column("x", "Float64", Kind.NUMERIC),))
    frames = [pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}) for values in (reference, current)]
    found = findings(*frames, schema)
    assert found["x"] is not Verdict.ERROR
    if len(set(reference)) < 2 or not current:
        assert found["x"] is Verdict.SKIPPED


@settings(max_examples=60, deadline=None)
@given(
    reference=st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60),
    current=st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60),
)
def test_no_column_of_texts_breaks_the_test(reference: list[str | None], current: list[str | None]) -> None:
    schema = Schema((Column("x", "String", Kind.CATEGORICAL),))
    frames = [pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}) for values in (reference, current)]
    assert findings(*frames, schema)["x"] is not Verdict.ERROR
