from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tenure.core.errors import ConfigError
from tenure.core.modelling import Scheme
from tenure.core.retraining import Recipe

YES = 'positive = "yes"'


def world(n: int = 800, *, groups: int = 0, days: int = 0, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1]}).with_columns(
        pl.Series("y", np.where(rng.random(n) < 1 / (1 + np.exp(-2 * x[:, 0])), "yes", "no"))
    )
    if groups:
        frame = frame.with_columns(pl.Series("owner", rng.integers(0, groups, n)))
    if days:
        frame = frame.with_columns(at=pl.date(2024, 1, 1) + pl.duration(days=pl.Series(rng.integers(0, days, n))))
    return frame


def test_independent_rows_get_stratified_folds_and_a_random_split_is_called_honest(design: Any) -> None:
    plan, folds, clean = design(world(), task="binary", target="y", data=YES)
    assert (plan.splitter, plan.scheme, len(folds)) == ("stratified-k-fold", Scheme.CROSS, 5)
    shares = [(clean["y"][f.valid] == "yes").mean() for f in folds]
    assert max(shares) - min(shares) < 0.01
    assert plan.naive == plan.planned
    assert "honest" in plan.naive_says


def test_few_rows_get_ten_folds_unless_the_project_says_otherwise(design: Any) -> None:
    assert len(design(world(300), task="binary", target="y", data=YES)[1]) == 10
    assert len(design(world(300), task="binary", target="y", data=YES, more="[validation]\nfolds = 4")[1]) == 4


def test_owner_of_several_rows_stays_on_one_side(design: Any) -> None:
    plan, folds, clean = design(world(groups=60), task="binary", target="y", data=f'{YES}\ngroup = "owner"')
    assert (plan.splitter, plan.group) == ("group-k-fold", "owner")
    for fold in folds:
        assert not set(clean["owner"][fold.train]) & set(clean["owner"][fold.valid])


def test_a_recipe_is_judged_on_the_newest_rows_and_knows_outcomes_as_late_as_was_learned(design: Any) -> None:
    recipe = Recipe("all", judged=100, delay=864_000.0)
    said = f'{YES}\ntime = "at"'
    plan, folds, clean = design(world(days=200), task="binary", target="y", data=said, recipe=recipe)
    assert plan.embargo_seconds == 864_000
    assert len(folds[-1].valid) == pytest.approx(100, abs=5)
    for fold in folds:
        assert (clean["at"][fold.valid].min() - clean["at"][fold.train].max()).days >= 10


def test_rows_without_times_judge_a_recipe_in_the_order_in_which_they_came(design: Any) -> None:
    recipe = Recipe("all", judged=100, delay=60.0, lag=30)
    plan, folds, _ = design(world(), task="binary", target="y", data=YES, recipe=recipe)
    assert (plan.splitter, plan.scheme, plan.time) == ("time-blocks", Scheme.FORWARD, None)
    assert folds[-1].valid.tolist() == list(range(700, 800))
    for fold in folds:
        assert fold.train.max() <= fold.valid.min() - 30


def test_the_newest_groups_judge_a_recipe(design: Any) -> None:
    frame = world(900, days=1).with_columns(
        owner=pl.int_range(900) // 3, at=pl.date(2024, 1, 1) + pl.duration(days=pl.int_range(900) // 3)
    )
    said = f'{YES}\ntime = "at"\ngroup = "owner"'
    plan, folds, clean = design(frame, task="binary", target="y", data=said, recipe=Recipe("all", judged=60))
    assert plan.splitter == "group-time-blocks"
    assert len(folds[-1].valid) == pytest.approx(60, abs=3)
    assert clean["owner"][folds[-1].valid].min() == 280


def test_time_comes_first_and_the_delay_is_kept(design: Any) -> None:
    said = f'{YES}\ntime = "at"\noutcome_delay = "10d"'
    plan, folds, clean = design(world(days=200), task="binary", target="y", data=said)
    assert (plan.splitter, plan.scheme, plan.time) == ("time-blocks", Scheme.FORWARD, "at")
    assert plan.embargo_seconds == 864_000
    assert "10 days late" in plan.reason
    for fold in folds:
        assert (clean["at"][fold.valid].min() - clean["at"][fold.train].max()).days >= 10
    assert folds[-1].reports


def test_delay_longer_than_the_data_is_left_out_and_said(design: Any) -> None:
    said = f'{YES}\ntime = "at"\noutcome_delay = "900d"'
    plan, folds, _ = design(world(days=200), task="binary", target="y", data=said)
    assert plan.embargo_seconds == 0
    assert "too long" in plan.reason
    assert all(f.train.size for f in folds)


def test_time_that_hardly_varies_does_not_cut(design: Any) -> None:
    plan, _, _ = design(world(days=2), task="binary", target="y", data=f'{YES}\ntime = "at"')
    assert plan.splitter == "stratified-k-fold"
    assert "too few different values" in plan.reason


