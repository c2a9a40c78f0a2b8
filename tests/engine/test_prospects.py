"""Whether a new model would pay: asked when something new is known, and a look goes on where it cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from few_patterns import few_patterns, lived, project_of

from tenure.core.evidence import QualityReport
from tenure.engine.prospects import PROSPECT_EVENT, latest_prospect, not_asked, prospect_for
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import run_walk
from tenure.engine.watch import examine, look_and_act
from tenure.engine.workspace import open_workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = project_of(tmp_path / "p", few_patterns(800, 1))
    with open_workspace(made, actor="watch") as workspace:
        assert run_walk(workspace).version == 1
        lived(workspace, few_patterns(900, 2))
    return made


def test_rows_of_few_patterns_can_be_asked_about(folder: Path) -> None:
    with open_workspace(folder, actor="watch") as workspace:
        look_and_act(workspace)
        asked = latest_prospect(workspace, 1)
        assert asked is not None
        assert asked.rows > 0
        assert not_asked(workspace, 1) == ""


def test_a_look_goes_on_where_it_cannot_be_asked_and_that_is_said_once(folder: Path) -> None:
    with open_workspace(folder, actor="watch") as workspace:
        health = examine(workspace)
        quality = record_in(records_of(workspace, workspace.champion().run_id), "quality", QualityReport)
        (folder / ".tenure" / "artifacts" / quality.clean[:2] / quality.clean).unlink()
        assert prospect_for(workspace, health) is None
        assert "could not be asked" in not_asked(workspace, 1)
        assert latest_prospect(workspace, 1) is None
        assert prospect_for(workspace, health) is None
        assert len(workspace.ledger.events(kind=PROSPECT_EVENT)) == 1
