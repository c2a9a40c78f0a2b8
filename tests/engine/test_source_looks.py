"""The source is looked at on its own schedule, whoever looks, and a source that is away stops nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from small_worlds import small_world
from tenure.engine.source_looks import known_fingerprint, source_is_due
from tenure.engine.workspace import Workspace, open_workspace
from tenure.ingest.stage import source_fingerprint
from tenure.state.ledger import Ledger


@pytest.fixture
def workspace(office: Path, clock: Any) -> Iterator[Workspace]:
    with open_workspace(office) as opened:
        clock.now = opened.context.clock()  # later than the run that made the model
        yield replace(opened, context=replace(opened.context, clock=clock))


def test_the_source_is_asked_again_when_its_time_has_come(workspace: Workspace, clock: Any) -> None:
    assert source_is_due(workspace)
    first = known_fingerprint(workspace)
    assert first == source_fingerprint(workspace.context)
    small_world(50, seed=8).write_csv(workspace.folder / "data" / "second.csv")
    clock.advance(3599)
    assert not source_is_due(workspace)
    assert known_fingerprint(workspace) == first
    clock.advance(1)
    assert source_is_due(workspace)
    assert known_fingerprint(workspace) == source_fingerprint(workspace.context) != first
    assert not source_is_due(workspace)
    clock.advance(-7200)
    assert source_is_due(workspace)


def test_what_was_seen_before_a_run_does_not_count_after_it(workspace: Workspace, clock: Any) -> None:
    known_fingerprint(workspace)
    clock.advance(1)
    assert not source_is_due(workspace)
    Ledger(workspace.database, clock).start_run("another", actor="ann", reason="asked for")
    assert source_is_due(workspace)


def test_what_was_remembered_of_another_source_or_is_damaged_does_not_count(workspace: Workspace) -> None:
    known_fingerprint(workspace)
    data = workspace.project.data.model_copy(update={"target": "plan"})
    other = replace(
        workspace, context=replace(workspace.context, project=workspace.project.model_copy(update={"data": data}))
    )
    assert source_is_due(other)
    for content in ("", "{", "[]", '{"at": 3}', '{"at": "soon", "source": "", "fingerprint": null}'):
        (workspace.folder / ".tenure" / "source.look").write_text(content)
        assert source_is_due(workspace)


def test_a_source_that_is_away_is_unknown_and_asked_again_later(workspace: Workspace, clock: Any) -> None:
    shutil.rmtree(workspace.folder / "data")
    assert known_fingerprint(workspace) is None
    assert not source_is_due(workspace)
    clock.advance(3600)
    assert source_is_due(workspace)
