"""The ledger: append-only events in a chain of hashes, and the runs and stage records that follow from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from tenure.core.errors import LedgerError, RecordMissingError
from tenure.core.records import Record, canonical, digest_of
from tenure.state.database import Database
from tenure.state.tables import ALIAS_MOVES, EVENTS, RUNS, STAGE_RECORDS, VERSIONS

LOCK: Final = "ledger"
_START: Final = "0" * 64
_BATCH: Final = 1000
RunStatus = Literal["running", "finished", "failed", "superseded"]
EndStatus = Literal["finished", "failed", "superseded"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: who, what, in which run, from which inputs, and why.

    `hash` is the digest of all other fields; `previous` is the hash of the event before (zeros for the first).
    `output` is an artifact digest.
    """

    seq: int
    at: str
    actor: str
    kind: str
    run_id: str | None
    stage: str | None
    inputs: tuple[str, ...]
    output: str | None
    output_type: str | None
    reason: str
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Run:
    """One walk: when it began and ended, how, and why. `reason` is why it ended, once it has."""

    id: str
    started_at: str
    ended_at: str | None
    status: RunStatus
    reason: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a stage gave for a run. `key` is the digest of all it was made from; `reused_from` the run that made it."""

    stage: str
    key: str
    artifact: str
    record_digest: str
    record_type: str
    run_id: str
    at: str
    seconds: float
    reused_from: str | None = None


class Ledger:
    """Appends events one after the other, for all processes that share the database."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock

    # ---- events ----

    def append(
        self,
        kind: str,
        *,
        actor: str,
        reason: str,
        run_id: str | None = None,
        stage: str | None = None,
        inputs: Sequence[str] = (),
        output: str | None = None,
        output_type: str | None = None,
        data: Mapping[str, Any] | None = None,
        connection: Connection | None = None,
    ) -> Event:
        """Append one event and return it; with `connection`, as part of that write transaction."""
        with self._writing(connection) as open_connection:
            last = open_connection.execute(select(EVENTS).order_by(EVENTS.c.seq.desc()).limit(1)).one_or_none()
            content: dict[str, Any] = {
                "seq": last.seq + 1 if last else 1,
                "at": self._clock().isoformat(),
                "actor": actor,
                "kind": kind,
                "run_id": run_id,
                "stage": stage,
                "inputs": _as_json(tuple(inputs)),
                "output": output,
                "output_type": output_type,
                "reason": reason,
                "data": _as_json(dict(data or {})),
                "previous": last.hash if last else _START,
            }
            row = content | {"hash": digest_of(content)}
            open_connection.execute(insert(EVENTS).values(row))
        return _event(row)

    def events(
        self,
        *,
        kind: str | None = None,
        run_id: str | None = None,
        stage: str | None = None,
        without: Mapping[str, Any] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Event]:
        """Return the events that match everything given, oldest first unless told otherwise.

        `without` leaves out the events whose `data` hold one of its names with the same value.
        """
        query = select(EVENTS).order_by(EVENTS.c.seq.desc() if newest_first else EVENTS.c.seq).limit(limit)
        for column, wanted in ((EVENTS.c.kind, kind), (EVENTS.c.run_id, run_id), (EVENTS.c.stage, stage)):
            if wanted is not None:
                query = query.where(column == wanted)
        for name, value in (without or {}).items():  # data are canonical JSON: one spelling for each name and value
            query = query.where(~EVENTS.c.data.contains(_as_json({name: value})[1:-1], autoescape=True))
        with self._db.read() as connection:
            return [_event(dict(row._mapping)) for row in connection.execute(query)]

    def verify(self) -> int:
        """Recompute the whole chain and return how many events it has.

        Raises:
            LedgerError: an event was changed, removed or added; the first broken one is named.
        """
        previous, count = _START, 0
        with self._db.read() as connection:
            for row in _in_order(connection):
                content = dict(row._mapping)
                claimed = content.pop("hash")
                if row.seq != count + 1:
                    raise _broken(count + 1, "is missing")
                if row.previous != previous:
                    raise _broken(row.seq, "does not follow from the event before it")
                if digest_of(content) != claimed:
                    raise _broken(row.seq, "was changed after it was written")
                previous, count = claimed, row.seq
            referred = [
                connection.execute(select(func.max(table.c.seq))).scalar() or 0
                for table in (RUNS, STAGE_RECORDS, VERSIONS, ALIAS_MOVES)
            ]
        if max(referred) > count:
            raise _broken(count + 1, "is missing at the end")
        return count

    # ---- runs ----

    def start_run(self, run_id: str, *, actor: str, reason: str, data: Mapping[str, Any] | None = None) -> Run:
        """Note that a run begins.

        Raises:
            LedgerError: there is already a run of that id.
        """
        with self._writing(None) as connection:
            if connection.execute(select(RUNS.c.id).where(RUNS.c.id == run_id)).one_or_none():
                raise LedgerError(
                    f"There is already a run {run_id!r}.", where=run_id, hint="Give every run an id of its own."
                )
            event = self.append(
                "run-started", actor=actor, reason=reason, run_id=run_id, data=data, connection=connection
            )
            run = Run(run_id, event.at, None, "running", reason, event.data)
            connection.execute(insert(RUNS).values(asdict(run) | {"seq": event.seq, "data": _as_json(event.data)}))
        return run

    def end_run(self, run_id: str, *, status: EndStatus, reason: str, actor: str = "tenure") -> Run:
        """Note that a run ended, and how.

        Raises:
            RecordMissingError: there is no such run.
            LedgerError: it had ended before.
        """
        with self._writing(None) as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).one_or_none()
            if row is None:
                raise _no_run(run_id)
            if row.status != "running":
                raise LedgerError(
                    f"The run {run_id!r} has already {row.status}.",
                    where=run_id,
                    hint="A run ends once. Start a new one.",
                )
            event = self.append(f"run-{status}", actor=actor, reason=reason, run_id=run_id, connection=connection)
            end = {"ended_at": event.at, "status": status, "reason": reason}
            connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(end))
        return _run(dict(row._mapping) | end)

    def unfinished_run(self) -> Run | None:
        """Return the newest run that has not ended, or None."""
        query = select(RUNS).where(RUNS.c.status == "running").order_by(RUNS.c.seq.desc()).limit(1)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return _run(dict(row._mapping)) if row else None

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the runs, newest first."""
        with self._db.read() as connection:
            rows = connection.execute(select(RUNS).order_by(RUNS.c.seq.desc()).limit(limit)).all()
        return [_run(dict(row._mapping)) for row in rows]

    def run(self, run_id: str) -> Run:
        """Return one run.

        Raises:
            RecordMissingError: there is no such run.
        """
        with self._db.read() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).one_or_none()
        if row is None:
            raise _no_run(run_id)
        return _run(dict(row._mapping))

    # ---- stages ----

    def finish_stage(
        self,
        *,
        run_id: str,
        stage: str,
        key: str,
        record: Record,
        artifact: str,
        actor: str,
        inputs: Sequence[str],
        reason: str,
        seconds: float,
    ) -> Event:
        """Note what a stage gave: the event and the stage record, both or neither.

        From then on `finished_stage` gives this record for `key`, also where there was an earlier one.
        """
        with self._writing(None) as connection:
            event = self.append(
                "stage-finished",
                actor=actor,
                reason=reason,
                run_id=run_id,
                stage=stage,
                inputs=inputs,
                output=artifact,
                output_type=type(record).__name__,
                data={"key": key, "record_digest": record.digest, "seconds": seconds},
                connection=connection,
            )
            given = StageRecord(stage, key, artifact, record.digest, type(record).__name__, run_id, event.at, seconds)
            connection.execute(insert(STAGE_RECORDS).values(asdict(given) | {"seq": event.seq}))
        return event

    def reuse_stage(
        self,
        run_id: str,
        stage_record: StageRecord,
        *,
        actor: str = "tenure",
        reason: str = "Nothing that it depends on has changed.",
    ) -> StageRecord:
        """Note that a run took an earlier record, and return the record as the run's own."""
        with self._writing(None) as connection:
            origin = stage_record.reused_from or stage_record.run_id
            event = self.append(
                "stage-reused",
                actor=actor,
                reason=reason,
                run_id=run_id,
                stage=stage_record.stage,
                output=stage_record.artifact,
                output_type=stage_record.record_type,
                data={
                    "key": stage_record.key,
                    "record_digest": stage_record.record_digest,
                    "reused_from": origin,
                },
                connection=connection,
            )
            taken = asdict(stage_record) | {"run_id": run_id, "at": event.at, "reused_from": origin}
            connection.execute(insert(STAGE_RECORDS).values(taken | {"seq": event.seq}))
        return StageRecord(**taken)

    def adopt_stage(self, stage_record: StageRecord, *, actor: str, reason: str) -> None:
        """Note what a stage gave in another project with the same store of artifacts, so that it can be taken again."""
        with self._writing(None) as connection:
            event = self.append(
                "stage-adopted",
                actor=actor,
                reason=reason,
                run_id=stage_record.run_id,
                stage=stage_record.stage,
                output=stage_record.artifact,
                output_type=stage_record.record_type,
                data={"key": stage_record.key, "record_digest": stage_record.record_digest},
                connection=connection,
            )
            connection.execute(insert(STAGE_RECORDS).values(asdict(stage_record) | {"seq": event.seq}))

    def finished_stage(self, stage: str, key: str) -> StageRecord | None:
        """Return the newest record that `stage` made from inputs with the digest `key`, or None."""
        query = (
            select(STAGE_RECORDS)
            .where(STAGE_RECORDS.c.stage == stage, STAGE_RECORDS.c.key == key, STAGE_RECORDS.c.reused_from.is_(None))
            .order_by(STAGE_RECORDS.c.seq.desc())
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return _stage_record(row) if row else None

    def run_stages(self, run_id: str) -> list[StageRecord]:
        """Return the stage records of a run, made or reused, in the order of its walk."""
        query = select(STAGE_RECORDS).where(STAGE_RECORDS.c.run_id == run_id).order_by(STAGE_RECORDS.c.seq)
        with self._db.read() as connection:
            return [_stage_record(row) for row in connection.execute(query)]

    @contextmanager
    def _writing(self, connection: Connection | None) -> Iterator[Connection]:
        """Give a write transaction that holds the ledger's lock: the given one, or a new one."""
        if connection is None:
            with self._db.begin(lock=LOCK) as fresh:
                yield fresh
        else:
            self._db.lock(connection, LOCK)
            yield connection


def _in_order(connection: Connection) -> Iterator[Row[Any]]:
    """Yield all events, oldest first, without holding them all in memory."""
    query, last = select(EVENTS).order_by(EVENTS.c.seq).limit(_BATCH), 0
    while rows := connection.execute(query.where(EVENTS.c.seq > last)).all():
        yield from rows
        last = rows[-1].seq


def _as_json(value: object) -> str:
    return canonical(value).decode()


def _event(row: Mapping[str, Any]) -> Event:
    return Event(**{**row, "inputs": tuple(json.loads(row["inputs"])), "data": json.loads(row["data"])})


def _run(row: Mapping[str, Any]) -> Run:
    return Run(row["id"], row["started_at"], row["ended_at"], row["status"], row["reason"], json.loads(row["data"]))


def _stage_record(row: Row[Any]) -> StageRecord:
    return StageRecord(**{name: value for name, value in row._mapping.items() if name != "seq"})


def _no_run(run_id: str) -> RecordMissingError:
    return RecordMissingError(f"There is no run {run_id!r}.", where=run_id, hint="List the runs: tenure history")


def _broken(seq: int, what: str) -> LedgerError:
    return LedgerError(
        f"Event {seq} of the ledger {what}.",
        where=f"event {seq}",
        hint="Do not trust what follows it. Restore the state database from a backup.",
    )
