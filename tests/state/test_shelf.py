"""What monitoring keeps of windows: found again, replaced where rows came late, separate for each reference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tenure.state.database import Database
from tenure.state.shelf import Shelf

START = datetime(2026, 1, 5, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def test_a_window_is_found_again_with_its_facts(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    assert shelf.windows("r") == {}
    shelf.keep_window("r", START, rows=10, sketch="s1", facts={"estimate": {"value": 0.5}})
    shelf.keep_window("r", START + timedelta(days=1), rows=11, sketch="s2", facts={})
    shelf.keep_window("other", START, rows=12, sketch="s3", facts={})
    kept = shelf.windows("r")
    assert list(kept) == [micros(START), micros(START + timedelta(days=1))]
    assert (kept[micros(START)].rows, kept[micros(START)].sketch) == (10, "s1")
    assert kept[micros(START)].facts == {"estimate": {"value": 0.5}}


def test_a_window_that_got_more_rows_takes_the_place_of_what_was_kept(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    shelf.keep_window("r", START, rows=10, sketch="s1", facts={})
    shelf.keep_window("r", START, rows=12, sketch="s2", facts={"late": True})
    assert [(w.rows, w.sketch, w.facts) for w in shelf.windows("r").values()] == [(12, "s2", {"late": True})]


def test_a_reference_is_kept_once(open_state: Callable[[], Database]) -> None:
    shelf = Shelf(open_state())
    assert shelf.reference("key") is None
    shelf.keep_reference("key", "first")
    shelf.keep_reference("key", "second")
    assert shelf.reference("key") == "first"
