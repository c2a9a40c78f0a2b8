"""The registry: numbered model versions, and which of them hold the offices champion, challenger and previous."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from tenure.core.errors import RecordMissingError
from tenure.core.lifecycle import Alias, AliasMove, ModelVersion
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Event, Ledger
from tenure.state.tables import ALIAS_MOVES, VERSIONS

MOVED_EVENT: Final = "aliases-moved"


class Registry:
    """Registers versions and moves aliases, each in one transaction with its ledger event.

    `moved` is called after every transaction that moved one, or changed what follows from who holds which.
    """

    def __init__(
        self, db: Database, ledger: Ledger, clock: Callable[[], datetime], moved: Callable[[], None] | None = None
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._moved = moved

    def register(self, model: str, *, run_id: str, leaderboard: str, actor: str, note: str = "") -> ModelVersion:
        """Give a bundle the next number; a bundle that has one keeps it."""
        with self._db.begin(lock=LOCK) as connection:
            known = connection.execute(select(VERSIONS).where(VERSIONS.c.model == model)).one_or_none()
            if known is not None:
                return _version(known)
            last = connection.execute(select(func.max(VERSIONS.c.number))).scalar() or 0
            version = ModelVersion(last + 1, model, run_id, leaderboard, self._clock().isoformat(), note)
            event = self._ledger.append(
                "version-registered",
                actor=actor,
                reason=note or f"Run {run_id} made it.",
                run_id=run_id,
                inputs=(leaderboard,),
                output=model,
                output_type="bundle",
                data={"version": version.number},
                connection=connection,
            )
            connection.execute(insert(VERSIONS).values(asdict(version) | {"seq": event.seq}))
        return version

    def version(self, number: int) -> ModelVersion:
        """Return the version of that number.

        Raises:
            RecordMissingError: there is none.
        """
        with self._db.read() as connection:
            return _version(_version_row(connection, number))

    @property
    def ledger(self) -> Ledger:
        """Return the ledger that its events go to."""
        return self._ledger

    def versions(self) -> list[ModelVersion]:
        """Return all versions, oldest first."""
        with self._db.read() as connection:
            return [_version(row) for row in connection.execute(select(VERSIONS).order_by(VERSIONS.c.number))]

    def holder(self, alias: Alias) -> ModelVersion | None:
        """Return the version that holds an office, or None while it is vacant."""
        with self._db.read() as connection:
            number = _holder(connection, alias)
            return _version(_version_row(connection, number)) if number is not None else None

    def move(
        self,
        targets: Mapping[Alias, int | None],
        *,
        actor: str,
        reason: str,
        cause: str | None = None,
        run_id: str | None = None,
        provided: Mapping[Alias, int | None] | None = None,
    ) -> tuple[AliasMove, ...] | None:
        """Give each office to a version, or leave it vacant (None): all of them, or none.

        An office that stays with its holder is no move. `cause` is the digest of the record that caused it. `provided`
        says who must hold which office at that moment; where another does, nothing moves and None is returned.

        Raises:
            RecordMissingError: a version does not exist; nothing moves.
        """
        with self.changing() as change:
            if any(change.holder(alias) != holder for alias, holder in (provided or {}).items()):
                return None
            return change.move(targets, at=self._clock(), actor=actor, reason=reason, cause=cause, run_id=run_id)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Give a transaction in which offices move and events are written, all or nothing, under the ledger's lock.

        Whoever is to hear of moves hears of it once it is through, if anything was changed.
        """
        with self._db.begin(lock=LOCK) as connection:
            change = Change(connection, self._ledger)
            yield change
        if change.touched and self._moved is not None:
            self._moved()

    def moves(self) -> list[AliasMove]:
        """Return every move of every office, oldest first."""
        with self._db.read() as connection:
            return [_move(row) for row in connection.execute(select(ALIAS_MOVES).order_by(ALIAS_MOVES.c.id))]


@dataclass(slots=True)
class Change:
    """An open transaction that holds the ledger's lock. `touched` says that something was written in it."""

    connection: Connection
    ledger: Ledger
    touched: bool = field(default=False, init=False)

    def holder(self, alias: Alias) -> int | None:
        """Return the number of the version that holds an office, or None while it is vacant."""
        return _holder(self.connection, alias)

    def append(self, kind: str, **content: Any) -> Event:
        """Append an event to the ledger; `content` as in `Ledger.append`."""
        self.touched = True
        return self.ledger.append(kind, connection=self.connection, **content)

    def move(
        self,
        targets: Mapping[Alias, int | None],
        *,
        at: datetime,
        actor: str,
        reason: str,
        cause: str | None = None,
        run_id: str | None = None,
    ) -> tuple[AliasMove, ...]:
        """Give each office to a version, or leave it vacant (None), as `Registry.move` does."""
        moves = []
        for alias, after in targets.items():
            if after is not None:
                _version_row(self.connection, after)
            before = self.holder(alias)
            if before != after:
                moves.append(AliasMove(alias, before, after, at.isoformat(), actor, reason, cause))
        if moves:
            self._write(moves, run_id)
        return tuple(moves)

    def _write(self, moves: list[AliasMove], run_id: str | None) -> None:
        event = self.append(
            MOVED_EVENT,
            actor=moves[0].actor,
            reason=moves[0].reason,
            run_id=run_id,
            inputs=(moves[0].cause,) if moves[0].cause else (),
            data={"moves": {str(move.alias): {"before": move.before, "after": move.after} for move in moves}},
        )
        first = (self.connection.execute(select(func.max(ALIAS_MOVES.c.id))).scalar() or 0) + 1
        rows = [
            asdict(move) | {"id": number, "alias": str(move.alias), "seq": event.seq}
            for number, move in enumerate(moves, start=first)
        ]
        self.connection.execute(insert(ALIAS_MOVES), rows)


def _holder(connection: Connection, alias: Alias) -> int | None:
    """Return who got the office last: the history of moves is the only place where that stands."""
    query = (
        select(ALIAS_MOVES.c.after).where(ALIAS_MOVES.c.alias == str(alias)).order_by(ALIAS_MOVES.c.id.desc()).limit(1)
    )
    number: int | None = connection.execute(query).scalar()
    return number


def _version_row(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(select(VERSIONS).where(VERSIONS.c.number == number)).one_or_none()
    if row is None:
        last = connection.execute(select(func.max(VERSIONS.c.number))).scalar()
        raise RecordMissingError(
            f"There is no version v{number}.",
            where=f"v{number}",
            hint=f"Versions go from v1 to v{last}." if last else "No model was registered yet. Run: tenure run",
        )
    return row


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(row.number, row.model, row.run_id, row.leaderboard, row.created_at, row.note)


def _move(row: Row[Any]) -> AliasMove:
    return AliasMove(Alias(row.alias), row.before, row.after, row.at, row.actor, row.reason, row.cause)
