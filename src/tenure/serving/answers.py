"""From what a request asks to what is said: policies, the right model, the log; then, time permitting, the shadow."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, Final

from tenure.core.errors import BacklogError, TenureError
from tenure.core.lifecycle import PredictionRecord
from tenure.core.project import ServingSection
from tenure.engine.answering import Holder, Ids
from tenure.engine.fields import Violation as FieldViolation
from tenure.engine.workspace import Workspace
from tenure.model.program import Answered
from tenure.serving.commit import GroupCommit
from tenure.serving.metrics import Metrics
from tenure.serving.office import WAITING, Holders, Office
from tenure.serving.protocols.ask import Ask, Reason, Said, Violation
from tenure.serving.protocols.native import Explained
from tenure.state.journal import Journal, line_of
from tenure.state.times import micros

_LOG: Final = logging.getLogger("tenure.serving")
_AT_ONCE: Final = 64
"""So many rows are answered in the event loop; more take a thread, so that others need not wait."""
_BACKLOG_SECONDS: Final = 0.5
_SHADOW_SPAN: Final = 10.0
_SHADOW_WAITING: Final = 1_000


@dataclass(slots=True)
class _Answer:
    """One row on its way: what came, who answers it, and what; `violations` are rules of the contract that it broke."""

    ident: str
    row: Mapping[str, Any]
    key: str | None
    holder: Holder
    answered: Answered
    violations: Sequence[FieldViolation]
    is_quarantined: bool
    is_canary: bool

    def marks(self) -> dict[str, Any]:
        """Return what else the log keeps: which rules were broken, and why another than the champion answered."""
        return {
            "violations": tuple({"field": broken.field, "rule": broken.rule} for broken in self.violations),
            "quarantined": self.is_quarantined,
            "route": "canary" if self.is_canary else None,
        }


class Answers:
    """Answers rows with the models in office, and has each answer in the log before it returns."""

    def __init__(self, workspace: Workspace, office: Office, metrics: Metrics, *, workers: int) -> None:
        self._workspace = workspace
        self._office = office
        self._metrics = metrics
        self._serving: ServingSection = workspace.project.serving
        self._journal = Journal(workspace.journal_folder)
        self._commit = GroupCommit(self._journal, self._serving.log)
        self._most_waiting = int(self._serving.log_backlog_mb * 1e6 / workers)
        self._is_full = False
        self._ids = Ids()
        self._shadow = _Shadow(self._serving.shadow_cpu)

    async def answer(
        self, ask: Ask, holders: Holders | None = None, *, only_champion: bool = False
    ) -> tuple[str, list[Said]]:
        """Return the version in office and an answer for each row, by `holders`: left out, those who hold office now.

        With `only_champion` the challenger gets no share of the keys.

        Raises:
            NoChampionError: no model is in office.
            SchemaChangedError, FieldsRefusedError, DataError: a row cannot be answered; none is kept.
            BacklogError: the log has no room.
            StateUnreachableError: rows came with ids, and the log cannot be asked whether it knows them.
        """
        holders = holders or self._office.current() or await self._office.holders()
        if only_champion and holders.challenger is not None:
            holders = replace(holders, challenger=None)
        if self._is_full:
            raise BacklogError.of(self._serving.log_backlog_mb)
        if ask.ids is not None:
            loop = asyncio.get_running_loop()
            said, found = await loop.run_in_executor(WAITING, self._recalled, ask, ask.ids, holders)
            self._count(found)
            return holders.champion.label, said
        at_us = micros(self._workspace.context.clock())
        if len(ask.rows) > _AT_ONCE or ask.reasons:
            said, lines, found = await asyncio.to_thread(self._said, ask, holders, at_us)
        else:
            said, lines, found = self._said(ask, holders, at_us)
        await self._commit.keep(lines)
        self._count(found)
        if holders.challenger is not None and holders.routing.shadow:
            self._shadow_later(holders.challenger, found, at_us, holders.routing.shadow)
        return holders.champion.label, said

    async def explain(self, ask: Ask) -> tuple[str, list[Explained]]:
        """Return the version in office, and what each column of each row adds to its raw score.

        Raises:
            NoChampionError: no model is in office.
            SchemaChangedError: a row lacks a column, or a date column holds what is no date.
        """
        holder = (self._office.current() or await self._office.holders()).champion
        return holder.label, await asyncio.to_thread(_explained, holder, ask.rows)

    async def watch(self) -> None:
        """Look every 0.5 s whether the log keeps up, until cancelled."""
        while True:
            try:
                waiting = await asyncio.to_thread(self._journal.backlog)
            except OSError as error:
                _LOG.error("The journal cannot be looked at: %s", error)
            else:
                self._metrics.backlog(waiting)
                self._is_full = waiting > self._most_waiting
            await asyncio.sleep(_BACKLOG_SECONDS)

    def close(self) -> None:
        """Write what waits, and end the journal."""
        self._commit.flush()
        self._journal.sync()
        self._journal.close()

    # ---- one request ----

    def _said(self, ask: Ask, holders: Holders, at_us: int) -> tuple[list[Said], list[bytes], list[_Answer]]:
        found = self._answered(ask.rows, None, holders)
        lines = [
            line_of(one.holder.noted(one.ident, at_us, one.row, one.answered, key=one.key, **one.marks()))
            for one in found
        ]
        return self._with_reasons([_said_of(one, ask) for one in found], found, ask), lines, found

    def _recalled(self, ask: Ask, ids: Sequence[str], holders: Holders) -> tuple[list[Said], list[_Answer]]:
        """Answer rows that have ids, through the database: one that was answered before keeps its answer.

        Returns what is said, and those that were new.
        """
        found = self._answered(ask.rows, ids, holders)
        at = self._workspace.context.clock()
        records = [one.holder.record(one.ident, at, one.row, one.answered, key=one.key, **one.marks()) for one in found]
        logged = self._workspace.traffic.log_or_recall(records)
        told = [
            one if known is record else self._as_logged(known, one)
            for one, known, record in zip(found, logged, records, strict=True)
        ]
        fresh = [one for one, before in zip(told, found, strict=True) if one is before]
        return self._with_reasons([_said_of(one, ask) for one in told], told, ask), fresh

    def _answered(
        self, rows: Sequence[Mapping[str, Any]], ids: Sequence[str] | None, holders: Holders
    ) -> list[_Answer]:
        names = [self._ids.new() for _ in rows] if ids is None else ids
        keys = [holders.champion.key_of(row, f"rows.{at}") for at, row in enumerate(rows)]
        routing = holders.routing
        if holders.challenger is None or not routing.canary:
            return self._by_one(holders.champion, rows, names, keys)
        found: list[_Answer | None] = [None] * len(rows)
        chosen = [routing.is_canary(key, name) for key, name in zip(keys, names, strict=True)]
        for holder, is_canary in ((holders.champion, False), (holders.challenger, True)):
            mine = [at for at, one in enumerate(chosen) if one is is_canary]
            own = [rows[at] for at in mine], [names[at] for at in mine], [keys[at] for at in mine]
            for at, one in zip(mine, self._by_one(holder, *own, is_canary=is_canary), strict=True):
                found[at] = one
        return [one for one in found if one is not None]

    def _by_one(
        self,
        holder: Holder,
        rows: Sequence[Mapping[str, Any]],
        names: Sequence[str],
        keys: Sequence[str | None],
        *,
        is_canary: bool = False,
    ) -> list[_Answer]:
        """Return the answers of one version."""
        admitted = holder.fields.admit(rows)
        parts = zip(names, admitted.rows, keys, holder.answers(admitted.rows), strict=True)
        return [
            _Answer(
                ident=name,
                row=row,
                key=key,
                holder=holder,
                answered=answered,
                violations=admitted.violations.get(at, ()),
                is_quarantined=at in admitted.quarantined,
                is_canary=is_canary,
            )
            for at, (name, row, key, answered) in enumerate(parts)
        ]

    def _as_logged(self, record: PredictionRecord, asked: _Answer) -> _Answer:
        """Return an answer that was given before, by the version that gave it."""
        version = record.version
        holder = asked.holder if asked.holder.version.number == version else self._office.former(version)
        return replace(
            asked,
            holder=holder,
            answered=Answered(record.prediction, record.probabilities, record.low, record.high),
            violations=[FieldViolation(one["field"], one["rule"], "") for one in record.violations],
        )

    def _with_reasons(self, said: list[Said], found: Sequence[_Answer], ask: Ask) -> list[Said]:
        if ask.reasons:
            for holder in {id(one.holder): one.holder for one in found}.values():
                mine = [at for at, one in enumerate(found) if one.holder is holder]
                for at, explained in zip(mine, _explained(holder, [found[at].row for at in mine]), strict=True):
                    said[at].reasons = explained.contributions[: ask.reasons]
        return said

    def _count(self, found: Sequence[_Answer]) -> None:
        for one in found:
            self._metrics.predicted(one.holder.label, one.answered.prediction)
            for broken in one.violations:
                self._metrics.violation(broken.field, broken.rule)

    # ---- the shadow ----

    def _shadow_later(self, challenger: Holder, found: Sequence[_Answer], at_us: int, share: float) -> None:
        """Let the challenger answer a share of the rows too, after the client has its answer."""
        chosen = [one for one in found if one.holder is not challenger and random.random() < share]
        if chosen:
            asyncio.get_running_loop().call_soon(partial(self._answer_in_shadow, challenger, chosen, at_us))

    def _answer_in_shadow(self, challenger: Holder, chosen: Sequence[_Answer], at_us: int) -> None:
        for one in chosen:
            if not self._shadow.may_spend():
                self._metrics.shadow_skipped()
                continue
            started = perf_counter()
            try:
                answered = challenger.answers(challenger.fields.admit([one.row]).rows)[0]
            except TenureError:  # a row that the challenger cannot answer tells something too
                self._metrics.shadow_failed()
            else:
                self._commit.later([line_of(challenger.shadowed(one.ident, at_us, answered))])
            self._shadow.spent(perf_counter() - started)


class _Shadow:
    """Keeps the time that shadow answers take below a share of all time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._since = perf_counter()
        self._seconds = 0.0

    def may_spend(self) -> bool:
        """Say whether there is time left in this span of ten seconds."""
        now = perf_counter()
        if now - self._since > _SHADOW_SPAN:
            self._since, self._seconds = now, 0.0
        return self._seconds <= self._share * (now - self._since + 0.1)

    def spent(self, seconds: float) -> None:
        """Count time that was spent."""
        self._seconds += seconds


def _said_of(one: _Answer, ask: Ask) -> Said:
    said = Said(
        id=one.ident,
        prediction=one.answered.prediction,
        version=one.holder.label,
        probabilities=one.answered.probabilities,
        classes=one.holder.model.classes,
        low=one.answered.low,
        high=one.answered.high,
    )
    if ask.action:
        said.action = one.holder.action(one.answered)
    if one.violations:
        said.violations = [Violation(broken.field, broken.rule) for broken in one.violations]
    return said


def _explained(holder: Holder, rows: Sequence[Mapping[str, Any]]) -> list[Explained]:
    rows = holder.fields.admit(rows).rows
    return [
        Explained(
            base=base,
            explains=of,
            contributions=[Reason(column, row.get(column), effect) for column, effect in effects],
        )
        for row, (base, of, effects) in zip(rows, holder.explained(rows), strict=True)
    ]
