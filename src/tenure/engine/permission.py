"""Ask whether an act may be done now, with what the ledger knows of freezes and of what was spent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tenure.engine.permits import MONTH, Act, Facts, Permit, Spent, permit
from tenure.engine.workspace import Workspace
from tenure.state.freezes import freeze_of

WATCHER: Final = "watch"
"""Who acts where no person does."""
HELD_EVENT: Final = "held-back"
"""A spent budget holds an act back; a person was told."""
_TRAINING: Final = "training"
_MOST_RUNS: Final = 1_000
_SLACK: Final = timedelta(days=1)


def may(workspace: Workspace, act: Act, *, approved: bool = False) -> Permit:
    """Say whether `act` may be done now by itself; `approved` where a person said yes to this very act."""
    now = workspace.context.clock()
    walks = () if approved or act is not Act.RETRAIN else walks_since(workspace, now - MONTH - _SLACK)
    facts = Facts(act, freeze_of(workspace.ledger, now), walks, approved)
    return permit(workspace.project.operations, now, facts)


def walks_since(workspace: Workspace, since: datetime) -> tuple[Spent, ...]:
    """Return the retrainings that the watcher began since then: those that got as far as to train.

    Seconds are those of the stages that were finished, whatever became of the walk.
    """
    ledger = workspace.ledger
    spent = []
    for event in ledger.events(kind="run-started", newest_first=True, limit=_MOST_RUNS):
        at = datetime.fromisoformat(event.at)
        if at < since:
            break
        if event.actor != WATCHER:
            continue
        stages = ledger.events(kind="stage-finished", run_id=event.run_id)
        if any(stage.stage == _TRAINING for stage in stages):
            spent.append(Spent(at, sum(float(stage.data["seconds"]) for stage in stages)))
    return tuple(reversed(spent))


def tell_once(workspace: Workspace, held: Permit) -> bool:
    """Say whether people have still to be told that a spent budget holds an act back, and note that they were.

    True at the first look for each budget and end of it, so that it is escalated once and not at every look.
    """
    if not held.is_budget:
        return False
    data = {"rule": held.rule, "start": None if held.start is None else held.start.isoformat()}
    last = workspace.ledger.events(kind=HELD_EVENT, newest_first=True, limit=1)
    if last and last[0].data == data:
        return False
    workspace.ledger.append(HELD_EVENT, actor=workspace.context.actor, reason=held.says, data=data)
    return True
