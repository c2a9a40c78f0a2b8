"""What came true, for each task, and what decisions were worth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.core.project import ValueSection
from tenure.monitoring.realised import Answered, answered, joined_answers, money_of, reference_answers

VALUE = ValueSection(true_positive=40.0, false_positive=-10.0, false_negative=-5.0, true_negative=1.0)


def binary_rows(outcomes: list[str | None]) -> pl.DataFrame:
    chance = np.linspace(0.9, 0.1, len(outcomes))
    return pl.DataFrame(
        {
            "version": [1] * len(outcomes),
            "prediction": ["1" if p >= 0.5 else "0" for p in chance],
            "p_0": 1 - chance,
            "p_1": chance,
            "outcome": pl.Series(outcomes, dtype=pl.String),
        }
    )


def test_outcomes_that_the_target_cannot_have_are_left_out() -> None:
    rows = binary_rows(["1", "0.0", None, "maybe", "1.0"])
    got = answered(rows, task=Task.BINARY, classes=("0", "1"), value=ValueSection())
    assert got.target.tolist() == [1, 0, 1]
    assert got.acted is not None
    assert got.acted.tolist() == [True, True, False]


def test_money_counts_what_was_done_what_was_best_and_doing_nothing() -> None:
    rows = answered(binary_rows(["1", "0", "1", "0"]), task=Task.BINARY, classes=("0", "1"), value=VALUE)
    money = money_of(rows, VALUE)
    assert money is not None
    assert money.made.tolist() == [40.0, -10.0, -5.0, 1.0]
    assert money.best.tolist() == [40.0, 1.0, 40.0, 1.0]
    assert money.without.tolist() == [-5.0, 1.0, -5.0, 1.0]
    assert money_of(rows, ValueSection()) is None


def test_capacity_lets_only_the_likeliest_be_acted_on() -> None:
    value = VALUE.model_copy(update={"capacity": 1})
    rows = answered(binary_rows(["1", "1", "0", "0"]), task=Task.BINARY, classes=("0", "1"), value=value)
    assert rows.acted is not None
    assert rows.acted.tolist() == [True, False, False, False]


def test_values_are_scored_and_priced_by_their_error() -> None:
    rows = pl.DataFrame({"value": [1.0, 2.0, None, 4.0], "outcome": ["1.5", "2", "3", "n/a"]})
    value = ValueSection(error_cost=2.0)
    got = answered(rows, task=Task.REGRESSION, classes=(), value=value)
    assert got.target.tolist() == [1.5, 2.0]
    money = money_of(got, value)
    assert money is not None
    assert (money.made.sum(), money.best.sum()) == (-1.0, 0.0)
    assert joined_answers([got, got]).target.tolist() == [1.5, 2.0, 1.5, 2.0]


def test_several_classes_are_told_apart_by_their_codes() -> None:
    rows = pl.DataFrame({"p_0": [0.7, 0.2], "p_1": [0.2, 0.2], "p_2": [0.1, 0.6], "outcome": ["a", "c"]})
    got = answered(rows, task=Task.MULTICLASS, classes=("a", "b", "c"), value=ValueSection())
    assert got.target.tolist() == [0, 2]
    assert got.acted is None
    assert money_of(got, VALUE) is None
    score = got.score(METRICS["log_loss"])
    assert score is not None
    assert score.value == pytest.approx(-(np.log(0.7) + np.log(0.6)) / 2)


def test_answers_keep_when_they_were_asked_and_answered() -> None:
    rows = binary_rows(["1", None, "0"]).with_columns(
        event_at=pl.Series([1_000_000, 2_000_000, 3_500_000]).cast(pl.Datetime("us", "UTC")),
        known_at=pl.Series([5_000_000, None, 6_000_000]).cast(pl.Datetime("us", "UTC")),
    )
    got = answered(rows, task=Task.BINARY, classes=("0", "1"), value=ValueSection())
    both = joined_answers([got, got])
    assert both.event_at is not None
    assert both.known_at is not None
    assert both.event_at.tolist() == [1.0, 3.5, 1.0, 3.5]
    assert both.known_at.tolist() == [5.0, 6.0, 5.0, 6.0]
    timeless = answered(binary_rows(["1"]), task=Task.BINARY, classes=("0", "1"), value=ValueSection())
    assert joined_answers([got, timeless]).event_at is None


def test_a_score_that_is_not_defined_is_none() -> None:
    one_class = Answered(np.ones(5, dtype=np.int64), np.full((5, 2), 0.5))
    assert one_class.score(METRICS["roc_auc"]) is None
    nothing = answered(pl.DataFrame({"outcome": ["a"]}), task=Task.BINARY, classes=("a", "b"), value=VALUE)
    assert len(nothing) == 0
    assert nothing.score(METRICS["log_loss"]) is None


@pytest.mark.parametrize(("reported", "rows"), [(300, 300), (50, 1_000)])
def test_the_reference_is_what_no_choice_looked_at_where_that_is_enough(reported: int, rows: int) -> None:
    oof = pl.DataFrame({"reported": np.arange(1_000) < reported, "target": np.zeros(1_000), "p_0": np.zeros(1_000)})
    assert len(reference_answers(oof, task=Task.REGRESSION)) == rows
