"""Weak groups of rows: found where planted, not where there are none."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind
from tenure.robustness.slices import weak_slices

COLUMNS = (
    Column("shop", "String", Kind.CATEGORICAL),
    Column("size", "Float64", Kind.NUMERIC),
    Column("open", "Boolean", Kind.BOOLEAN),
)


def _rows(rng: np.random.Generator, rows: int = 3_000) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "shop": rng.choice(["north", "south", "east", "west"], rows),
            "size": pl.Series(np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))).fill_nan(None),
            "open": rng.random(rows) < 0.5,
        }
    )


def _found(frame: pl.DataFrame, loss: np.ndarray, seed: int = 0):
    return weak_slices(frame, COLUMNS, loss, np.random.default_rng(seed), ratio=2.0, share=0.02)


def test_a_planted_group_of_two_conditions_is_named_first() -> None:
    rng = np.random.default_rng(1)
    frame = _rows(rng)
    weak = ((frame["shop"] == "west") & frame["open"]).to_numpy()
    loss = rng.exponential(1.0, frame.height) * np.where(weak, 4.0, 1.0)
    first = _found(frame, loss)[0]
    assert first.says in ("shop is west and open is true", "open is true and shop is west")
    assert first.rows == weak.sum()
    assert 2.0 < first.ratio < 4.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_where_all_rows_are_alike_nothing_notable_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = _rows(rng, 800)
    assert all(one.ratio < 2.0 for one in _found(frame, rng.exponential(1.0, frame.height), seed))


def test_one_story_is_told_once() -> None:
    rng = np.random.default_rng(2)
    frame = _rows(rng)
    loss = rng.exponential(1.0, frame.height) * np.where((frame["shop"] == "west").to_numpy(), 6.0, 1.0)
    assert [one.says for one in _found(frame, loss)] == ["shop is west"]


def test_whole_numbers_are_named_as_people_name_them() -> None:
    rng = np.random.default_rng(3)
    size = np.arange(4_000) % 32
    frame = pl.DataFrame({"shop": ["x"] * 4_000, "size": size, "open": rng.integers(0, 2, 4_000)})
    columns = (COLUMNS[1], Column("open", "Int64", Kind.NUMERIC))
    loss = rng.exponential(1.0, 4_000)
    late = weak_slices(frame, columns, loss * np.where(size < 4, 8, 1), rng, ratio=2.0, share=0.02)
    assert late[0].says == "size is below 4"
    shut = weak_slices(frame, columns, loss * np.where(frame["open"] == 0, 8, 1), rng, ratio=1.5, share=0.02)
    assert shut[0].says == "open is 0"


def test_columns_of_one_value_or_none_are_no_groups() -> None:
    frame = pl.DataFrame({"shop": ["x"] * 500, "size": pl.Series([None] * 500, dtype=pl.Float64), "open": [True] * 500})
    assert _found(frame, np.ones(500)) == []
