"""Rows of the log beside the source's: none twice, none that lacks what is read now, and the source's own types."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.data import Role, Schema
from tenure.core.ports import Context, Silent
from tenure.core.project import parse_project
from tenure.ingest.cells import typed
from tenure.ingest.logged import Logged, with_logged
from tenure.ingest.roles import Declared, infer_schema
from tenure.ingest.stage import ingest
from tenure.state.exclusions import Period
from tenure.state.log_frames import MOMENT

Make = Callable[..., Context]
START = datetime(2026, 1, 1, tzinfo=UTC)


def wish(more: str = "") -> str:
    return f'[project]\nname = "t"\ntask = "binary"\n[data]\nsource = "rows.parquet"\ntarget = "left"\n{more}'


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def rows_of(*rows: tuple[str | None, int, str, dict[str, object]]) -> pl.DataFrame:
    """Make rows of the log from key, day, outcome and what was sent."""
    return pl.DataFrame(
        {
            "id": [f"p{at}" for at in range(len(rows))],
            "event_at": [day(number) for _, number, _, _ in rows],
            "key": [key for key, *_ in rows],
            "outcome": [outcome for *_, outcome, _ in rows],
            "features": [json.dumps(sent) for *_, sent in rows],
        },
        schema={"id": pl.String, "event_at": MOMENT, "key": pl.String, "outcome": pl.String, "features": pl.String},
    )


def source(rows: int = 30) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer": [f"c{at}" for at in range(rows)],
            "day": [day(at).replace(tzinfo=None) for at in range(rows)],
            "spend": [float(at % 7) for at in range(rows)],
            "visits": [at % 5 for at in range(rows)],
            "is_new": [at % 2 == 0 for at in range(rows)],
            "region": ["north" if at % 3 else "south" for at in range(rows)],
            "left": ["yes" if at % 4 == 0 else "no" for at in range(rows)],
        }
    ).with_columns(pl.col("day").cast(pl.Datetime("us")))


def sent(**more: object) -> dict[str, object]:
    return {"spend": 2.5, "visits": 3, "is_new": True, "region": "west", "day": day(40).isoformat()} | more


@pytest.fixture
def take(make_context: Make, tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Return a function that ingests the source with rows of the log, and gives the table."""

    def ingested(
        log: pl.DataFrame, more: str, *, excluded: tuple[Period, ...] = (), frame: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        (source() if frame is None else frame).write_parquet(tmp_path / "rows.parquet")
        ctx = make_context(wish(more))
        snapshot = ingest(ctx, Logged(lambda: log, excluded))
        table = ctx.artifacts.get_table(snapshot.table)
        assert snapshot.rows == table.height
        for column in snapshot.schema.columns:
            assert column.nulls == table[column.name].null_count()
            assert column.dtype == str(table[column.name].dtype)
        return table

    return ingested


KEYED = 'key = "customer"\ntime = "day"\n'
UNKEYED = 'time = "day"\n[data.columns.customer]\nuse = false\n'


def test_a_row_of_the_log_becomes_a_row_of_the_source(take: Callable[..., pl.DataFrame]) -> None:
    table = take(rows_of(("c90", 40, "yes", sent())), KEYED)
    assert table.head(30).equals(source())
    assert table.row(30, named=True) == {
        "customer": "c90",
        "day": day(40).replace(tzinfo=None),
        "spend": 2.5,
        "visits": 3,
        "is_new": True,
        "region": "west",
        "left": "yes",
    }


def test_without_rows_of_the_log_the_snapshot_is_that_of_the_source_alone(make_context: Make, tmp_path: Path) -> None:
    source().write_parquet(tmp_path / "rows.parquet")
    ctx = make_context(wish(KEYED))
    assert ingest(ctx, Logged(rows_of)).digest == ingest(ctx).digest


def test_of_a_key_that_both_hold_the_source_has_the_word(take: Callable[..., pl.DataFrame]) -> None:
    table = take(rows_of(("c3", 40, "yes", sent()), ("c91", 41, "no", sent())), KEYED)
    assert table["customer"].to_list() == [f"c{at}" for at in range(30)] + ["c91"]
    assert table["spend"][3] == 3.0


def test_a_source_row_that_waits_for_its_target_gives_way_to_the_log(take: Callable[..., pl.DataFrame]) -> None:
    frame = source().with_columns(left=pl.when(pl.col("customer") == "c3").then(None).otherwise("left"))
    table = take(rows_of(("c3", 3, "yes", sent())), KEYED, frame=frame)
    assert table.filter(pl.col("customer") == "c3")["left"].to_list() == [None, "yes"]


def test_a_key_that_comes_again_counts_once_with_its_latest_row(take: Callable[..., pl.DataFrame]) -> None:
    table = take(rows_of(("c90", 40, "yes", sent(spend=1.0)), ("c90", 45, "no", sent(spend=9.0))), KEYED)
    assert table.height == 31
    assert (table["spend"][30], table["left"][30]) == (9.0, "no")


def test_a_row_without_a_key_keeps_its_prediction_id_so_that_keys_stay_unique(
    take: Callable[..., pl.DataFrame],
) -> None:
    table = take(rows_of((None, 40, "yes", sent()), (None, 41, "yes", sent())), KEYED)
    assert table["customer"][30:].to_list() == ["p0", "p1"]


@given(st.lists(st.integers(0, 29), unique=True, max_size=12), st.integers(0, 5))
def test_without_keys_what_the_source_holds_is_known_by_features_and_time(known: list[int], new: int) -> None:
    frame = source()
    names = ["spend", "visits", "is_new", "region"]
    again = [
        (None, at, "no", {name: frame[name][at] for name in names} | {"day": frame["day"][at].isoformat()})
        for at in known
    ]
    later = [(None, 100 + at, "yes", sent(day=day(100 + at).isoformat())) for at in range(new)]
    schema = _schema(frame)
    table = with_logged(frame, schema, rows_of(*again, *later), Silent())
    assert table.height == frame.height + new
    assert table.head(frame.height).equals(frame)


def test_patterns_that_come_again_and_again_are_not_taken_for_the_same_row(take: Callable[..., pl.DataFrame]) -> None:
    frame = source(60).select("is_new", "region", "left")
    table = take(rows_of((None, 40, "yes", {"is_new": True, "region": "north"})), "", frame=frame)
    assert table.height == 61


def test_a_row_that_was_answered_before_a_column_was_read_is_left_out(take: Callable[..., pl.DataFrame]) -> None:
    narrow = sent()
    del narrow["region"]
    empty = sent(region=None)
    table = take(rows_of(("c90", 40, "yes", narrow), ("c91", 40, "yes", empty)), KEYED)
    assert table["customer"][30:].to_list() == ["c91"]
    assert table["region"][30] is None


def test_a_column_that_is_the_same_in_every_row_of_the_source_stays_ignored(make_context: Make, tmp_path: Path) -> None:
    source().with_columns(country=pl.lit("DE")).write_parquet(tmp_path / "rows.parquet")
    ctx = make_context(wish(KEYED))
    snapshot = ingest(ctx, Logged(lambda: rows_of(("c90", 40, "yes", sent()))))
    assert snapshot.rows == 31
    assert snapshot.schema["country"].role is Role.IGNORED


def test_the_time_of_the_event_stands_where_none_was_sent_and_a_weight_is_the_mean_one(
    take: Callable[..., pl.DataFrame],
) -> None:
    frame = source().with_columns(worth=pl.lit(2.0))
    row = sent(day=None)
    table = take(rows_of(("c90", 55, "yes", row)), KEYED + 'weight = "worth"\n', frame=frame)
    assert table["day"][30] == day(55).replace(tzinfo=None)
    assert table["worth"][30] == 2.0


def test_an_outcome_that_the_target_cannot_hold_is_left_out(take: Callable[..., pl.DataFrame]) -> None:
    frame = source().with_columns(left=(pl.col("left") == "yes").cast(pl.Int64))
    table = take(rows_of(("c90", 40, "1", sent()), ("c91", 41, "perhaps", sent())), KEYED, frame=frame)
    assert table["left"][30:].to_list() == [1]


def test_rows_of_the_source_in_excluded_times_are_left_out(take: Callable[..., pl.DataFrame]) -> None:
    excluded = (Period(day(3), day(5)), Period(day(29), day(60)))
    table = take(rows_of(), KEYED, excluded=excluded)
    assert table["customer"].to_list() == [f"c{at}" for at in range(29) if at not in (3, 4)]


def test_without_a_column_of_times_nothing_of_the_source_is_excluded(take: Callable[..., pl.DataFrame]) -> None:
    frame = source().drop("day")
    assert take(rows_of(), 'key = "customer"\n', excluded=(Period(day(0), day(90)),), frame=frame).height == 30


def _schema(frame: pl.DataFrame) -> Schema:
    project = parse_project(wish(UNKEYED))
    return infer_schema(frame, Declared.of(project.data), project.project.task, typed(frame))
