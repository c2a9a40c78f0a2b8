"""A lease says which process runs a project. It ends with its process, or when its time runs out unrenewed."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, delete, insert, select, update

from tenure.core.errors import ProjectBusyError, TenureError
from tenure.state.database import Database
from tenure.state.host import host_name, pid_space, process_birth
from tenure.state.tables import LEASES
from tenure.state.times import iso, micros

_COUNTER: Final = itertools.count(1)


class Lease:
    """Holds a name while a `with` block runs, for one process of all that share the database.

    A thread renews it every third of `ttl_seconds`. A holder on this machine whose process is gone loses it at once;
    a holder elsewhere loses it when the time runs out. `problem` is what the last renewal in the
    background met.
    """

    def __init__(self, db: Database, name: str, *, clock: Callable[[], datetime], ttl_seconds: float = 30.0) -> None:
        self.name = name
        self.owner = f"{host_name()}:{os.getpid()}:{process_birth(os.getpid())}:{next(_COUNTER)}"
        self.problem: TenureError | None = None
        self._db = db
        self._clock = clock
        self._ttl = timedelta(seconds=ttl_seconds)
        self._ended = threading.Event()
        self._renewer: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            ProjectBusyError: another process holds it; the message says which.
        """
        self._take()
        self._ended.clear()
        self._renewer = threading.Thread(target=self._keep_renewing, name=f"lease {self.name}", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back."""
        self._ended.set()
        if self._renewer is not None:
            self._renewer.join()
        with self._db.begin(lock="leases") as connection:
            connection.execute(delete(LEASES).where(LEASES.c.name == self.name, LEASES.c.owner == self.owner))

    def renew(self) -> None:
        """Prolong the lease by its full time.

        Raises:
            ProjectBusyError: it was lost to another process meanwhile; stop writing.
        """
        with self._db.begin(lock="leases") as connection:
            mine = (LEASES.c.name == self.name) & (LEASES.c.owner == self.owner)
            renewed = connection.execute(
                update(LEASES).where(mine).values(expires_us=micros(self._clock() + self._ttl))
            )
            if renewed.rowcount == 1:
                return
            holder = connection.execute(select(LEASES).where(LEASES.c.name == self.name)).one_or_none()
        raise self._busy(holder) from self.problem

    def check(self, connection: Connection) -> None:
        """Make sure, within a write transaction, that the lease is still this one's when it is committed.

        Raises:
            ProjectBusyError: it was lost to another process; the transaction must not be committed.
        """
        self._db.lock(connection, "leases")
        holder = connection.execute(select(LEASES).where(LEASES.c.name == self.name)).one_or_none()
        if holder is None or holder.owner != self.owner:
            raise self._busy(holder) from self.problem

    def _take(self) -> None:
        with self._db.begin(lock="leases") as connection:
            now = self._clock()  # after the wait for the lock, which may be long
            holder = connection.execute(select(LEASES).where(LEASES.c.name == self.name)).one_or_none()
            if holder is not None and not self._is_over(holder, micros(now)):
                raise self._busy(holder)
            connection.execute(delete(LEASES).where(LEASES.c.name == self.name))
            connection.execute(
                insert(LEASES).values(
                    name=self.name,
                    owner=self.owner,
                    host=host_name(),
                    pid=os.getpid(),
                    birth=_birth(os.getpid()) or "",
                    taken_us=micros(now),
                    expires_us=micros(now + self._ttl),
                )
            )

    @staticmethod
    def _is_over(holder: Row[Any], now_us: int) -> bool:
        if holder.expires_us <= now_us:
            return True
        if holder.host != host_name() or holder.birth.partition("@")[2] != pid_space():
            return False  # its process cannot be seen from here
        return bool(_birth(holder.pid) != holder.birth)

    def _busy(self, holder: Row[Any] | None) -> ProjectBusyError:
        if holder is None:
            return ProjectBusyError(
                f"This process no longer holds {self.name!r}.",
                where=self.name,
                hint="It was away for too long. Run again; finished stages are reused.",
            )
        return ProjectBusyError(
            f"Process {holder.pid} on {holder.host} holds {self.name!r} since {iso(holder.taken_us)}.",
            where=self.name,
            hint="Wait until it ends, or end it, then run again. A dead process loses its hold by itself.",
        )

    def _keep_renewing(self) -> None:
        while not self._ended.wait(self._ttl.total_seconds() / 3):
            try:
                self.renew()
            except TenureError as error:
                self.problem = error  # the next renewal may go through; `renew` in the foreground says if it is lost
            else:
                self.problem = None


def _birth(pid: int) -> str | None:
    """Return what tells a process from all others of this machine's containers; None where it does not live here."""
    birth = process_birth(pid)
    return None if birth is None else f"{birth}@{pid_space()}"
