"""The connection to the state database: SQLite in the project by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError

from tenure.core.errors import (
    ConfigError,
    CredentialError,
    DiskFullError,
    ExtraMissingError,
    FolderReadOnlyError,
    StateUnreachableError,
    StateUnusableError,
    TenureError,
)
from tenure.core.files import writing
from tenure.state.migrations import HEAD, VERSION_TABLE

DATABASE_FILE: Final = "state.db"
_BUSY_SECONDS: Final = 30
_CONNECT_SECONDS: Final = 5
_WRITES: Final = "tenure_writes"
_REFUSED: Final = ("password", "authentication failed", "no pg_hba.conf entry", "role ", "ssl off", "SASL")


def open_database(url: str | None, folder: Path) -> Database:
    """Open the state database and bring its tables up to date.

    `url` is a `postgresql://` URL, or None for SQLite in `folder` (the project's `.tenure`). A database of its own, or
    a schema of its own (`?options=-csearch_path=NAME`), belongs to each project.

    Raises:
        ConfigError: the URL is not one of PostgreSQL.
        CredentialError: the server refuses the user or password.
        StateUnreachableError: no answer, or another process holds the database for too long.
        StateUnusableError: the database is damaged or was written by a newer version.
        DiskFullError, FolderReadOnlyError: the SQLite file cannot be written.
    """
    if url is None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        place = str(folder / DATABASE_FILE)
        database = Database(_sqlite_engine(folder / DATABASE_FILE), place)
    else:
        address = _address(url)
        place = f"{address.host or 'local socket'}/{address.database or ''}"
        database = Database(_postgres_engine(address), place)
    try:
        _bring_up_to_date(database)
        return database
    except TenureError as error:
        database.close()
        problem = error
    # Raised out of the handler and cut off from its cause: the driver's error keeps the password it was given.
    problem.__context__ = None
    raise problem


class Database:
    """One state database. Every write transaction can be seen whole or not at all, by every process."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place
        self.dialect = engine.dialect.name
        self._writer = engine.execution_options(**{_WRITES: True})
        one_state = {"isolation_level": "REPEATABLE READ"} if self.dialect == "postgresql" else {}
        self._reader = engine.execution_options(**one_state)

    @contextmanager
    def begin(self, lock: str | None = None) -> Iterator[Connection]:
        """Give a connection in one write transaction; it commits at the end and rolls back on an exception.

        SQLite lets one writer in at a time. On PostgreSQL writers that name the same `lock` go one after the other.
        """
        with self._translated(), self._writer.begin() as connection:
            if lock is not None:
                self.lock(connection, lock)
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database; nothing is written."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    def lock(self, connection: Connection, name: str) -> None:
        """Wait until no other write transaction holds the lock `name`, then hold it until this one ends."""
        if self.dialect == "postgresql":
            # The schema is part of the lock: projects that share a server do not wait for each other.
            take = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || :name, 0))")
            connection.execute(take, {"name": f".tenure.{name}"})

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError, sqlite3.Error) as error:
            known = self._as_known(error)
            if known is None:
                raise
            raise known from None  # the driver's own text may hold what stood in the URL

    def _as_known(self, error: DatabaseError | InterfaceError | sqlite3.Error) -> TenureError | None:
        if isinstance(error, sqlite3.Error):  # met while a connection was made ready, so not wrapped
            return _sqlite_problem(error, self.place)
        if isinstance(error.orig, sqlite3.Error):
            return _sqlite_problem(error.orig, self.place)
        return _postgres_problem(error, self.engine.url, self.place)


# ---- SQLite ----

# What SQLite says when a page, the log, or the shared index beside it finds no room.
_NO_SPACE: Final = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so, below
        # Write-ahead log: readers never wait for the writer. Full sync: what was acknowledged survives a power cut,
        # as the ledger promises; traffic is written in batches, so the cost is one sync for each.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write must say so at once: two that read first and write later would deadlock.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_problem(error: sqlite3.Error, place: str) -> TenureError | None:
    name = getattr(error, "sqlite_errorname", "")
    if name in _NO_SPACE:
        return DiskFullError(
            f"There is no space left to write the state database {place}.",
            where=place,
            hint="Free some space on that disk and run again. Nothing half-written was kept.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return FolderReadOnlyError(
            f"The state database {place} cannot be opened for writing.",
            where=place,
            hint="Make the file and its folder writable for this user.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateUnreachableError(
            f"Another process has held the state database {place} for more than {_BUSY_SECONDS} seconds.",
            where=place,
            hint="Wait for the other process, or end it, and try again.",
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StateUnusableError(
            f"The state database {place} is damaged.",
            where=place,
            hint="Restore it from a backup, or move it away to start with an empty memory.",
        )
    return None


# ---- PostgreSQL ----


def _address(url: str) -> URL:
    problem = "is not a URL"
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        address = None
    if address is not None:
        if address.get_backend_name() in ("postgresql", "postgres"):
            if "@" not in (address.host or ""):
                return address.set(drivername="postgresql+psycopg")
            problem = "holds more than one @"
        else:
            problem = f"names a kind of database that cannot hold the state ({address.get_backend_name()})"
    raise ConfigError(
        f"The address of the state database {problem}.",
        where="state.url",
        hint="Write postgresql://user:${PASSWORD}@host/database, with special characters in the password "
        "percent-encoded, or leave it out for SQLite.",
    )


def _postgres_engine(address: URL) -> Engine:
    arguments: dict[str, Any] = {} if "connect_timeout" in address.query else {"connect_timeout": _CONNECT_SECONDS}
    try:
        # A tested connection costs one round trip and spares the first query after a server restart.
        return create_engine(address, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise ExtraMissingError.from_extra("postgres", needed_for="State on PostgreSQL") from error


def _postgres_problem(error: DatabaseError | InterfaceError, url: URL, place: str) -> TenureError | None:
    said = str(error.orig)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith("28") or (not state and any(word in said for word in _REFUSED)):
        return CredentialError(
            f"The state database {place} refused the user {url.username or 'of this session'} or the password.",
            where="state.url",
            hint="Check the user, the environment variable that holds the password, and the server's pg_hba.conf.",
        )
    if state == "3D000" or (not state and "does not exist" in said):
        return ConfigError(
            f"There is no database {url.database!r} on that server.",
            where="state.url",
            hint=f"Create it: CREATE DATABASE {url.database}; or name another.",
        )
    if state in ("53100", "53200"):
        return DiskFullError(
            f"The server of the state database {place} has no space left.",
            where=place,
            hint="Free some space on the server and run again.",
        )
    if state.startswith(("08", "53", "57P")) or not state or error.connection_invalidated:
        return StateUnreachableError(
            f"The state database {place} does not answer.",
            where="state.url",
            hint="Check that the server runs and that host and port are right, then try again.",
        )
    return None


# ---- migrations ----


def _bring_up_to_date(database: Database) -> None:
    with database.read() as connection:
        if _revision(connection) == HEAD:
            return
    with database.begin(lock="migrations") as connection:
        found = _revision(connection)
        if found is not None and found > HEAD:
            raise StateUnusableError(
                f"The state database {database.place} was written by a newer version of tenure.",
                where=database.place,
                hint="Upgrade this installation: pip install --upgrade tenure",
            )
        if found != HEAD:
            _migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return found


def _migrate(connection: Connection) -> None:
    # Imported here: loading alembic takes longer than opening a database that is up to date.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
