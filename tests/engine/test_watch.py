"""Looking again and again: what is said by exit code, and what goes to the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from small_worlds import small_world
from tenure.cli.app import app
from tenure.core.health import Health
from tenure.core.lifecycle import Action, Alias, OutcomeRecord, PredictionRecord, Verb
from tenure.engine.events import ACTION_EVENT, HEALTH_EVENT
from tenure.engine.watch import examine, look, look_and_act
from tenure.engine.workspace import Workspace, open_workspace


def answer(workspace: Workspace, *, right: bool, rows: int = 600) -> None:
    """Log answers of the champion whose outcomes are what it said, or the opposite."""
    frame = small_world(rows, seed=11).drop("left")
    scored = workspace.scorer(workspace.champion()).score(frame)
    assert scored.probabilities is not None
    assert scored.labels is not None
    at = workspace.context.clock().isoformat()
    said = [
        PredictionRecord(f"p{i}", 1, at, at, features, label, tuple(float(p) for p in chances))
        for i, (features, label, chances) in enumerate(
            zip(frame.to_dicts(), scored.labels, scored.probabilities, strict=True)
        )
    ]
    other = {"yes": "no", "no": "yes"}
    workspace.traffic.log_predictions(said)
    workspace.traffic.record_outcomes(
        [OutcomeRecord(str(p.prediction) if right else other[str(p.prediction)], at, prediction_id=p.id) for p in said]
    )


def new_rows(folder: Path) -> None:
    frame = small_world(50, seed=8).with_columns(customer=pl.concat_str(pl.lit("n"), "customer"))
    frame.write_csv(folder / "data" / "second.csv")


def watch_once(folder: Path) -> int:
    done = CliRunner().invoke(app, ["watch", "--once", "--json", "--project", str(folder)])
    assert json.loads(done.stdout)["exit_code"] == done.exit_code
    return done.exit_code


def counts(workspace: Workspace) -> tuple[int, int, int]:
    events = workspace.ledger.events()
    kinds = [event.kind for event in events]
    return kinds.count(HEALTH_EVENT), kinds.count(ACTION_EVENT), len(events)


def test_an_ill_model_stays_an_alarm_however_often_one_looks(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=False)
        assert examine(workspace).status is Health.ILL
    assert [watch_once(office) for _ in range(3)] == [5, 5, 5]


def test_a_person_is_told_once_what_no_retraining_promises_to_mend(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=False)
        new_rows(office)
        first, second = look_and_act(workspace), look_and_act(workspace)
        assert (first.action.verb, first.action.proposal, first.waiting) == (Verb.ESCALATE, "tenure monitor", None)
        assert (second.action.verb, second.waiting) == (Verb.KEEP, Verb.ESCALATE)
    assert watch_once(office) == 5


def test_a_well_model_is_no_alarm(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=True)
    assert [watch_once(office) for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("right", [True, False])
def test_looking_again_at_the_same_adds_nothing_to_the_ledger(office: Path, right: bool) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=right)
        for _ in range(2):
            look_and_act(workspace)
        before = counts(workspace)
        for _ in range(3):
            look_and_act(workspace)
            examine(workspace)
        assert counts(workspace) == before
        assert before[0] == 1
        assert before[1] == (1 if right else 2)


def test_a_change_of_health_goes_to_the_ledger(office: Path) -> None:
    with open_workspace(office) as workspace:
        examine(workspace)
        answer(workspace, right=False)
        health = examine(workspace)
        events = workspace.ledger.events(kind=HEALTH_EVENT)
        assert [event.data["status"] for event in events] == [Health.LEARNING.value, health.status.value]


def test_a_look_alone_writes_nothing(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=False)
        before = counts(workspace)
        assert look(workspace).action.verb is Verb.RETRAIN
        assert counts(workspace) == before
        done = CliRunner().invoke(app, ["watch", "--dry-run", "--json", "--project", str(office)])
        assert done.exit_code == 7
        assert counts(workspace) == before


def test_what_an_act_refers_to_is_kept(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=False)
        look_and_act(workspace)
        event = workspace.ledger.events(kind=ACTION_EVENT)[-1]
        assert event.output is not None
        action = workspace.context.artifacts.get_record(Action, event.output)
        assert action.made_from == event.inputs
        assert workspace.context.artifacts.get_bytes(event.inputs[0])


def test_acts_are_remembered_over_any_number_of_keeps(office: Path) -> None:
    with open_workspace(office) as workspace:
        answer(workspace, right=False)
        look_and_act(workspace)
        for number in range(60):
            workspace.ledger.append(ACTION_EVENT, actor="test", reason=f"{number}", data={"verb": "keep"})
        assert look(workspace).waiting is Verb.ESCALATE


def test_a_rollback_to_the_version_in_office_is_refused_in_a_dry_run_too(office: Path) -> None:
    for words in (["--to", "v1"], ["--to", "v1", "--dry-run"]):
        done = CliRunner().invoke(app, ["rollback", *words, "--json", "--project", str(office)])
        assert done.exit_code == 2
        assert "already holds the office" in json.loads(done.stdout)["result"]["error"]["message"]
    with open_workspace(office) as workspace:
        assert workspace.registry.holder(Alias.CHAMPION) is not None
