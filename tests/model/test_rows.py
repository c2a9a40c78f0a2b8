from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Role, Schema
from tenure.model.rows import row_ids

WITHOUT_KEY = Schema(
    (
        Column("x", "Int64", Kind.NUMERIC),
        Column("plan", "String", Kind.CATEGORICAL),
        Column("at", "Date", Kind.DATETIME, Role.TIME),
        Column("loaded", "String", Kind.CATEGORICAL, Role.IGNORED),
    )
)
KEYED = Schema((Column("id", "Int64", Kind.NUMERIC, Role.KEY), Column("x", "Int64", Kind.NUMERIC)))


def a_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {"x": [1, 2, 1, 1], "plan": ["a", None, "a", ""], "at": [date(2026, 1, 1)] * 4, "loaded": list("wxyz")}
    )


def test_a_unique_key_is_the_identity() -> None:
    assert row_ids(pl.DataFrame({"id": [7, 8], "x": [1, 1]}), KEYED) == ["7", "8"]


def test_a_key_that_repeats_or_is_empty_is_not_trusted() -> None:
    for keys in ([7, 7], [7, None]):
        ids = row_ids(pl.DataFrame({"id": keys, "x": [1, 2]}), KEYED)
        assert len(set(ids)) == 2
        assert "7" not in ids


def test_exact_repeats_get_a_running_number_and_null_is_not_empty() -> None:
    ids = row_ids(a_frame(), WITHOUT_KEY)
    assert ids[2] == f"{ids[0]}-2"
    assert len(set(ids)) == 4
    assert len(ids[0]) == 16


def test_identity_does_not_depend_on_order_widths_or_ignored_columns() -> None:
    frame = a_frame()
    other = frame.with_columns(
        pl.col("x").cast(pl.Float32), pl.col("at").cast(pl.Datetime("ms")), loaded=pl.lit("later")
    ).select("loaded", "at", "x", "plan")
    assert row_ids(other, WITHOUT_KEY) == row_ids(frame, WITHOUT_KEY)
    backwards = row_ids(frame.reverse(), WITHOUT_KEY)
    assert sorted(backwards) == sorted(row_ids(frame, WITHOUT_KEY))


def test_every_cell_counts() -> None:
    frame = a_frame().head(1)
    ids = {row_ids(frame, WITHOUT_KEY)[0]}
    for change in ({"x": 5}, {"plan": "b"}, {"at": date(2026, 1, 2)}):
        ids.add(row_ids(frame.with_columns(**{k: pl.lit(v) for k, v in change.items()}), WITHOUT_KEY)[0])
    assert len(ids) == 4


def test_some_rows_have_the_ids_that_they_have_among_all() -> None:
    frame = pl.concat([a_frame()] * 3)
    ids, asked = row_ids(frame, WITHOUT_KEY), np.array([11, 0, 6])
    assert row_ids(frame, WITHOUT_KEY, asked) == [ids[at] for at in asked]
    keyed = pl.DataFrame({"id": [7, 8, 9], "x": [1, 1, 1]})
    assert row_ids(keyed, KEYED, np.array([2, 0])) == ["9", "7"]


def test_lists_and_empty_tables_have_identities_too() -> None:
    schema = Schema((Column("tags", "List(String)", Kind.CATEGORICAL),))
    assert len(set(row_ids(pl.DataFrame({"tags": [["a"], ["b"], None]}), schema))) == 3
    assert row_ids(a_frame().clear(), WITHOUT_KEY) == []
    assert row_ids(pl.DataFrame({"other": [1, 2]}), WITHOUT_KEY) == ["0", "1"]
