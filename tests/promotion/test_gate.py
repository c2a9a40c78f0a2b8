"""The gate on small real models: whom it compares with, on which rows, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tenure.core.evidence import Finding, Measurement, RobustnessReport, Verdict
from tenure.core.lifecycle import Incumbent, Outcome
from tenure.core.modelling import Task
from tenure.core.ports import Artifacts, Context
from tenure.core.retraining import Recipe, Way
from tenure.promotion.compare import LEAST_ROWS, compare
from tenure.promotion.stage import gate
from tenure.testing.walks import SmallWalk, small_walk
from tenure.testing.worlds import World, clean_world

PROJECT = """
[project]
name = "churn"
task = "binary"

[data]
source = "none"
target = "left"

[value]
true_positive = 40
false_positive = -10
"""


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    return make_context(PROJECT)


def _office(walk: SmallWalk, artifacts: Artifacts, *, version: int = 1) -> Incumbent:
    return Incumbent(version, walk.leaderboard.model, artifacts.put_record(walk.leaderboard))


def _gate(ctx: Context, walk: SmallWalk, incumbent: Incumbent | None, *findings: Finding):
    robustness = RobustnessReport(findings=findings, model=walk.leaderboard.model)
    return gate(ctx, walk.snapshot, walk.quality, walk.plan, walk.leaderboard, robustness, incumbent)


def _part(world: World, rows: slice) -> World:
    return replace(world, frame=world.frame[rows], truth=world.truth[rows])


def test_a_first_model_that_beats_the_baseline_takes_office(ctx: Context) -> None:
    decision = _gate(ctx, small_walk(clean_world(), ctx.artifacts), None)
    assert decision.outcome is Outcome.PROMOTE
    assert decision.comparison is not None
    assert decision.comparison.against == "baseline"
    assert decision.comparison.rows == 1000
    assert decision.comparison.low > 0.2
    assert decision.comparison.value_low is not None
    assert decision.comparison.value_low > 0
    assert [f.check for f in decision.because] == ["value"]


def test_a_model_that_knows_nothing_does_not_take_office(ctx: Context) -> None:
    decision = _gate(ctx, small_walk(clean_world(), ctx.artifacts, rounds=0), None)
    assert decision.outcome is Outcome.HOLD
    assert decision.comparison is not None
    assert decision.comparison.low < 0 < decision.comparison.high
    assert decision.comparison.champion.value == 0.5


def test_the_model_in_office_is_not_compared_with_itself(ctx: Context) -> None:
    walk = small_walk(clean_world(), ctx.artifacts)
    decision = _gate(ctx, walk, _office(walk, ctx.artifacts))
    assert decision.outcome is Outcome.HOLD
    assert decision.same_model
    assert decision.comparison is None


def test_a_clearly_better_challenger_is_promoted_on_the_same_rows(ctx: Context) -> None:
    world = clean_world()
    poor = small_walk(world, ctx.artifacts, columns=["noise", "visits", "plan"])
    decision = _gate(ctx, small_walk(world, ctx.artifacts), _office(poor, ctx.artifacts, version=7))
    assert decision.outcome is Outcome.PROMOTE
    assert decision.comparison is not None
    assert decision.comparison.against == "v7"
    assert decision.comparison.champion.value == pytest.approx(poor.leaderboard.score.value)
    back = _gate(ctx, poor, _office(small_walk(world, ctx.artifacts), ctx.artifacts))
    assert back.outcome is Outcome.HOLD
    assert back.comparison is not None
    assert back.comparison.gain == pytest.approx(-decision.comparison.gain)


def test_a_champion_is_never_judged_on_rows_it_learned_from(ctx: Context) -> None:
    """Half of the champion's own rows lose their out-of-fold answers: they must be left out, new rows scored live."""
    world = clean_world(rows=1_200)
    old = small_walk(_part(world, slice(0, 800)), ctx.artifacts)
    told = ctx.artifacts.get_table(old.leaderboard.oof)
    kept = replace(old.leaderboard, oof=ctx.artifacts.put_table(told.filter(pl.col("row") % 2 == 0)))
    new = small_walk(world, ctx.artifacts)
    incumbent = Incumbent(1, kept.model, ctx.artifacts.put_record(kept))
    compared = compare(ctx, new.snapshot, new.quality, new.plan, new.leaderboard, incumbent)
    assert compared.comparison is not None
    assert compared.comparison.rows == 400 + 400
    # the champion knows rows 0 to 799; had it been asked about them live, it would look better than it is
    assert compared.comparison.champion.value == pytest.approx(old.leaderboard.score.value, abs=0.04)


def test_too_few_common_rows_hold_with_a_reason(ctx: Context) -> None:
    world = clean_world(rows=600)
    old = small_walk(_part(world, slice(0, 560)), ctx.artifacts)
    blind = replace(old.leaderboard, oof=ctx.artifacts.put_table(ctx.artifacts.get_table(old.leaderboard.oof).head(20)))
    new = small_walk(world, ctx.artifacts)
    decision = _gate(ctx, new, Incumbent(3, blind.model, ctx.artifacts.put_record(blind)))
    assert decision.outcome is Outcome.HOLD
    assert decision.comparison is None
    assert (
        decision.reason
        == f"Only 60 rows can be compared fairly with the champion v3; at least {LEAST_ROWS} are needed."
    )


