"""Answers as a table of a database: filled part by part beside its place, and renamed when it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tenure.core.errors import ConfigError, ExtraMissingError, JobChangedError, SourceUnreachableError, TenureError
from tenure.core.secrets import redacted, with_secrets
from tenure.engine.batch.job import Job

ROW: Final = "input_row"
"""The column that says which row of the input is answered, counted from 1."""
_MADE: Final = -1
"""Stands among the parts once the table for them is made."""
_LONGEST: Final = 40
_WHERE: Final = "--out"
_CONNECT_SECONDS: Final = 10


class TableOutput:
    """A table of a database that SQLAlchemy has a driver for. Parts wait in the job's folder below `jobs`."""

    form = "parquet"

    def __init__(self, url: str, table: str, jobs: Path) -> None:
        self.place = self.identity = f"table {table} in {redacted(url)}"
        self.folder = jobs / re.sub(r"[^A-Za-z0-9]+", "-", f"{redacted(url)}-{table}").strip("-")
        schema, _, name = table.rpartition(".")
        if not name or len(name) > _LONGEST:
            raise ConfigError(
                f"{table!r} cannot be the name of a table.",
                where="--table",
                hint=f"Give NAME or SCHEMA.NAME, the name with up to {_LONGEST} characters.",
            )
        self._schema, self._name = schema or None, name
        self._url = _address(url)
        self._engine = _engine(self._url)
        self._progress = sa.Table(
            f"{name}_tenure_parts",
            sa.MetaData(schema=self._schema),
            sa.Column("job", sa.String(32), primary_key=True),
            sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        )
        self._filled: sa.Table | None = None

    def check(self) -> None:
        """Raise where the database cannot be reached, or holds a table of that name that is no earlier output."""
        with self._translated(), self._engine.connect() as connection:
            self._refuse_a_strangers_table(connection)

    def begin(self, job: Job, dtypes: pl.Schema) -> frozenset[int]:
        """Make the table beside its place, unless this job has made it, and return the parts that stand in it."""
        if ROW in dtypes:
            raise ConfigError(
                f"The key is called {ROW!r}, as the column that counts rows is.",
                where="data.key",
                hint="Name another key, or write to a file.",
            )
        columns = (sa.Column(name, _sql_type(dtype)) for name, dtype in dtypes.items())
        row = sa.Column(ROW, sa.BigInteger, autoincrement=False)
        # A constraint keeps its name when its table is renamed, so each job needs a name of its own.
        unique = sa.PrimaryKeyConstraint(ROW, name=f"{self._name}_{job.id[:12]}")
        filled = sa.Table(f"{self._name}_tenure_rows", sa.MetaData(schema=self._schema), row, *columns, unique)
        self._filled = filled
        with self._translated(), self._engine.begin() as connection:
            if self._has(connection, self._progress.name):
                known = connection.execute(sa.select(self._progress).where(self._progress.c.job == job.id)).all()
                if known and self._has(connection, filled.name):
                    return frozenset(each.part for each in known) - {_MADE}
            for table in (filled, self._progress):
                table.drop(connection, checkfirst=True)
                table.create(connection)
            connection.execute(sa.insert(self._progress), {"job": job.id, "part": _MADE})
        return frozenset()

    def take(self, job: Job, part: int, first_row: int) -> None:
        """Insert the rows of a part and note that, in one transaction; then the part's file goes."""
        if self._filled is None:
            raise TypeError("take comes after begin")
        path = job.part(part)
        rows = pl.read_parquet(path, glob=False, hive_partitioning=False).with_row_index(ROW, first_row + 1).to_dicts()
        with self._translated(), self._engine.begin() as connection:
            connection.execute(sa.insert(self._progress), {"job": job.id, "part": part})
            connection.execute(sa.insert(self._filled), rows)
        path.unlink()

    def finish(self, job: Job, parts: int, rows: int) -> None:
        """Put the filled table in the place of an earlier one, in one transaction.

        Where that has the same columns only its rows are replaced, so that rights and views on it stay.
        """
        if self._filled is None:
            raise TypeError("finish comes after begin")
        quote = self._engine.dialect.identifier_preparer
        with self._translated(), self._engine.begin() as connection:
            found = connection.execute(sa.select(sa.func.count()).select_from(self._filled)).scalar_one()
            if found != rows:
                raise JobChangedError(
                    f"{found:,} rows stand in {self._filled.name}, and {rows:,} were written: somebody changed it.",
                    where=self.place,
                    hint="Start again with --fresh.",
                )
            before = self._refuse_a_strangers_table(connection)
            names = [column.name for column in self._filled.columns]
            old = sa.Table(self._name, sa.MetaData(schema=self._schema), *map(sa.Column, names))
            if before == set(names):
                connection.execute(sa.delete(old))
                connection.execute(sa.insert(old).from_select(names, sa.select(self._filled)))
                self._filled.drop(connection)
            else:
                old.drop(connection, checkfirst=True)
                filled = quote.format_table(self._filled)
                connection.exec_driver_sql(f"ALTER TABLE {filled} RENAME TO {quote.quote(self._name)}")
            self._progress.drop(connection)

    def _refuse_a_strangers_table(self, connection: sa.Connection) -> set[str]:
        """Return the columns of the table that an earlier job wrote, none where there is none."""
        if not self._has(connection, self._name):
            return set()
        columns = {column["name"] for column in sa.inspect(connection).get_columns(self._name, schema=self._schema)}
        if not {ROW, "prediction", "version"} <= columns:
            raise ConfigError(
                f"The database holds a table {self._name!r} that is no earlier output of tenure predict.",
                where="--table",
                hint="Give another name; an earlier output is replaced, other tables never.",
            )
        return columns

    def _has(self, connection: sa.Connection, name: str) -> bool:
        return sa.inspect(connection).has_table(name, schema=self._schema)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _as_our_error(error, self._url) from None  # the driver's own text may hold what stood in the URL


