"""Read off the ledger of a flight what was done and why."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tenure.core.alarms import AlarmChange, Severity
from tenure.core.ladder import Step
from tenure.core.lifecycle import Alias, Outcome, Verb
from tenure.core.simulation import Act, Deed, Reign
from tenure.engine.events import ACTION_EVENT
from tenure.engine.runner import UP_TO_DATE
from tenure.engine.workspace import Workspace
from tenure.state.alarms import ALARM_EVENT
from tenure.state.ladder import LADDER_EVENT
from tenure.state.ledger import Event
from tenure.state.registry import MOVED_EVENT

_ENDS_OF_RUNS: Final = ("run-finished", "run-failed")
_NO_MODEL: Final = f"{UP_TO_DATE}: "
_NOT_HELD: Final = tuple(f"{said}: " for said in (UP_TO_DATE, Outcome.PROMOTE.value, Outcome.LADDER.value))
_TELLS: Final = (AlarmChange.OPENED, AlarmChange.ESCALATED, AlarmChange.REOPENED)
_CORRECTIONS: Final = frozenset({"leaves", "recalibrate", "restore"})


def acts_of(workspace: Workspace, start: str, ends: Sequence[str]) -> tuple[Act, ...]:
    """Return what was done after `start`, oldest first; `ends` (ISO) are those of the windows."""
    found = []
    events = workspace.ledger.events()
    ended = {event.run_id: event.reason for event in events if event.kind in _ENDS_OF_RUNS}
    for event in events:
        if event.at > start:
            window = min(bisect_left(ends, event.at), len(ends) - 1)
            found += [
                Act(deed, event.at, window, says, version, event.hash) for deed, says, version in _of(event, ended)
            ]
    return tuple(found)


def _of(event: Event, ended: Mapping[str | None, str]) -> Iterator[tuple[Deed, str, int | None]]:
    """Yield what an event says was done: the deed, in words, and the version that it is about."""
    data = event.data
    if event.kind == ALARM_EVENT:
        if data["change"] in _TELLS and data["severity"] == Severity.PAGE:
            yield Deed.ALARM, event.reason, data["version"]
    elif event.kind == ACTION_EVENT:
        if data["verb"] == Verb.ESCALATE:
            yield Deed.ESCALATION, event.reason, None
        elif data["verb"] != Verb.KEEP and not data["carried_out"]:
            yield Deed.PROPOSAL, f"To {data['verb']}: {event.reason}", None
    elif event.kind == MOVED_EVENT:
        yield from _of_moves(event)
    elif event.kind == LADDER_EVENT:
        if data["step"] != Step.OFFICE:  # that it got there is told by the move
            yield Deed.STEP, event.reason, data["version"]
    elif event.kind == "run-started":
        if not ended.get(event.run_id, "").startswith(_NO_MODEL):
            yield _of_run(event)
    elif event.kind in _ENDS_OF_RUNS and not event.reason.startswith(_NOT_HELD):
        yield Deed.HELD, event.reason, None


def _of_moves(event: Event) -> Iterator[tuple[Deed, str, int | None]]:
    move = event.data["moves"].get(Alias.CHAMPION.value)
    if move is not None and move["after"] is not None and move["before"] is not None:
        went_back = move["after"] < move["before"] and event.run_id is None
        says = f"After v{move['before']} came v{move['after']}: {event.reason}"
        yield (Deed.ROLLBACK if went_back else Deed.PROMOTION), says, move["after"]


def _of_run(event: Event) -> tuple[Deed, str, int | None]:
    recipe: Mapping[str, Any] = event.data.get("recipe") or {}
    deed = Deed.CORRECTION if recipe.get("way") in _CORRECTIONS else Deed.RETRAIN
    return deed, event.reason, None


def reigns_of(workspace: Workspace) -> tuple[Reign, ...]:
    """Return who held the office, oldest first."""
    moves = [move for move in workspace.registry.moves() if move.alias is Alias.CHAMPION and move.after is not None]
    untils: list[str | None] = [move.at for move in moves[1:]] + [None]
    return tuple(
        Reign(move.after, move.at, until, move.reason)
        for move, until in zip(moves, untils, strict=True)
        if move.after is not None
    )