def test_a_champion_whose_columns_are_gone_gives_way_to_the_baseline_in_words(ctx: Context) -> None:
    world = clean_world()
    old = small_walk(world, ctx.artifacts)
    fewer = replace(world, frame=world.frame.drop("region"))
    decision = _gate(ctx, small_walk(fewer, ctx.artifacts), _office(old, ctx.artifacts, version=4))
    assert decision.outcome is Outcome.PROMOTE
    assert decision.comparison is not None
    assert decision.comparison.against == "baseline"
    assert "v4" in decision.reason
    assert "region" in decision.reason


def test_a_champion_of_other_classes_gives_way_to_the_baseline(ctx: Context) -> None:
    world = clean_world()
    old = small_walk(world, ctx.artifacts)
    renamed = replace(
        world,
        frame=world.frame.with_columns(pl.col("left").replace({"yes": "ja", "no": "nein"})),
        classes=("nein", "ja"),
    )
    decision = _gate(ctx, small_walk(renamed, ctx.artifacts), _office(old, ctx.artifacts))
    assert decision.comparison is not None
    assert decision.comparison.against == "baseline"
    assert "another question" in decision.reason


def test_a_damaged_champion_gives_way_to_the_baseline(ctx: Context) -> None:
    old = small_walk(clean_world(seed=1), ctx.artifacts)
    bundle = ctx.artifacts.get_tree(old.leaderboard.model) / "rows.json"
    bundle.chmod(0o644)
    bundle.write_text("{}")
    decision = _gate(ctx, small_walk(clean_world(), ctx.artifacts), _office(old, ctx.artifacts))
    assert decision.comparison is not None
    assert decision.comparison.against == "baseline"
    assert "cannot be asked" in decision.reason


def test_a_blocking_finding_rejects_the_best_model(ctx: Context) -> None:
    broken = Finding("parity", Verdict.FAIL, Measurement("difference", 1.0, says="Answers differ."))
    decision = _gate(ctx, small_walk(clean_world(), ctx.artifacts), None, broken)
    assert decision.outcome is Outcome.REJECT
    assert decision.because[0] == broken
    assert "Answers differ." in decision.reason


def test_what_a_correction_may_lose_is_a_share_of_the_skill_in_what_it_is_judged_by(ctx: Context) -> None:
    """A timid model ranks as well as ever, while its probabilities are hardly better than the base rate."""
    walk, rng = small_walk(clean_world(), ctx.artifacts), np.random.default_rng(1)
    table = ctx.artifacts.get_table(walk.leaderboard.oof)
    mean = table["p_1"].mean()
    timid = mean + 0.036 * (table["p_1"].to_numpy() - mean)
    noisy = np.clip(mean + 0.03 * (table["p_1"].to_numpy() - mean) + 0.06 * rng.normal(size=timid.size), 0.01, 0.99)
    new, old = (
        replace(
            walk.leaderboard,
            oof=ctx.artifacts.put_table(table.with_columns(p_0=1 - chance, p_1=chance)),
            judged_by="log_loss",
        )
        for chance in (timid, noisy)
    )
    other = small_walk(clean_world(), ctx.artifacts, rounds=1).leaderboard.model
    champion = Incumbent(1, other, ctx.artifacts.put_record(old))
    robustness = RobustnessReport(findings=(), model=new.model)
    recipe = Recipe("recalibrate", Way.RECALIBRATE)
    decision = gate(ctx, walk.snapshot, walk.quality, walk.plan, new, robustness, champion, recipe)
    assert decision.comparison is not None
    assert decision.comparison.gain > 0
    assert -0.25 * (new.score.value - new.baseline.value) < decision.comparison.low < 0
    assert decision.outcome is Outcome.HOLD, decision.reason


def test_only_rows_that_no_choice_looked_at_are_compared(ctx: Context) -> None:
    walk = small_walk(clean_world(), ctx.artifacts)
    told = ctx.artifacts.get_table(walk.leaderboard.oof).with_columns((pl.col("row") >= 700).alias("reported"))
    forward = replace(walk, leaderboard=replace(walk.leaderboard, oof=ctx.artifacts.put_table(told)))
    decision = _gate(ctx, forward, None)
    assert decision.comparison is not None
    assert decision.comparison.rows == 300


def test_equal_inputs_give_an_equal_decision(ctx: Context) -> None:
    walk = small_walk(clean_world(), ctx.artifacts)
    old = _office(small_walk(clean_world(rows=500), ctx.artifacts), ctx.artifacts)
    assert _gate(ctx, walk, old).digest == _gate(ctx, walk, old).digest


def test_equal_models_are_rarely_promoted_over_each_other(ctx: Context) -> None:
    """Two models of equal worth (other columns of noise): the gate must mostly hold."""
    promoted = 0
    for seed in range(8):
        world = clean_world(rows=400, seed=seed)
        left = small_walk(world, ctx.artifacts, columns=["spend", "plan", "noise"], rounds=10)
        right = small_walk(world, ctx.artifacts, columns=["spend", "plan", "visits"], rounds=10)
        promoted += _gate(ctx, right, _office(left, ctx.artifacts)).outcome is Outcome.PROMOTE
    assert promoted <= 1


def test_money_of_regression_errors_is_compared(make_context: Callable[..., Context]) -> None:
    ctx = make_context(
        PROJECT.replace('"binary"', '"regression"').split("[value]")[0].replace("left", "amount")
        + "[value]\nerror_cost = 2.0\n"
    )
    decision = _gate(ctx, small_walk(clean_world(Task.REGRESSION), ctx.artifacts), None)
    assert decision.outcome is Outcome.PROMOTE
    assert decision.comparison is not None
    assert decision.comparison.value_gain is not None
    assert decision.comparison.value_gain > 10_000
    assert np.isfinite(decision.comparison.value_low)
