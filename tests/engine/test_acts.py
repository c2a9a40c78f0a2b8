"""Acts are noted before and after: what was begun is found again, done once, and never about another version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tenure.core.errors import ProjectBusyError
from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import HealthReport
from tenure.core.lifecycle import Action, Alias, Verb
from tenure.engine.acts import begin, is_done, note, unfinished
from tenure.engine.runner import run_walk
from tenure.engine.watch import WATCH_LEASE, finish, look_and_act
from tenure.engine.workspace import Workspace, open_workspace
from tenure.release.stage import rollback
from tenure.state.leases import Lease


def act(verb: Verb, *, since: str = "w1") -> Action:
    measurement = Measurement("m", 1.0, says="It does harm.", evidence={"version": 2, "since": since})
    return Action(verb, "It does harm.", Finding("harm", Verdict.FAIL, measurement), made_from=("h",))


def watching(workspace: Workspace) -> Lease:
    return Lease(workspace.database, WATCH_LEASE, clock=workspace.context.clock)


def second_version(workspace: Workspace) -> None:
    """Put another version in office, as a person does who promotes a held challenger."""
    first = workspace.champion()
    made = workspace.registry.register(
        "0" * 64, run_id=first.run_id, leaderboard=first.leaderboard, actor="test", note="made by hand"
    )
    offices = {Alias.CHAMPION: made.number, Alias.PREVIOUS: first.number}
    workspace.registry.move(offices, actor="test", reason="by hand")


def test_what_was_begun_is_found_until_it_is_noted(office: Path) -> None:
    with open_workspace(office) as workspace, watching(workspace) as lease:
        assert unfinished(workspace) is None
        begun = begin(workspace, lease, act(Verb.ROLL_BACK), HealthReport((), 1))
        other = begin(workspace, lease, act(Verb.RETRAIN, since="w2"), HealthReport((), 1))
        assert unfinished(workspace) == begun
        note(workspace, begun.action, begun.health, begun=begun, lease=lease)
        assert is_done(workspace, begun)
        assert unfinished(workspace) == other


def test_who_no_longer_leads_begins_and_notes_nothing(office: Path) -> None:
    with open_workspace(office) as workspace:
        with watching(workspace) as lost:
            pass
        before = len(workspace.ledger.events())
        with pytest.raises(ProjectBusyError):
            begin(workspace, lost, act(Verb.ROLL_BACK), HealthReport((), 1))
        with pytest.raises(ProjectBusyError):
            note(workspace, act(Verb.KEEP), "h", lease=lost)
        assert len(workspace.ledger.events()) == before


def test_a_rollback_leaves_alone_who_is_in_office_by_now(office: Path) -> None:
    with open_workspace(office) as workspace, watching(workspace) as lease:
        second_version(workspace)
        begun = begin(workspace, lease, act(Verb.ROLL_BACK), HealthReport((), 2))
        rollback(workspace.context, workspace.registry, to=1, reason="by hand", cause=None)
        done = finish(workspace, lease, begun)
        assert workspace.champion().number == 1
        assert not done.action.carried_out
        assert "v1 is now" in done.action.reason


def test_a_rollback_that_was_done_and_not_noted_is_not_done_again(office: Path) -> None:
    with open_workspace(office) as workspace, watching(workspace) as lease:
        second_version(workspace)
        begun = begin(workspace, lease, act(Verb.ROLL_BACK), HealthReport((), 2))
        cause = workspace.context.artifacts.put_record(begun.action)
        rollback(workspace.context, workspace.registry, to=None, reason="killed after", cause=cause, seen=2)
        moves = len(workspace.registry.moves())
        assert finish(workspace, lease, begun).action.carried_out
        assert len(workspace.registry.moves()) == moves
        assert unfinished(workspace) is None


def test_a_walk_that_was_done_and_not_noted_is_not_walked_again(office: Path) -> None:
    with open_workspace(office) as workspace, watching(workspace) as lease:
        begun = begin(workspace, lease, act(Verb.RETRAIN), HealthReport((), 1))
        run_walk(workspace, why="killed after", ladder=True, as_of=begun.at, fresh=True)
        runs = len(workspace.ledger.runs())
        assert finish(workspace, lease, begun).action.carried_out
        assert len(workspace.ledger.runs()) == runs


def test_what_cannot_be_done_now_waits_and_the_model_is_watched_all_the_same(office: Path) -> None:
    with open_workspace(office) as workspace:
        with watching(workspace) as lease:
            begin(workspace, lease, act(Verb.RETRAIN), HealthReport((), 1))
        with Lease(workspace.database, "walk", clock=workspace.context.clock):  # a person's long run
            seen = look_and_act(workspace)
            assert seen.action.verb is Verb.KEEP
            assert "waits" in seen.action.reason
        assert unfinished(workspace) is not None
        assert look_and_act(workspace).action.verb is Verb.RETRAIN
        assert unfinished(workspace) is None


def test_a_walk_that_fails_for_a_lasting_reason_is_done_and_says_so(office: Path) -> None:
    with open_workspace(office) as workspace:
        with watching(workspace) as lease:
            begin(workspace, lease, act(Verb.RETRAIN), HealthReport((), 1))
        shutil.move(office / "data", office / "elsewhere")
        done = look_and_act(workspace).action
        assert done.verb is Verb.RETRAIN
        assert done.carried_out
        assert "failed" in done.reason
        assert unfinished(workspace) is None
