from __future__ import annotations

import resource
import socket
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, UniqueConstraint, inspect, text
from sqlalchemy.schema import SchemaItem

from tenure.core.errors import (
    ConfigError,
    CredentialError,
    FolderReadOnlyError,
    StateUnreachableError,
    StateUnusableError,
    TenureError,
)
from tenure.state import migrations
from tenure.state.database import Database, open_database
from tenure.state.migrations import HEAD, VERSION_TABLE
from tenure.state.tables import METADATA

SECRET = "s3cret-Pa55"


def concerns_both(thing: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
    """Leave out what PostgreSQL has otherwise: a table for each month of predictions, each with its own unique id."""
    if kind == "unique_constraint" and isinstance(thing, UniqueConstraint):
        return thing.table.name != "predictions"
    return not (kind == "table" and str(name).startswith("predictions_"))


def test_migrated_tables_are_the_tables_the_code_knows(database: Database) -> None:
    with database.begin() as connection:
        own = {} if connection.dialect.name == "sqlite" else {"include_object": concerns_both}
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, **own})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == HEAD


def test_named_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_again_finds_what_was_written(open_state: Callable[[], Database]) -> None:
    with open_state().begin() as connection:
        connection.execute(text("CREATE TABLE mark (word TEXT)"))
        connection.execute(text("INSERT INTO mark VALUES ('kept')"))
    with open_state().read() as connection:
        assert connection.execute(text("SELECT word FROM mark")).scalar() == "kept"
        assert "alembic_version" not in inspect(connection).get_table_names()


