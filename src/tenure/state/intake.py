"""How the traffic log takes rows in: thousands at once, each id once, with the outcomes that waited for them.

All of it happens in a write transaction that holds the lock `LOCK`, so that what was looked up stays true.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql

from tenure.state.tables import PREDICTIONS, SHADOW_PREDICTIONS
from tenure.state.times import Month

LOCK: Final = "traffic"
Row = Mapping[str, Any]


def keep_predictions(connection: Connection, rows: Sequence[Row]) -> int:
    """Keep predictions, and join the outcomes that waited for them; return how many ids were new.

    `rows` hold the columns of the table `predictions` but `seq`. What is known already stays as it is.
    """
    if connection.dialect.name == "postgresql":
        known = _known_ids(connection, [row["id"] for row in rows])
        fresh: dict[str, Row] = {}
        for row in rows:
            if row["id"] not in known:
                fresh.setdefault(row["id"], row)
        rows = list(fresh.values())
        _make_months(connection, {Month.of(at_us) for at_us in {row["at_us"] for row in rows}})
    count = _insert(connection, PREDICTIONS, ("id",), rows) if rows else 0
    if count:
        _join_waiting(connection, rows)
    return count


def keep_shadows(connection: Connection, rows: Sequence[Row]) -> int:
    """Keep what other versions would have said; return how many answers were new."""
    return _insert(connection, SHADOW_PREDICTIONS, ("prediction_id", "version"), rows) if rows else 0


def partition_of(month: Month) -> str:
    """Return the name of the table that holds a month's predictions on PostgreSQL."""
    return f"predictions_{str(month).replace('-', '_')}"


# ---- many rows in one statement ----


def _insert(connection: Connection, table: Table, unique: tuple[str, ...], rows: Sequence[Row]) -> int:
    names = tuple(column.name for column in table.columns if column.name != "seq")
    cells = map(itemgetter(*names), rows)
    # Past SQLAlchemy's work on every row, which takes longer than all that the database does.
    if connection.dialect.name == "postgresql":
        columns = {name: list(column) for name, column in zip(names, zip(*cells, strict=True), strict=True)}
        return connection.exec_driver_sql(_postgresql_insert(table), columns).rowcount
    return connection.exec_driver_sql(_sqlite_insert(table, names, unique), list(cells)).rowcount


@functools.cache
def _sqlite_insert(table: Table, names: tuple[str, ...], unique: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT ({', '.join(unique)}) DO NOTHING"


@functools.cache
def _postgresql_insert(table: Table) -> str:
    """One array a column: one statement, however many rows."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = {column.name: column.type.compile(dialect) for column in table.columns if column.name != "seq"}
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in kinds.items())
    return f"INSERT INTO {table} ({', '.join(kinds)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"


# ---- PostgreSQL: months ----


def _known_ids(connection: Connection, ids: list[str]) -> set[str]:
    found = connection.exec_driver_sql("SELECT id FROM predictions WHERE id = ANY(%(ids)s::text[])", {"ids": ids})
    return set(found.scalars())


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