def _address(url: str) -> sa.URL:
    whole = with_secrets(url, where=_WHERE) if url.startswith("${") else url
    try:
        address = sa.make_url(re.sub(r"^postgres(?=://|\+)", "postgresql", whole))
    except ArgumentError:
        address = None
    if address is None or not address.database:
        raise ConfigError(
            "The output looks like a database URL and is none.",
            where=_WHERE,
            hint="Write it like postgresql://user:${PASSWORD}@host/database or sqlite:///file.db.",
        )
    address = address.set(
        username=_filled_in(address.username),
        password=_filled_in(str(address.password) if address.password else None),
        host=_filled_in(address.host),
        database=_filled_in(address.database),
    )
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
        if "connect_timeout" not in address.query:
            address = address.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    return address


def _filled_in(part: str | None) -> str | None:
    return with_secrets(part, where=_WHERE) if part else part


def _engine(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except NoSuchModuleError:
        engine = None
    except ModuleNotFoundError as error:
        if url.get_backend_name() == "postgresql":
            raise ExtraMissingError.from_extra("postgres", needed_for="Writing to PostgreSQL") from error
        raise ConfigError(
            f"The driver {error.name!r} for {url.get_backend_name()} is not installed.",
            where=_WHERE,
            hint=f"Run: pip install {error.name}",
        ) from error
    if engine is None:
        raise ConfigError(
            f"There is no driver for databases of the kind {url.drivername!r}.",
            where=_WHERE,
            hint="Known without further packages: sqlite, postgresql.",
        )
    if url.get_backend_name() == "sqlite":
        _begin_ourselves(engine)
    return engine


def _begin_ourselves(engine: sa.Engine) -> None:
    """Let SQLite make tables inside of transactions: Python's driver would commit before each of them."""

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _sql_type(dtype: pl.DataType) -> sa.types.TypeEngine[Any]:
    if dtype.is_integer():
        return sa.BigInteger()
    if dtype.is_float():
        return sa.Double()
    if dtype == pl.Boolean:
        return sa.Boolean()
    if dtype == pl.Date:
        return sa.Date()
    if dtype == pl.Datetime:
        return sa.DateTime()
    return sa.Text()


def _as_our_error(error: SQLAlchemyError, url: sa.URL) -> TenureError:
    """Return what the driver's error means; its text is shortened to one line and never holds the password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = " ".join(str(cause).split())[:300]
    for secret in (url.password, *(value for key, value in url.query.items() if "pass" in key.lower())):
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    where = redacted(url.set(query={}).render_as_string(hide_password=True))
    lost = isinstance(error, DBAPIError) and (error.statement is None or error.connection_invalidated)
    if lost or "database is locked" in text:
        return SourceUnreachableError(
            f"The database does not answer: {text}.",
            where=where,
            hint="Look at address, user and password, then run the same command: it goes on where it stood.",
        )
    return ConfigError(f"The table cannot be written: {text}.", where=where, hint="Look at the rights of that user.")