def make_then_fail(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE mark (word TEXT)"))
    raise TenureError("Stopped halfway.", hint="")


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(TenureError, match="halfway"), database.begin() as connection:
        make_then_fail(connection)
    with database.read() as connection:
        assert not inspect(connection).has_table("mark")


def test_reader_sees_one_state_while_a_writer_commits(open_state: Callable[[], Database]) -> None:
    writer, reader = open_state(), open_state()
    count = text("SELECT count(*) FROM leases")
    with reader.read() as connection:
        before = connection.execute(count).scalar()
        with writer.begin() as other:
            other.execute(text("INSERT INTO leases VALUES ('a', 'o', 'h', 1, '', 0, 0)"))
        assert connection.execute(count).scalar() == before
    with reader.read() as connection:
        assert connection.execute(count).scalar() == 1


OPENER = """
import sys
from pathlib import Path
from tenure.state.database import open_database
open_database(sys.argv[1] or None, Path(sys.argv[2])).close()
"""


def test_processes_that_open_a_new_state_at_once_all_succeed(state_url: str | None, tmp_path: Path) -> None:
    openers = [
        subprocess.Popen([sys.executable, "-c", OPENER, state_url or "", str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [opener.communicate()[1].decode() for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 3, said
    open_database(state_url, tmp_path).close()


def test_state_of_a_newer_version_is_refused(open_state: Callable[[], Database]) -> None:
    with open_state().begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StateUnusableError, match="newer version"):
        open_state()


# ---- SQLite ----


def test_sqlite_keeps_a_write_ahead_log_and_syncs_fully(tmp_path: Path) -> None:
    database = open_database(None, tmp_path)
    with database.read() as connection:
        ask = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert ask == ["wal", 2]
    database.close()


@pytest.mark.parametrize("folder", ["/proc/tenure", "/dev/full/tenure"])
def test_folder_that_cannot_be_written_says_so(folder: str) -> None:
    with pytest.raises(FolderReadOnlyError):
        open_database(None, Path(folder))


def test_state_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(FolderReadOnlyError):
        open_database(None, tmp_path)


def test_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateUnusableError, match="damaged"):
        open_database(None, tmp_path)


def test_writer_that_never_lets_go_makes_the_state_unreachable(tmp_path: Path) -> None:
    database = open_database(None, tmp_path)
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with database.read() as connection:  # readers do not wait
        connection.exec_driver_sql("SELECT 1")
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with pytest.raises(StateUnreachableError) as caught, database.begin():
        pass
    assert caught.value.exit_code == 75
    holder.close()
    database.close()


FILLER = """
import resource, sys
from pathlib import Path
from sqlalchemy import text
from tenure.core.errors import DiskFullError
from tenure.state.database import open_database
database = open_database(None, Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
insert = text("INSERT INTO leases VALUES (:name, :blob, 'h', 1, '', 0, 0)")
try:
    for number in range(1000):
        with database.begin() as connection:
            connection.execute(insert, {"name": str(number), "blob": "x" * 10_000})
except DiskFullError as error:
    print(error.code, number)
"""


def test_full_disk_is_an_error_and_what_was_committed_stays(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", FILLER, str(tmp_path)], capture_output=True, text=True, check=True)
    code, written = said.stdout.split()
    assert code == "disk-full"
    database = open_database(None, tmp_path)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar() == int(written) > 0
    database.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# ---- PostgreSQL ----


def everything_said(error: BaseException) -> str:
    said = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        said += f"{link!r} {link} {vars(link)}"
        link = link.__cause__ or link.__context__
    return said


def reload_until_asked_for_a_password(server: psycopg.Connection, url: str) -> None:
    """Knock until the server has taken in its new rules, which it does in its own time."""
    for _ in range(500):
        server.execute("SELECT pg_reload_conf()")
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return
    said = server.execute("SELECT line_number, user_name, auth_method, error FROM pg_hba_file_rules").fetchall()
    pytest.fail(f"the server never took in its new rules: {said}")


@pytest.fixture
def guarded_url(postgres_url: str) -> Iterator[str]:
    """Give a URL for which the server asks the user `guarded` for the password SECRET; PASSWORD stands for it."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        (place,) = server.execute("SHOW hba_file").fetchone() or ("",)
        rules = Path(place)
        before = rules.read_text()
        server.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
        server.execute("CREATE SCHEMA guarded AUTHORIZATION guarded")
        try:
            rules.write_text("local all guarded scram-sha-256\n" + before)
            reload_until_asked_for_a_password(server, postgres_url.replace("://postgres:@", "://guarded:@"))
            yield postgres_url.replace("://postgres:@", "://guarded:PASSWORD@")
        finally:
            rules.write_text(before)
            server.execute("SELECT pg_reload_conf()")
            server.execute("DROP SCHEMA guarded CASCADE")
            server.execute("DROP ROLE guarded")


def test_right_password_opens_and_never_shows(guarded_url: str, tmp_path: Path) -> None:
    database = open_database(guarded_url.replace("PASSWORD", SECRET), tmp_path)
    with database.read() as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == "guarded"
    assert SECRET not in f"{database.engine!r} {database.engine.url} {database.place}"
    database.close()


def test_wrong_password_is_refused_and_never_shows(guarded_url: str, tmp_path: Path) -> None:
    wrong = f"{SECRET}-not"
    with pytest.raises(CredentialError) as caught:
        open_database(guarded_url.replace("PASSWORD", wrong), tmp_path)
    assert caught.value.exit_code == 2
    assert "guarded" in caught.value.message
    assert SECRET not in everything_said(caught.value)


def test_unknown_user_is_refused(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(CredentialError):
        open_database(postgres_url.replace("://postgres:@", f"://nobody-of-that-name:{SECRET}@"), tmp_path)


def test_unknown_database_is_named(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no database 'elsewhere'"):
        open_database(postgres_url.replace("@/postgres", "@/elsewhere"), tmp_path)


def test_port_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StateUnreachableError) as caught:
        open_database(f"postgresql://user:{SECRET}@127.0.0.1:{port}/db", tmp_path)
    assert caught.value.exit_code == 75
    assert SECRET not in everything_said(caught.value)


def test_server_that_never_answers_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(StateUnreachableError):
            open_database(f"postgresql://user:{SECRET}@127.0.0.1:{port}/db?connect_timeout=2", tmp_path)


def end_and_use(connection: Connection, schema_url: str) -> None:
    mine = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    with psycopg.connect(schema_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (mine,))
    connection.execute(text("SELECT 1"))


def test_server_that_goes_away_in_a_transaction_is_unreachable(schema_url: str, tmp_path: Path) -> None:
    database = open_database(schema_url, tmp_path)
    with pytest.raises(StateUnreachableError), database.begin() as connection:
        end_and_use(connection, schema_url)
    with database.read() as connection:  # the next call goes through
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@host/db",
        f"user:{SECRET}",
        f"postgresql://user:{SECRET}@host:port/db",
        f"postgresql://user:{SECRET[:3]}@{SECRET[3:]}@host/db",
    ],
)
def test_address_that_is_not_postgresql_is_refused_without_showing_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(TenureError) as caught:
        open_database(url, tmp_path)
    assert isinstance(caught.value, ConfigError | StateUnreachableError)
    assert SECRET not in everything_said(caught.value)
    assert SECRET[3:] not in caught.value.message
