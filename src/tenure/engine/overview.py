"""Read off the ledger what the overview shows: who is in office, what waits, and what was done lately and why."""

from __future__ import annotations

from typing import Any, Final

from tenure.core.health import Health
from tenure.core.lifecycle import Alias, Verb
from tenure.engine.approvals import waiting
from tenure.engine.events import ACTION_EVENT, HEALTH_EVENT
from tenure.engine.permission import HELD_EVENT
from tenure.engine.runner import WALKED_EVENT
from tenure.engine.workspace import REPORTS_FOLDER, Workspace
from tenure.reporting.overview_page import Deed, Overview, Waiting
from tenure.state.freezes import FREEZE_EVENT, freeze_of
from tenure.state.ladder import LADDER_EVENT, Ladder
from tenure.state.ledger import Event
from tenure.state.proposals import PROPOSAL_EVENT
from tenure.state.registry import MOVED_EVENT

HEALTH_PAGE: Final = "health.html"
_SHOWN: Final = 20
_DEEDS: Final = {
    ACTION_EVENT: "act",
    MOVED_EVENT: "office",
    LADDER_EVENT: "ladder",
    PROPOSAL_EVENT: "proposal",
    FREEZE_EVENT: "freeze",
    HELD_EVENT: "held back",
    WALKED_EVENT: "run",
}


def overview_of(workspace: Workspace) -> Overview:
    """Return what the overview shows now."""
    ledger, registry, now = workspace.ledger, workspace.registry, workspace.context.clock()
    champion, previous = registry.holder(Alias.CHAMPION), registry.holder(Alias.PREVIOUS)
    moved = [move for move in registry.moves() if move.alias is Alias.CHAMPION]
    health = ledger.events(kind=HEALTH_EVENT, newest_first=True, limit=1)
    frozen = freeze_of(ledger, now)
    told: dict[str, Any] = {}
    if champion is not None and moved:
        told |= {"since": moved[-1].at, "because": moved[-1].reason}
    if health:
        told |= {"status": Health(health[0].data["status"]), "headline": health[0].reason}
    return Overview(
        at=now.isoformat(),
        champion=None if champion is None else champion.label,
        previous=None if previous is None else previous.label,
        predictions=workspace.traffic.prediction_count(),
        outcomes=workspace.traffic.outcome_count(),
        rung=Ladder(registry).standing(),
        frozen="" if frozen is None else frozen.says,
        waiting=tuple(Waiting(one.label, one.verb, one.reason, one.at, one.expires) for one in waiting(workspace)),
        deeds=_deeds(workspace),
        has_health_page=(workspace.folder / REPORTS_FOLDER / HEALTH_PAGE).is_file(),
        **told,
    )


def _deeds(workspace: Workspace) -> tuple[Deed, ...]:
    found: list[Event] = []
    for kind in _DEEDS:
        without = {"verb": Verb.KEEP.value} if kind == ACTION_EVENT else {}
        found += workspace.ledger.events(kind=kind, without=without, newest_first=True, limit=_SHOWN)
    found.sort(key=lambda event: -event.seq)
    told = {(event.at[:16], event.reason) for event in found if event.kind == LADDER_EVENT}
    found = [event for event in found if event.kind != MOVED_EVENT or (event.at[:16], event.reason) not in told]
    return tuple(Deed(event.at, event.actor, _what(event), event.reason) for event in found[:_SHOWN])


def _what(event: Event) -> str:
    if event.kind == ACTION_EVENT:
        return str(event.data["verb"]) if event.data["carried_out"] else f"{event.data['verb']} (not carried out)"
    return _DEEDS[event.kind]
