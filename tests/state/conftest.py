"""The state database on SQLite and on a real PostgreSQL, with a schema of its own for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tenure.state.database import Database, open_database

_SCHEMAS = itertools.count(1)


@pytest.fixture
def schema_url(postgres_url: str) -> Iterator[str]:
    """Give the URL of a fresh schema."""
    name = f"t{os.getpid()}_{next(_SCHEMAS)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield f"{postgres_url}&options=-csearch_path%3D{name}"
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest) -> str | None:
    """Give what stands under state.url: nothing for SQLite, or a PostgreSQL URL."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("schema_url"))


@pytest.fixture
def open_state(state_url: str | None, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Return a function that opens the same state database again and again."""
    opened: list[Database] = []

    def opening() -> Database:
        opened.append(open_database(state_url, tmp_path / ".tenure"))
        return opened[-1]

    yield opening
    for database in opened:
        database.close()


@pytest.fixture
def database(open_state: Callable[[], Database]) -> Database:
    return open_state()


@pytest.fixture
def open_postgres(schema_url: str, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Return a function that opens the state database on PostgreSQL again and again."""
    opened: list[Database] = []

    def opening() -> Database:
        opened.append(open_database(schema_url, tmp_path / ".tenure"))
        return opened[-1]

    yield opening
    for database in opened:
        database.close()
