"""Find by which right a version answered: the move that put it in office, the decision behind, and its origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.core.data import Snapshot
from tenure.core.errors import RecordMissingError
from tenure.core.ladder import Rung
from tenure.core.lifecycle import Alias, AliasMove, GateDecision, ModelVersion, PredictionRecord
from tenure.engine.plan import code_digest
from tenure.engine.recall import record_in, records_of
from tenure.engine.workspace import Workspace
from tenure.state.ladder import Ladder
from tenure.state.ledger import Run

_OFFICE: Final = {None: Alias.CHAMPION, "canary": Alias.CHALLENGER}
"""By the route of an answer, which office the version held."""


@dataclass(frozen=True, slots=True)
class Standing:
    """By which right a version answered.

    `move` is the one that had put it in `office` last before the answer; `left` is when it had left that office again,
    where that was before the answer (a server goes on for a moment). `decision` is the gate's about this version, in
    the walk that made it, `run`, out of `rows` rows read from `source` (`snapshot` is the record's digest); nothing
    of that is known of a version that no walk of this project made. `same_code` says whether this installation has
    the code that made it. `rungs` are the steps on the ladder that it had taken by then, oldest first.
    """

    office: Alias
    move: AliasMove | None
    left: str | None
    decision: GateDecision | None = None
    decision_digest: str = ""
    run: Run | None = None
    snapshot: str = ""
    rows: int = 0
    source: str = ""
    same_code: bool = False
    rungs: tuple[Rung, ...] = ()

    @property
    def was_decided_by_gate(self) -> bool:
        """Say whether the gate's decision is what put it in office; else a person, a rollback or the ladder did."""
        return self.move is not None and self.move.cause == self.decision_digest


def standing_of(workspace: Workspace, version: ModelVersion, said: PredictionRecord) -> Standing:
    """Return by which right `version` gave an answer.

    Raises:
        ArtifactError: a record of the walk that made it is gone or damaged.
    """
    office = _OFFICE.get(said.route, Alias.CHALLENGER)
    move, left = _term(workspace.registry.moves(), office, version.number, said.at)
    try:
        run = workspace.ledger.run(version.run_id)
    except RecordMissingError:
        return Standing(office, move, left, rungs=_steps(workspace, version.number, said.at))
    records = records_of(workspace, run.id)
    decision = record_in(records, "decision", GateDecision)
    snapshot = record_in(records, "snapshot", Snapshot)
    return Standing(
        office=office,
        move=move,
        left=left,
        decision=decision,
        decision_digest=decision.digest,
        run=run,
        snapshot=snapshot.digest,
        rows=snapshot.rows,
        source=snapshot.source,
        same_code=run.data.get("code") == code_digest(),
        rungs=_steps(workspace, version.number, said.at),
    )


def _steps(workspace: Workspace, version: int, at: str) -> tuple[Rung, ...]:
    """Return the steps on the ladder that a version had taken by a moment."""
    moment = datetime.fromisoformat(at)
    rungs = Ladder(workspace.registry).rungs()
    return tuple(r for r in rungs if r.version == version and datetime.fromisoformat(r.since) <= moment)


def _term(moves: Sequence[AliasMove], office: Alias, version: int, at: str) -> tuple[AliasMove | None, str | None]:
    """Return the move that began the version's term at a moment, and when it had ended, where it had."""
    moment = datetime.fromisoformat(at)
    before = [m for m in moves if m.alias is office and datetime.fromisoformat(m.at) <= moment]
    begun = [place for place, move in enumerate(before) if move.after == version]
    if not begun:
        return None, None
    later = before[begun[-1] + 1 :]
    return before[begun[-1]], later[0].at if later else None
