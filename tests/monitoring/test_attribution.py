"""Where a fall comes from: planted slices, planted concepts and planted crowds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tenure.core.metrics import METRICS, Targets
from tenure.core.modelling import Floats
from tenure.core.value import Flags
from tenure.monitoring.attribution import fall_in_two, falls_by_slice

AUC, RMSE, ACCURACY = METRICS["roc_auc"], METRICS["rmse"], METRICS["accuracy"]
COLUMNS = ("age", "copy", "plan", "noise")


@dataclass(frozen=True, eq=False)
class Rows:
    features: pl.DataFrame
    predicted: Floats
    target: Targets
    acted: Flags | None = None


def rows_of(seed: int, rows: int, *, lost: Callable[[pl.DataFrame], Floats] | None = None, older: float = 0.0) -> Rows:
    """Return answered rows; `lost` says for each how much of what the model learned no longer holds (0 to 1).

    The older a row, the nearer its chance lies to a half; `copy` is almost the age.
    """
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 80, rows) ** (1 + older) / 80**older
    frame = pl.DataFrame(
        {
            "age": age,
            "copy": age + rng.normal(0, 1, rows),
            "plan": rng.choice(["basic", "plus", "max"], size=rows, p=[0.3, 0.3, 0.4]),
            "noise": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        }
    )
    logit = rng.normal(size=rows) * np.clip(4 - age / 20, 0.5, 3)
    yes = 1 / (1 + np.exp(-logit))
    truth = yes if lost is None else yes + lost(frame) * (0.5 - yes)
    return Rows(frame, np.column_stack([1 - yes, yes]), (rng.random(rows) < truth).astype(np.int64))


def basic(frame: pl.DataFrame) -> Floats:
    return (frame["plan"] == "basic").to_numpy().astype(float)


def young(frame: pl.DataFrame) -> Floats:
    return (frame["age"] < 35).to_numpy().astype(float)


REFERENCE = rows_of(1, 6_000)


@pytest.mark.parametrize(("lost", "columns"), [(basic, {"plan"}), (young, {"age", "copy"})])
def test_the_slice_that_fell_is_told_once_however_many_columns_overlap(
    lost: Callable[[pl.DataFrame], Floats], columns: set[str]
) -> None:
    told = falls_by_slice(REFERENCE, rows_of(2, 3_000, lost=lost), metric=AUC, columns=COLUMNS)
    assert 1 <= len(told) <= 2
    assert told[0].column in columns
    assert told[0].share > 0.7
    assert told[0].fall.low > 0
    if lost is basic:
        assert told[0].slice == "plan is basic"


def test_two_slices_that_fell_are_both_told() -> None:
    both = rows_of(3, 6_000, lost=lambda frame: np.maximum(basic(frame), (frame["age"] < 30).to_numpy()))
    told = falls_by_slice(REFERENCE, both, metric=AUC, columns=COLUMNS)
    assert "plan" in {one.column for one in told}
    assert {one.column for one in told} & {"age", "copy"}


def test_the_empty_cells_of_a_column_are_a_slice() -> None:
    gone = rows_of(4, 6_000, lost=lambda frame: np.isnan(frame["noise"].to_numpy()).astype(float))
    told = falls_by_slice(REFERENCE, gone, metric=ACCURACY, columns=COLUMNS)
    assert [one.slice for one in told] == ["noise is empty"]


def test_quiet_windows_tell_no_slice_more_often_than_chance_allows() -> None:
    false = sum(bool(falls_by_slice(REFERENCE, rows_of(100 + i, 800), metric=AUC, columns=COLUMNS)) for i in range(40))
    assert false <= 6  # 5 % of 40 windows is 2; more than 6 has a chance below 1 %


def test_a_fall_that_is_everywhere_alike_names_no_slice() -> None:
    alike = rows_of(5, 1_500, lost=lambda frame: np.full(frame.height, 0.5))
    assert len(falls_by_slice(REFERENCE, alike, metric=ACCURACY, columns=("plan",))) <= 1
    assert falls_by_slice(REFERENCE, rows_of(6, 20), metric=AUC, columns=COLUMNS) == ()


def test_worse_answers_on_the_same_rows_are_the_concept() -> None:
    parts = fall_in_two(
        REFERENCE, rows_of(2, 3_000, lost=basic), metric=AUC, columns=COLUMNS, rng=np.random.default_rng(0)
    )
    assert parts is not None
    assert parts.composition is not None
    assert parts.concept is not None
    assert parts.concept.low > 0.02
    assert parts.composition.high < 0.02
    assert parts.whole.value == pytest.approx(parts.composition.value + parts.concept.value)


def test_harder_rows_are_the_composition() -> None:
    parts = fall_in_two(
        REFERENCE, rows_of(2, 6_000, older=-0.6), metric=AUC, columns=COLUMNS, rng=np.random.default_rng(0)
    )
    assert parts is not None
    assert parts.composition is not None
    assert parts.concept is not None
    assert parts.composition.low > 0.01
    assert parts.concept.low < 0.005 < parts.composition.value


def test_rows_that_training_never_saw_refuse_the_split() -> None:
    strange = rows_of(2, 1_000)
    far = Rows(strange.features.with_columns(pl.col("age") + 500), strange.predicted, strange.target)
    parts = fall_in_two(REFERENCE, far, metric=AUC, columns=COLUMNS, rng=np.random.default_rng(0))
    assert parts is not None
    assert (parts.composition, parts.concept) == (None, None)
    assert parts.refused


def test_a_metric_without_outcomes_of_both_kinds_is_not_split() -> None:
    same = rows_of(2, 100)
    one = Rows(same.features, same.predicted, np.ones(100, dtype=np.int64))
    assert fall_in_two(REFERENCE, one, metric=AUC, columns=COLUMNS, rng=np.random.default_rng(0)) is None


def test_a_price_slip_of_one_coast_is_found_on_real_data(real_data: Callable[[str], Path]) -> None:
    frame = pl.read_parquet(real_data("california_housing")).sample(9_000, seed=1, shuffle=True)
    columns = ["ocean_proximity", "median_income", "housing_median_age", "total_bedrooms"]
    value = frame["median_house_value"].to_numpy().astype(float)
    said = value + np.random.default_rng(0).normal(0, 50_000, value.size)
    slip = (frame["ocean_proximity"] == "INLAND").to_numpy() & (np.arange(value.size) >= 6_000)
    told = falls_by_slice(
        Rows(frame[columns][:6_000], said[:6_000], value[:6_000]),
        Rows(frame[columns][6_000:], said[6_000:], (value - 60_000 * slip)[6_000:]),
        metric=RMSE,
        columns=columns,
    )
    assert told[0].slice == "ocean_proximity is INLAND"
    assert told[0].share > 0.8
