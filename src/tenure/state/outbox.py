"""Messages about alarms that have to go out: written with the change they tell of, and kept until they have gone.

A crash loses none. Whoever sends one claims it first, so that of several senders one sends it. One that dies between
the other side's answer and its note sends the message again later, with the same id: receivers know it by that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from tenure.core.records import canonical
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Ledger
from tenure.state.tables import ALARM_MESSAGES
from tenure.state.times import micros

MESSAGE_LOST_EVENT: Final = "alarm-message-lost"
_CLAIMED: Final = timedelta(minutes=5)
WAITING, SENT, LOST = "waiting", "sent", "lost"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to: a channel ("webhook", "e-mail"), and which of its addresses in the project file, from 1."""

    channel: str
    target: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address. `content` is JSON; `said` is what the other side answered last."""

    id: str
    channel: str
    target: str
    content: str
    status: str
    created_us: int
    next_us: int
    tries: int
    ended_us: int | None
    said: str

    @property
    def address(self) -> Address:
        """Return where it goes."""
        return Address(self.channel, self.target)


def post(connection: Connection, addresses: Sequence[Address], content: Any, *, now_us: int) -> None:
    """Write one message for each address, in the caller's transaction."""
    rows = [
        {
            "id": f"msg_{uuid.uuid4().hex}",
            "channel": address.channel,
            "target": address.target,
            "content": canonical(content).decode(),
            "status": WAITING,
            "created_us": now_us,
            "next_us": now_us,
            "tries": 0,
            "said": "",
        }
        for address in addresses
    ]
    if rows:
        connection.execute(insert(ALARM_MESSAGES), rows)


class Outbox:
    """Gives messages to whoever sends them, and notes how it went."""

    def __init__(self, db: Database, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock

    def claim(self) -> Message | None:
        """Return a message that is due, which nobody else gets for five minutes, or None."""
        m, now = ALARM_MESSAGES.c, self._clock()
        due = select(ALARM_MESSAGES).where(m.status == WAITING, m.next_us <= micros(now))
        with self._db.read() as connection:  # mostly there is none, and writers need not wait for each other
            if connection.execute(due.limit(1)).one_or_none() is None:
                return None
        with self._db.begin(lock="outbox") as connection:
            row = connection.execute(due.order_by(m.created_us, m.id).limit(1)).one_or_none()
            if row is None:
                return None
            mine = {"next_us": micros(now + _CLAIMED), "tries": row.tries + 1}
            connection.execute(update(ALARM_MESSAGES).where(m.id == row.id).values(mine))
        return _message(row, **mine)

    def sent(self, message: Message, said: str) -> None:
        """Note that a message has gone out."""
        self._end(message, SENT, said)

    def later(self, message: Message, said: str, *, seconds: float) -> None:
        """Note that a message did not go out, and is to be tried again after some seconds."""
        values = {"next_us": micros(self._clock() + timedelta(seconds=seconds)), "said": said}
        with self._db.begin(lock="outbox") as connection:
            connection.execute(update(ALARM_MESSAGES).where(ALARM_MESSAGES.c.id == message.id).values(values))

    def lost(self, message: Message, said: str, *, label: str, actor: str) -> None:
        """Note, in the ledger too, that a message is given up."""
        with self._db.begin(lock=LOCK) as connection:
            self._ledger.append(
                MESSAGE_LOST_EVENT,
                actor=actor,
                reason=f"A message by {message.channel} to {label} is given up after {message.tries} tries: {said}",
                data={"message": message.id, "channel": message.channel, "to": label, "tries": message.tries},
                connection=connection,
            )
            self._write_end(connection, message, LOST, said)

    def _end(self, message: Message, status: str, said: str) -> None:
        with self._db.begin(lock="outbox") as connection:
            self._write_end(connection, message, status, said)

    def _write_end(self, connection: Connection, message: Message, status: str, said: str) -> None:
        values = {"status": status, "said": said, "ended_us": micros(self._clock())}
        connection.execute(update(ALARM_MESSAGES).where(ALARM_MESSAGES.c.id == message.id).values(values))

    def all(self) -> list[Message]:
        """Return every message, oldest first."""
        query = select(ALARM_MESSAGES).order_by(ALARM_MESSAGES.c.created_us, ALARM_MESSAGES.c.id)
        with self._db.read() as connection:
            return [_message(row) for row in connection.execute(query)]


def _message(row: Row[Any], **changed: Any) -> Message:
    return Message(**{**row._mapping, **changed})
