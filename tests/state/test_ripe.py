"""What of the log may be learned from, on SQLite and PostgreSQL: as it stood at a moment, outside of some times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.exclusions import Period
from tenure.state.ripe import count_ripe, read_ripe, timings
from tenure.state.times import micros
from tenure.state.traffic import Traffic

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: float) -> datetime:
    return START + timedelta(days=day)


@pytest.fixture
def log(database: Database) -> Database:
    """Hold ten predictions, a day after the other, each with an outcome two days later; p5 is quarantined."""
    traffic = Traffic(database)
    traffic.log_predictions(
        [
            PredictionRecord(
                f"p{n}",
                1,
                at(n).isoformat(),
                at(n).isoformat(),
                {"age": n},
                "yes",
                (0.2, 0.8),
                key=f"k{n}",
                quarantined=n == 5,
            )
            for n in range(10)
        ]
    )
    traffic.record_outcomes([OutcomeRecord("no", at(n + 2).isoformat(), f"p{n}") for n in range(10)])
    traffic.record_outcomes([OutcomeRecord("yes", at(7.5).isoformat(), "p1")])
    return database


def test_rows_are_as_they_stood_at_the_moment(log: Database) -> None:
    with log.read() as connection:
        early = read_ripe(connection, as_of=at(6), until=at(4), without=())
        late = read_ripe(connection, as_of=at(8), until=at(4), without=())
    assert early["id"].to_list() == late["id"].to_list() == ["p0", "p1", "p2", "p3", "p4"]
    assert (early["outcome"][1], late["outcome"][1]) == ("no", "yes")
    assert (early["key"][2], early["features"][2], early["event_at"][2]) == ("k2", '{"age":2}', at(2))


def test_excluded_times_and_quarantined_rows_are_left_out_and_the_count_agrees(log: Database) -> None:
    without = (Period(at(1), at(3)), Period(at(7), at(8)))
    with log.read() as connection:
        rows = read_ripe(connection, as_of=at(30), until=at(8), without=without)
        counted = count_ripe(connection, as_of=at(30), until=at(8), without=without)
        nothing = count_ripe(connection, as_of=at(30), until=at(-1), without=())
    assert rows["id"].to_list() == ["p0", "p3", "p4", "p6", "p8"]
    assert counted == (5, micros(at(10)), 9)
    assert nothing == (0, None, None)


def test_only_the_newest_rows_are_read_where_that_is_asked_for(log: Database) -> None:
    with log.read() as connection:
        rows = read_ripe(connection, as_of=at(30), until=at(8), without=(), most=3)
    assert rows["id"].to_list() == ["p6", "p7", "p8"]


def test_a_corrected_outcome_is_the_one_told_last(log: Database) -> None:
    with log.read() as connection:
        assert count_ripe(connection, as_of=at(30), until=at(8), without=()) == (8, micros(at(10)), 11)
        assert count_ripe(connection, as_of=at(7), until=at(8), without=()) == (5, micros(at(6)), 5)


def test_timings_know_no_later_outcome_and_no_later_row(log: Database) -> None:
    with log.read() as connection:
        told = timings(connection, as_of=at(6), since=at(2))
    assert told["event_at"].to_list() == [at(2), at(3), at(4), at(6)]
    assert told["known_at"].to_list() == [at(4), at(5), at(6), None]
