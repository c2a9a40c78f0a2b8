"""Carry out what people approved: exactly once, by whoever holds the watcher's lease, whatever is killed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tenure.core.errors import TemporaryError, TenureError
from tenure.core.lifecycle import Action, Verb
from tenure.engine.approvals import action_of, answered, begin, finish
from tenure.engine.events import ACTION_EVENT
from tenure.engine.permission import may
from tenure.engine.permits import Act
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace
from tenure.release.stage import rollback
from tenure.state.leases import Lease
from tenure.state.proposals import Proposal

WATCH_LEASE: Final = "watch"
Do = Callable[[Workspace, Action, str], str]
"""Does an act, for the reason given, and says what came of it."""
_ACTS: Final = {Verb.RETRAIN: Act.RETRAIN, Verb.ROLL_BACK: Act.ROLL_BACK}


def carry_out_approved(workspace: Workspace, do: Do | None = None) -> tuple[Proposal, ...]:
    """Carry out what was approved, and return what is done.

    Raises:
        ProjectBusyError: a watcher is at it, or another run; it carries them out.
    """
    with Lease(workspace.database, WATCH_LEASE, clock=workspace.context.clock):
        return carry_out_answered(workspace, do)


def carry_out_answered(workspace: Workspace, do: Do | None = None) -> tuple[Proposal, ...]:
    """Carry out what was approved, under the watcher's lease that the caller holds, and return what is done.

    What a freeze or quiet hours hold up stays for later. An act that fails for a lasting reason is done too, and says
    so; one that something outside kept from happening raises, and is gone on with at the next call.
    """
    done = []
    for proposal in answered(workspace):
        permit = may(workspace, _ACTS[proposal.verb], approved=True)
        if not permit.given:
            workspace.context.log.note(f"{proposal.label} is approved and waits. {permit.says}")
            continue
        action = action_of(workspace, proposal)
        begun = begin(workspace, proposal)
        says = _what_came_of_it(workspace, begun) or _done(workspace, begun, action, do or _do)
        _note(workspace, action, says)
        done.append(finish(workspace, begun, says))
    return tuple(done)


def _done(workspace: Workspace, proposal: Proposal, action: Action, do: Do) -> str:
    try:
        return do(workspace, action, _why(proposal))
    except TemporaryError:
        raise
    except TenureError as error:
        return f"It failed [{error.code}]: {error.message}"


def _do(workspace: Workspace, action: Action, why: str) -> str:
    if action.verb is Verb.ROLL_BACK:
        return rollback(workspace.context, workspace.registry, to=None, reason=why, cause=action.digest).reason
    walk = run_walk(workspace, why=why)
    return f"{walk.outcome}: {walk.reason}"


def _what_came_of_it(workspace: Workspace, proposal: Proposal) -> str:
    """Return what became of an act that was begun before and whose end was not noted, or nothing."""
    ledger = workspace.ledger
    if proposal.verb is Verb.ROLL_BACK:
        champion = workspace.champion()
        return f"{champion.label} is back in office." if champion.number != proposal.champion else ""
    for event in reversed(ledger.events(kind="run-started", newest_first=True, limit=20)):
        if event.seq > (proposal.begun or 0) and event.reason == _why(proposal) and event.run_id is not None:
            run = ledger.run(event.run_id)
            if run.status in ("finished", "failed"):
                return run.reason
    return ""


def _why(proposal: Proposal) -> str:
    return f"{proposal.label}, approved by {proposal.who}: {proposal.reason}"


def _note(workspace: Workspace, action: Action, says: str) -> None:
    """Put the act into the ledger as the loop's own acts are, so that it knows what was tried for this cause."""
    acted = replace(action, carried_out=True, proposal=None)
    workspace.ledger.append(
        ACTION_EVENT,
        actor=workspace.context.actor,
        reason=f"{action.reason} {says}",
        output=workspace.context.artifacts.put_record(acted),
        output_type="Action",
        data={"verb": action.verb.value, "carried_out": True},
    )
