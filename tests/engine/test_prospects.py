"""Whether a new model would pay: asked when something new is known, and a look goes on where it cannot be asked."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from few_patterns import START, few_patterns, lived, project_of

from tenure.core.evidence import Finding, Measurement, QualityReport, Verdict
from tenure.core.modelling import Task
from tenure.core.ports import Problem, Silent
from tenure.core.retraining import Recipe
from tenure.engine.prospects import PROSPECT_EVENT, in_rows, latest_prospect, not_asked, prospect_for
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import run_walk
from tenure.engine.watch import examine, look_and_act
from tenure.engine.workspace import Workspace, open_workspace
from tenure.retraining.history import History


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def triggers(workspace: Workspace) -> list[str]:
    return [event.data["trigger"] for event in workspace.ledger.events(kind=PROSPECT_EVENT)]


@pytest.fixture(scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = project_of(tmp_path_factory.mktemp("prospects") / "p", few_patterns(800, 1))
    with open_workspace(made, actor="watch") as workspace:
        assert run_walk(workspace).version == 1
        lived(workspace, few_patterns(900, 2))
    return made


@pytest.fixture
def folder(_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(_folder, tmp_path / "p")


def test_rows_of_few_patterns_can_be_asked_about(folder: Path) -> None:
    with open_workspace(folder, actor="watch") as workspace:
        look_and_act(workspace)
        asked = latest_prospect(workspace, 1)
        assert asked is not None
        assert asked.rows > 0
        assert not_asked(workspace, 1) == ""


def test_without_times_a_moment_is_told_in_rows() -> None:
    times = np.arange(1_000) * 1_000_000
    usable = np.arange(1_000) >= 200
    target = np.zeros(1_000, dtype=np.int64)
    problem = Problem(Task.BINARY, 2, np.zeros((1_000, 1)), ("a",), (False,), target)
    history = History(problem, times, times + 100_000_000, times // 100_000_000, usable, lambda rows, said: said)
    recipe = Recipe("since the change", since=datetime.fromtimestamp(700, UTC).isoformat())
    # Known by then: the rows up to 900, of which 700 were usable.
    told = in_rows(recipe, history, now=1_000_000_000)
    assert told.since is None
    assert told.share == pytest.approx(201 / 701)
    assert in_rows(Recipe("all"), history, now=1_000_000_000) == Recipe("all")


def test_each_cause_is_asked_about_once_and_windows_that_pass_without_outcomes_at_last(folder: Path) -> None:
    with open_workspace(folder, actor="watch") as workspace:
        health = examine(workspace)
        quiet = replace(health, findings=())
        first, second = (
            Finding(
                name, Verdict.FAIL, Measurement("size", 1.0, says="It moved.", evidence={"since": START.isoformat()})
            )
            for name in ("one", "two")
        )
        for findings in ((), (first,), (second,), (first,), (first, second), ()):
            prospect_for(workspace, replace(quiet, findings=findings))
        assert triggers(workspace) == ["matured window", "alarm", "alarm"]
        unripe = [
            replace(health.windows[-1], start=(START + timedelta(days=30 + n)).isoformat(), ripe=False)
            for n in range(26)
        ]
        prospect_for(workspace, replace(quiet, windows=(*health.windows, *unripe[:25])))
        assert len(triggers(workspace)) == 3
        for _ in range(2):
            prospect_for(workspace, replace(quiet, windows=(*health.windows, *unripe)))
        assert triggers(workspace)[3:] == ["age"]


def test_a_cost_in_money_that_cannot_be_used_is_said(folder: Path) -> None:
    file = folder / "tenure.toml"
    file.write_text(file.read_text() + "[operations]\nretrain_cost = 20.0\n")
    log = Notes()
    with open_workspace(folder, actor="watch", log=log) as workspace:
        prospect_for(workspace, examine(workspace))
    assert any("retrain_cost is money" in note for note in log.notes)


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
