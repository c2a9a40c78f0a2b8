"""Which rows a recipe learns from: the newest, in order of time, and never too few; older ones count less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_worlds import forward_blocks

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.modelling import Scheme, ValidationPlan
from tenure.core.retraining import Recipe
from tenure.training.budget import Course
from tenure.training.recency import FEWEST_LEARNED, Recency

START = datetime(2026, 1, 1)
SCHEMA = Schema((Column("at", "Datetime", Kind.DATETIME, Role.TIME),))


def hours(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"at": pl.Series([START + timedelta(hours=n) for n in range(rows)])})


@given(st.integers(1, 5_000), st.floats(0.01, 1.0), st.integers(0, 5_000))
def test_the_newest_rows_are_learned_from_and_at_least_500(rows: int, share: float, first: int) -> None:
    train = np.arange(rows)
    learned = Recency(5_000, share, first).learned(train)
    assert learned.tolist() == train[len(train) - len(learned) :].tolist()
    assert len(learned) >= min(FEWEST_LEARNED, rows)
    if len(learned) > FEWEST_LEARNED:
        assert learned.min() >= first
        assert len(learned) < share * rows + 1


def test_each_fold_learns_from_the_newest_part_of_its_own_past() -> None:
    plan = ValidationPlan(Scheme.FORWARD, "time-blocks", 4, "", "roc_auc", "by hand", time="at")
    recency = Recency.of(Recipe("half", share=0.5), hours(3_200), SCHEMA)
    course = Course.of(plan, forward_blocks(3_200), recency.learned)
    ends = [(int(fold.train.min()), int(fold.train.max())) for fold in course.choosing]
    assert ends == [(300, 799), (800, 1_599)]
    assert course.reporting is not None
    assert (course.reporting.train.min(), course.reporting.train.max()) == (1_200, 2_399)
    assert (course.refitted.min(), course.refitted.max(), course.closing_work) == (1_600, 3_199, 1_600)
    assert [len(fold.valid) for fold in course.choosing] == [800, 800]


@pytest.mark.parametrize("zone", [None, UTC])
def test_nothing_before_a_moment_is_learned_from(zone: object) -> None:
    since = (START + timedelta(hours=700)).replace(tzinfo=zone).isoformat()  # type: ignore[arg-type]
    recency = Recency.of(Recipe("since", since=since), hours(2_000), SCHEMA)
    assert recency.learned(np.arange(2_000)).min() == 700
    assert recency.learned(np.arange(900)).tolist() == list(range(400, 900))


def test_a_row_counts_half_as_much_a_half_life_earlier() -> None:
    recency = Recency.of(Recipe("quarter", half_life=0.25), hours(400), SCHEMA)
    weights = recency.weighted(None)
    assert weights is not None
    assert weights.mean() == pytest.approx(1.0)
    assert weights[399] / weights[299] == pytest.approx(2.0)
    counted = recency.weighted(np.tile([1.0, 3.0], 200))
    assert counted is not None
    assert counted[399] / counted[398] == pytest.approx(3.0 * weights[399] / weights[398])
    assert Recency(10).weighted(None) is None
