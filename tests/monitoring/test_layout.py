"""Where the bins and levels of a layout lie."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tenure.core.data import Column, Kind, Schema
from tenure.monitoring.layout import KEPT_LEVELS, ColumnLayout, Layout, layout_of


def laid(cells: pl.Series, kind: Kind, bins: int = 32) -> ColumnLayout:
    schema = Schema((Column("x", str(cells.dtype), kind),))
    return layout_of(pl.DataFrame({"x": cells}), schema, bins=bins)["x"]


def test_bins_of_a_smooth_column_hold_equal_parts() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    layout = laid(pl.Series(values), Kind.NUMERIC)
    held = np.bincount(np.searchsorted(layout.edges, values), minlength=32)
    assert len(layout.edges) == 31
    assert held.min() > 0.95 * 625
    assert held.max() < 1.05 * 625
    assert layout.centre == pytest.approx(0, abs=0.03)
    assert layout.scale == pytest.approx(1, abs=0.03)


def test_a_value_as_common_as_a_bin_gets_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(10_000) < 0.6, 0.0, rng.gamma(2, 3, size=10_000))
    layout = laid(pl.Series(values), Kind.NUMERIC)
    held = np.bincount(np.searchsorted(layout.edges, values), minlength=len(layout.edges) + 1)
    assert held.max() == (values == 0).sum()
    assert layout.scale > 0


def test_few_values_have_a_bin_each() -> None:
    layout = laid(pl.Series([3, 1, 2, 2, None]), Kind.NUMERIC)
    assert layout.values == (1.0, 2.0, 3.0)
    assert layout.edges == (1.5, 2.5)


def test_neighbouring_floats_are_told_apart() -> None:
    above = float(np.nextafter(1.0, 2.0))
    layout = laid(pl.Series([1.0, above]), Kind.NUMERIC)
    assert np.searchsorted(layout.edges, [1.0, above]).tolist() == [0, 1]


def test_a_flag_has_two_bins() -> None:
    assert laid(pl.Series([True, False, None]), Kind.BOOLEAN).edges == (0.5,)


def test_dates_are_seconds_whatever_they_stand_as() -> None:
    days = pl.Series(["2026-01-05", "2026-01-06"])
    as_text, as_date = laid(days, Kind.DATETIME), laid(days.str.to_date(), Kind.DATETIME)
    assert as_text.edges == as_date.edges == (1_767_614_400.0,)


def test_the_commonest_levels_are_kept_in_a_fixed_order() -> None:
    cells = pl.Series(["b", "a", "c", "c", None] + [f"once {i}" for i in range(1_000)])
    layout = laid(cells, Kind.CATEGORICAL)
    assert layout.levels[:3] == ("c", "a", "b")
    assert len(layout.levels) == KEPT_LEVELS
    assert layout == laid(cells.reverse(), Kind.CATEGORICAL)


def test_levels_are_the_texts_that_the_model_reads() -> None:
    assert laid(pl.Series([3.0, 3.0, 2.5, None]), Kind.CATEGORICAL).levels == ("3", "2.5")
    assert laid(pl.Series([True, False, True]), Kind.CATEGORICAL).levels == ("true", "false")


@pytest.mark.parametrize(
    "cells",
    [
        pl.Series([], dtype=pl.Float64),
        pl.Series([None, None]),
        pl.Series([float("nan"), float("inf")]),
        pl.Series(["no number"]),
        pl.Series([[1], [2]]),
    ],
    ids=["empty", "null", "not finite", "text", "nested"],
)
def test_a_column_without_numbers_has_one_bin(cells: pl.Series) -> None:
    layout = laid(cells, Kind.NUMERIC)
    assert (layout.places, layout.scale) == (1, 1.0)


def test_the_spread_of_a_constant_is_its_size() -> None:
    assert laid(pl.Series([5.0, 5.0]), Kind.NUMERIC).scale == 5.0
    assert laid(pl.Series([0.0, -0.0]), Kind.NUMERIC).scale == 1.0


def test_the_largest_numbers_there_are_give_a_finite_spread() -> None:
    layout = laid(pl.Series(np.linspace(-1.7e308 / 2, 1.7e308 / 2, 1_000) * 2), Kind.NUMERIC)
    assert np.isfinite([*layout.edges, layout.scale, layout.centre]).all()


def test_a_column_that_is_not_there_has_one_place() -> None:
    layout = layout_of(pl.DataFrame(), Schema((Column("x", "", Kind.TEXT), Column("y", "", Kind.NUMERIC))))
    assert [column.places for column in layout.columns] == [1, 1]


def test_a_layout_survives_being_stored() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=500), "t": ["a", "b"] * 250})
    layout = layout_of(frame, Schema((Column("x", "", Kind.NUMERIC), Column("t", "", Kind.TEXT))))
    assert Layout.from_dict(layout.to_dict()) == layout
    assert Layout.from_dict(layout.to_dict()).digest == layout.digest
