"""What monitoring keeps of windows: found again, replaced where rows came late, separate for each reference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tenure.core.lifecycle import PredictionRecord
from tenure.state.database import Database
from tenure.state.shelf import Cut, Shelf, forget_windows
from tenure.state.traffic import Traffic

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
NEXT = START + DAY


def micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def test_a_window_is_found_again_with_its_facts(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    assert shelf.windows("r") == {}
    shelf.keep_window("r", START, NEXT, rows=10, sketch="s1", facts={"estimate": {"value": 0.5}})
    shelf.keep_window("r", NEXT, NEXT + DAY, rows=11, sketch="s2", facts={})
    shelf.keep_window("other", START, NEXT, rows=12, sketch="s3", facts={})
    kept = shelf.windows("r")
    assert list(kept) == [micros(START), micros(NEXT)]
    assert (kept[micros(START)].rows, kept[micros(START)].sketch) == (10, "s1")
    assert kept[micros(START)].facts["estimate"] == {"value": 0.5}
    assert shelf.cuts("r") == (Cut(START, NEXT), Cut(NEXT, NEXT + DAY))


def test_a_window_that_got_more_rows_takes_the_place_of_what_was_kept(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    shelf.keep_window("r", START, NEXT, rows=10, sketch="s1", facts={})
    shelf.keep_window("r", START, NEXT, rows=12, sketch="s2", facts={"late": True})
    assert [(w.rows, w.sketch, w.facts["late"]) for w in shelf.windows("r").values()] == [(12, "s2", True)]


def test_a_reference_is_kept_once(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    assert shelf.reference("key") is None
    shelf.keep_reference("key", "first")
    shelf.keep_reference("key", "second")
    assert shelf.reference("key") == "first"


def days_of(shelf: Shelf, reference: str) -> list[int]:
    return [
        (start_us - micros(START)) // micros(datetime(1970, 1, 2, tzinfo=UTC)) for start_us in shelf.windows(reference)
    ]


def keep_days(shelf: Shelf, reference: str, days: range) -> None:
    for day in days:
        shelf.keep_window(reference, START + day * DAY, START + (day + 1) * DAY, rows=1, sketch="s", facts={})


def test_windows_that_ended_are_forgotten_and_the_one_that_reaches_over_stays(
    open_state: Callable[[], Database],
) -> None:
    database = open_state()
    shelf = Shelf(database)
    keep_days(shelf, "r", range(6))
    assert forget_windows(database, micros(START - DAY)) == 0
    assert forget_windows(database, micros(START + 3.5 * DAY)) == 3
    assert days_of(shelf, "r") == [3, 4, 5]
    assert forget_windows(database, micros(START + 3.5 * DAY)) == 0


def test_windows_of_references_that_were_left_long_ago_are_forgotten(open_state: Callable[[], Database]) -> None:
    database = open_state()
    shelf = Shelf(database)
    for number in range(5):
        keep_days(shelf, f"r{number}", range(number, number + 2))
    keep_days(shelf, "r4 too", range(5, 6))
    assert forget_windows(database, micros(START)) == 4
    assert [days_of(shelf, f"r{number}") for number in range(5)] == [[], [], [2, 3], [3, 4], [4, 5]]
    assert days_of(shelf, "r4 too") == [5]


def test_no_more_windows_are_kept_than_will_be_looked_at(open_state: Callable[[], Database]) -> None:
    database = open_state()
    shelf = Shelf(database)
    keep_days(shelf, "r", range(212))
    assert forget_windows(database, micros(START)) == 4
    assert days_of(shelf, "r") == list(range(4, 212))


def test_pruning_the_log_forgets_the_windows_that_it_emptied(open_state: Callable[[], Database]) -> None:
    database = open_state()
    shelf, traffic = Shelf(database), Traffic(database)
    keep_days(shelf, "r", range(0, 60))
    traffic.log_predictions(
        [
            PredictionRecord(
                str(day), 1, (START + day * DAY).isoformat(), (START + day * DAY).isoformat(), {}, "yes", ()
            )
            for day in range(60)
        ]
    )
    now = START + 60 * DAY  # 6 March
    assert traffic.prune(10 * 86_400, now, dry_run=True).predictions == 27
    assert len(shelf.windows("r")) == 60
    assert traffic.prune(10 * 86_400, now).predictions == 27  # until the end of January
    assert days_of(shelf, "r") == list(range(27, 60))
