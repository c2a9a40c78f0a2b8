"""The desk of a flight: rows are answered as the server answers them and logged in bulk; outcomes come when known."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.lifecycle import Alias, ModelVersion, OutcomeRecord
from tenure.core.modelling import Floats, Task
from tenure.core.value import Flags
from tenure.engine.answering import Holder
from tenure.engine.routing import Routing, falls_within, routing_of
from tenure.engine.simulation.coming import Coming
from tenure.engine.workspace import Workspace
from tenure.model.program import Answered
from tenure.model.target import class_of, value_of
from tenure.state.ladder import Ladder
from tenure.state.times import iso, micros

_AT_ONCE: Final = 5_000
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was answered in one window.

    All have one entry a row: `version` answered it, `predicted` holds probabilities (n, k) in the order of the first
    model's classes or values (n,), `said_yes` the predicted yes of a binary model (None for other tasks), `target` what
    comes true as class codes (-1 where that is not known) or values (NaN).
    """

    version: NDArray[np.int64]
    predicted: Floats
    said_yes: Flags | None
    target: NDArray[Any]

    @classmethod
    def joined(cls, parts: Sequence[Said]) -> Said:
        """Return what was answered in windows that follow each other as one."""
        yes = [part.said_yes for part in parts if part.said_yes is not None]
        return cls(
            np.concatenate([part.version for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate(yes) if yes else None,
            np.concatenate([part.target for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One row on its way into the log."""

    ident: str
    at_us: int
    row: Mapping[str, Any]
    key: str | None


class Desk:
    """Answers what comes by whoever holds the offices at that moment."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._held: dict[int, Holder] = {}
        self._count = 0
        self._waiting: list[tuple[int, int, str, str | float]] = []
        first = self._holder(workspace.champion())
        self.task: Task = first.model.task
        self.classes: tuple[str, ...] = tuple(first.model.classes)
        self.target: str = first.model.target

    # ---- answers ----

    def named(self, window: Coming) -> Coming:
        """Return the window with a name for each prediction."""
        if window.ids:
            return window
        ids = tuple(f"r{number}" for number in range(self._count, self._count + window.rows.height))
        self._count += window.rows.height
        return replace(window, ids=ids)

    def answer(self, window: Coming) -> Said:
        """Answer the rows of a window (`named`) and keep the answers in the log."""
        rows = window.rows.drop(self.target, strict=False).to_dicts()
        champion = self._holder(self._workspace.champion())
        challenger, routing = self._challenger(champion)
        coming = [
            _Row(ident, micros(at), row, champion.key_of(row))
            for ident, at, row in zip(window.ids, window.event_at, rows, strict=True)
        ]
        canary = np.array([routing.is_canary(one.key, one.ident) for one in coming], dtype=np.bool_)
        answers: list[Answered | None] = [None] * len(coming)
        for holder, mine in ((champion, np.flatnonzero(~canary)), (challenger, np.flatnonzero(canary))):
            if holder is not None and mine.size:
                for at, answered in zip(
                    mine, self._kept(holder, [coming[at] for at in mine], canary[mine[0]]), strict=True
                ):
                    answers[at] = answered
        if challenger is not None and routing.shadow:
            others = [one for one, is_canary in zip(coming, canary, strict=True) if not is_canary]
            self._shadowed(challenger, [one for one in others if falls_within(routing.shadow, f"shadow {one.ident}")])
        said = [answered for answered in answers if answered is not None]
        second = champion.version.number if challenger is None else challenger.version.number
        version = np.where(canary, second, champion.version.number).astype(np.int64)
        return self._said(version, said, (champion, challenger), window)

    def truth(self, window: Coming) -> NDArray[Any]:
        """Return what comes true in a window, as class codes (-1 where that is not known) or values (NaN)."""
        known = [None if one is None else self._outcome(one) for one in window.outcome]
        if self.task is Task.REGRESSION:
            return np.array([np.nan if one is None else float(one) for one in known])
        codes = {name: code for code, name in enumerate(self.classes)}
        return np.array([_UNKNOWN if one is None else codes[str(one)] for one in known], dtype=np.int64)

    def _kept(self, holder: Holder, coming: Sequence[_Row], is_canary: bool) -> list[Answered]:
        """Answer rows by one version and log them, some thousand at once."""
        found: list[Answered] = []
        for begin in range(0, len(coming), _AT_ONCE):
            some = coming[begin : begin + _AT_ONCE]
            admitted = holder.fields.admit([one.row for one in some])
            answers = holder.answers(admitted.rows)
            lines = []
            for at, (one, row, answered) in enumerate(zip(some, admitted.rows, answers, strict=True)):
                broken = admitted.violations.get(at, ())
                marks = {
                    "violations": tuple({"field": rule.field, "rule": rule.rule} for rule in broken),
                    "quarantined": at in admitted.quarantined,
                    "route": "canary" if is_canary else None,
                }
                lines.append(holder.noted(one.ident, one.at_us, row, answered, key=one.key, **marks))
            self._workspace.traffic.take_in(lines)
            found += answers
        return found

    def _shadowed(self, holder: Holder, coming: Sequence[_Row]) -> None:
        for begin in range(0, len(coming), _AT_ONCE):
            some = coming[begin : begin + _AT_ONCE]
            answers = holder.answers(holder.fields.admit([one.row for one in some]).rows)
            lines = [holder.shadowed(one.ident, one.at_us, said) for one, said in zip(some, answers, strict=True)]
            self._workspace.traffic.take_in(lines)

    def _challenger(self, champion: Holder) -> tuple[Holder | None, Routing]:
        """Return the challenger, where it has anything to do, and what."""
        registry = self._workspace.registry
        version = registry.holder(Alias.CHALLENGER)
        routing = routing_of(
            self._workspace.project.serving,
            champion=champion.version.number,
            challenger=None if version is None else version.number,
            rung=Ladder(registry).latest(),
        )
        return (None if version is None or routing.is_idle else self._holder(version)), routing

    def _holder(self, version: ModelVersion) -> Holder:
        if version.number not in self._held:
            self._held[version.number] = Holder(version, self._workspace.scorer(version), self._workspace.project)
        return self._held[version.number]

    # ---- outcomes ----

    def expect(self, window: Coming) -> None:
        """Take note of the outcomes that the rows of a window (`named`) will have."""
        for ident, outcome, known in zip(window.ids, window.outcome, window.known_at, strict=True):
            value = None if outcome is None else self._outcome(outcome)
            if value is not None and known is not None:
                heapq.heappush(self._waiting, (micros(known), len(self._waiting), ident, value))

    def post(self) -> int:
        """Record the outcomes that are known by now, in the order in which they got known; return how many."""
        now = micros(self._workspace.context.clock())
        due: list[OutcomeRecord] = []
        while self._waiting and self._waiting[0][0] <= now:
            known, _, ident, value = heapq.heappop(self._waiting)
            due.append(OutcomeRecord(value, iso(known), prediction_id=ident))
        if due:
            self._workspace.traffic.record_outcomes(due)
        return len(due)

    def _outcome(self, value: str | float) -> str | float | None:
        return value_of(value) if self.task is Task.REGRESSION else class_of(value, self.classes)

    # ---- what was said, as arrays ----

    def _said(
        self,
        version: NDArray[np.int64],
        answers: Sequence[Answered],
        holders: Sequence[Holder | None],
        window: Coming,
    ) -> Said:
        truth = self.truth(window)
        if self.task is Task.REGRESSION:
            return Said(version, np.array([float(answered.prediction) for answered in answers]), None, truth)
        predicted = np.zeros((len(answers), len(self.classes)))
        for holder in holders:
            mine = np.flatnonzero(version == holder.version.number) if holder is not None else np.zeros(0, np.int64)
            if holder is not None and mine.size:
                given = np.array([answers[at].probabilities for at in mine.tolist()])
                predicted[mine] = aligned(given, holder.model.classes, self.classes)
        yes = None
        if self.task is Task.BINARY:
            yes = np.array([answered.prediction == self.classes[-1] for answered in answers], dtype=np.bool_)
        return Said(version, predicted, yes, truth)


def aligned(given: Floats, classes: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Return probabilities (n, k) in the order of the `wanted` classes; a class that a model does not know gets 0."""
    if tuple(classes) == tuple(wanted):
        return given
    place = {name: at for at, name in enumerate(classes)}
    found = np.zeros((len(given), len(wanted)))
    for at, name in enumerate(wanted):
        if name in place:
            found[:, at] = given[:, place[name]]
    return found
