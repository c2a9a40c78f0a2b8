from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.errors import SchemaChangedError
from tenure.ingest.dates import parse_dates
from tenure.model.dates import DateColumns
from tenure.model.values import NO_MOMENT, moment_of, moments_of

FORMATS = ("", "%d/%m/%Y", "%m/%d/%y", "%d-%b-%Y", "%d %B %Y", "%Y-%m", "%d.%m.%Y %H:%M", "%b %d, %Y %I:%M %p")
SEEN, BORN = Column("seen", "Datetime", Kind.DATETIME, Role.TIME), Column("born", "Date", Kind.DATETIME)


def columns(date_format: str = "%d/%m/%Y") -> DateColumns:
    born = Column("born", "Date", Kind.DATETIME, format=date_format)
    ignored = Column("other", "Date", Kind.DATETIME, Role.IGNORED)
    return DateColumns.of(Schema((SEEN, born, ignored, Column("size", "Int64", Kind.NUMERIC))))


@given(data=st.data(), date_format=st.sampled_from(FORMATS))
def test_text_reads_as_it_does_in_files_alone_or_in_a_column(data: st.DataObject, date_format: str) -> None:
    moments = st.datetimes(
        min_value=datetime.fromisoformat("1900-01-01"), max_value=datetime.fromisoformat("2100-01-01")
    )
    written = st.builds(lambda at, form: at.strftime(form), moments, st.sampled_from([f for f in FORMATS if f]))
    zones = st.sampled_from(["", "Z", "+02:00", " -0330", "+02"])
    iso = st.builds(
        lambda at, cut, zone: at.isoformat()[:cut] + zone, moments, st.sampled_from([10, 16, 19, 26]), zones
    )
    odd = st.sampled_from(["", " ", "soon", "2024-1-5", "2024-02-30", "20240105", "2024-W01-1", "1.1.69", "12/31/69"])
    texts = data.draw(st.lists(written | iso | iso.map(lambda t: t.replace("T", " ")) | odd | st.none(), min_size=1))
    series = pl.Series(texts, dtype=pl.String)
    in_file = parse_dates(series, date_format).to_physical().fill_null(NO_MOMENT).to_numpy()
    np.testing.assert_array_equal(moments_of(series, date_format), in_file)
    np.testing.assert_array_equal([moment_of(text, date_format) for text in texts], in_file)


CELLS = st.sampled_from(
    [None, "", "31/01/2024", "2024-01-31", "2024-01-31T22:00:00-05:00", date(2024, 1, 31), pd.NaT, float("nan")]
)


@given(st.lists(st.fixed_dictionaries({"seen": CELLS.filter(lambda c: c != "31/01/2024"), "born": CELLS}), min_size=1))
def test_a_row_and_its_table_hold_the_same_dates(rows: list[dict[str, Any]]) -> None:
    table = pl.DataFrame([pl.Series(name, [row[name] for row in rows], dtype=pl.Object) for name in ("seen", "born")])
    read = columns().read_table(table)
    assert read.dtypes == [pl.Datetime("us"), pl.Date]
    assert [columns().read_row(row) for row in rows] == read.to_dicts()
    assert columns().read_table(read).equals(read)
    assert [columns().read_row(row) for row in read.to_dicts()] == read.to_dicts()


@pytest.mark.parametrize("value", ["31-31-2024", "soon", 7, True, "0001-01-01T00:00:00+02:00"])
def test_what_is_no_date_is_refused_by_column_and_value(value: object) -> None:
    with pytest.raises(SchemaChangedError, match="born") as caught:
        columns().read_row({"born": value})
    assert repr(value) in caught.value.message
    assert "%d/%m/%Y" in caught.value.hint


def test_a_table_with_what_is_no_date_is_refused() -> None:
    with pytest.raises(SchemaChangedError, match="'born' holds 'soon'"):
        columns().read_table(pl.DataFrame({"born": ["31/01/2024", None, "soon"]}))


def test_a_column_that_no_model_reads_may_hold_anything() -> None:
    row = {"other": "soon", "size": 3}
    assert columns().read_row(row) == row
