"""Databases: real SQLite and real PostgreSQL; wrong hosts, passwords, tables and queries; no secret ever told."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from tenure.core.errors import (
    ConfigError,
    CredentialError,
    DuplicateColumnError,
    EmptyDataError,
    SecretMissingError,
    SourceMissingError,
    SourceUnreachableError,
    TenureError,
    UnreadableDataError,
)
from tenure.core.ports import Silent
from tenure.ingest.cells import typed
from tenure.ingest.sources.sql import Sql

SECRET = "p@ss:w/rd%1"


def read(source: str, query: str | None, folder: Path) -> pl.DataFrame:
    return Sql().read(source, query, folder, Silent())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with a SQLite file: one table with dates as text and a column of mixed types."""
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table customers (id integer, seen text, mixed, spent real)")
    rows = [(i, f"2026-01-{i:02d} 10:00:00", "x" if i == 3 else i, i / 2) for i in range(1, 29)]
    connection.executemany("insert into customers values (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return tmp_path


def test_sqlite_is_read_relative_to_the_folder_and_its_text_dates_are_dates(shop: Path) -> None:
    table = typed(read("sqlite:///shop.db", "select * from customers order by id", shop)).frame
    assert table.schema == {"id": pl.Int64, "seen": pl.Datetime("us"), "mixed": pl.String, "spent": pl.Float64}
    assert table.height == 28
    assert read("sqlite:///shop.db", None, shop).height == 28


def test_many_batches_are_one_table(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "many.db")
    connection.execute(
        "create table t as with recursive n(i) as (select 1 union all select i+1 from n limit 120000) select i from n"
    )
    connection.commit()
    connection.close()
    assert (
        read("sqlite:///many.db", "select i, case when i > 60000 then 'x' end as late from t", tmp_path)[
            "late"
        ].null_count()
        == 60_000
    )


@pytest.mark.parametrize(
    ("source", "query", "error", "says"),
    [
        ("sqlite:///shp.db", "select 1", SourceMissingError, "shp.db"),
        ("sqlite://", "select 1", SourceMissingError, "names no file"),
        ("sqlite:///shop.db", "select * from custmers", SourceMissingError, "custmers"),
        ("sqlite:///shop.db", "select colour from customers", UnreadableDataError, "no such column"),
        ("sqlite:///shop.db", "selct", UnreadableDataError, "syntax"),
        ("sqlite:///shop.db", "delete from customers", UnreadableDataError, "readonly"),
        ("sqlite:///shop.db", "select * from customers where id > 99", EmptyDataError, "no rows"),
        ("sqlite:///shop.db", "select id, id from customers", DuplicateColumnError, "'id'"),
        ("nothing://h/d", "select 1", ConfigError, "nothing"),
        ("postgresql://u@127.0.0.1:1/d", "select 1", SourceUnreachableError, "does not answer"),
    ],
)
def test_every_wrong_source_says_what_is_wrong(
    shop: Path, source: str, query: str, error: type[TenureError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        read(source, query, shop)
    assert caught.value.hint


def test_near_names_are_suggested(shop: Path) -> None:
    with pytest.raises(SourceMissingError) as caught:
        read("sqlite:///shop.db", "select * from custmers", shop)
    assert caught.value.hint == "Did you mean 'customers'?"


def test_several_tables_need_a_query(shop: Path) -> None:
    connection = sqlite3.connect(shop / "shop.db")
    connection.execute("create table orders (id)")
    connection.close()
    with pytest.raises(ConfigError, match="customers, orders"):
        read("sqlite:///shop.db", None, shop)


def test_signs_of_other_languages_in_a_query_mean_nothing(shop: Path) -> None:
    query = "select id from customers where seen like '2026%' and mixed <> ':x' and id < 3"
    assert read("sqlite:///shop.db", query, shop)["id"].to_list() == [1, 2]


@pytest.fixture(scope="module")
def guarded(postgres_url: str) -> Iterator[str]:
    """Return the URL of a role that needs a password, on the real server."""
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        hba = Path(connection.exec_driver_sql("show hba_file").scalar_one())
        kept = hba.read_text()
        connection.exec_driver_sql("create table visits (id int, seen timestamptz, worth numeric, tags jsonb)")
        connection.exec_driver_sql(
            "insert into visits values (1, '2026-01-01 10:00+02', 1.5, '{\"a\": 1}'), (2, null, null, null)"
        )
        escaped = SECRET.replace("%", "%%")
        connection.execute(
            sa.text(f"create role guarded_reader login password '{escaped}'".replace("%%", "%").replace(":", "\\:"))
        )
        connection.exec_driver_sql("grant select on visits to guarded_reader")
        hba.write_text("local all guarded_reader scram-sha-256\nhost all guarded_reader all scram-sha-256\n" + kept)
        connection.exec_driver_sql("select pg_reload_conf()")
        yield postgres_url.replace("postgres:@", "guarded_reader:${TENURE_TEST_PW}@")
        hba.write_text(kept)
        connection.exec_driver_sql("select pg_reload_conf()")


def test_postgresql_is_read_with_a_secret_that_holds_any_sign(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_TEST_PW", SECRET)
    table = typed(read(guarded, "select * from visits order by id", tmp_path)).frame
    assert table.schema == {"id": pl.Int64, "seen": pl.Datetime("us"), "worth": pl.Float64, "tags": pl.String}
    assert table["seen"].dt.hour().to_list() == [8, None]


def test_wrong_password_is_named_and_never_shown(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_TEST_PW", "hunter2-wrong")
    with pytest.raises(CredentialError) as caught:
        read(guarded, "select 1", tmp_path)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value.as_dict())
    assert "hunter2" not in told
    assert caught.value.__context__ is None


def test_password_is_not_shown_when_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_TEST_PW", "hunter2")
    with pytest.raises(SourceUnreachableError) as caught:
        read("postgresql://u:${TENURE_TEST_PW}@127.0.0.1:1/d", "select 1", tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + str(caught.value.as_dict())


def test_missing_secret_database_and_table_on_postgresql(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENURE_TEST_PW", raising=False)
    with pytest.raises(SecretMissingError, match="TENURE_TEST_PW"):
        read(guarded, "select 1", tmp_path)
    monkeypatch.setenv("TENURE_TEST_PW", SECRET)
    with pytest.raises(SourceMissingError) as caught:
        read(guarded, "select * from visit", tmp_path)
    assert "visits" in caught.value.hint
    with pytest.raises(SourceMissingError, match="no database"):
        read(guarded.replace("/postgres?", "/nowhere?"), "select 1", tmp_path)


def test_nothing_can_be_written_through_a_query(postgres_url: str, guarded: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableDataError):
        read(postgres_url, "with gone as (delete from visits returning id) select * from gone", tmp_path)
    assert read(postgres_url, "select * from visits", tmp_path).height == 2
