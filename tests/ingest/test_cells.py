"""Text becomes numbers and dates where nearly all of it reads so, and stays text where it means something else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema
from tenure.ingest.cells import DTYPES, conform, typed

_EARLY, _LATE = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1900, 2100))


def column(values: list[str | None], name: str = "x") -> pl.Series:
    return typed(pl.DataFrame({name: values}, schema={name: pl.String})).frame[name]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_written_as_text_come_back(values: list[int | None]) -> None:
    read = column([None if value is None else str(value) for value in values])
    if any(value is not None for value in values):
        assert read.to_list() == values
        assert read.dtype == pl.Int64


@given(st.lists(st.none() | st.floats(allow_nan=False), min_size=1))
def test_numbers_written_as_text_come_back_bit_for_bit(values: list[float | None]) -> None:
    read = column([None if value is None else repr(value) for value in values])
    if any(value is not None for value in values):
        assert read.to_list() == values


@given(
    st.lists(st.datetimes(_EARLY, _LATE), min_size=1),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%b %d, %Y %H:%M:%S"]),
)
def test_moments_written_in_a_usual_format_come_back(values: list[datetime], form: str) -> None:
    values = [value.replace(microsecond=0) for value in values]
    assert column([value.strftime(form) for value in values]).to_list() == values


@given(st.lists(st.dates(date(1900, 1, 1)), min_size=1), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d"]))
def test_days_written_in_a_usual_format_are_dates(values: list[date], form: str) -> None:
    read = column([value.strftime(form) for value in values])
    assert read.dtype == pl.Date
    assert read.to_list() == values


def test_offset_is_moved_to_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert column([moment.isoformat()]).to_list() == [moment.astimezone(UTC).replace(tzinfo=None)]


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1,5", "2", "1.234,75"], [1.5, 2.0, 1234.75]),
        (["1,234", "12", "1,234,567.5"], [1234.0, 12.0, 1234567.5]),
        ([" 1", "2 ", "?", "N/A", "-"], [1, 2, None, None, None]),
        (["1e3", "inf", "-.5"], [1000.0, float("inf"), -0.5]),
        (["True", "false", "TRUE"], [True, False, True]),
        (["13/01/2026", "02/01/2026"], [date(2026, 1, 13), date(2026, 1, 2)]),
        (["1/13/2026", "1/2/2026"], [date(2026, 1, 13), date(2026, 1, 2)]),
        (["2/1/2026", "3/1/2026", "1/2/2026"], [date(2026, 1, 2), date(2026, 1, 3), date(2026, 2, 1)]),
        (["2026-01", "2026-02"], [date(2026, 1, 1), date(2026, 2, 1)]),
    ],
)
def test_usual_ways_of_writing_are_understood(values: list[str], read: list[object]) -> None:
    assert column(list(values)).to_list() == read


@pytest.mark.parametrize(
    "values",
    [
        ["01067", "80331"],
        ["1.2.3", "4.5.6"],
        ["a", "1"],
        ["9" * 30, "8" * 30],
        ["1-2", "3-4"],
        ["12:30", "13:00"],
        ["", " "],
    ],
)
def test_codes_and_words_stay_text(values: list[str]) -> None:
    assert column(list(values)).to_list() == values


def test_decimal_comma_in_one_column_decides_for_the_others() -> None:
    table = typed(pl.DataFrame({"clear": ["1,5", "2,25"], "open": ["1,234", "2,345"]})).frame
    assert table["open"].to_list() == [1.234, 2.345]


def test_two_bad_cells_in_a_hundred_are_emptied_and_told_three_are_too_many() -> None:
    few = typed(pl.DataFrame({"x": [*map(str, range(98)), "bad", "worse"]}))
    assert few.frame["x"].null_count() == 2
    assert "2 of 100" in few.notes["x"]
    assert column([*map(str, range(97)), "a", "b", "c"]).dtype == pl.String


def test_source_with_types_keeps_short_codes_and_identifiers_as_text() -> None:
    rows = 50
    table = typed(
        pl.DataFrame(
            {
                "n": range(rows),
                "zone": [str(i % 3) for i in range(rows)],
                "customer_id": [str(1000 + i) for i in range(rows)],
                "charge": [f"{i}.5" for i in range(rows)],
            }
        )
    ).frame
    assert table.dtypes == [pl.Int64, pl.String, pl.String, pl.Float64]


def test_every_type_is_reduced_to_one_of_six() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "category": pl.Series(["a", "b"], dtype=pl.Categorical),
            "none": [None, None],
            "list": [[1], [2]],
            "struct": [{"a": date(2026, 1, 1)}] * 2,
            "huge": pl.Series([2**64 - 1, 1], dtype=pl.UInt64),
            "small": pl.Series([1, 2], dtype=pl.Int8),
            "decimal": pl.Series(["1.5", "2"]).cast(pl.Decimal(10, 2)),
            "length": [timedelta(hours=1)] * 2,
            "clock": [moment.time()] * 2,
            "bytes": [b"a", b"b"],
            "zoned": pl.Series([moment] * 2).dt.convert_time_zone("Asia/Tokyo"),
        }
    )
    table = typed(frame)
    assert set(map(str, table.frame.dtypes)) <= set(DTYPES)
    assert table.nested == {"list", "struct", "bytes"}
    assert table.frame["zoned"].to_list() == [moment.replace(tzinfo=None)] * 2
    assert table.frame["length"].to_list() == [3600.0, 3600.0]


def test_rows_to_predict_get_the_types_that_were_learnt() -> None:
    schema = Schema(
        (
            Column("code", "String", Kind.CATEGORICAL),
            Column("amount", "Float64", Kind.NUMERIC),
            Column("day", "Date", Kind.DATETIME, format="%d/%m/%Y"),
            Column("flag", "Boolean", Kind.BOOLEAN),
        )
    )
    rows = pl.DataFrame(
        {"code": [1, 2], "amount": ["3", "x"], "day": ["02/01/2026", "2026-01-03"], "flag": ["true", "no"]}
    )
    told = conform(rows.with_columns(other=pl.lit(1)), schema)
    assert told.rows() == [("1", 3.0, date(2026, 1, 2), True, 1), ("2", None, date(2026, 1, 3), None, 1)]


@given(st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=30))
@settings(deadline=None)
def test_any_text_is_typed_without_losing_rows(values: list[str | None]) -> None:
    assert len(column(values)) == len(values)
