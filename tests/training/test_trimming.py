"""Planted limits for one row: what is served stays within them, and what that costs is stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from training_worlds import forward_blocks, planted_target

from tenure.core.metrics import metric_named
from tenure.core.modelling import Leaderboard, Scheme, Task, Way
from tenure.core.ports import Context
from tenure.model.scorer import Scorer
from tenure.training.row_time import AIM
from tenure.training.stage import train

QUICK = '''
from tenure.training.families.lightgbm import LightGBMFamily

class Quick:
    """Two LightGBMs of {rounds} rounds."""

    name = "quick"
    traits = LightGBMFamily.traits
    _family = LightGBMFamily()

    def configurations(self, shape):
        return self._family.configurations(shape)[:2]

    def fit(self, configuration, problem, train, valid, *, rounds, deadline):
        return self._family.fit(configuration, problem, train, None, rounds=rounds or {rounds}, deadline=deadline)
'''


def table(task: Task, rows: int, *, seed: int = 0) -> pl.DataFrame:
    """Return rows whose target is no sum of what the columns tell alone, so that a linear model knows little."""
    rng = np.random.default_rng(seed)
    left, right, level = rng.normal(size=rows), rng.normal(size=rows), rng.integers(0, 3, rows)
    signal = 1.2 * left * right + 0.4 * (level - 1)
    target = planted_target(task, signal, 3, rng)
    return pl.DataFrame(
        {
            "left": left,
            "right": right,
            "level": np.array(["low", "mid", "top"])[level],
            "noise": rng.normal(size=rows),
            "target": target if task is Task.REGRESSION else np.array([f"c{code}" for code in target]),
        }
    )


@pytest.fixture
def trained(records: Callable[..., Any]) -> Callable[..., tuple[Context, Leaderboard]]:
    """Return a function that trains linear models and short LightGBMs within a limit for one row."""

    def run(
        frame: pl.DataFrame, task: Task, milliseconds: float, *, rounds: int = 25, more: str = "", **options: Any
    ) -> tuple[Context, Leaderboard]:
        more = f'families = ["linear", "quick"]\n{more}[serving]\nmax_latency_ms = {milliseconds}\n'
        ctx, snapshot, quality, plan = records(frame, task, more=more, **options)
        own = ctx.folder / "plugins" / "family"
        own.mkdir(parents=True, exist_ok=True)
        (own / "quick.py").write_text(QUICK.format(rounds=rounds))
        return ctx, train(ctx, snapshot, quality, plan)

    return run


def served(ctx: Context, board: Leaderboard) -> Scorer:
    return Scorer.load(ctx.artifacts.get_tree(board.model))


def fresh_score(ctx: Context, board: Leaderboard, new: pl.DataFrame) -> float:
    scorer, task = served(ctx, board), Task(board.task)
    target = new["target"].to_numpy()
    if task is not Task.REGRESSION:
        target = np.array([scorer.model.classes.index(value) for value in new["target"]])
    return metric_named(board.metric, task=task)(target, scorer.raw(new))


@pytest.mark.parametrize("scheme", list(Scheme))
def test_a_generous_limit_changes_nothing(trained: Any, scheme: Scheme) -> None:
    options = {"scheme": scheme, "blocks": forward_blocks(700) if scheme is Scheme.FORWARD else None}
    options["more"] = "trials = 3\n"
    usual, endless = (trained(table(Task.BINARY, 700), Task.BINARY, limit, **options)[1] for limit in (5.0, 1e9))
    assert usual.trim is None
    assert 20 < usual.row_us < AIM * 5_000
    assert usual.model == endless.model
    assert usual.oof == endless.oof


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("task", list(Task))
def test_what_is_served_stays_within_the_limit_and_its_cost_is_stated(trained: Any, task: Task, scheme: Scheme) -> None:
    options = {"scheme": scheme, "blocks": forward_blocks(700) if scheme is Scheme.FORWARD else None}
    frame = table(task, 700)
    options |= {"rounds": 150, "more": "trials = 3\n"}
    _, free = trained(frame, task, 1e9, **options)
    limit = 1.4 * free.row_us / 1_000
    ctx, board = trained(frame, task, limit, **options)
    trim = board.trim
    assert trim is not None
    assert trim.before_us == pytest.approx(free.row_us, rel=0.3)
    assert board.row_us == trim.after_us <= trim.aim_us == pytest.approx(AIM * 1_000 * limit)
    assert trim.before_us > trim.aim_us
    assert trim.low <= trim.lost <= trim.high
    assert trim.rows == board.score.rows
    if task is Task.REGRESSION:  # Nothing is calibrated.
        assert board.score.value - free.score.value == pytest.approx(trim.lost)
    assert set(trim.left_out).isdisjoint(c.name for c in board.candidates if c.weight > 0)
    members = served(ctx, board).model.members
    assert sum(part.weight for part in members) == pytest.approx(1.0)
    assert {part.name for part in members} == {c.name for c in board.candidates if c.weight > 0}
    assert "aimed at" in trim.says


def test_fewer_folds_serve_where_all_of_one_candidate_are_too_many(trained: Any) -> None:
    """Pruning keeps boosted trees, though a linear model of every fold would fit."""
    ctx, board = trained(table(Task.MULTICLASS, 700), Task.MULTICLASS, 0.09, rounds=150)
    names = [part.name for part in served(ctx, board).model.members]
    assert any(name.startswith("lightgbm") for name in names)
    assert len(names) < 3
    assert "of 3 folds" in board.trim.says


def test_a_limit_that_nothing_fits_takes_the_cheapest_that_knows_something(trained: Any) -> None:
    _, board = trained(table(Task.MULTICLASS, 700), Task.MULTICLASS, 1e-3)
    assert board.trim.after_us > board.trim.aim_us
    assert "more than aimed at" in board.trim.says
    assert board.score.value < board.baseline.value
    assert sum(c.weight > 0 for c in board.candidates) == 1


def test_more_seeds_stay_within_the_limit(trained: Any) -> None:
    options = {"scheme": Scheme.FORWARD, "blocks": forward_blocks(700)}
    frame = table(Task.REGRESSION, 700)
    ctx, many = trained(frame, Task.REGRESSION, 1e9, **options)
    seeds = len(served(ctx, many).model.members)
    limit = 0.9 * many.row_us / AIM / 1_000
    ctx, few = trained(frame, Task.REGRESSION, limit, **options)
    assert 0 < len(served(ctx, few).model.members) < seeds
    assert few.row_us <= AIM * 1_000 * limit
    assert few.trim is None


def test_a_student_shows_on_new_rows_what_was_stated(trained: Any) -> None:
    ctx, board = trained(table(Task.REGRESSION, 1_000), Task.REGRESSION, 0.045, rounds=300, more="trials = 3\n")
    assert board.trim.way is Way.DISTILLED
    assert board.row_us <= board.trim.aim_us
    assert [part.name for part in served(ctx, board).model.members] == ["student"]
    assert next(c for c in board.candidates if c.name == "student").weight == 1.0
    new = table(Task.REGRESSION, 5_000, seed=7)
    assert board.expected.low <= fresh_score(ctx, board, new) <= board.expected.high


def test_in_time_order_a_student_is_taught_by_members_that_learned_from_all_rows(trained: Any) -> None:
    frame = table(Task.REGRESSION, 1_500)
    options = {"scheme": Scheme.FORWARD, "blocks": forward_blocks(1_500), "rounds": 200, "more": "trials = 3\n"}
    ctx, board = trained(frame, Task.REGRESSION, 0.045, **options)
    assert board.trim.way is Way.DISTILLED
    assert board.row_us <= board.trim.aim_us
    student = next(c for c in board.candidates if c.name == "student")
    assert len(student.fold_scores) == 3
    assert np.isfinite(student.fold_scores).all()
    new = table(Task.REGRESSION, 5_000, seed=7)
    assert board.expected.low <= fresh_score(ctx, board, new) <= board.expected.high


def test_real_churn_keeps_its_score_within_sixty_microseconds(trained: Any, real_data: Callable[[str], Path]) -> None:
    churn = pl.read_parquet(real_data("telco_churn")).drop("customerID").rename({"Churn": "target"})
    _, board = trained(churn.head(3_000), Task.BINARY, 0.06, budget="8s")
    assert board.trim is not None
    assert board.row_us <= AIM * 60
    assert board.score.value > 0.82
