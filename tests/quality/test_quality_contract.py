from __future__ import annotations

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Role, Schema
from tenure.quality.contract import LONGEST_CELL, SetAside, infer_contract, set_aside


def schema_of(frame: pl.DataFrame, **roles: Role) -> Schema:
    def kind(dtype: pl.DataType) -> Kind:
        if dtype.is_temporal():
            return Kind.DATETIME
        return Kind.NUMERIC if dtype.is_numeric() else Kind.CATEGORICAL

    return Schema(tuple(Column(n, str(d), kind(d), roles.get(n, Role.FEATURE)) for n, d in frame.schema.items()))


def cut(frame: pl.DataFrame, *, regression: bool = False, **roles: Role) -> SetAside:
    schema = schema_of(frame, **roles)
    return set_aside(frame, schema, infer_contract(frame, schema), regression=regression)


def numbers(n: int = 1000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"x": rng.normal(40, 10, n), "y": rng.choice(["a", "b"], n)})


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from(["normal", "lognormal", "student", "counts", "sparse", "constant", "pareto"]),
    scale=st.floats(1e-6, 1e9),
    shift=st.floats(-1e3, 1e3),
)
def test_normal_data_are_not_quarantined(seed: int, shape: str, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    draws = {
        "normal": lambda: rng.normal(size=3000),
        "lognormal": lambda: rng.lognormal(sigma=2, size=3000),
        "student": lambda: rng.standard_t(3, size=3000),
        "counts": lambda: rng.poisson(2, size=3000).astype(float),
        "sparse": lambda: (rng.random(3000) < 0.003) * rng.integers(1, 50, 3000).astype(float),
        "constant": lambda: np.ones(3000),
        "pareto": lambda: rng.pareto(1.5, size=3000),
    }
    frame = pl.DataFrame({"x": (draws[shape]() + shift) * scale})
    assert cut(frame).rows.height <= 3


def test_absurd_number_is_set_aside_with_its_reason() -> None:
    frame = numbers().with_columns(pl.when(pl.int_range(pl.len()) == 7).then(1e9).otherwise("x").alias("x"))
    result = cut(frame, y=Role.TARGET)
    assert [(q.rule, q.column, q.rows) for q in result.reasons] == [("beyond-limits", "x", 1)]
    assert result.rows["quarantine_rule"].to_list() == ["beyond-limits"]
    assert result.clean.height == 999


def test_each_row_is_counted_once_and_none_is_lost() -> None:
    frame = numbers().with_columns(
        pl.when(pl.int_range(pl.len()) < 3).then(float("inf")).otherwise("x").alias("x"),
        pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise(pl.col("y")).alias("y"),
    )
    result = cut(frame, y=Role.TARGET)
    assert sum(q.rows for q in result.reasons) == result.rows.height == 5
    assert result.clean.height + result.rows.height == frame.height
    assert result.reasons[0].rule == "no-target"


def test_common_infinities_are_read_as_empty_cells() -> None:
    frame = numbers().with_columns(pl.when(pl.int_range(pl.len()) < 100).then(float("inf")).otherwise("x").alias("x"))
    result = cut(frame, y=Role.TARGET)
    assert result.rows.height == 0
    assert result.emptied == {"x": 100}
    assert result.clean["x"].null_count() == 100


def test_exact_repeat_of_a_keyed_row_is_set_aside_but_a_changed_one_is_kept() -> None:
    frame = pl.DataFrame({"id": ["a", "b", "b", "c", "c"], "x": [1.0, 2.0, 2.0, 3.0, 4.0], "y": [1.0, 2, 2, 3, 3]})
    result = cut(frame, regression=True, id=Role.KEY, y=Role.TARGET)
    assert [(q.rule, q.rows) for q in result.reasons] == [("repeat", 1)]
    assert result.clean["id"].to_list() == ["a", "b", "c", "c"]


def test_equal_rows_without_a_key_are_kept() -> None:
    frame = pl.DataFrame({"x": [1.0] * 50, "y": ["a"] * 50})
    assert cut(frame, y=Role.TARGET).rows.height == 0


def test_cell_of_more_than_a_megabyte_is_set_aside() -> None:
    frame = pl.DataFrame({"t": ["a", "b" * (LONGEST_CELL + 1), None], "y": ["u", "v", "u"]})
    assert [q.rule for q in cut(frame, y=Role.TARGET).reasons] == ["too-long"]


def test_target_that_is_no_number_is_set_aside_for_regression() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["1.5", "many", None]})
    assert [(q.rule, q.rows) for q in cut(frame, regression=True, y=Role.TARGET).reasons] == [
        ("no-target", 1),
        ("no-number", 1),
    ]


def test_impossible_date_is_set_aside_where_it_is_rare() -> None:
    days = [date(2024, 1, 1)] * 2000 + [date(1, 1, 1)]
    result = cut(pl.DataFrame({"at": days, "y": ["a"] * 2001}), y=Role.TARGET, at=Role.TIME)
    assert [(q.rule, q.rows) for q in result.reasons] == [("beyond-limits", 1)]


def test_zero_is_a_limit_only_where_values_pile_up_on_it() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"rain": np.maximum(rng.normal(size=2000), 0), "celsius": rng.uniform(0.1, 30, 2000)})
    contract = infer_contract(frame, schema_of(frame))
    assert contract["rain"].low == 0.0
    assert (contract["celsius"].low or 0) < -10


@pytest.mark.parametrize(("levels", "closed"), [(["a", "b"] * 20, True), ([*(["a", "b"] * 20), "once"], False)])
def test_list_of_levels_is_closed_only_where_none_was_seen_once(levels: list[str], closed: bool) -> None:
    frame = pl.DataFrame({"c": levels})
    assert (infer_contract(frame, schema_of(frame))["c"].levels is not None) is closed


def test_contract_notes_integers_nulls_and_quantiles() -> None:
    frame = pl.DataFrame({"n": [float(i) for i in range(99)] + [None], "id": [f"k{i}" for i in range(100)]})
    contract = infer_contract(frame, schema_of(frame, id=Role.KEY))
    assert contract["n"].integer
    assert contract["n"].null_share == 0.01
    assert contract["n"].max_null_share > 0.05
    assert contract["n"].q50 == 49.0
    assert contract["id"].unique
    assert all(v is None or math.isfinite(v) for v in (contract["n"].low, contract["n"].high))
