from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.errors import BundleError
from tenure.model.calendar import CALENDAR_PARTS
from tenure.model.operations import (
    HASHED_LEVELS,
    Calendar,
    Category,
    Difference,
    Elapsed,
    Frequency,
    Number,
    TargetMean,
    TextShape,
    TextTopics,
)
from tenure.model.plan import ColumnPlan
from tenure.model.text import TopicModel, terms_of


def a_plan() -> ColumnPlan:
    kept = terms_of("good bad tea coffee terrible wonderful 12")[0].astype(np.int32)
    rng = np.random.default_rng(0)
    components = rng.normal(size=(len(kept), 4)).astype(np.float32)
    return ColumnPlan(
        [
            Number("size"),
            Number("ok"),
            Category("plan", ("basic", "plus"), ("old",)),
            Frequency("city", ("Ghent", "Bern"), (5, 3)),
            Calendar("seen", CALENDAR_PARTS),
            Elapsed("born"),
            Difference("seen", "born"),
            TextShape("note"),
            TextTopics("note", TopicModel(kept, rng.random(len(kept)), components), scores=2),
            TargetMean("city", ("Bern", "Ghent"), rng.random((3, 2))),
            TargetMean("plan", (), rng.random((HASHED_LEVELS + 1, 1))),
        ]
    )


TIMES = st.datetimes(min_value=datetime.fromisoformat("1900-01-01"), max_value=datetime.fromisoformat("2100-01-01"))
ODD = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**30), 10**30),
    st.text(),
    st.booleans(),
    TIMES,
    st.sampled_from(["basic", "plus", "old", "Ghent", "good tea", "BAD 12!", "7", " 7.5 ", "nan", "2024-02-29"]),
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.none() | st.floats() | st.integers(-(2**60), 2**60),
        "ok": st.none() | st.booleans(),
        "plan": st.none() | st.sampled_from(["basic", "plus", "old", "new", ""]),
        "city": st.none() | st.sampled_from(["Ghent", "Bern", "Oslo"]),
        "seen": st.none() | TIMES,
        "born": st.none() | TIMES,
        "note": st.none() | st.text() | st.sampled_from(["good tea", "a terrible, TERRIBLE coffee 12"]),
    },
)
TYPES = {
    "size": pl.Float64,
    "ok": pl.Boolean,
    "plan": pl.String,
    "city": pl.String,
    "seen": pl.Datetime("us"),
    "born": pl.Datetime("us"),
    "note": pl.String,
}


@given(st.lists(ROWS, min_size=1, max_size=8))
def test_a_row_encodes_bit_for_bit_like_its_table(rows: list[dict[str, Any]]) -> None:
    plan = a_plan()
    frame = pl.DataFrame([{name: row.get(name) for name in TYPES} for row in rows], schema=TYPES, strict=False)
    matrix = plan.encode(frame)
    for at, row in enumerate(rows):
        np.testing.assert_array_equal(plan.encode_row(row).view(np.int64), matrix[at].view(np.int64))


@given(st.fixed_dictionaries(dict.fromkeys(TYPES, ODD)))
def test_no_value_however_odd_breaks_a_row(row: dict[str, Any]) -> None:
    plan = a_plan()
    numbers = plan.encode_row(row)
    assert numbers.shape == (plan.width,)
    assert not np.isinf(numbers).any()


@given(st.fixed_dictionaries(dict.fromkeys(TYPES, ODD)))
@settings(max_examples=50)
def test_columns_of_odd_types_encode_like_their_rows(row: dict[str, Any]) -> None:
    plan = a_plan()
    frame = pl.DataFrame([pl.Series(name, [value], dtype=pl.Object) for name, value in row.items()])
    np.testing.assert_array_equal(plan.encode(frame)[0], plan.encode_row(row))


def test_a_plan_survives_json() -> None:
    plan = a_plan()
    again = ColumnPlan.from_dict(json.loads(json.dumps(plan.to_dict())), plan.arrays())
    row = {"size": 2, "plan": "plus", "city": "Bern", "seen": "2026-05-05", "born": "2020-01-01", "note": "good tea"}
    np.testing.assert_array_equal(again.encode_row(row), plan.encode_row(row))
    assert (again.names, again.categorical, again.sources) == (plan.names, plan.categorical, plan.sources)
    assert again.operations[:7] == plan.operations[:7]


def test_a_plan_names_its_outputs_and_where_they_come_from() -> None:
    plan = a_plan()
    assert len(plan.names) == len(plan.categorical) == len(plan.sources) == plan.width
    assert len(set(plan.names)) == plan.width
    assert plan.inputs == ("size", "ok", "plan", "city", "seen", "born", "note")
    assert [name for name, coded in zip(plan.names, plan.categorical, strict=True) if coded] == ["plan"]


def test_extra_columns_and_their_order_do_not_matter() -> None:
    plan = ColumnPlan([Number("a"), Number("b")])
    frame = pl.DataFrame({"b": [2], "c": ["x"], "a": [1]})
    np.testing.assert_array_equal(plan.encode(frame), [[1, 2]])


def test_an_empty_table_encodes_to_no_rows() -> None:
    assert a_plan().encode(pl.DataFrame(schema=TYPES)).shape == (0, a_plan().width)


def test_an_operation_of_a_later_version_is_refused() -> None:
    with pytest.raises(BundleError, match="'fourier'"):
        ColumnPlan.from_dict({"operations": [{"op": "fourier", "source": "x"}]})
