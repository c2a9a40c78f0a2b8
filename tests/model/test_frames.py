from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from tenure.core.errors import UnreadableDataError
from tenure.model.frames import as_polars

TRUTH = pl.DataFrame(
    {
        "whole": [1, None, 3],
        "part": [0.5, None, 2.0],
        "yes": [True, None, False],
        "text": ["a", None, "c"],
        "plan": ["x", "y", None],
        "at": [dt.datetime.fromisoformat("2026-01-01T10:00"), None, dt.datetime.fromisoformat("2026-01-03T00:00:01")],
    }
)


def same(made: pl.DataFrame) -> None:
    casts = [pl.col("at").dt.cast_time_unit("us"), pl.col("plan").cast(pl.String)]
    assert_frame_equal(made.with_columns(casts), TRUTH, check_dtypes=False)


def test_pandas_with_nullable_types() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "part": pd.array([0.5, None, 2.0], dtype="Float64"),
            "yes": pd.array([True, None, False], dtype="boolean"),
            "text": pd.array(["a", None, "c"], dtype="string"),
            "plan": pd.Categorical(["x", "y", None]),
            "at": pd.to_datetime(["2026-01-01T10:00:00", None, "2026-01-03T00:00:01"]),
        }
    )
    made = as_polars(frame)
    same(made)
    assert made.schema["whole"] == pl.Int64
    assert made.schema["yes"] == pl.Boolean


def test_pandas_columns_of_plain_numbers_keep_their_types_places_and_gaps() -> None:
    kinds = ["i1", "u2", "i4", "u8", "i8", "f4", "f8", "f4"]
    frame = pd.DataFrame({at: np.arange(3).astype(kind) for at, kind in enumerate(kinds)})
    frame.insert(2, "word", ["a", None, "c"])
    frame.loc[1, 6] = np.nan
    made = as_polars(frame)
    assert made.columns == ["0", "1", "word", "2", "3", "4", "5", "6", "7"]
    whole = [pl.Int8, pl.UInt16, pl.String, pl.Int32, pl.UInt64, pl.Int64]
    assert made.dtypes == [*whole, pl.Float32, pl.Float64, pl.Float32]
    assert made["6"].to_list() == [0.0, None, 2.0]
    assert made["word"].to_list() == ["a", None, "c"]
    assert made["3"].to_list() == [0, 1, 2]


def test_pandas_with_numpy_and_object_types() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1.0, np.nan, 3.0],
            "part": [0.5, np.nan, 2.0],
            "yes": np.array([True, None, False], dtype=object),
            "text": np.array(["a", np.nan, "c"], dtype=object),
            "plan": np.array(["x", "y", None], dtype=object),
            "at": np.array(["2026-01-01T10:00", "NaT", "2026-01-03T00:00:01"], dtype="datetime64[ns]"),
        }
    )
    same(as_polars(frame))


def test_pandas_with_arrow_types() -> None:
    frame = TRUTH.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)
    same(as_polars(frame))


def test_pandas_zones_dates_and_column_numbers() -> None:
    zoned = pd.to_datetime(["2026-01-01T10:00:00+01:00", None], utc=True).tz_convert("Europe/Berlin")
    made = as_polars(pd.DataFrame({0: zoned, 1: [dt.date(2026, 1, 1), None]}, index=[5, 9]))
    assert made.columns == ["0", "1"]
    first = made["0"][0]
    assert first == dt.datetime.fromisoformat("2026-01-01T09:00+00:00")
    assert made["1"].to_list() == [dt.date(2026, 1, 1), None]


def test_pandas_objects_that_do_not_go_together_become_text() -> None:
    made = as_polars(pd.DataFrame({"x": np.array([1, "a", None], dtype=object)}))
    assert made["x"].to_list() == ["1", "a", None]


def test_pyarrow_tables_with_dictionaries() -> None:
    table = TRUTH.to_arrow().set_column(4, "plan", pa.array(["x", "y", None]).dictionary_encode())
    same(as_polars(table))


def test_polars_lazy_or_not_rows_and_columns() -> None:
    assert as_polars(TRUTH) is TRUTH
    same(as_polars(TRUTH.lazy()))
    same(as_polars(TRUTH.to_dicts()))
    same(as_polars(TRUTH.to_dict(as_series=False)))


def test_rows_may_lack_columns_and_mix_numbers() -> None:
    made = as_polars([{"a": 1}, {"a": 2.5, "b": "x"}])
    assert made.to_dict(as_series=False) == {"a": [1.0, 2.5], "b": [None, "x"]}
    assert as_polars([{"a": 1}, {"a": "one"}])["a"].to_list() == ["1", "one"]
    assert as_polars([]).height == 0


@pytest.mark.parametrize("table", [7, "rows", [1, 2], None, {"a": [1, 2], "b": [1]}])
def test_what_is_no_table_is_refused_in_words(table: object) -> None:
    with pytest.raises(UnreadableDataError) as caught:
        as_polars(table)
    assert "pandas" in caught.value.hint


def test_this_module_imports_neither_pandas_nor_pyarrow() -> None:
    import subprocess

    code = "import tenure.model.frames, sys; print({'pandas', 'pyarrow'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
