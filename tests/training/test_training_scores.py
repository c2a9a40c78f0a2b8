from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tenure.core.metrics import metric_named
from tenure.core.modelling import Scheme, Score, Task, ValidationPlan
from tenure.training.scores import clusters_of, mean_score, score


def test_a_part_of_the_rows_gives_nearly_the_interval_of_all() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60_000)
    shares = np.clip(0.5 + 0.2 * (truth - 0.5) + 0.2 * rng.normal(size=60_000), 0.01, 0.99)
    said = np.column_stack([1 - shares, shares])
    metric = metric_named("average_precision", task=Task.BINARY)
    found = score(metric, truth, said)
    few = score(metric, truth[:9000], said[:9000])
    assert found.value == metric(truth, said)
    assert found.rows == 60_000
    assert (found.high - found.low) == pytest.approx((few.high - few.low) * np.sqrt(9 / 60), rel=0.3)


def test_rows_of_a_group_stay_together() -> None:
    plan = ValidationPlan(Scheme.CROSS, "group-k-fold", 3, "", "rmse", "By hand.", group="owner")
    clean = pl.DataFrame({"owner": ["a", "b", "a", None]})
    found = clusters_of(clean, plan, np.arange(4))
    assert found is not None
    assert found[0] == found[2]
    assert len(set(found)) == 3


def test_neighbours_in_time_stay_together() -> None:
    plan = ValidationPlan(Scheme.FORWARD, "time-blocks", 3, "", "rmse", "By hand.", time="seen")
    found = clusters_of(pl.DataFrame(), plan, np.arange(1000))
    assert found is not None
    assert len(set(found)) >= 30
    assert (np.diff(found) >= 0).all()


def test_single_rows_stand_alone() -> None:
    plan = ValidationPlan(Scheme.CROSS, "k-fold", 3, "", "rmse", "By hand.")
    assert clusters_of(pl.DataFrame(), plan, np.arange(1000)) is None


def test_the_mean_of_folds_counts_rows() -> None:
    folds = [Score("rmse", 1.0, 0.5, 1.5, 100), Score("rmse", 3.0, 2.5, 3.5, 300), Score("rmse", float("nan"), 0, 0, 5)]
    found = mean_score(folds)
    assert found.value == 2.5
    assert 0 < found.high - found.value < 0.5
    assert found.rows == 405
