"""Damage does what it says, and nothing else."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from tenure.robustness.damage import UNSEEN, constant, converted, emptied, noisy, thinned, unseen

FRAME = pl.DataFrame(
    {
        "number": [1.0, 2.0, None, 4.0],
        "whole": [1, 2, 3, 4],
        "word": ["a", "b", None, "a"],
        "day": [date(2026, 1, day) for day in (1, 2, 3, 4)],
        "kind": pl.Series(["x", "y", "x", "y"], dtype=pl.Categorical),
    }
)
AT = np.array([True, False, False, True])


@pytest.mark.parametrize("column", FRAME.columns)
def test_cells_are_emptied_where_asked_and_keep_their_type(column: str) -> None:
    damaged = emptied(FRAME, column, AT)
    assert damaged.schema == FRAME.schema
    assert damaged[column].is_null().to_list()[::3] == [True, True]
    assert damaged[column][1] == FRAME[column][1]
    assert damaged.drop(column).equals(FRAME.drop(column))
    assert emptied(FRAME, column)[column].null_count() == 4


@pytest.mark.parametrize("column", ["word", "kind", "whole"])
def test_unseen_levels_are_unseen(column: str) -> None:
    damaged = unseen(FRAME, column, AT)
    known = set(FRAME[column].cast(pl.String))
    assert str(damaged[column][0]) not in known
    assert str(damaged[column][1]) in known
    assert unseen(FRAME, "word")["word"].to_list() == [UNSEEN] * 4


def test_units_are_converted() -> None:
    assert converted(FRAME, "whole", 1.8, 32.0)["whole"].to_list() == pytest.approx([33.8, 35.6, 37.4, 39.2])
    assert converted(FRAME, "number", 10.0)["number"].to_list() == [10.0, 20.0, None, 40.0]
    assert constant(FRAME, "whole", np.inf)["whole"].to_list() == [np.inf] * 4


def test_cells_are_thinned_at_the_rate_and_rows_stay() -> None:
    frame = pl.DataFrame({"a": np.arange(2_000.0), "b": ["x"] * 2_000, "c": [1] * 2_000})
    damaged = thinned(frame, ["a", "b"], np.random.default_rng(0), rate=0.3)
    assert damaged.schema == frame.schema
    assert damaged["c"].equals(frame["c"])
    assert all(abs(damaged[name].null_count() / 2_000 - 0.3) < 0.04 for name in ("a", "b"))
    assert damaged["a"].drop_nulls().is_in(frame["a"].to_list()).all()


def test_noise_leaves_columns_without_spread_alone() -> None:
    frame = pl.DataFrame(
        {"flat": [1.0] * 50, "wide": np.arange(50.0), "empty": pl.Series([None] * 50, dtype=pl.Float64)}
    )
    damaged = noisy(frame, frame.columns, np.random.default_rng(0), share=0.05)
    assert damaged["flat"].equals(frame["flat"])
    assert damaged["empty"].null_count() == 50
    apart = (damaged["wide"] - frame["wide"]).to_numpy()
    assert 0.5 < apart.std() / (0.05 * 24.5) < 1.5