def test_groups_that_go_on_through_time_are_said_to_lie_on_both_sides(design: Any) -> None:
    said = f'{YES}\ntime = "at"\ngroup = "owner"'
    plan, _, _ = design(world(groups=8, days=200), task="binary", target="y", data=said)
    assert plan.splitter == "time-blocks"
    assert "both sides" in plan.reason


def test_new_groups_over_time_are_judged_unseen(design: Any) -> None:
    frame = world(days=300).sort("at").with_columns(owner=pl.int_range(pl.len()) // 4)
    said = f'{YES}\ntime = "at"\ngroup = "owner"'
    plan, folds, clean = design(frame, task="binary", target="y", data=said)
    assert plan.splitter == "group-time-blocks"
    for fold in folds:
        assert not set(clean["owner"][fold.train]) & set(clean["owner"][fold.valid])
        assert clean["at"][fold.train].max() <= clean["at"][fold.valid].min()


def test_exact_copies_stay_together_and_the_reason_says_so(design: Any) -> None:
    frame = pl.concat([world(), world().head(80)])
    plan, folds, clean = design(frame, task="binary", target="y", data=YES)
    assert "exact copies (9.1 % of rows) kept together" in plan.reason
    row = clean.select("a", "b").hash_rows()
    for fold in folds:
        assert not set(row[fold.train]) & set(row[fold.valid])


def test_the_few_patterns_that_rows_can_have_are_no_copies(design: Any) -> None:
    rng = np.random.default_rng(0)
    codes = {name: rng.choice(["a", "b", "c", "d"], 3_000) for name in ("one", "two", "three")}
    plan, _, _ = design(
        pl.DataFrame(codes | {"y": rng.choice(["yes", "no"], 3_000)}), task="binary", target="y", data=YES
    )
    assert "copies" not in plan.reason


def test_memorised_copies_show_in_the_difference_to_a_random_split(design: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["yes", "no"], 300)})
    plan, _, _ = design(pl.concat([frame] * 4), task="binary", target="y", data=YES)
    assert plan.naive.value > plan.planned.value + 0.2
    assert "too good to be true" in plan.naive_says


def test_many_rows_get_a_holdout_with_a_reporting_part(design: Any) -> None:
    plan, folds, clean = design(world(100_500), task="binary", target="y", data=YES)
    assert (plan.splitter, plan.scheme) == ("holdout", Scheme.FORWARD)
    sizes = [len(f.valid) / clean.height for f in folds]
    assert sizes == pytest.approx([0.1, 0.1], abs=0.001)
    assert folds[-1].reports


@pytest.mark.parametrize("splitter", ["k-fold", "stratified-k-fold", "time-blocks", "group-k-fold", "holdout"])
def test_project_overrules_the_choice(design: Any, splitter: str) -> None:
    said = f'{YES}\ntime = "at"\ngroup = "owner"'
    plan, folds, _ = design(
        world(groups=40, days=100), task="binary", target="y", data=said, more=f'[validation]\nsplitter = "{splitter}"'
    )
    assert plan.splitter == splitter
    assert plan.reason.startswith(f"The project file asks for {splitter}.")
    assert folds


@pytest.mark.parametrize("splitter", ["time-blocks", "group-k-fold", "group-time-blocks"])
def test_splitter_that_does_not_fit_is_refused(design: Any, splitter: str) -> None:
    with pytest.raises(ConfigError, match=splitter):
        design(world(), task="binary", target="y", data=YES, more=f'[validation]\nsplitter = "{splitter}"')


def test_same_inputs_give_the_same_plan(design: Any) -> None:
    plans = [design(world(), task="binary", target="y", data=YES)[0] for _ in range(2)]
    assert plans[0].digest == plans[1].digest


def test_class_with_one_row_does_not_break_the_plan(design: Any) -> None:
    frame = world().with_columns(pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("odd")).otherwise("y").alias("y"))
    plan, folds, _ = design(frame, task="multiclass", target="y")
    assert plan.metric == "log_loss"
    assert len(folds) == 5


@pytest.mark.parametrize(
    ("name", "task", "target", "data", "splitter", "optimistic"),
    [
        ("bike_sharing_hourly", "regression", "cnt", 'time = "datetime"', "time-blocks", True),
        ("bank_marketing", "binary", "y", 'time = "contact_month"\npositive = "yes"', "time-blocks", True),
        ("california_housing", "regression", "median_house_value", "", "k-fold", False),
        ("mammography", "binary", "class", 'positive = "malignant"', "stratified-k-fold", False),
    ],
)
def test_real_data_get_the_split_that_fits_them(
    design: Any,
    real_data: Callable[[str], Path],
    name: str,
    task: str,
    target: str,
    data: str,
    splitter: str,
    optimistic: bool,
) -> None:
    plan, folds, clean = design(real_data(name), task=task, target=target, data=data)
    assert plan.splitter == splitter
    assert ("too good to be true" in plan.naive_says) is optimistic
    if plan.time:
        for fold in folds:
            assert clean[plan.time][fold.train].max() < clean[plan.time][fold.valid].min()
