"""The guard of fields: good rows pass, each fault gets its rule, and only `strict` refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.errors import ConfigError, FieldsRefusedError
from tenure.core.modelling import Task
from tenure.core.project import BadField, parse_project
from tenure.engine.fields import FieldGuard, FieldRule, Violation, check_policies
from tenure.ingest.cells import typed
from tenure.ingest.infer import guess
from tenure.ingest.roles import Declared, prepare
from tenure.model.dates import DateColumns
from tenure.model.operations import Calendar, Category, Number, TextShape
from tenure.model.plan import ColumnPlan
from tenure.model.values import NO_MOMENT, moment_of
from tenure.quality.contract import infer_contract

SCHEMA = Schema(
    (
        Column("income", "Float64", Kind.NUMERIC),
        Column("children", "Int64", Kind.NUMERIC),
        Column("gaps", "Float64", Kind.NUMERIC),
        Column("member", "Boolean", Kind.BOOLEAN),
        Column("plan", "String", Kind.CATEGORICAL),
        Column("grade", "Float64", Kind.CATEGORICAL),
        Column("town", "String", Kind.CATEGORICAL),
        Column("note", "String", Kind.TEXT),
        Column("born", "Date", Kind.DATETIME),
        Column("paid", "Datetime", Kind.DATETIME, format="%d.%m.%Y"),
        Column("seen", "Datetime", Kind.DATETIME, Role.TIME),
        Column("id", "String", Kind.CATEGORICAL, Role.KEY),
        Column("left", "String", Kind.CATEGORICAL, Role.TARGET),
    )
)


def _rule(name: str, **more: Any) -> ColumnRule:
    column = SCHEMA[name]
    wanted = column.role in (Role.FEATURE, Role.TIME)
    nulls = more.pop("null_share", 0.0)
    return ColumnRule(name, column.kind, column.role, column.dtype, wanted, nulls, nulls + 0.1, **more)


DAYS = {"low": -5_364_662_400.0, "high": 9_214_646_400.0}
CONTRACT = Contract(
    (
        _rule("income", low=-1e6, high=1e6),
        _rule("children", low=0.0, high=30.0, integer=True),
        _rule("gaps", null_share=0.2),
        _rule("member"),
        _rule("plan", levels=("basic", "max", "plus"), max_length=64),
        _rule("grade", levels=("1.0", "2.0", "2.5")),
        _rule("town", max_length=64),
        _rule("note", max_length=100),
        _rule("born", **DAYS),
        _rule("paid", **DAYS),
        _rule("seen", **DAYS),
        _rule("id"),
        _rule("left"),
    ),
    rows=1000,
)
GOOD: dict[str, Any] = {
    "income": 2.5,
    "children": 2,
    "gaps": None,
    "member": True,
    "plan": "plus",
    "grade": 2,
    "town": "Ghent",
    "note": "called twice",
    "born": "1990-05-01",
    "paid": "03.02.2026",
    "seen": "2026-01-31T12:00:00Z",
    "id": "c7",
}
PLAN = ColumnPlan(
    [
        Number("income"),
        Number("children", fill=1.0),
        Number("gaps"),
        Number("member"),
        Category("plan", ("basic", "max", "plus")),
        Category("grade", ("1", "2", "2.5")),
        Category("town", ("Ghent",)),
        TextShape("note"),
        Calendar("born", ("weekday",)),
        Calendar("paid", ("weekday",)),
    ]
)
COERCE = FieldGuard(SCHEMA, CONTRACT)


def _broken(**changes: Any) -> list[tuple[str, str]]:
    return [(found.field, found.rule.value) for found in COERCE.check({**GOOD, **changes})]


# ---- what is broken ----


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("income", 7),
        ("income", -1e6),
        ("income", Decimal("2.5")),
        ("income", np.float32(2.5)),
        ("children", 3.0),
        ("children", np.int64(3)),
        ("gaps", 1e300),
        ("gaps", float("nan")),
        ("gaps", " "),
        ("member", np.bool_(False)),
        ("grade", "2.5"),
        ("grade", 2.5),
        ("town", "a town never seen"),
        ("note", ""),
        ("note", "x" * 100),
        ("born", date(1990, 5, 1)),
        ("born", "1990-5-1"),
        ("paid", "2026-02-03"),
        ("paid", datetime(2026, 2, 3, tzinfo=UTC)),
        ("seen", None),
        ("seen", "2026-01-31 12:00"),
        ("id", None),
    ],
)
def test_a_good_value_breaks_nothing(field: str, value: object) -> None:
    assert COERCE.check(GOOD) == []
    assert _broken(**{field: value}) == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("income", "2.5", "type"),
        ("income", "many", "type"),
        ("income", True, "type"),
        ("income", [1.0], "type"),
        ("income", {"a": 1}, "type"),
        ("income", "1e12", "range"),
        ("income", 1.1e6, "range"),
        ("income", float("inf"), "range"),
        ("gaps", 10**400, "range"),
        ("gaps", float("-inf"), "range"),
        ("income", None, "missing"),
        ("income", float("nan"), "missing"),
        ("income", np.float64("nan"), "missing"),
        ("income", "", "missing"),
        ("children", 2.5, "integer"),
        ("children", "2.5", "integer"),
        ("children", -1, "range"),
        ("member", "true", "type"),
        ("member", 1, "type"),
        ("member", None, "missing"),
        ("plan", "gold", "level"),
        ("plan", 7, "level"),
        ("plan", " ", "missing"),
        ("plan", ["plus"], "type"),
        ("plan", 10**4000, "type"),
        ("grade", 3, "level"),
        ("town", 7, "type"),
        ("town", "x" * 65, "length"),
        ("note", 7, "type"),
        ("note", "x" * 101, "length"),
        ("born", "31 May", "date"),
        ("born", 20_000, "date"),
        ("born", "2026-02-30", "date"),
        ("born", "20260131", "date"),
        ("born", "2026-W05-1", "date"),
        ("born", "\ud800", "date"),
        ("born", "1066-10-14", "range"),
        ("born", "", "missing"),
        ("born", pd.NaT, "missing"),
        ("paid", "2026.02.03", "date"),
        ("paid", "\ud800", "date"),
        ("seen", "9999-12-31T23:59:59-23:00", "date"),
    ],
)
def test_a_bad_value_breaks_its_rule(field: str, value: object, rule: str) -> None:
    assert _broken(**{field: value}) == [(field, rule)]


def test_a_category_that_came_as_a_number_is_of_another_type() -> None:
    schema = Schema((Column("code", "String", Kind.CATEGORICAL),))
    rule = ColumnRule("code", Kind.CATEGORICAL, Role.FEATURE, "String", True, 0.0, 0.1, levels=("1", "2"))
    guard = FieldGuard(schema, Contract((rule,), 100))
    assert guard.check({"code": 1}) == [Violation("code", FieldRule.TYPE, "1")]
    assert guard.check({"code": "1"}) == []


def test_a_date_beyond_narrower_limits_is_out_of_range_however_plain() -> None:
    low = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    schema = Schema((Column("day", "Date", Kind.DATETIME),))
    guard = FieldGuard(
        schema, Contract((ColumnRule("day", Kind.DATETIME, Role.FEATURE, "Date", True, 0.0, 0.1, low=low),), 100)
    )
    assert [found.rule for found in guard.check({"day": "2019-12-31"})] == [FieldRule.RANGE]
    assert guard.check({"day": "2020-01-01"}) == []


def test_columns_that_a_row_lacks_or_that_no_model_reads_are_none_of_its_business() -> None:
    assert COERCE.check({}) == []
    assert COERCE.check({**GOOD, "left": 7, "other": [1]}) == []


def test_a_column_without_a_rule_is_held_against_its_kind_only() -> None:
    guard = FieldGuard(SCHEMA, Contract((), 0))
    assert guard.check({**GOOD, "income": 1e300, "plan": None, "children": 0.5, "born": "1066-10-14"}) == []
    assert [found.rule for found in guard.check({**GOOD, "income": "many"})] == [FieldRule.TYPE]


def test_real_rows_keep_the_contract_that_was_made_from_others(real_data: Callable[[str], Path]) -> None:
    frame = pl.read_parquet(real_data("telco_churn"))
    schema = guess(frame, "Churn", task=Task.BINARY).schema
    rows = prepare(typed(frame), Declared("Churn"), Task.BINARY)
    guard = FieldGuard(schema, infer_contract(rows[:5000], schema), default="strict")
    admitted = guard.admit(rows[5000:].to_dicts())
    assert not admitted.violations


# ---- properties ----

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=120),
    st.text("0123456789-:T.Z ", max_size=25),
    st.sampled_from([10**400, -(10**4000), "1_000", "inf", "nan", "9999-12-31T23:59:59-23:59", "\ud800", b"x"]),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.timedeltas(),
    st.times(),
    st.decimals(),
    st.floats().map(np.float64),
    st.sampled_from([np.datetime64("NaT"), np.datetime64("2026-01-31"), pd.NaT, pd.Timestamp("2026-01-31")]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
)
ROWS = st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, ODD))


@given(st.lists(ROWS, max_size=3), st.sampled_from(["coerce", "quarantine"]))
def test_whatever_stands_in_a_row_is_answered_unless_the_policy_is_strict(rows: list[Any], policy: BadField) -> None:
    admitted = FieldGuard(SCHEMA, CONTRACT, default=policy).admit(rows)
    assert len(admitted.rows) == len(rows)
    for row in admitted.rows:  # what the model reads of it
        text = {name: value for name, value in row.items() if value != "\ud800"}  # refused before, for any column
        assert PLAN.encode_row(DateColumns.of(SCHEMA).read_row(text)).shape == (PLAN.width,)
    assert set(admitted.violations) == {at for at, row in enumerate(rows) if COERCE.check(row)}
    assert admitted.quarantined == (set(admitted.violations) if policy == "quarantine" else frozenset())


@given(ROWS)
def test_strict_refuses_exactly_what_coerce_counts(row: dict[str, Any]) -> None:
    strict, counted = FieldGuard(SCHEMA, CONTRACT, default="strict"), COERCE.check(row)
    if not counted:
        assert strict.admit([row]).rows == [row]
        return
    with pytest.raises(FieldsRefusedError) as refused:
        strict.admit([GOOD, row])
    assert [error["loc"] for error in refused.value.errors] == [["rows", 1, found.field] for found in counted]
    assert refused.value.where == f"rows.1.{counted[0].field}"


@given(st.dates() | st.datetimes(), st.sampled_from(["T", " "]), st.sampled_from(["", "Z", "+02:00"]))
def test_a_date_that_is_taken_quickly_is_one_that_the_model_reads(when: date, between: str, zone: str) -> None:
    text = when.isoformat(between, "seconds") + zone if isinstance(when, datetime) else when.isoformat()
    assume(when.year < 9999 and when.year > 1)
    rules = [found.rule for found in COERCE.check({"born": text})]
    assert moment_of(text) != NO_MOMENT
    seconds = moment_of(text) / 1e6
    assert rules == ([] if DAYS["low"] <= seconds <= DAYS["high"] else [FieldRule.RANGE])


@given(st.text("0123456789-:TZ Ww", min_size=8, max_size=21))
def test_a_text_that_no_model_reads_as_a_date_breaks_the_rule(text: str) -> None:
    assume(moment_of(text) == NO_MOMENT and text.strip())
    assert [found.rule for found in COERCE.check({"born": text})] == [FieldRule.DATE]


# ---- policies ----


def test_each_column_has_its_own_policy() -> None:
    guard = FieldGuard(SCHEMA, CONTRACT, {"income": "strict", "plan": "quarantine"})
    admitted = guard.admit([GOOD, {**GOOD, "plan": "gold"}, {**GOOD, "town": 7}])
    assert set(admitted.violations) == {1, 2}
    assert admitted.quarantined == {1}
    with pytest.raises(FieldsRefusedError) as refused:
        guard.admit([{**GOOD, "plan": "gold", "income": "2.5"}])
    assert [error["rule"] for error in refused.value.errors] == ["type"]


def test_only_what_nothing_can_read_is_emptied() -> None:
    bad = {**GOOD, "income": "2.5", "plan": "gold", "born": "soon", "note": ["a"]}
    assert COERCE.admit([bad]).rows == [{**bad, "born": None, "note": None}]
    assert bad["born"] == "soon"


def test_a_refusal_names_at_most_twenty_fields_and_counts_the_rest() -> None:
    guard = FieldGuard(SCHEMA, CONTRACT, default="strict")
    with pytest.raises(FieldsRefusedError, match="29 more") as refused:
        guard.admit([{**GOOD, "income": "x", "plan": "y", "born": "z"}] * 10)
    assert len(refused.value.errors) == 20


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("plan", "gold", "basic, max, plus"),
        ("income", 1e9, "-1e+06 to 1e+06"),
        ("gaps", 10**400, "a finite number"),
        ("born", "1066-10-14", "1800-01-01 to 2262-01-01"),
        ("paid", "soon", "%d.%m.%Y"),
        ("children", 2.5, "a whole number"),
        ("note", "x" * 200, "at most 100 characters"),
        ("member", "yes", "true or false"),
    ],
)
def test_a_refusal_says_what_was_expected_only_where_it_may(field: str, value: object, expected: str) -> None:
    said = {}
    for verbose in (True, False):
        with pytest.raises(FieldsRefusedError) as refused:
            FieldGuard(SCHEMA, CONTRACT, default="strict", verbose=verbose).admit([{**GOOD, field: value}])
        said[verbose] = f"{refused.value.as_dict()} {refused.value.errors}"
    assert expected in said[True]
    assert expected not in said[False]


def test_limits_that_are_open_on_one_side_are_said_so() -> None:
    schema = Schema((Column("low", "Float64", Kind.NUMERIC), Column("high", "Float64", Kind.NUMERIC)))
    rules = (
        ColumnRule("low", Kind.NUMERIC, Role.FEATURE, "Float64", True, 0.0, 0.1, low=0.0),
        ColumnRule("high", Kind.NUMERIC, Role.FEATURE, "Float64", True, 0.0, 0.1, high=9.0),
    )
    with pytest.raises(FieldsRefusedError) as refused:
        FieldGuard(schema, Contract(rules, 100), default="strict").admit([{"low": -1, "high": 10}])
    assert [error["msg"].rpartition("expected ")[2] for error in refused.value.errors] == ["at least 0", "at most 9"]


@given(ODD)
def test_what_was_found_is_shown_in_few_signs(value: object) -> None:
    for found in COERCE.check(dict.fromkeys(GOOD, value)):
        assert len(found.found) < 200


def test_a_value_of_a_megabyte_is_judged_and_shown_in_few_signs() -> None:
    for value in ("9" * 1_000_000, "x" * 1_000_000, [0.5] * 100_000, sys.float_info.max):
        assert all(len(found.found) < 200 for found in COERCE.check(dict.fromkeys(GOOD, value)))


# ---- the project file ----

PROJECT = """
[project]
name = "churn"
task = "binary"
[data]
source = "customers.csv"
target = "left"
[serving]
bad_fields = "quarantine"
[data.columns.{}]
bad = "strict"
"""


class _Model:
    """The parts of a fitted model that the guard asks for."""

    schema, contract = SCHEMA, CONTRACT


def test_policies_come_from_the_project_file() -> None:
    guard = FieldGuard.of(_Model(), parse_project(PROJECT.format("income")))
    assert guard.admit([{**GOOD, "plan": "gold"}]).quarantined == {0}
    with pytest.raises(FieldsRefusedError):
        guard.admit([{**GOOD, "income": timedelta(days=20)}])


def test_a_policy_for_no_column_is_refused_with_the_nearest() -> None:
    check_policies(_Model(), parse_project(PROJECT.format("income")))
    with pytest.raises(ConfigError, match="incme") as refused:
        check_policies(_Model(), parse_project(PROJECT.format("incme")))
    assert refused.value.hint == "Did you mean 'income'?"
