"""How the traffic log takes rows in: thousands at once, each id once, with the outcomes that waited for them.

All of it happens in a write transaction that holds the lock `LOCK`, so that what was looked up stays true.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from tenure.state.tables import PREDICTIONS, SHADOW_PREDICTIONS
from tenure.state.times import Month

LOCK: Final = "traffic"
Row = Mapping[str, Any]


def keep_predictions(connection: Connection, rows: Sequence[Row]) -> int:
    """Keep predictions, and join the outcomes that waited for them; return how many ids were new.

    `rows` hold the columns of the table `predictions` but `seq`. What is known already stays as it is.
    """
    if connection.dialect.name == "postgresql":
        rows = _unknown(connection, PREDICTIONS, ("id",), rows)
        _make_months(connection, {Month.of(at_us) for at_us in {row["at_us"] for row in rows}})
        count = _copy(connection, PREDICTIONS, rows)
    else:
        count = _insert(connection, PREDICTIONS, ("id",), rows)
    if count:
        _join_waiting(connection, rows)
    return count


def keep_shadows(connection: Connection, rows: Sequence[Row]) -> int:
    """Keep what other versions would have said; return how many answers were new."""
    one_each = ("prediction_id", "version")
    if connection.dialect.name == "postgresql":
        return _copy(connection, SHADOW_PREDICTIONS, _unknown(connection, SHADOW_PREDICTIONS, one_each, rows))
    return _insert(connection, SHADOW_PREDICTIONS, one_each, rows)


def partition_of(month: Month) -> str:
    """Return the name of the table that holds a month's predictions on PostgreSQL."""
    return f"predictions_{str(month).replace('-', '_')}"


def _columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name != "seq")


# ---- SQLite ----


def _insert(connection: Connection, table: Table, unique: tuple[str, ...], rows: Sequence[Row]) -> int:
    names = _columns(table)
    marks = ", ".join("?" * len(names))
    into = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
    cells = list(map(itemgetter(*names), rows))
    # Past SQLAlchemy's work on every row, which takes longer than all that the database does.
    return connection.exec_driver_sql(f"{into} ON CONFLICT ({', '.join(unique)}) DO NOTHING", cells).rowcount


# ---- PostgreSQL ----


def _unknown(connection: Connection, table: Table, unique: tuple[str, ...], rows: Sequence[Row]) -> list[Row]:
    """Return the rows that the table does not hold, the first of those that are the same."""
    mark = itemgetter(*unique)
    ids = [row[unique[0]] for row in rows]
    query = text(f"SELECT {', '.join(unique)} FROM {table} WHERE {unique[0]} = ANY(CAST(:ids AS text[]))")
    found = connection.execute(query, {"ids": ids})
    seen = {tuple(row) for row in found} if len(unique) > 1 else set(found.scalars())
    fresh: dict[Any, Row] = {}
    for row in rows:
        if mark(row) not in seen:
            fresh.setdefault(mark(row), row)
    return list(fresh.values())


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Send the rows as a stream of text, several times as fast as any statement with values."""
    names = _columns(table)
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as stream:
            for cells in map(itemgetter(*names), rows):
                stream.write_row(cells)
    except errors.Error as error:  # as SQLAlchemy raises what its own statements meet
        raise DBAPIError.instance(statement, None, error, errors.Error) from error
    return len(rows)


def _make_months(connection: Connection, months: Iterable[Month]) -> None:
    by_name = {partition_of(month): month for month in months}
    missing = text(
        "SELECT name FROM unnest(CAST(:names AS text[])) AS name "
        "WHERE to_regclass(quote_ident(current_schema()) || '.' || name) IS NULL"
    )
    for name in connection.execute(missing, {"names": list(by_name)}).scalars().all():
        month = by_name[name]
        # Made apart and then attached: readers of the other months need not wait.
        for statement in (
            f"CREATE TABLE {name} (LIKE predictions INCLUDING DEFAULTS)",
            f"CREATE UNIQUE INDEX {name}_id ON {name} (id)",
            f"ALTER TABLE predictions ATTACH PARTITION {name} FOR VALUES FROM ({month.start_us}) TO ({month.end_us})",
        ):
            connection.execute(text(statement))


# ---- outcomes that waited ----

# A `+` keeps SQLite from walking through all that waits, where the ids lead straight to the few.
_BY_ID: Final = {
    "sqlite": "UPDATE outcomes SET joined_id = prediction_id WHERE +joined_id IS NULL "
    "AND prediction_id IN (SELECT value FROM json_each(:ids))",
    "postgresql": "UPDATE outcomes SET joined_id = prediction_id WHERE joined_id IS NULL "
    "AND prediction_id = ANY(CAST(:ids AS text[]))",
}
_LATEST: Final = (
    "UPDATE outcomes SET joined_id = (SELECT p.id FROM predictions p WHERE p.key = outcomes.key "
    "AND p.event_us <= outcomes.known_us ORDER BY p.event_us DESC, p.seq DESC LIMIT 1) WHERE known_us >= :earliest "
)
_BY_KEY: Final = {
    "sqlite": f"{_LATEST} AND +prediction_id IS NULL AND key IN (SELECT value FROM json_each(:keys))",
    "postgresql": f"{_LATEST} AND prediction_id IS NULL AND key = ANY(CAST(:keys AS text[]))",
}
_ANY_WAIT: Final = text("SELECT EXISTS (SELECT 1 FROM outcomes WHERE joined_id IS NULL)")
_ANY_KEYED: Final = text("SELECT EXISTS (SELECT 1 FROM outcomes WHERE prediction_id IS NULL AND known_us >= :earliest)")


def _join_waiting(connection: Connection, rows: Sequence[Row]) -> None:
    """Join outcomes that came before their prediction; by key, an outcome may find a later, better one.

    Mostly nothing waits, and two looks at an index say so.
    """
    dialect = connection.dialect.name

    def listed(names: list[str]) -> str | list[str]:
        return names if dialect == "postgresql" else json.dumps(names)

    if connection.execute(_ANY_WAIT).scalar():
        connection.execute(text(_BY_ID[dialect]), {"ids": listed([row["id"] for row in rows])})
    keyed = [row for row in rows if row["key"] is not None]
    earliest = min((row["event_us"] for row in keyed), default=0)
    if keyed and connection.execute(_ANY_KEYED, {"earliest": earliest}).scalar():
        keys = listed([row["key"] for row in keyed])
        connection.execute(text(_BY_KEY[dialect]), {"keys": keys, "earliest": earliest})
