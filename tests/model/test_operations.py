from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.calendar import CALENDAR_PARTS
from tenure.model.operations import (
    HASHED_LEVELS,
    Calendar,
    Category,
    Difference,
    Frequency,
    Number,
    TargetMean,
    TextShape,
)
from tenure.model.plan import ColumnPlan
from tenure.model.text import BUCKETS, PARTS_FROM, TopicModel, terms_of


@given(st.datetimes(min_value=datetime.fromisoformat("1600-01-01"), max_value=datetime.fromisoformat("2400-01-01")))
def test_calendar_parts_are_those_of_the_standard_library(moment: datetime) -> None:
    found = dict(
        zip(CALENDAR_PARTS, ColumnPlan([Calendar("at", CALENDAR_PARTS)]).encode_row({"at": moment}), strict=True)
    )
    season = 2 * np.pi * (moment.timetuple().tm_yday - 1) / 365.25
    assert found["month"] == moment.month
    assert found["day"] == moment.day
    assert found["weekday"] == moment.weekday()
    assert found["hour"] == moment.hour
    assert found["minute"] == moment.hour * 60 + moment.minute
    assert found["season_sin"] == pytest.approx(np.sin(season))
    assert found["season_cos"] == pytest.approx(np.cos(season))


def test_unseen_and_missing_levels_are_missing_and_rare_ones_share_a_code() -> None:
    category = Category("plan", ("basic", "plus"), rare=("old", "older"))
    frame = pl.DataFrame({"plan": ["plus", "older", "old", "new", None, "basic"]})
    np.testing.assert_array_equal(category.encode(frame)[:, 0], [1, 2, 2, np.nan, np.nan, 0])


def test_a_numeric_category_survives_a_change_of_its_type() -> None:
    category = Category("store", ("1", "2"))
    for values in ([1, 2], [1.0, 2.0], ["1", "2"]):
        np.testing.assert_array_equal(category.encode(pl.DataFrame({"store": values}))[:, 0], [0, 1])


def test_unseen_levels_have_log_count_zero() -> None:
    frequency = Frequency("id", ("a", "b"), (4, 2))
    encoded = frequency.encode(pl.DataFrame({"id": ["a", "b", "c", None]}))[:, 0]
    np.testing.assert_allclose(encoded, [np.log(4), np.log(2), 0, np.nan])


def test_differences_are_days_and_missing_where_one_end_is() -> None:
    frame = pl.DataFrame({"end": [date(2026, 1, 3), None], "start": [date(2026, 1, 1), date(2026, 1, 1)]})
    np.testing.assert_array_equal(Difference("end", "start").encode(frame)[:, 0], [2.0, np.nan])
    ends = {"end": datetime.fromisoformat("2026-01-02T12:00"), "start": "2026-01-01"}
    assert ColumnPlan([Difference("end", "start")]).encode_row(ends)[0] == 1.5


def test_numbers_tolerate_columns_that_turned_into_text() -> None:
    encoded = Number("x").encode(pl.DataFrame({"x": ["1", " 2.5", "n/a", None, "inf"]}))[:, 0]
    np.testing.assert_array_equal(encoded, [1, 2.5, np.nan, np.nan, np.nan])


def test_the_shape_of_a_text_is_length_words_and_shares() -> None:
    plan = ColumnPlan([TextShape("t")])
    assert plan.encode_row({"t": "Ab 1!"}).tolist() == [5.0, 2.0, 0.2, 0.2, 0.2]
    assert plan.encode_row({"t": ""}).tolist() == [0.0] * 5
    assert np.isnan(plan.encode_row({})).all()


def test_terms_are_the_same_in_every_process() -> None:
    text = "The quick brown Fox, 42 jumps; naïve 東京"
    code = f"from tenure.model.text import terms_of; print(*map(sum, terms_of({text!r})))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert told.stdout.split() == [str(part.sum()) for part in terms_of(text)]


@given(st.text())
def test_every_term_falls_into_a_bucket(text: str) -> None:
    buckets, counts = terms_of(text)
    assert (counts > 0).all()
    assert buckets.size == 0 or (buckets.min() >= 0 and buckets.max() < BUCKETS)


def test_a_text_without_known_terms_folds_to_zeros() -> None:
    kept = terms_of("hello world")[0].astype(np.int32)
    model = TopicModel(kept, np.ones(len(kept)), np.ones((len(kept), 3), dtype=np.float32))
    assert model.fold(terms_of("")).tolist() == [0, 0, 0]
    assert model.fold(terms_of("!!")).tolist() == [0, 0, 0]


def test_words_weigh_one_together_and_parts_one_half() -> None:
    buckets = terms_of("hello hello world")[0].astype(np.int32)
    model = TopicModel(buckets, np.ones(len(buckets)), np.ones((len(buckets), 1), dtype=np.float32))
    found, weight = model.weights(terms_of("hello world, world"))
    parts = model.buckets[found] >= PARTS_FROM
    assert np.linalg.norm(weight[~parts]) == pytest.approx(1.0)
    assert np.linalg.norm(weight[parts]) == pytest.approx(0.5)


@pytest.mark.parametrize("levels", [("a", "b"), ()])
def test_target_means_are_looked_up_and_missing_where_there_is_no_level(levels: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    means = rng.random(((len(levels) or HASHED_LEVELS) + 1, 2))
    operation = TargetMean("user", levels, means)
    frame = pl.DataFrame({"user": ["b", "a", "new", None]})
    table = operation.encode(frame)
    assert operation.names == ("user (mean target 1)", "user (mean target 2)")
    assert np.isnan(table[3]).all()
    if levels:
        np.testing.assert_array_equal(table[:3], means[[1, 0, 2]])
    for at, row in enumerate(frame.iter_rows(named=True)):
        np.testing.assert_array_equal(ColumnPlan([operation]).encode_row(row), table[at])
    again = TargetMean.from_dict(operation.to_dict(), operation.arrays())
    np.testing.assert_array_equal(again.encode(frame), table)


def test_the_days_of_a_leap_year_have_their_own_place() -> None:
    days = [datetime.fromisoformat("2024-01-01") + timedelta(days=n) for n in range(366)]
    encoded = Calendar("at", ("season_sin", "season_cos")).encode(pl.DataFrame({"at": days}))
    assert len(np.unique(encoded, axis=0)) == 366
