"""Acts in the ledger: what was begun is noted before it is done, so that a killed watcher leaves nothing half done.

An act is one of a retraining or a rollback. `act-begun` goes to the ledger first, `action` when it is done; what was
begun and not done is gone on with by the next look, on the rows of the moment when it was begun.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.core.health import HealthReport
from tenure.core.lifecycle import Action, Verb
from tenure.engine.events import ACTION_EVENT
from tenure.engine.workspace import Workspace
from tenure.state.leases import Lease
from tenure.state.ledger import LOCK, Event

BEGUN_EVENT: Final = "act-begun"
_REMEMBERED: Final = 50


@dataclass(frozen=True, slots=True)
class Begun:
    """An act that was begun: its number in the ledger, when, what, the artifact of the health report that it came from,
    and the version that was in office.
    """

    seq: int
    at: datetime
    action: Action
    health: str
    champion: int


def begin(workspace: Workspace, lease: Lease, action: Action, health: HealthReport) -> Begun:
    """Note that an act begins, provided that this process still leads.

    It is about the version that `health` judged: where another holds the office by the time it is done, it is not done.

    Raises:
        ProjectBusyError: another process leads now.
    """
    artifacts = workspace.context.artifacts
    kept, what = artifacts.put_record(health), artifacts.put_record(action)
    with workspace.database.begin(lock=LOCK) as connection:
        lease.check(connection)
        event = workspace.ledger.append(
            BEGUN_EVENT,
            actor=workspace.context.actor,
            reason=action.reason,
            inputs=(kept,),
            output=what,
            output_type="Action",
            data={"verb": action.verb.value, "champion": health.version},
            connection=connection,
        )
    return _begun(workspace, event)


def unfinished(workspace: Workspace) -> Begun | None:
    """Return the oldest of the latest acts that was begun and not done; None where all are done."""
    begun = workspace.ledger.events(kind=BEGUN_EVENT, newest_first=True, limit=_REMEMBERED)
    done = _done(workspace) if begun else set()
    return next((_begun(workspace, event) for event in reversed(begun) if event.seq not in done), None)


def begun_as(workspace: Workspace, action: Action) -> Begun | None:
    """Return where exactly this act was begun before, or None."""
    what = workspace.context.artifacts.put_record(action)
    events = workspace.ledger.events(kind=BEGUN_EVENT, newest_first=True, limit=_REMEMBERED)
    return next((_begun(workspace, event) for event in events if event.output == what), None)


def is_done(workspace: Workspace, begun: Begun) -> bool:
    """Say whether the act was noted as done."""
    return begun.seq in _done(workspace)


def _done(workspace: Workspace) -> set[int | None]:
    events = workspace.ledger.events(kind=ACTION_EVENT, without={"begun": None}, newest_first=True, limit=_REMEMBERED)
    return {event.data.get("begun") for event in events}


def _begun(workspace: Workspace, event: Event) -> Begun:
    assert event.output is not None  # `begin` always writes one
    action = workspace.context.artifacts.get_record(Action, event.output)
    return Begun(event.seq, datetime.fromisoformat(event.at), action, event.inputs[0], int(event.data["champion"]))


def note(
    workspace: Workspace, action: Action, health: str, *, begun: Begun | None = None, lease: Lease | None = None
) -> None:
    """Put an act into the ledger, and a keep only where it is not what was said last: looks are many.

    `health` is the artifact of the report that it came from. With `lease`, only while this process still leads.

    Raises:
        ProjectBusyError: another process leads now.
    """
    verb = action.verb
    last = workspace.ledger.events(kind=ACTION_EVENT, newest_first=True, limit=1)
    if verb is Verb.KEEP and last and (last[0].data["verb"], last[0].reason) == (verb.value, action.reason):
        return
    what = workspace.context.artifacts.put_record(action)
    with workspace.database.begin(lock=LOCK) as connection:
        if lease is not None:
            lease.check(connection)
        workspace.ledger.append(
            ACTION_EVENT,
            actor=workspace.context.actor,
            reason=action.reason,
            inputs=(health,),
            output=what,
            output_type="Action",
            data={
                "verb": verb.value,
                "carried_out": action.carried_out,
                "begun": None if begun is None else begun.seq,
            },
            connection=connection,
        )


def past_acts(workspace: Workspace, *, lapsed: Collection[str] = ()) -> tuple[Action, ...]:
    """Return the latest acts but keeps, oldest first, without those that were only proposed and whose time ran out.

    `lapsed` are the artifacts of acts whose proposals nobody answered.
    """
    events = workspace.ledger.events(
        kind=ACTION_EVENT, without={"verb": Verb.KEEP.value}, limit=_REMEMBERED, newest_first=True
    )
    return tuple(
        workspace.context.artifacts.get_record(Action, event.output)
        for event in reversed(events)
        if event.output is not None and (event.data["carried_out"] or event.output not in lapsed)
    )
