from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.values import (
    NO_MOMENT,
    moment_of,
    moments_of,
    number_of,
    numbers_of,
    text_of,
    texts_of,
)

TIMES = st.datetimes(min_value=datetime.fromisoformat("1800-01-01"), max_value=datetime.fromisoformat("2200-01-01"))
COLUMNS = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Int64)),
    st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=1).map(lambda v: pl.Series(v, dtype=pl.UInt64)),
    st.lists(st.none() | st.floats(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Float64)),
    st.lists(st.none() | st.floats(width=32), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Float32)),
    st.lists(st.none() | st.booleans(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Boolean)),
    st.lists(st.none() | st.text(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.String)),
    st.lists(st.none() | st.floats().map(str), min_size=1).map(lambda v: pl.Series(v, dtype=pl.String)),
    st.lists(st.none() | st.dates(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Date)),
    st.lists(st.none() | TIMES, min_size=1).map(lambda v: pl.Series(v, dtype=pl.Datetime("us"))),
    st.lists(st.none() | TIMES, min_size=1).map(lambda v: pl.Series(v, dtype=pl.Datetime("ms"))),
    st.lists(st.none() | TIMES, min_size=1).map(lambda v: pl.Series(v, dtype=pl.Datetime("us", "Asia/Tokyo"))),
    st.lists(st.none() | TIMES.map(str), min_size=1).map(lambda v: pl.Series(v, dtype=pl.String)),
    st.lists(st.none() | st.timedeltas(timedelta(-9999), timedelta(9999)), min_size=1).map(pl.Series),
    st.lists(st.none() | st.times(), min_size=1).map(pl.Series),
    st.lists(st.none() | st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False), min_size=1).map(
        lambda v: pl.Series(v, dtype=pl.Decimal(20, 4))
    ),
    st.lists(st.none() | st.sampled_from(["a", "b", "7"]), min_size=1).map(
        lambda v: pl.Series(v, dtype=pl.Categorical)
    ),
    st.lists(st.none() | st.sampled_from(["a", "b", "7"]), min_size=1).map(
        lambda v: pl.Series(v, dtype=pl.Enum(["a", "b", "7"]))
    ),
    st.lists(st.none() | st.lists(st.integers(0, 3)), min_size=1).map(lambda v: pl.Series(v, dtype=pl.List(pl.Int64))),
    st.lists(st.none() | st.binary(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Binary)),
    st.lists(st.none(), min_size=1).map(lambda v: pl.Series(v, dtype=pl.Null)),
)


@given(COLUMNS)
def test_a_column_reads_like_its_values_one_by_one(column: pl.Series) -> None:
    values = column.to_list()
    np.testing.assert_array_equal(numbers_of(column), [number_of(value) for value in values])
    assert texts_of(column).to_list() == [text_of(value) for value in values]
    np.testing.assert_array_equal(moments_of(column), [moment_of(value) for value in values])


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (True, 1.0),
        (3, 3.0),
        (" 4.5 ", 4.5),
        ("1e3", 1000.0),
        ("TRUE", 1.0),
        (Decimal("2.50"), 2.5),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (timedelta(minutes=1), 60.0),
        (time(1, 0, 1), 3601.0),
    ],
)
def test_numbers_are_read_from_what_looks_like_one(value: object, number: float) -> None:
    assert number_of(value) == number


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "abc",
        "1_000",
        math.inf,
        -math.inf,
        "inf",
        10**400,
        Decimal("sNaN"),
        date(2026, 1, 1),
        pd.NA,
        pd.NaT,
        [1],
        {"a": 1},
        b"1",
    ],
)
def test_what_is_no_finite_number_is_missing(value: object) -> None:
    assert math.isnan(number_of(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (3.5, "3.5"),
        (Decimal("3.00"), "3"),
        (3, "3"),
        (True, "true"),
        (np.str_("a"), "a"),
        (np.float64(2.0), "2"),
        (math.nan, None),
        (pd.NaT, None),
        (date(2026, 1, 2), "2026-01-02"),
        (b"\x01", "01"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_equal_values_of_different_types_read_as_one_text(value: object, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:00:00",
        "2026-01-02 03:00:00",
        "2026-01-02T03:00:00Z",
        "2026-01-02T05:00:00+02:00",
        datetime.fromisoformat("2026-01-02T03:00"),
        datetime(2026, 1, 2, 3, tzinfo=UTC),
        datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2026-01-02T03:00:00"),
        pd.Timestamp("2026-01-02T03:00:00"),
    ],
)
def test_moments_are_utc_whatever_says_them(value: object) -> None:
    assert moment_of(value) == 1_767_322_800_000_000


@pytest.mark.parametrize("value", [None, "soon", 7, pd.NaT, np.datetime64("NaT"), time(1)])
def test_what_is_no_time_is_no_moment(value: object) -> None:
    assert moment_of(value) == NO_MOMENT
