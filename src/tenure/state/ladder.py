"""The ladder's state: the latest event of its kind in the ledger, written with the offices that it moves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from tenure.core.evidence import Finding
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias, AliasMove
from tenure.state.registry import Change, Registry
from tenure.state.tables import EVENTS

LADDER_EVENT: Final = "ladder"
CLIMBING: Final = (Step.SHADOW, Step.CANARY)


class Ladder:
    """Moves one version at a time up or off the ladder, each step in one transaction with the offices it changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def latest(self) -> Rung | None:
        """Return the latest step that any version took, or None before the first."""
        events = self._registry.ledger.events(kind=LADDER_EVENT, newest_first=True, limit=1)
        return Rung.from_dict(events[0].data) if events else None

    def standing(self) -> Rung | None:
        """Return where the version on the ladder stands, or None while there is none on it."""
        rung = self.latest()
        return rung if rung is not None and rung.step in CLIMBING else None

    def rungs(self, limit: int | None = None) -> tuple[Rung, ...]:
        """Return the steps that were taken (the latest `limit`), oldest first."""
        events = self._registry.ledger.events(kind=LADDER_EVENT, newest_first=True, limit=limit)
        return tuple(Rung.from_dict(event.data) for event in reversed(events))

    def taken(self, version: int, decision: str) -> Rung | None:
        """Return the latest step that a version owes to a decision of the gate, or None."""
        owed = (rung for rung in reversed(self.rungs()) if (rung.version, rung.decision) == (version, decision))
        return next(owed, None)

    def step(self, rung: Rung, *, after: Rung | None, actor: str) -> tuple[Rung, tuple[AliasMove, ...]] | None:
        """Take a step and return it with the offices that it moved, or None where another was taken meanwhile.

        `after` is the step that it was decided on: the one that stands, None for nobody. Another version that stands
        there gives its place up first. Where the champion is not the one that the version was compared with, it is
        withdrawn instead, and that step is returned. A step that was taken already changes nothing.
        """
        with self._registry.changing() as change:
            known = _latest(change)
            if known is not None and _same(known, rung):
                return known, ()
            standing = known if known is not None and known.step in CLIMBING else None
            if not _stands(standing, after):
                return None
            if standing is not None and standing.version != rung.version:
                _write(change, _replaced(standing, rung), actor)
            champion = change.holder(Alias.CHAMPION)
            if rung.step is not Step.WITHDRAWN and champion not in (rung.against, rung.version):
                rung = withdrawn(rung, overtaken(rung, champion), since=rung.since, evidence=rung.evidence)
            return rung, _write(change, rung, actor)


def withdrawn(rung: Rung, because: str, *, since: str, evidence: Sequence[Finding] = ()) -> Rung:
    """Return the step from `rung` off the ladder."""
    says = f"v{rung.version} is withdrawn: {because}"
    return replace(rung, step=Step.WITHDRAWN, share=0.0, since=since, says=says, evidence=tuple(evidence))


def overtaken(rung: Rung, champion: int | None) -> str:
    """Say that the champion is not the one that the version was compared with."""
    now = "nobody is" if champion is None else f"v{champion} is"
    return f"it was compared with v{rung.against}, and {now} in office now."


def _replaced(rung: Rung, by: Rung) -> Rung:
    return withdrawn(rung, f"v{by.version}, which is newer, takes its place on the ladder.", since=by.since)


def _same(known: Rung, rung: Rung) -> bool:
    """Say whether a step is the one that was taken last, whatever words and evidence it comes with now."""
    return all(
        getattr(known, name) == getattr(rung, name) for name in ("version", "against", "step", "share", "decision")
    )


def _stands(standing: Rung | None, after: Rung | None) -> bool:
    """Say whether the step that stands is the one that was looked at."""
    if standing is None or after is None:
        return standing is after
    return _same(standing, after) and standing.since == after.since


def _latest(change: Change) -> Rung | None:
    query = select(EVENTS.c.data).where(EVENTS.c.kind == LADDER_EVENT).order_by(EVENTS.c.seq.desc()).limit(1)
    data: Any = change.connection.execute(query).scalar()
    return None if data is None else Rung.from_dict(json.loads(data))


def _write(change: Change, rung: Rung, actor: str) -> tuple[AliasMove, ...]:
    change.append(
        LADDER_EVENT,
        actor=actor,
        reason=rung.says,
        run_id=rung.run_id,
        inputs=(rung.decision,) if rung.decision else (),
        data=rung.to_dict(),
    )
    return change.move(
        _offices(change, rung),
        at=datetime.fromisoformat(rung.since),
        actor=actor,
        reason=rung.says,
        cause=rung.decision or None,
        run_id=rung.run_id,
    )


def _offices(change: Change, rung: Rung) -> dict[Alias, int | None]:
    """Return who is to hold which office from this step on."""
    if rung.step in CLIMBING:
        return {Alias.CHALLENGER: rung.version}
    if rung.step is Step.OFFICE:
        if change.holder(Alias.CHAMPION) == rung.version:  # a person put it there, over whomever was there then
            return {Alias.CHALLENGER: None}
        return {Alias.CHAMPION: rung.version, Alias.PREVIOUS: rung.against, Alias.CHALLENGER: None}
    return {Alias.CHALLENGER: None} if change.holder(Alias.CHALLENGER) == rung.version else {}
