"""The same rows by two versions, for every task: what the log holds, and what is asked again, are one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from climbs import with_clock
from tenure.core.evidence import Finding, Verdict
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias, ModelVersion, OutcomeRecord
from tenure.core.modelling import Task
from tenure.engine.answering import Holder
from tenure.engine.ladder import judge
from tenure.engine.pairs import Voice, pairs_of, rows_since
from tenure.engine.workspace import Workspace, open_workspace
from tenure.testing.walks import small_walk
from tenure.testing.worlds import World, clean_world

ROWS = 500
PROJECT = """
[project]
name = "small"
task = "{task}"
[data]
source = "none"
target = "{target}"
[monitoring]
window = "200 rows"
[promotion]
shadow_rows = 300
"""
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(params=list(Task))
def world(request: pytest.FixtureRequest) -> World:
    return clean_world(request.param, rows=800, seed=1)


@pytest.fixture
def workspace(world: World, tmp_path: Path, clock: Any) -> Iterator[Workspace]:
    """Give a project with a champion that knows what it does, and a second version beside it."""
    (tmp_path / "tenure.toml").write_text(PROJECT.format(task=world.task.value, target=world.target))
    with open_workspace(tmp_path, actor="test") as opened:
        yield with_clock(opened, clock)


def _version(workspace: Workspace, world: World, *, rounds: int, columns: list[str] | None = None) -> ModelVersion:
    artifacts = workspace.context.artifacts
    board = small_walk(world, artifacts, rounds=rounds, columns=columns).leaderboard
    kept = artifacts.put_record(board)
    return workspace.registry.register(board.model, run_id="run", leaderboard=kept, actor="test")


def _answered(workspace: Workspace, by: ModelVersion, beside: ModelVersion, *, shadows: int) -> None:
    """Log new rows of the world as one version answers them, the first of them with what the other says beside it."""
    fresh = clean_world(workspace.project.project.task, rows=ROWS, seed=2)
    rows = fresh.frame.drop(fresh.target).to_dicts()
    one, other = (Holder(version, workspace.scorer(version), workspace.project) for version in (by, beside))
    now = workspace.context.clock()
    said = zip(rows, one.answers(rows), strict=True)
    records = [one.record(f"p{at:04d}", now, row, answer, key=None) for at, (row, answer) in enumerate(said)]
    workspace.traffic.log_predictions(records)
    told = enumerate(other.answers(rows)[:shadows])
    workspace.traffic.take_in([other.shadowed(f"p{at:04d}", int(now.timestamp() * 1e6), answer) for at, answer in told])
    truth = fresh.frame[fresh.target].to_list()
    workspace.traffic.record_outcomes(
        [OutcomeRecord(value, now.isoformat(), prediction_id=f"p{at:04d}") for at, value in enumerate(truth)]
    )


def test_what_is_asked_again_is_what_was_said_in_the_shadow(workspace: Workspace, world: World) -> None:
    champion, second = (_version(workspace, world, rounds=rounds) for rounds in (20, 10))
    _answered(workspace, champion, second, shadows=ROWS // 2)
    rows = rows_since(workspace, (champion, second), SINCE)
    one, other = Voice(workspace, second), Voice(workspace, champion)
    asked, logged = one.answers(rows), one.logged(rows, workspace.traffic.shadowed(second.number))
    there = ~np.isnan(logged).reshape(ROWS, -1).any(axis=1)
    assert there.sum() == ROWS // 2
    assert np.allclose(asked[there], logged[there], rtol=0, atol=1e-12)
    assert np.allclose(other.answers(rows), other.logged(rows), rtol=0, atol=0)
    pairs = pairs_of(workspace, rows, one, other, None)
    assert len(pairs) == ROWS
    assert np.allclose(pairs.one[np.argsort(rows["id"].arg_sort())], asked)


def test_a_row_without_a_column_that_a_version_reads_says_nothing_of_it(workspace: Workspace, world: World) -> None:
    column = world.schema.features[0].name
    narrow = _version(workspace, world, rounds=5, columns=[c.name for c in world.schema.features if c.name != column])
    wide = _version(workspace, world, rounds=5)
    fresh = clean_world(world.task, rows=20, seed=2).frame.drop(world.target, column).to_dicts()
    holder = Holder(narrow, workspace.scorer(narrow), workspace.project)
    said = zip(fresh, holder.answers(fresh), strict=True)
    records = [holder.record(f"p{at}", SINCE, row, answer, key=None) for at, (row, answer) in enumerate(said)]
    lean = [_without(record, column) for record in records]
    workspace.traffic.log_predictions(lean)
    rows = rows_since(workspace, (narrow, wide), SINCE)
    assert np.isnan(Voice(workspace, wide).answers(rows)).all()
    assert not np.isnan(Voice(workspace, narrow).answers(rows)).any()


def _without(record: Any, column: str) -> Any:
    record.features.pop(column, None)
    return record


def _judged(workspace: Workspace, champion: ModelVersion, second: ModelVersion) -> dict[str, Finding]:
    workspace.registry.move({Alias.CHAMPION: champion.number}, actor="test", reason="first")
    rung = Rung(second.number, champion.number, Step.SHADOW, 0.0, SINCE.isoformat(), "", "", "")
    return {finding.check: finding for finding in judge(workspace, rung).evidence}


def test_a_version_that_knows_nothing_does_harm_whatever_the_task(workspace: Workspace, world: World) -> None:
    champion, second = (_version(workspace, world, rounds=rounds) for rounds in (30, 0))
    _answered(workspace, champion, second, shadows=0)
    found = _judged(workspace, champion, second)
    assert found["harm"].verdict is Verdict.FAIL
    assert found["disagreement"].measurement.value > 0


def test_a_version_that_knows_more_leads_whatever_the_task(workspace: Workspace, world: World) -> None:
    champion, second = (_version(workspace, world, rounds=rounds) for rounds in (1, 30))
    _answered(workspace, champion, second, shadows=ROWS)
    found = _judged(workspace, champion, second)
    assert found["harm"].verdict is Verdict.PASS
    assert found["harm"].measurement.evidence["lead"] > 20
    assert found["answers moved"].verdict is Verdict.PASS


def test_a_version_that_knows_a_class_more_is_held_against_one_that_does_not(tmp_path: Path, clock: Any) -> None:
    before = clean_world(Task.MULTICLASS, rows=800, seed=1)
    (tmp_path / "tenure.toml").write_text(PROJECT.format(task="multiclass", target=before.target))
    first, *others = before.classes
    without = replace(before, frame=before.frame.filter(pl.col(before.target) != first), classes=tuple(others))
    with open_workspace(tmp_path, actor="test") as opened:
        workspace = with_clock(opened, clock)
        champion, second = (_version(workspace, world, rounds=20) for world in (without, before))
        _answered(workspace, champion, second, shadows=ROWS // 2)
        rows = rows_since(workspace, (champion, second), SINCE)
        pairs = pairs_of(workspace, rows, Voice(workspace, second), Voice(workspace, champion), None)
        classes = Voice(workspace, second).scorer.model.classes
        assert first in classes
        assert len(pairs) == ROWS
        assert (pairs.other[:, classes.index(first)] == 0).all()
        assert np.allclose(pairs.other.sum(axis=1), 1)
        found = _judged(workspace, champion, second)
        assert found["harm"].measurement.evidence["lead"] > 20
        assert found["rows"].verdict is Verdict.PASS


def test_versions_whose_yes_has_other_names_go_by_their_rows_alone(tmp_path: Path, clock: Any) -> None:
    now = clean_world(Task.BINARY, rows=800, seed=1)
    names = {name: f"old {name}" for name in now.classes}
    old = now.frame.with_columns(pl.col(now.target).cast(pl.String).replace_strict(names))
    before = replace(now, frame=old, classes=tuple(names.values()))
    (tmp_path / "tenure.toml").write_text(PROJECT.format(task="binary", target=now.target))
    with open_workspace(tmp_path, actor="test") as opened:
        workspace = with_clock(opened, clock)
        champion, second = (_version(workspace, world, rounds=20) for world in (before, now))
        _answered(workspace, second, champion, shadows=0)
        workspace.registry.move({Alias.CHAMPION: champion.number}, actor="test", reason="first")
        rung = Rung(second.number, champion.number, Step.CANARY, 0.25, SINCE.isoformat(), "", "", "")
        seen = judge(workspace, rung)
        assert seen.is_enough
        assert "harm" not in {finding.check for finding in seen.evidence}
        assert f"{ROWS} of 200 rows, which v1 answers in other words" in seen.evidence[0].says
