"""The stage: one snapshot for one table, with what the owner said before what is guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tenure.core.data import Kind, Role
from tenure.core.errors import ConfigError, TargetError, TargetMissingError, UnreadableDataError
from tenure.core.ports import Context, Silent
from tenure.ingest.stage import ingest, source_fingerprint
from tenure.ingest.table import read_rows, read_table

Make = Callable[..., Context]


def wish(source: str = "churn.csv", *, task: str = "binary", target: str = "left", more: str = "") -> str:
    return f'[project]\nname = "t"\ntask = "{task}"\n[data]\nsource = "{source}"\ntarget = "{target}"\n{more}'


@pytest.fixture
def churn_csv(tmp_path: Path, churn_frame: pl.DataFrame) -> pl.DataFrame:
    churn_frame.write_csv(tmp_path / "churn.csv")
    return churn_frame


def test_snapshot_holds_the_rows_and_what_the_columns_are(make_context: Make, churn_csv: pl.DataFrame) -> None:
    ctx = make_context(wish(more='key = "customer"\n'))
    snapshot = ingest(ctx)
    assert snapshot.rows == churn_csv.height
    assert snapshot.classes == ("no", "yes")
    assert snapshot.source == "churn.csv"
    schema = snapshot.schema
    assert (schema.target, schema.key, schema.time, schema.group) == ("left", "customer", None, None)
    assert {column.name: column.kind for column in schema.features} == {
        "strong": Kind.NUMERIC,
        "plan": Kind.CATEGORICAL,
        "noise": Kind.NUMERIC,
    }
    assert schema["noise"].nulls == churn_csv["noise"].null_count()
    assert ctx.artifacts.get_table(snapshot.table).equals(churn_csv)


def test_same_rows_give_the_same_snapshot_whatever_the_file(
    make_context: Make, churn_csv: pl.DataFrame, tmp_path: Path
) -> None:
    one = ingest(make_context(wish()))
    assert ingest(make_context(wish())).digest == one.digest
    churn_csv.write_parquet(tmp_path / "churn.parquet")
    other = ingest(make_context(wish("churn.parquet")))
    assert (other.table, other.schema) == (one.table, one.schema)


def test_what_the_owner_says_about_columns_holds(make_context: Make, churn_csv: pl.DataFrame) -> None:
    more = """
    positive = "NO"
    [data.columns.customer]
    kind = "categorical"
    [data.columns.plan]
    use = false
    [data.columns.noise]
    available = "after"
    [data.columns.strong]
    kind = "categorical"
    """
    snapshot = ingest(make_context(wish(more=more)))
    roles = {column.name: column.role for column in snapshot.schema.columns}
    assert roles["customer"] is Role.FEATURE
    assert roles["plan"] is roles["noise"] is Role.IGNORED
    assert snapshot.schema["strong"].kind is Kind.CATEGORICAL
    assert snapshot.classes == ("yes", "no")


def test_rows_without_target_and_infinities_stay(make_context: Make, tmp_path: Path) -> None:
    pl.DataFrame({"y": [0.0, 1.0, None, 1.0], "x": [1.5, float("inf"), 2.5, None]}).write_parquet(
        tmp_path / "t.parquet"
    )
    ctx = make_context(wish("t.parquet", target="y"))
    snapshot = ingest(ctx)
    table = ctx.artifacts.get_table(snapshot.table)
    assert table["y"].to_list() == [0, 1, None, 1]
    assert table["x"].to_list() == [1.5, float("inf"), 2.5, None]
    assert snapshot.classes == ("0", "1")


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ('time = "when"', "data.time"),
        ('group = "who"', "data.group"),
        ('key = "id"', "data.key"),
        ("[data.columns.who]\nuse = false", "data.columns.who"),
    ],
)
def test_named_columns_must_exist(make_context: Make, churn_csv: pl.DataFrame, more: str, where: str) -> None:
    with pytest.raises(TargetMissingError) as caught:
        ingest(make_context(wish(more=more + "\n")))
    assert caught.value.where == where


def test_missing_target_suggests_the_nearest_column(make_context: Make, churn_csv: pl.DataFrame) -> None:
    with pytest.raises(TargetMissingError) as caught:
        ingest(make_context(wish(target="lef")))
    assert caught.value.hint == "Did you mean 'left'?"


def test_target_that_is_not_the_tasks_is_refused(make_context: Make, churn_csv: pl.DataFrame) -> None:
    with pytest.raises(TargetError, match="not numeric"):
        ingest(make_context(wish(task="regression")))
    with pytest.raises(TargetError, match="binary task has two"):
        ingest(make_context(wish(target="plan")))
    with pytest.raises(ConfigError, match="no such value"):
        ingest(make_context(wish(more='positive = "maybe"\n')))


def test_declared_time_that_is_no_date_is_refused(make_context: Make, churn_csv: pl.DataFrame) -> None:
    with pytest.raises(UnreadableDataError, match="'plan' holds nothing that reads as datetime"):
        ingest(make_context(wish(more='time = "plan"\n')))


@pytest.mark.parametrize(("column", "kind"), [("strong", "datetime"), ("plan", "boolean"), ("plan", "numeric")])
def test_kind_that_no_cell_has_is_refused(make_context: Make, churn_csv: pl.DataFrame, column: str, kind: str) -> None:
    with pytest.raises(UnreadableDataError, match=f"reads as {kind}"):
        ingest(make_context(wish(more=f'[data.columns.{column}]\nkind = "{kind}"\n')))


def test_dates_keep_their_format_so_that_later_rows_read_alike(make_context: Make, tmp_path: Path) -> None:
    days = [date(2026, 1, 1) + timedelta(days=i) for i in range(60)]
    lines = [f"{day:%d/%m/%Y},{i % 2},{i * 0.5}" for i, day in enumerate(days)]
    (tmp_path / "rows.csv").write_text("\n".join(["day,y,x", *lines]) + "\n")
    schema = ingest(make_context(wish("rows.csv", target="y"))).schema
    assert schema.time == "day"
    assert schema["day"].format == "%d/%m/%Y"
    (tmp_path / "new.csv").write_text("day,x\n02/01/2026,007\n")
    rows = read_rows("new.csv", None, tmp_path, Silent(), schema=schema)
    assert rows.rows() == [(date(2026, 1, 2), None)]


def test_fingerprint_is_that_of_the_file(make_context: Make, churn_csv: pl.DataFrame, tmp_path: Path) -> None:
    before = source_fingerprint(make_context(wish()))
    assert before == source_fingerprint(make_context(wish()))
    churn_csv.head(500).write_csv(tmp_path / "churn.csv")
    assert source_fingerprint(make_context(wish())) != before
    assert source_fingerprint(make_context(wish("sqlite:///none.db"))) is None


def test_secrets_stay_out_of_the_snapshot(make_context: Make, tmp_path: Path, churn_frame: pl.DataFrame) -> None:
    connection = sqlite3.connect(tmp_path / "churn.db")
    connection.execute("create table t (x real, y text)")
    connection.executemany("insert into t values (?, ?)", [(i / 2, "ab"[i % 2]) for i in range(40)])
    connection.commit()
    connection.close()
    snapshot = ingest(make_context(wish("sqlite:///churn.db", target="y", more='query = "select * from t"\n')))
    assert snapshot.source == "sqlite:///churn.db: select * from t"
    assert snapshot.rows == 40


@pytest.mark.parametrize("name", ["walmart_weekly_sales", "bank_marketing", "ames_housing"])
def test_real_table_is_the_same_through_csv(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    table = pl.read_parquet(real_data(name)).head(20_000)
    table.write_csv(tmp_path / "rows.csv")
    read = read_table("rows.csv", None, tmp_path, Silent()).frame
    changed = [
        column for column in table.columns if not read[column].cast(pl.String).equals(table[column].cast(pl.String))
    ]
    assert changed == []


def test_a_policy_for_bad_fields_leaves_roles_to_be_guessed(make_context: Make, churn_csv: pl.DataFrame) -> None:
    plain = ingest(make_context(wish()))
    with_policy = ingest(make_context(wish(more='[data.columns.customer]\nbad = "strict"\n')))
    assert plain.schema["customer"].role is Role.IGNORED  # an identifier, as long as nobody describes it
    assert with_policy == plain
