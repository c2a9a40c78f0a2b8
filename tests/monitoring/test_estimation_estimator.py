"""Estimates without outcomes, against planted truths."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.monitoring.estimation.estimator import Estimator, drop
from tenure.monitoring.estimation.label_shift import shifted_prior
from tenure.monitoring.estimation.rows import KnownRows, Reading

ROWS = 3_000


def chance_of(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(1.5 * x + np.where(z > 0, 1.0, -1.0))))


def two(chance: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - chance, chance])


def binary(rng: np.random.Generator, rows: int = ROWS, *, mean: float = 0.0) -> KnownRows:
    """Rows of a model that knows the truth."""
    x, z = rng.normal(mean, 1, rows), rng.normal(size=rows)
    chance = chance_of(x, z)
    plan = pl.Series("plan", np.where(z > 0.5, "max", "basic"))
    return KnownRows(pl.DataFrame({"x": x, "z": z}).with_columns(plan), two(chance), (rng.random(rows) < chance) * 1)


def blind(rng: np.random.Generator, rows: int = ROWS, *, mean: float = 0.0) -> KnownRows:
    """Rows of a model that is right on average, and does not see that a coin decides where `z` is negative."""
    x, z = rng.normal(size=rows), rng.normal(mean, 1, rows)
    known = chance_of(x, np.ones(rows))
    target = (rng.random(rows) < np.where(z > 0, known, 0.5)) * 1
    return KnownRows(pl.DataFrame({"x": x, "z": z}), two((known + 0.5) / 2), target)


def values(rng: np.random.Generator, rows: int = ROWS, *, mean: float = 0.0) -> KnownRows:
    """Rows of a model that knows the mean; the noise grows with `z`."""
    x, z = rng.normal(size=rows), rng.normal(mean, 1, rows)
    return KnownRows(pl.DataFrame({"x": x, "z": z}), x, x + rng.normal(size=rows) * np.exp(0.7 * z))


def estimator(metric: str, known: KnownRows, task: Task = Task.BINARY) -> Estimator:
    return Estimator.learned(METRICS[metric], task, known)


@pytest.fixture(scope="module")
def reference() -> KnownRows:
    return binary(np.random.default_rng(0))


@pytest.fixture(scope="module")
def auc(reference: KnownRows) -> Estimator:
    return estimator("roc_auc", reference)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "log_loss"])
def test_nine_of_ten_intervals_hold_where_the_chances_are_known(metric: str, auc: Estimator) -> None:
    learned = replace(auc, metric=METRICS[metric])
    held = 0
    for seed in range(20):
        window = binary(np.random.default_rng(100 + seed), 400)
        told = learned.estimate(window.features, window.predicted)
        assert told.low is not None
        assert told.high is not None
        held += told.low <= METRICS[metric](window.target, window.predicted) <= told.high
    assert held >= 14  # a binomial of .9 leaves this in 1 of 400


def test_a_shift_of_the_rows_is_followed(reference: KnownRows) -> None:
    window = binary(np.random.default_rng(1), 2_000, mean=1.2)
    told = estimator("log_loss", reference).estimate(window.features, window.predicted)
    came = METRICS["log_loss"](window.target, window.predicted)
    still = METRICS["log_loss"](reference.target, reference.predicted)
    assert told.value is not None
    assert abs(told.value - came) < 0.3 * abs(still - came)


def test_a_column_that_the_model_does_not_see_is_followed_too() -> None:
    """Believing the stated chances would miss it: the error of the model moves with the column."""
    known = blind(np.random.default_rng(2))
    window = blind(np.random.default_rng(3), 2_000, mean=-1.0)
    told = estimator("log_loss", known).estimate(window.features, window.predicted)
    came = METRICS["log_loss"](window.target, window.predicted)
    chance = window.predicted[:, 1]
    stated = float(-np.mean(chance * np.log(chance) + (1 - chance) * np.log(1 - chance)))
    assert told.value is not None
    assert abs(told.value - came) < 0.6 * abs(stated - came)


def test_the_error_of_values_is_followed_to_where_it_is_large() -> None:
    known = values(np.random.default_rng(4))
    window = values(np.random.default_rng(5), 2_000, mean=0.8)
    for metric in ("rmse", "mae", "r2"):
        told = estimator(metric, known, Task.REGRESSION).estimate(window.features, window.predicted)
        came = METRICS[metric](window.target, window.predicted)
        still = METRICS[metric](known.target, known.predicted)
        assert told.method == "dle"
        assert told.value is not None
        assert abs(told.value - came) < 0.5 * abs(still - came)


def label_shifted(known: KnownRows, share: float, rows: int, seed: int) -> KnownRows:
    """Rows drawn from known ones so that only the share of the positive class changes."""
    rng = np.random.default_rng(seed)
    yes, no = np.flatnonzero(known.target == 1), np.flatnonzero(known.target == 0)
    many = round(share * rows)
    return known.at(rng.permutation(np.append(rng.choice(yes, many), rng.choice(no, rows - many))))


def test_a_new_share_of_the_classes_is_told_from_other_shifts_and_followed(reference: KnownRows) -> None:
    pool = binary(np.random.default_rng(6), 8_000)
    window = label_shifted(pool, 0.75, 1_500, 7)
    learned = estimator("log_loss", reference)
    told = learned.estimate(window.features, window.predicted)
    came = METRICS["log_loss"](window.target, window.predicted)
    stated = float(np.mean(-np.sum(window.predicted * np.log(window.predicted), axis=1)))
    assert told.method == "label-shift"
    assert told.value is not None
    assert abs(told.value - came) < 0.5 * abs(stated - came)
    other = binary(np.random.default_rng(8), 1_500, mean=1.2)
    assert learned.estimate(other.features, other.predicted).method == "cbpe"


def test_the_same_shares_are_not_called_a_shift(reference: KnownRows) -> None:
    called = 0
    for seed in range(30):
        window = binary(np.random.default_rng(200 + seed), 500)
        called += shifted_prior(reference.predicted[:, 1], reference.target, window.predicted[:, 1]) is not None
    assert called == 0


def test_rows_unlike_all_known_ones_are_refused_in_words(auc: Estimator) -> None:
    window = binary(np.random.default_rng(9), 1_000, mean=9.0)
    told = auc.estimate(window.features, window.predicted)
    assert told.value is told.low is told.high is None
    assert told.refused is not None
    assert "rows whose outcome is known" in told.refused
    assert told.raw is not None  # the ledger learns from it all the same


def test_rows_that_became_known_give_ground_to_stand_on(auc: Estimator) -> None:
    later = binary(np.random.default_rng(10), 1_000, mean=4.0)
    window = binary(np.random.default_rng(11), 1_000, mean=4.0)
    assert auc.estimate(window.features, window.predicted).refused is not None
    assert auc.knowing(later).estimate(window.features, window.predicted).refused is None
    assert auc.knowing(later.at(np.arange(0))) is auc


def test_a_column_that_merely_runs_on_is_no_reason_to_refuse() -> None:
    known, window = (binary(np.random.default_rng(seed), 1_500) for seed in (12, 13))
    known, window = (
        KnownRows(rows.features.with_columns(day=pl.Series(days)), rows.predicted, rows.target)
        for rows, days in ((known, np.arange(1_500.0)), (window, np.arange(1_500.0) + 1_500))
    )
    told = estimator("roc_auc", known).estimate(window.features, window.predicted)
    assert told.refused is None
    blamed = Estimator.learned(METRICS["roc_auc"], Task.BINARY, known, importance={"day": 1.0})
    refused = blamed.estimate(window.features, window.predicted).refused
    assert refused is not None
    assert "day" in refused


def test_few_known_rows_or_none_in_the_window_are_refused(auc: Estimator, reference: KnownRows) -> None:
    few = estimator("roc_auc", reference.at(np.arange(50)))
    assert "only 50 rows" in str(few.estimate(reference.features, reference.predicted).refused)
    nothing = reference.at(np.arange(0))
    assert auc.estimate(nothing.features, nothing.predicted).refused == "the window holds no rows"
    assert auc.support(nothing.features, nothing.predicted).covered == 0.0
    one = auc.estimate(reference.features[:1], reference.predicted[:1])
    assert one.refused == "ranking quality (AUC) of such rows is not defined"


def test_few_expected_positives_give_an_interval_only(auc: Estimator, reference: KnownRows) -> None:
    few = reference.at(np.flatnonzero(reference.predicted[:, 1] < 0.2)[:60])
    told = auc.estimate(few.features, few.predicted)
    assert told.refused is not None or (told.value is None and told.low is not None)


@pytest.mark.parametrize("metric", ["average_precision", "f1", "balanced_accuracy", "brier"])
def test_every_metric_is_estimated(metric: str, auc: Estimator) -> None:
    window = binary(np.random.default_rng(20), 2_000)
    told = replace(auc, metric=METRICS[metric]).estimate(window.features, window.predicted)
    assert told.value == pytest.approx(METRICS[metric](window.target, window.predicted), abs=0.04)


def test_more_rows_make_the_interval_narrower(auc: Estimator) -> None:
    widths = []
    for rows in (200, 800, 3_200):
        window = binary(np.random.default_rng(14), rows)
        told = auc.estimate(window.features, window.predicted)
        assert told.low is not None
        assert told.high is not None
        widths.append(told.high - told.low)
    assert widths[0] > 1.5 * widths[1] > 2.2 * widths[2]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000))
def test_the_order_of_rows_changes_nothing(auc: Estimator, seed: int) -> None:
    window = binary(np.random.default_rng(15), 400)
    mixed = window.at(np.random.default_rng(seed).permutation(400))
    assert auc.estimate(mixed.features, mixed.predicted) == auc.estimate(window.features, window.predicted)


UGLY: dict[str, Any] = {
    "empty": [None] * 6,
    "nan": [math.nan] * 6,
    "infinite": [math.inf, -math.inf, 0.0, 1.0, 2.0, 3.0],
    "texts": ["1", "two", "", None, "NaN", "1e999"],
    "constant": [7.0] * 6,
    "flags": [True, False, None, True, False, True],
}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.sampled_from(sorted(UGLY)), plan=st.sampled_from(sorted(UGLY)), dropped=st.sampled_from([None, "x", "z"]))
def test_ugly_features_never_crash(auc: Estimator, x: str, plan: str, dropped: str | None) -> None:
    many = 20
    frame = pl.DataFrame(
        [
            pl.Series("x", UGLY[x] * many, strict=False),
            pl.Series("z", [0.0] * 6 * many),
            pl.Series("plan", UGLY[plan] * many, strict=False),
            pl.Series("new", range(6 * many)),
        ]
    ).drop(dropped or [])
    told = auc.estimate(frame, two(np.linspace(0.1, 0.9, 6 * many)))
    assert told.refused is not None or (told.low is not None and math.isfinite(told.low))
    known = KnownRows(frame, two(np.linspace(0.1, 0.9, 6 * many)), np.arange(6 * many) % 2)
    assert auc.knowing(known).estimate(frame, known.predicted).metric == "roc_auc"


def test_ugly_known_rows_never_crash() -> None:
    frame = pl.DataFrame([pl.Series(name, values * 50, strict=False) for name, values in UGLY.items()])
    said = two(np.full(300, 0.5))
    for target in (np.zeros(300, dtype=np.int64), np.arange(300) % 2):
        told = estimator("roc_auc", KnownRows(frame, said, target)).estimate(frame, said)
        assert told.rows == 300
    flat = estimator("rmse", KnownRows(frame, np.ones(300), np.ones(300)), Task.REGRESSION)
    assert flat.estimate(frame, np.ones(300)).value == pytest.approx(0.0, abs=1e-9)


def test_more_than_two_classes_are_estimated() -> None:
    rng = np.random.default_rng(16)
    chances = rng.dirichlet([1.0, 1.0, 1.0], 3_000)
    target = (rng.random((3_000, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    known = KnownRows(pl.DataFrame({"a": chances[:, 0], "b": chances[:, 1]}), chances, target)
    told = estimator("log_loss", known.at(np.arange(2_000)), Task.MULTICLASS).estimate(
        known.features[2_000:], chances[2_000:]
    )
    assert told.low is not None
    assert told.high is not None
    assert told.low <= METRICS["log_loss"](target[2_000:], chances[2_000:]) <= told.high


def test_a_drop_is_positive_where_worse_whatever_the_direction(auc: Estimator, reference: KnownRows) -> None:
    window = binary(np.random.default_rng(18), 500)
    told = auc.estimate(window.features, window.predicted)
    assert told.value is not None
    fall = drop(told, METRICS["roc_auc"], 0.95)
    assert fall is not None
    assert fall.value == pytest.approx(0.95 - told.value)
    assert fall.low < fall.value < fall.high
    loss = estimator("log_loss", reference).estimate(window.features, window.predicted)
    rise = drop(loss, METRICS["log_loss"], 0.1)
    assert rise is not None
    assert 0 < rise.low < rise.value < rise.high
    far = binary(np.random.default_rng(19), 1_000, mean=9.0)
    assert drop(auc.estimate(far.features, far.predicted), METRICS["roc_auc"], 0.95) is None


def test_levels_are_read_the_same_way_in_any_window() -> None:
    reading = Reading.of(pl.DataFrame({"t": ["b", "a", "a", None], "n": [1.0, 2.0, 3.0, 4.0]}))
    got = reading.matrix(pl.DataFrame({"n": ["1", "x", None, "inf"], "t": ["a", "b", "new", None]}))
    assert got[:3, 0].tolist() == [0.0, 1.0, 2.0]
    assert math.isnan(got[3, 0])
    assert got[0, 1] == 1.0
    assert np.isnan(got[1:, 1]).all()
