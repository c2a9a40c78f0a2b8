"""Walks by a recipe: the model in office is corrected, learned again or left for an earlier one, gate and all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from small_worlds import small_world
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.modelling import Leaderboard
from tenure.core.retraining import Recipe, Way
from tenure.engine.answering import Holder
from tenure.engine.runner import Walk, run_walk
from tenure.engine.why import why
from tenure.engine.workspace import Workspace, open_workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
RECALIBRATE = Recipe("recalibrate", Way.RECALIBRATE)


def live_through(workspace: Workspace, first: int, rows: int, *, more_yes: bool) -> None:
    """Log answered rows of another world: there most of those who stayed leave too."""
    frame = small_world(first + rows, seed=23)[first:]
    left = pl.col("left")
    if more_yes:
        left = pl.when(pl.int_range(frame.height) % 3 > 0).then(pl.lit("yes")).otherwise(left).alias("left")
    moments = [(START + timedelta(minutes=first + n)).isoformat() for n in range(rows)]
    sent = frame.select("strong", "plan", "noise").to_dicts()
    workspace.traffic.log_predictions(
        [
            PredictionRecord(f"p{first + n}", 1, at, at, row, "no", (0.6, 0.4), key=f"n{first + n}")
            for n, (at, row) in enumerate(zip(moments, sent, strict=True))
        ]
    )
    truth = zip(moments, frame.with_columns(left)["left"], strict=True)
    workspace.traffic.record_outcomes(
        [OutcomeRecord(value, at, f"p{first + n}") for n, (at, value) in enumerate(truth)]
    )


def answered(workspace: Workspace) -> str:
    """Let the model in office answer a row, as the server does, and return the id of the prediction."""
    version = workspace.champion()
    holder = Holder(version, workspace.scorer(version), workspace.project)
    row = {"customer": "z1", "strong": 0.3, "plan": "plus", "noise": None}
    record = holder.record("q1", workspace.context.clock(), row, holder.answers([row])[0], key="z1")
    workspace.traffic.log_predictions([record])
    return record.id


def board_of(workspace: Workspace, walk: Walk) -> Leaderboard:
    board = walk.records["leaderboard"]
    assert isinstance(board, Leaderboard)
    return board


@pytest.fixture
def lived(office: Path) -> Path:
    with open_workspace(office) as workspace:
        live_through(workspace, 0, 800, more_yes=True)
    return office


def test_a_model_is_corrected_through_gate_and_release_and_can_be_restored(lived: Path) -> None:
    with open_workspace(lived) as workspace:
        walk = run_walk(workspace, recipe=RECALIBRATE, why="policy: the level moved")
        assert (walk.outcome, walk.version, walk.warm) == ("promote", 2, False), walk.reason
        assert board_of(workspace, walk).recipe == "recalibrate"
        comparison = walk.records["decision"].comparison  # type: ignore[attr-defined]
        assert (comparison.against, comparison.rows) == ("v1", 800)
        assert walk.published is not None
        assert "recalibrate" in walk.published.page.read_text()
        event = workspace.ledger.events(kind="walked", newest_first=True, limit=1)[0]
        assert event.data["recipe"]["way"] == "recalibrate"
        assert run_walk(workspace, recipe=RECALIBRATE).outcome == "up-to-date"
        told = why(workspace, answered(workspace)).rebuilt
        assert told.is_equal
        assert told.corrections[-1].name == "correction by what came true since"
        assert told.corrections[-1].said == told.again.probabilities
        live_through(workspace, 800, 800, more_yes=False)
        back = run_walk(workspace, recipe=Recipe("v1 again", Way.RESTORE, version=1))
        assert (back.outcome, back.version) == ("promote", 1)
        assert workspace.champion().number == 1
        workspace.ledger.verify()


def test_a_warm_start_that_fails_the_gate_says_so(office: Path) -> None:
    with open_workspace(office) as workspace:
        live_through(workspace, 0, 300, more_yes=False)
        walk = run_walk(workspace, recipe=Recipe("last 1/2", share=0.5))
        assert walk.warm
        assert walk.outcome == "hold"
        assert "warm start with 40%" in walk.reason
        assert "warm start" in workspace.ledger.run(walk.run_id).reason


def test_another_recipe_is_another_wish(lived: Path) -> None:
    """A walk that was cut off goes on for the same recipe only."""

    class Cut(BaseException):
        pass

    class CutAt:
        def note(self, text: str) -> None:
            pass

        def progress(self, share: float, text: str = "") -> None:
            if text.startswith("robustness: "):
                raise Cut

    ids = []
    for recipe in (RECALIBRATE, RECALIBRATE, Recipe("level", Way.RECALIBRATE, mix=1.0)):
        with open_workspace(lived, log=CutAt()) as workspace, pytest.raises(Cut):
            run_walk(workspace, recipe=recipe)
        with open_workspace(lived) as workspace:
            run = workspace.ledger.unfinished_run()
            assert run is not None
            ids.append(run.id)
            stages = [event.stage for event in workspace.ledger.events(kind="stage-finished", run_id=run.id)]
            assert "training" in stages
    assert ids[0] == ids[1] != ids[2]
