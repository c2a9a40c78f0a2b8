"""Databases by URL and query."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tenure.core.errors import (
    ConfigError,
    CredentialError,
    DuplicateColumnError,
    EmptyDataError,
    ExtraMissingError,
    SourceMissingError,
    SourceUnreachableError,
    TenureError,
    UnreadableDataError,
    did_you_mean,
)
from tenure.core.ports import Log
from tenure.core.secrets import redacted, with_secrets
from tenure.ingest.files import find_files

_BATCH: Final = 50_000
_SINGLE_VALUES: Final = (str, bool, int, float, bytes, Decimal, date, time, timedelta, type(None))
_WHERE: Final = "data.source"
_OTHER_SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss", "az", "http", "https", "file", "ftp", "hdfs")
_CONNECT_SECONDS: Final = 10
_REFUSED: Final = re.compile(
    r"password authentication failed|no password supplied|access denied|authentication failed|role \S+ does not exist"
    r"|no pg_hba\.conf entry|login failed",
    re.IGNORECASE,
)
_NO_DATABASE: Final = re.compile(r"database \S+ does not exist|unknown database", re.IGNORECASE)
_NO_TABLE: Final = re.compile(
    r"no such table: (\S+)|relation \"([^\"]+)\" does not exist|table '([^']+)' doesn't exist", re.I
)


class Sql:
    """Reads the rows of one query from any database that SQLAlchemy has a driver for. Nothing can be written."""

    name: ClassVar[str] = "sql"

    def accepts(self, source: str) -> bool:
        """Say whether the source is a database URL, or a secret that holds one."""
        scheme = source.split("://", 1)[0].lower()
        return source.startswith("${") or ("://" in source and scheme not in _OTHER_SCHEMES)

    def fingerprint(self, source: str, query: str | None, folder: Path) -> str | None:
        """Return None: only reading tells what the database holds."""
        return None

    def read(self, source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame:
        """Return the rows of `query`, in the order that the database gives them.

        Without a query the database must hold exactly one table. `${NAME}` in the URL is taken from the environment.

        Raises:
            SecretMissingError: a `${NAME}` is not set.
            SourceUnreachableError: nobody answers at that address.
            CredentialError: user name or password were refused.
            SourceMissingError: there is no such file, database or table.
            UnreadableDataError: the query cannot be run.
            EmptyDataError: the query gives no rows.
        """
        batches = list(self.batches(source, query, folder))
        if not batches:
            raise EmptyDataError("The query gives no rows.", where="data.query", hint="Run it by hand and look.")
        return one_below_the_other(batches).rechunk()

    def batches(self, source: str, query: str | None, folder: Path) -> Iterator[pl.DataFrame]:
        """Yield the rows in tables of up to 50,000, through a cursor of the server; errors as in `read`.

        A column may have another type in another batch: `one_below_the_other` says which holds both.
        """
        url = _url_of(source, folder)
        try:
            yield from _batches(url, query)
            return
        except SQLAlchemyError as error:
            failure = _as_our_error(error, url)
        # Raised outside of the except block: the driver's error, chained, could carry the connection's secrets.
        raise failure


def _url_of(source: str, folder: Path) -> sa.URL:
    """Return the URL with its secrets; they are put into its parts, so that a password may hold any sign."""
    whole = with_secrets(source, where=_WHERE) if source.startswith("${") else source
    try:
        url = sa.make_url(re.sub(r"^postgres(?=://|\+)", "postgresql", whole))
    except ArgumentError:
        url = None
    if url is None:
        raise ConfigError(
            "The source looks like a database URL and is none.",
            where=_WHERE,
            hint="Write it like postgresql://user:${PASSWORD}@host/database or sqlite:///file.db.",
        )
    if whole is source:
        url = url.set(
            username=_filled(url.username),
            password=_filled(str(url.password) if url.password else None),
            host=_filled(url.host),
            database=_filled(url.database),
        )
    if url.get_backend_name() == "sqlite":
        return _sqlite_url(url, folder)
    if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    return url


def _filled(part: str | None) -> str | None:
    return with_secrets(part, where=_WHERE) if part else part


def _sqlite_url(url: sa.URL, folder: Path) -> sa.URL:
    """Return the URL of an existing SQLite file, opened for reading only; a relative path starts at `folder`."""
    if not url.database or url.database == ":memory:":
        raise SourceMissingError(
            "The SQLite URL names no file.",
            where=_WHERE,
            hint="Write sqlite:///file.db, relative to the project folder.",
        )
    path = find_files(url.database, folder)[0]
    return url.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})


def _batches(url: sa.URL, query: str | None) -> Iterator[pl.DataFrame]:
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise _driver_missing(url, str(error.name)) from error
    with engine.connect() as connection:
        statement = query if query is not None else f"SELECT * FROM {_only_table(connection)}"
        reader = connection.execution_options(stream_results=True, no_parameters=True)
        result = reader.exec_driver_sql(statement)
        if not result.returns_rows:
            raise UnreadableDataError("The query gives no rows back.", where="data.query", hint="Write a SELECT.")
        names = list(result.keys())
        _refuse_repeated(names)
        for rows in result.partitions(_BATCH):
            yield _table(names, rows)


def one_below_the_other(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all batches; each column gets the type that holds all its values.

    Raises:
        UnreadableDataError: there is no such type.
    """
    try:
        return pl.concat(batches, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise UnreadableDataError(
            f"A column of the query changes its type between rows: {error}.",
            where="data.query",
            hint="Cast it to one type in the query.",
        ) from error


def _driver_missing(url: sa.URL, module: str) -> TenureError:
    if url.get_backend_name() == "postgresql":
        return ExtraMissingError.from_extra("postgres", needed_for="Reading from PostgreSQL")
    return ConfigError(
        f"The driver {module!r} for {url.get_backend_name()} is not installed.",
        where=_WHERE,
        hint=f"Run: pip install {module}",
    )


def _only_table(connection: sa.Connection) -> str:
    """Return the quoted name of the one table that the database holds.

    Raises:
        ConfigError: there are none or several, so a query is needed.
    """
    inspector = sa.inspect(connection)
    tables = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
    if len(tables) != 1:
        shown = ", ".join(tables[:12]) or "none"
        raise ConfigError(
            f"data.query is not given, and the database holds {len(tables)} tables: {shown}.",
            where="data.query",
            hint='Say which rows to read, for example query = "SELECT * FROM customers".',
        )
    return connection.dialect.identifier_preparer.quote(tables[0])


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DuplicateColumnError(
            f"The query gives {', '.join(map(repr, repeated[:5]))} more than once.",
            where="data.query",
            hint="Name each column once, or rename one with AS.",
        )


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    columns = zip(*rows, strict=True)
    return pl.DataFrame([_series(name, list(values)) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return a column; what is no single value becomes JSON text, several types in one column (SQLite) become text."""
    return pl.Series(name, [_plain(value) for value in values], strict=False)


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return value if isinstance(value, _SINGLE_VALUES) else str(value)


def _as_our_error(error: SQLAlchemyError, url: sa.URL) -> TenureError:
    """Return what the driver's error means. Its text is shortened to one line and never holds the password."""
    if isinstance(error, NoSuchModuleError):
        return ConfigError(
            f"There is no driver for databases of the kind {url.drivername!r}.",
            where=_WHERE,
            hint="Known without further packages: sqlite, postgresql.",
        )
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = _without_secrets(" ".join(str(cause).split("\nLINE 1:")[0].split())[:300], url)
    where = redacted(url.set(query={}).render_as_string(hide_password=True))
    lost = isinstance(error, DBAPIError) and (error.statement is None or error.connection_invalidated)
    if lost or "database is locked" in text:
        return _connection_error(text, where)
    table = _NO_TABLE.search(text)
    if table:
        wanted = next(name for name in table.groups() if name)
        return SourceMissingError(
            f"The database has no table {wanted!r}.", where="data.query", hint=_near_tables(wanted, url)
        )
    return UnreadableDataError(
        f"The query cannot be run: {text}.", where="data.query", hint="Run it by hand and mend it."
    )


def _connection_error(text: str, where: str) -> TenureError:
    if _REFUSED.search(text):
        return CredentialError(
            "The database refused the user name or password.",
            where=where,
            hint="Look at the environment variable that holds the password, and at the user in data.source.",
        )
    if _NO_DATABASE.search(text):
        return SourceMissingError("There is no database of that name.", where=where, hint="Look at the end of the URL.")
    return SourceUnreachableError(
        f"The database does not answer: {text}.", where=where, hint="Look at host and port, then try again."
    )


def _near_tables(wanted: str, url: sa.URL) -> str:
    try:
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            inspector = sa.inspect(connection)
            return did_you_mean(wanted, {*inspector.get_table_names(), *inspector.get_view_names()})
    except SQLAlchemyError:
        return "Look at its name in data.query."


def _without_secrets(text: str, url: sa.URL) -> str:
    secrets = [url.password, *(value for key, value in url.query.items() if "pass" in key.lower())]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text
