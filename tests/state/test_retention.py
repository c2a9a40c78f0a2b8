"""Letting go of old months, and the log as files."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tenure.core.errors import FolderReadOnlyError
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.ledger import Ledger
from tenure.state.retention import PRUNED_EVENT
from tenure.state.times import Month, micros
from tenure.state.traffic import Pruned, Traffic

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
DAY = 86_400.0


def said(name: str, days_ago: float, **more: object) -> PredictionRecord:
    moment = (NOW - timedelta(days=days_ago)).isoformat()
    return replace(PredictionRecord(name, 1, moment, moment, {"age": 31}, "yes", (0.25, 0.75)), **more)


def came(name: str, days_ago: float = 0) -> OutcomeRecord:
    return OutcomeRecord("yes", (NOW - timedelta(days=days_ago)).isoformat(), name)


def row(name: str, *, at_us: int) -> dict[str, object]:
    return {
        "id": name, "version": 1, "at_us": at_us, "event_us": at_us, "key": None, "prediction": "yes", "value": None,
        "probabilities": "[0.25,0.75]", "low": None, "high": None, "features": "{}", "violations": None,
        "quarantined": False, "route": None,
    }  # fmt: skip


def shadow(name: str) -> dict[str, object]:
    return {
        "prediction_id": name, "version": 2, "at_us": 0, "prediction": "no", "value": None, "probabilities": "[]",
        "low": None, "high": None,
    }  # fmt: skip


def left(database: Database, name: str) -> int:
    with database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


# ---- months ----


@given(st.integers(-(10**15), 10**16))
def test_every_moment_lies_in_one_month_and_months_follow_each_other(moment_us: int) -> None:
    month = Month.of(moment_us)
    assert month.start_us <= moment_us < month.end_us
    assert Month.of(month.end_us) == Month(month.number + 1)
    assert str(month) == str(datetime(1970, 1, 1) + timedelta(microseconds=moment_us))[:7]


def test_months_say_what_is_logged_and_leave_out_those_without(traffic: Traffic, database: Database) -> None:
    assert traffic.months() == []
    assert traffic.logged_between() is None
    traffic.log_predictions([said("p1", 100), said("p2", 0), said("p3", 1, quarantined=True)])
    assert [(m.month, m.predictions, m.quarantined) for m in traffic.months()] == [("2026-04", 1, 0), ("2026-07", 2, 1)]
    sizes = [m.size_bytes for m in traffic.months()]
    assert all(size is None for size in sizes) if database.dialect == "sqlite" else all(sizes)
    assert traffic.logged_between() == (said("", 100).at, NOW.isoformat())


# ---- what goes, and what stays ----


def test_what_is_as_young_as_the_policy_stays_and_whole_older_months_go(traffic: Traffic, database: Database) -> None:
    worlds = itertools.count()

    @settings(max_examples=15, deadline=None)
    @given(
        ages=st.lists(st.floats(0, 900), min_size=1, max_size=12),
        keep_days=st.floats(0.1, 700),
        waiting=st.lists(st.floats(0, 900), max_size=4),
    )
    def check(ages: list[float], keep_days: float, waiting: list[float]) -> None:
        world = next(worlds)
        predictions = {f"{world}p{n}": said(f"{world}p{n}", age) for n, age in enumerate(ages)}
        traffic.log_predictions(list(predictions.values()))
        traffic.record_outcomes([came(name) for name in predictions])
        traffic.record_outcomes([came(f"{world}w{n}", age) for n, age in enumerate(waiting)])
        traffic.absorb_shadows([shadow(name) for name in predictions])

        pruned = traffic.prune(keep_days * DAY, NOW)

        edge = (NOW - timedelta(days=keep_days)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        young = {name for name, one in predictions.items() if datetime.fromisoformat(one.at) >= edge}
        still = sum(NOW - timedelta(days=age) >= edge for age in waiting)
        joined = traffic.joined()
        assert set(joined["id"]) == young
        assert joined["outcome"].null_count() == 0
        assert left(database, "outcomes") == len(young) + still
        assert traffic.waiting_count() == still
        assert left(database, "shadow_predictions") == len(young)
        gone = len(predictions) - len(young)
        assert (pruned.predictions, pruned.outcomes, pruned.shadows) == (gone, gone, gone)
        assert pruned.waiting == len(waiting) - still
        assert traffic.prune(keep_days * DAY, NOW) == Pruned(edge.isoformat(), ())
        traffic.prune(0.001, NOW + timedelta(days=60))  # an empty log for the next example
        assert traffic.prediction_count() == left(database, "outcomes") == 0

    check()


def test_more_than_a_piece_goes_whole(traffic: Traffic, database: Database) -> None:
    traffic.absorb([row(f"p{n}", at_us=micros(NOW - timedelta(days=300)) + n) for n in range(12_000)])
    traffic.log_predictions([said("young", 1)])
    traffic.record_outcomes([came(f"p{n}") for n in range(0, 12_000, 2)] + [came(f"w{n}", 300) for n in range(6000)])
    pruned = traffic.prune(100 * DAY, NOW)
    assert (pruned.predictions, pruned.outcomes, pruned.waiting) == (12_000, 6000, 6000)
    assert (traffic.joined()["id"].to_list(), left(database, "outcomes")) == (["young"], 0)


def test_a_policy_longer_than_the_calendar_keeps_all(traffic: Traffic) -> None:
    traffic.log_predictions([said("p1", 3000)])
    assert traffic.prune(1e15, NOW).predictions == 0
    assert traffic.prediction_count() == 1


def test_a_dry_run_says_what_would_go_and_changes_nothing(traffic: Traffic, database: Database, tmp_path: Path) -> None:
    traffic.log_predictions([said("p1", 300), said("p2", 1)])
    traffic.record_outcomes([came("w", 300)])
    due = traffic.prune(100 * DAY, NOW, archive=tmp_path / "archive", dry_run=True)
    assert ([month.month for month in due.months], due.predictions, due.waiting) == (["2025-09"], 1, 1)
    assert (traffic.prediction_count(), traffic.waiting_count()) == (2, 1)
    assert not (tmp_path / "archive").exists()
    assert Ledger(database, lambda: NOW).events() == []


def test_pruning_is_an_event_in_the_ledger_once(traffic: Traffic, database: Database) -> None:
    traffic.log_predictions([said("p1", 300), said("p2", 301), said("p3", 200), said("p4", 1)])
    for _ in range(2):
        traffic.prune(100 * DAY, NOW, actor="ada")
    ledger = Ledger(database, lambda: NOW)
    (event,) = ledger.events(kind=PRUNED_EVENT)
    assert (event.actor, event.at) == ("ada", NOW.isoformat())
    assert event.data == {"months": {"2025-09": 2, "2025-12": 1}, "waiting": 0, "archives": []}
    assert "2026-04" in event.reason
    assert ledger.verify() == 1


def test_an_id_that_went_is_new_when_it_comes_again(traffic: Traffic) -> None:
    traffic.log_predictions([said("p1", 300)])
    traffic.prune(100 * DAY, NOW)
    again = said("p1", 0)
    assert traffic.log_or_recall([again]) == [again]
    old = said("p2", 300)
    traffic.log_predictions([old])  # a month that was dropped is made again where something comes late
    assert traffic.prediction("p2") == old


def test_dropped_months_leave_no_partition(open_postgres) -> None:
    database = open_postgres()
    traffic = Traffic(database)
    traffic.log_predictions([said("p1", 300), said("p2", 1)])
    traffic.prune(100 * DAY, NOW)
    with database.read() as connection:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'predictions'::regclass"
        assert connection.execute(text(query)).scalars().all() == ["predictions_2026_07"]


# ---- files ----


def test_archives_and_what_stays_are_together_what_was(traffic: Traffic, tmp_path: Path) -> None:
    traffic.log_predictions([said(f"p{n}", 15 * n, key=f"c{n}") for n in range(20)])
    traffic.record_outcomes([came(f"p{n}") for n in range(0, 20, 3)])
    traffic.export(tmp_path / "before.parquet")
    pruned = traffic.prune(100 * DAY, NOW, archive=tmp_path / "archive")
    traffic.export(tmp_path / "after.parquet")
    names = sorted(path.name for path in (tmp_path / "archive").iterdir())
    assert names == [f"predictions-{month.month}.parquet" for month in pruned.months]
    assert [Path(name).name for name in pruned.archives] == names
    before, after = (pl.read_parquet(tmp_path / f"{word}.parquet") for word in ("before", "after"))
    archived = pl.read_parquet(tmp_path / "archive" / "*.parquet")
    assert pl.concat([archived, after]).sort("predicted_at").equals(before)
    assert after.height < before.height == 20


def test_what_comes_late_is_archived_apart_and_nothing_twice(traffic: Traffic, tmp_path: Path) -> None:
    """The first prune is as if cut short: the archive is written and the rows come back."""
    first, late = [said("p1", 300), said("p2", 301)], said("p3", 300)
    for rows, written in ((first, 1), (first, 0), ([*first, late], 1), ([late], 0)):
        traffic.log_predictions(rows)
        assert len(traffic.prune(100 * DAY, NOW, archive=tmp_path).archives) == written
        assert traffic.prediction_count() == 0
    one, two = (pl.read_parquet(tmp_path / f"predictions-2025-09{end}.parquet") for end in ("", ".2"))
    assert (sorted(one["id"]), two["id"].to_list()) == (["p1", "p2"], ["p3"])


def test_an_archive_is_never_written_over(traffic: Traffic, tmp_path: Path) -> None:
    """Also not where an earlier file was taken away, nor in a folder whose name holds signs of a pattern."""
    folder = tmp_path / "[kept] *"
    for name in ("p1", "p2", "p3", "p4"):
        if name == "p3":
            (folder / "predictions-2025-09.parquet").unlink()
        traffic.log_predictions([said(name, 300)])
        traffic.prune(100 * DAY, NOW, archive=folder)
    held = {path.name: pl.read_parquet(path, glob=False)["id"].to_list() for path in folder.iterdir()}
    assert held == {
        "predictions-2025-09.parquet": ["p3"],
        "predictions-2025-09.2.parquet": ["p2"],
        "predictions-2025-09.3.parquet": ["p4"],
    }


def test_nothing_goes_where_the_archive_cannot_be_written(traffic: Traffic, database: Database) -> None:
    traffic.log_predictions([said("p1", 300)])
    with pytest.raises(FolderReadOnlyError):
        traffic.prune(100 * DAY, NOW, archive=Path("/proc/archive"))
    assert traffic.prediction_count() == 1
    assert Ledger(database, lambda: NOW).events() == []


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_export_holds_every_prediction_within_its_bounds(traffic: Traffic, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"log.{form}"
    assert traffic.export(out) == 0
    read = pl.read_parquet if form == "parquet" else pl.read_csv
    columns = read(out).columns
    traffic.log_predictions([said(f"p{n}", 10 * n, features={"word": 'a,"b\n'}) for n in range(5)])
    traffic.record_outcomes([came("p1")])
    bounds = {"since": NOW - timedelta(days=30), "until": NOW - timedelta(days=10)}
    assert traffic.export(out, **bounds) == 2
    frame = read(out)
    assert frame["id"].to_list() == ["p3", "p2"]
    assert traffic.export(out) == 5
    frame = read(out)
    assert frame.columns == columns
    assert frame["outcome"].to_list() == [None, None, None, "yes", None]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tenure-")] == []


def test_an_export_has_moments_in_utc_whatever_the_server_thinks(open_postgres, tmp_path: Path) -> None:
    database = open_postgres()
    traffic = Traffic(database)
    traffic.log_predictions([said("p1", 0)])
    with database.begin() as connection:
        connection.execute(text("SELECT set_config('TimeZone', 'Asia/Kolkata', false)"))
    traffic.export(tmp_path / "log.parquet")
    frame = pl.read_parquet(tmp_path / "log.parquet")
    assert frame["predicted_at"].dtype == pl.Datetime("us", "UTC")
    assert frame["predicted_at"].to_list() == [NOW]


def test_more_than_a_piece_is_exported_whole_and_in_order(traffic: Traffic, tmp_path: Path) -> None:
    traffic.absorb([row(f"p{n}", at_us=micros(NOW) + 7 * n % 50_003) for n in range(50_003)])
    assert traffic.export(tmp_path / "log.parquet") == 50_003
    frame = pl.read_parquet(tmp_path / "log.parquet")
    assert frame["predicted_at"].is_sorted()
    assert frame["id"].n_unique() == 50_003
