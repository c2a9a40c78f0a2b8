"""Carry out what people approved, once, by whoever holds the watcher's lease, whatever is killed on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tenure.core.errors import TemporaryError, TenureError
from tenure.core.lifecycle import Action, Verb
from tenure.engine.approvals import action_of, answered, begin, finish
from tenure.engine.permission import may
from tenure.engine.permits import Act
from tenure.engine.workspace import Workspace
from tenure.state.proposals import Proposal

Doing = Callable[[Workspace, Action, str], str]
"""Does an act for the reason given and says what came of it; asked again after it was cut off, it goes on with it."""
ACTS: Final = {Verb.RETRAIN: Act.RETRAIN, Verb.ROLL_BACK: Act.ROLL_BACK}
"""What a permit is asked for."""


def carry_out_answered(workspace: Workspace, act: Doing) -> tuple[Proposal, ...]:
    """Carry out what was approved, under the watcher's lease that the caller holds, and return what is done.

    What a freeze or quiet hours hold up stays for later. An act that fails for a lasting reason is done too, and says
    so; one that something outside kept from happening raises, and is gone on with at the next call.
    """
    done = []
    for proposal in answered(workspace):
        permit = may(workspace, ACTS[proposal.verb], approved=True)
        if not permit.given:
            workspace.context.log.note(f"{proposal.label} is approved and waits. {permit.says}")
            continue
        begun = begin(workspace, proposal)
        says = _came_to(workspace, begun, act)
        done.append(finish(workspace, begun, says))
    return tuple(done)


def _came_to(workspace: Workspace, proposal: Proposal, act: Doing) -> str:
    why = f"{proposal.label}, approved by {proposal.who}: {proposal.reason}"
    try:
        return act(workspace, action_of(workspace, proposal), why)
    except TemporaryError:
        raise
    except TenureError as error:
        return f"It failed [{error.code}]: {error.message}"
