from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from training_worlds import forward_blocks, planted_target

from tenure.core.data import Kind, Role
from tenure.core.errors import BudgetError, UnknownPluginError
from tenure.core.lifecycle import Incumbent
from tenure.core.metrics import metric_named
from tenure.core.modelling import Leaderboard, Scheme, Task
from tenure.core.ports import Context
from tenure.core.retraining import Recipe
from tenure.model.scorer import Scorer
from tenure.training.stage import train

QUICK = '''
from tenure.training.families.lightgbm import LightGBMFamily

class Quick:
    """Two short LightGBMs, so that tests need not wait."""

    name = "quick"
    traits = LightGBMFamily.traits
    _family = LightGBMFamily()

    def configurations(self, shape):
        return self._family.configurations(shape)[:2]

    def fit(self, configuration, problem, train, valid, *, rounds, deadline):
        return self._family.fit(configuration, problem, train, None, rounds=rounds or 25, deadline=deadline)
'''
ONLY_QUICK = 'families = ["linear", "quick"]\n'


def table(task: Task, rows: int = 700, *, classes: int = 3, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    strong, level = rng.normal(size=rows), rng.integers(0, 3, rows)
    target = planted_target(task, strong + np.array([-1.0, 0.0, 1.0])[level], classes, rng)
    return pl.DataFrame(
        {
            "strong": pl.Series(np.where(rng.random(rows) < 0.05, np.nan, strong)).fill_nan(None),
            "level": np.array(["low", "mid", "top"])[level],
            "noise": rng.normal(size=rows),
            "target": target if task is Task.REGRESSION else np.array([f"c{code:03d}" for code in target]),
        }
    )


@pytest.fixture
def trained(records: Callable[..., Any]) -> Callable[..., tuple[Context, Leaderboard]]:
    """Return a function that trains the quick families on a table."""

    def run(frame: pl.DataFrame, task: Task, **options: Any) -> tuple[Context, Leaderboard]:
        options.setdefault("more", ONLY_QUICK)
        made_from = options.pop("recipe", None), options.pop("basis", None)
        ctx, snapshot, quality, plan = records(frame, task, **options)
        own = ctx.folder / "plugins" / "family"
        own.mkdir(parents=True, exist_ok=True)
        (own / "quick.py").write_text(QUICK)
        return ctx, train(ctx, snapshot, quality, plan, *made_from)

    return run


def served(ctx: Context, board: Leaderboard) -> Scorer:
    return Scorer.load(ctx.artifacts.get_tree(board.model))


@pytest.mark.parametrize("task", list(Task))
def test_the_model_beats_the_baseline_on_new_rows(trained: Any, task: Task) -> None:
    ctx, board = trained(table(task), task)
    new = table(task, seed=1)
    scorer = served(ctx, board)
    metric = metric_named(board.metric, task=task)
    target = new["target"].to_numpy()
    if task is not Task.REGRESSION:
        target = np.array([scorer.model.classes.index(value) for value in new["target"]])
    score = metric(target, scorer.raw(new))
    assert metric.gain(score, board.baseline.value) > 0.2 * abs(board.baseline.value)
    assert metric.gain(board.score.value, board.baseline.value) > 0
    assert board.score.low <= board.score.value <= board.score.high
    assert board.importance[0].feature in ("strong", "level")
    assert sum(item.share for item in board.importance) == pytest.approx(1.0)


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("task", list(Task))
def test_the_board_promises_what_new_rows_will_show(trained: Any, task: Task, scheme: Scheme) -> None:
    blocks = forward_blocks(700, 5) if scheme is Scheme.FORWARD else None
    ctx, board = trained(table(task), task, scheme=scheme, blocks=blocks)
    expected, metric = board.expected, metric_named(board.metric, task=task)
    assert expected.low <= expected.value <= expected.high
    assert expected.high - expected.low > board.score.high - board.score.low
    assert metric.gain(expected.value, board.score.value) >= 0
    assert board.expected_says
    new = served(ctx, board).score(table(task, seed=1))
    assert (new.low is None) == (task is Task.MULTICLASS)


def test_cross_validation_serves_one_member_a_fold(trained: Any) -> None:
    ctx, board = trained(table(Task.BINARY), Task.BINARY)
    members = served(ctx, board).model.members
    weights = {c.name: c.weight for c in board.candidates if c.weight > 0}
    assert len(members) == 3 * len(weights)
    for name, weight in weights.items():
        assert [m.weight for m in members if m.name == name] == pytest.approx([weight / 3] * 3)
    assert sum(m.weight for m in members) == pytest.approx(1.0)


def test_forward_serves_members_that_learned_from_all_rows(trained: Any) -> None:
    ctx, board = trained(
        table(Task.REGRESSION), Task.REGRESSION, scheme=Scheme.FORWARD, blocks=forward_blocks(700), time="strong"
    )
    members = served(ctx, board).model.members
    weights = {c.name: c.weight for c in board.candidates if c.weight > 0}
    for name, weight in weights.items():
        assert sum(m.weight for m in members if m.name == name) == pytest.approx(weight)
    assert {m.name for m in members} == set(weights)
    weighted = next(c for c in board.candidates if c.weight > 0)
    assert len(weighted.fold_scores) == 3
    assert np.isfinite(weighted.fold_scores).all()


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_the_score_is_that_of_the_reported_rows(trained: Any, task: Task, scheme: Scheme) -> None:
    blocks = forward_blocks(700) if scheme is Scheme.FORWARD else None
    ctx, board = trained(table(task), task, scheme=scheme, blocks=blocks)
    for digest, score in ((board.oof, board.score), (board.baseline_oof, board.baseline)):
        oof = ctx.artifacts.get_table(digest)
        told = oof.filter("reported")
        columns = [name for name in oof.columns if name.startswith("p_")]
        assert oof.columns == ["row", "row_id", "reported", "target", *columns]
        assert oof["row"].is_sorted()
        assert oof["row_id"].n_unique() == oof.height
        said = told.select(columns).to_numpy()
        said = said[:, 0] if task is Task.REGRESSION else said
        assert metric_named(board.metric, task=task)(told["target"].to_numpy(), said) == pytest.approx(score.value)
        assert told.height == (700 if scheme is Scheme.CROSS else 175)
        assert score.rows == told.height


def test_what_is_reported_was_chosen_without_the_reporting_fold(trained: Any) -> None:
    """Targets of the last block are turned around: what was said of it stays the same, and its score suffers."""
    frame = table(Task.REGRESSION)
    late = pl.int_range(700) >= 525
    turned = frame.with_columns(pl.when(late).then(-pl.col("target")).otherwise("target").alias("target"))
    options = {
        "scheme": Scheme.FORWARD,
        "blocks": forward_blocks(700),
        "more": 'trials = 3\nfamilies = ["lightgbm", "linear"]\n',
    }
    (one_ctx, one), (two_ctx, two) = (trained(f, Task.REGRESSION, **options) for f in (frame, turned))
    said = [ctx.artifacts.get_table(board.oof)["p_0"].to_list() for ctx, board in ((one_ctx, one), (two_ctx, two))]
    assert said[0] == said[1]
    assert [c.rounds for c in one.candidates] == [c.rounds for c in two.candidates]
    assert two.score.value > 2 * one.score.value


def test_a_plan_with_one_choosing_fold_works(trained: Any) -> None:
    _, board = trained(
        table(Task.BINARY), Task.BINARY, scheme=Scheme.FORWARD, blocks=forward_blocks(700, 3), time="strong"
    )
    assert board.calibration == "none"
    assert board.score.value > 0.75


def test_the_same_seed_gives_the_same_model(trained: Any) -> None:
    boards = [trained(table(Task.BINARY), Task.BINARY)[1] for _ in range(2)]
    assert boards[0].model == boards[1].model
    assert boards[0].oof == boards[1].oof


def test_a_hundred_classes_are_told_apart(trained: Any) -> None:
    ctx, board = trained(table(Task.MULTICLASS, 1500, classes=101), Task.MULTICLASS, more='families = ["linear"]\n')
    assert board.score.value < board.baseline.value - 0.5
    assert served(ctx, board).raw(table(Task.MULTICLASS, 5, seed=2)).shape == (5, 101)


def test_categories_alone_suffice(trained: Any) -> None:
    frame = table(Task.BINARY).select("level", "target")
    _, board = trained(frame, Task.BINARY)
    assert board.score.value > 0.6


def test_missing_cells_alone_suffice(trained: Any) -> None:
    rng = np.random.default_rng(0)
    gone = rng.random(600) < 0.5
    said = np.where(rng.random(600) < 0.9, gone, ~gone)
    frame = pl.DataFrame({"x": 1.0 + rng.random(600), "target": np.where(said, "yes", "no")})
    frame = frame.with_columns(pl.when(pl.Series(~gone)).then("x").alias("x"))
    assert trained(frame, Task.BINARY)[1].score.value > 0.85


def test_words_alone_suffice(trained: Any) -> None:
    rng = np.random.default_rng(0)
    good = rng.random(600) < 0.5
    fill = rng.choice(["the soup", "this tea", "a biscuit", "our coffee"], 600)
    frame = pl.DataFrame(
        {
            "review": [
                f"{food} was {'lovely and fresh' if g else 'stale and awful'}"
                for food, g in zip(fill, good, strict=True)
            ],
            "target": np.where(good, "yes", "no"),
        }
    )
    columns = {"review": (Kind.TEXT, Role.FEATURE)}
    assert trained(frame, Task.BINARY, columns=columns)[1].score.value > 0.95


def test_without_any_feature_the_baseline_is_served(trained: Any) -> None:
    ctx, board = trained(table(Task.BINARY).select("target"), Task.BINARY)
    assert [c.name for c in board.candidates] == ["baseline"]
    assert board.importance == ()
    assert board.score.value == pytest.approx(0.5, abs=0.05)
    assert served(ctx, board).raw(pl.DataFrame({"x": [1, 2]})).shape == (2, 2)


def test_owner_values_set_the_threshold(trained: Any) -> None:
    more = ONLY_QUICK + "[value]\ntrue_positive = 90.0\nfalse_positive = -10.0\n"
    ctx, board = trained(table(Task.BINARY, classes=2), Task.BINARY, more=more)
    assert board.threshold == pytest.approx(0.1)
    assert served(ctx, board).model.threshold == board.threshold


def test_intervals_of_a_value_hold_nine_of_ten_new_rows(trained: Any) -> None:
    ctx, board = trained(table(Task.REGRESSION, 1500), Task.REGRESSION)
    new = table(Task.REGRESSION, 1500, seed=5)
    scored = served(ctx, board).score(new)
    target = new["target"].to_numpy()
    assert scored.low is not None
    assert scored.high is not None
    assert 0.85 < np.mean((target >= scored.low) & (target <= scored.high)) < 0.95


def test_groups_widen_the_interval(trained: Any) -> None:
    """Fifty copies of each of twelve rows say no more than twelve rows do."""
    frame = pl.concat([table(Task.REGRESSION, 12)] * 50).with_columns(owner=pl.int_range(600) % 12)
    columns = {"owner": (Kind.NUMERIC, Role.GROUP)}
    blocks = np.column_stack([np.arange(600) % 12 % 3, np.zeros(600)]).astype(np.int16)
    options = {"columns": columns, "blocks": blocks, "more": 'families = ["linear"]\n'}
    grouped = trained(frame, Task.REGRESSION, group="owner", **options)[1].score
    alone = trained(frame, Task.REGRESSION, **options)[1].score
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_the_project_can_narrow_the_families(trained: Any) -> None:
    _, board = trained(table(Task.BINARY), Task.BINARY, more='families = ["linear"]\n')
    assert {c.family for c in board.candidates} == {"baseline", "linear"}


def test_an_unknown_family_is_refused(trained: Any) -> None:
    with pytest.raises(UnknownPluginError):
        trained(table(Task.BINARY), Task.BINARY, more='families = ["forest"]\n')


def test_a_budget_too_short_for_the_baseline_is_an_error(records: Callable[..., Any]) -> None:
    with pytest.raises(BudgetError) as caught:
        train(*records(table(Task.BINARY), Task.BINARY, budget="0.001s"))
    assert "training.budget" in (caught.value.where or "")


def test_real_churn_is_learned_in_a_few_seconds(records: Callable[..., Any], real_data: Callable[[str], Path]) -> None:
    churn = pl.read_parquet(real_data("telco_churn")).drop("customerID").rename({"Churn": "target"})
    board = train(*records(churn, Task.BINARY, budget="6s", more='families = ["linear", "lightgbm"]\n'))
    assert board.score.value > 0.83
    assert board.naive_score.value > 0.83


# ---- recipes ----


def drifting(rows: int = 3_000) -> pl.DataFrame:
    """Make a world whose answer turns round after two thirds of the time."""
    rng = np.random.default_rng(2)
    strong = rng.normal(size=rows)
    signal = np.where(np.arange(rows) < 2 * rows // 3, strong, -strong)
    target = np.array([f"c{code}" for code in planted_target(Task.BINARY, signal, 2, rng)])
    return pl.DataFrame({"strong": strong, "noise": rng.normal(size=rows), "target": target})


def test_a_recipe_learns_from_the_newest_rows_and_its_twin_did_so_before(
    trained: Callable[..., tuple[Context, Leaderboard]],
) -> None:
    forward = {"blocks": forward_blocks(3_000, 8), "scheme": Scheme.FORWARD, "time": "strong"}
    _, everything = trained(drifting(), Task.BINARY, **forward)
    assert everything.recipe == ""
    assert everything.twin is not None
    assert everything.twin > 0.9
    ctx, recent = trained(drifting(), Task.BINARY, **forward, recipe=Recipe("recent", share=0.25))
    assert recent.recipe == "recent"
    assert recent.score.value > everything.score.value + 0.1
    probabilities = Scorer.load(ctx.artifacts.get_tree(recent.model)).raw(drifting()[-500:])
    says_yes = probabilities[:, 1] > 0.5
    assert np.mean(says_yes == (drifting()["target"][-500:] == "c1").to_numpy()) > 0.75
    _, halved = trained(drifting(), Task.BINARY, **forward, recipe=Recipe("halved", half_life=0.1))
    assert halved.score.value > everything.score.value + 0.1


def test_a_warm_start_tries_what_is_in_office_first(trained: Callable[..., tuple[Context, Leaderboard]]) -> None:
    ctx, board = trained(table(Task.BINARY), Task.BINARY, more=ONLY_QUICK + "trials = 2\n")
    boosted = [c for c in board.candidates if c.family not in ("baseline", "linear")]
    last = min(boosted, key=lambda c: c.name == "lightgbm-quick").name
    weighed = (replace(c, weight=float(c.name == last), complete=True) for c in board.candidates)
    office = replace(board, candidates=tuple(weighed))
    basis = Incumbent(1, board.model, ctx.artifacts.put_record(office))
    more = ONLY_QUICK + "trials = 1\n"
    _, warm = trained(table(Task.BINARY), Task.BINARY, more=more, recipe=Recipe("all"), basis=basis)
    assert [c.name for c in warm.candidates if c.family not in ("baseline", "linear")] == [last]
    _, cold = trained(table(Task.BINARY), Task.BINARY, more=more)
    assert [c.name for c in cold.candidates if c.family not in ("baseline", "linear")] != [last]
