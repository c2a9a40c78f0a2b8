"""The rows that the question of a new model is asked about: each once, and in order of time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from few_patterns import PROJECT, START, few_patterns, lived, project_of

from tenure.core.retraining import Recipe, Way
from tenure.engine.logged_rows import pinned
from tenure.engine.rows_so_far import RowsSoFar, rows_so_far
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace

RECALIBRATE = Recipe("recalibrate", Way.RECALIBRATE)


def so_far(workspace: Workspace) -> RowsSoFar:
    version = workspace.champion()
    return rows_so_far(workspace, version, workspace.scorer(version), pinned(workspace), volume=200.0)


def timed(rows: int, seed: int) -> pl.DataFrame:
    moments = [START - timedelta(days=30) + timedelta(minutes=30 * n) for n in range(rows)]
    return few_patterns(rows, seed).with_columns(at=pl.Series(moments).dt.strftime("%Y-%m-%dT%H:%M:%S"))


@pytest.mark.parametrize("has_times", [False, True])
def test_rows_that_look_alike_are_rows_of_their_own(tmp_path: Path, has_times: bool) -> None:
    source = timed(800, 1) if has_times else few_patterns(800, 1)
    text = PROJECT.replace('positive = "yes"', 'positive = "yes"\ntime = "at"') if has_times else PROJECT
    with open_workspace(project_of(tmp_path / "p", source, text), actor="watch") as workspace:
        assert run_walk(workspace).version == 1
        lived(workspace, few_patterns(900, 2, rate=0.8))
        rows = so_far(workspace)
        assert len(rows.history.times) == 1_700
        assert (rows.history.known <= rows.incumbent.learned).sum() == 800
        # The next model learned from the log too, and keeps those rows with the others.
        assert run_walk(workspace, recipe=RECALIBRATE).version == 2
        assert len(so_far(workspace).history.times) == 1_700


def test_a_row_whose_outcome_was_corrected_is_still_the_same_row(tmp_path: Path) -> None:
    text = PROJECT.replace('positive = "yes"', 'positive = "yes"\ntime = "at"')
    with open_workspace(project_of(tmp_path / "p", timed(800, 1), text), actor="watch") as workspace:
        assert run_walk(workspace).version == 1
        frame = few_patterns(900, 2, rate=0.8)
        lived(workspace, frame)
        assert run_walk(workspace, recipe=RECALIBRATE).version == 2
        lived(workspace, frame.with_columns(left=pl.lit("no")))
        assert len(so_far(workspace).history.times) == 1_700
