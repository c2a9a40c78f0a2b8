"""Rows of the log taken in many at once, as a server's journals hand them over."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tenure.core.errors import StateUnreachableError
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.times import micros
from tenure.state.traffic import OutcomeCounts, Traffic

DAY_US = 86_400_000_000
START_US = micros(datetime(2026, 1, 1, tzinfo=UTC))


def row(name: str, *, day: int = 0, **more: Any) -> dict[str, Any]:
    at_us = START_US + day * DAY_US
    return {
        "id": name, "version": 1, "at_us": at_us, "event_us": at_us, "key": None, "prediction": "yes", "value": None,
        "probabilities": "[0.25,0.75]", "low": None, "high": None, "features": '{"age":31}', "violations": None,
        "quarantined": False, "route": None,
    } | more  # fmt: skip


def shadow(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "prediction_id": name, "version": version, "at_us": START_US, "prediction": "no", "value": None,
        "probabilities": "[0.5,0.5]", "low": None, "high": None,
    } | more  # fmt: skip


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


# ---- each id once ----


def test_absorbed_rows_are_the_predictions_that_were_said(traffic: Traffic) -> None:
    broken = [{"field": "age", "rule": "range"}]
    more = {"key": "c1", "violations": json.dumps(broken), "quarantined": True, "route": "canary"}
    assert (
        traffic.absorb([row("p1", **more), row("p2", prediction="17.25", value=17.25, probabilities="[]", low=1.0)])
        == 2
    )
    moment = "2026-01-01T00:00:00+00:00"
    assert traffic.prediction("p1") == PredictionRecord(
        "p1", 1, moment, moment, {"age": 31}, "yes", (0.25, 0.75), key="c1", violations=tuple(broken), quarantined=True,
        route="canary",
    )  # fmt: skip
    assert traffic.prediction("p2") == PredictionRecord("p2", 1, moment, moment, {"age": 31}, 17.25, low=1.0)
    assert traffic.log_or_recall([traffic.prediction("p1")]) == [traffic.prediction("p1")]


def test_absorbing_nothing_is_nothing(traffic: Traffic) -> None:
    assert (traffic.absorb([]), traffic.absorb_shadows([]), traffic.prediction_count()) == (0, 0, 0)


def test_each_id_is_kept_once_as_it_came_first_whatever_comes_again_and_in_whichever_month(traffic: Traffic) -> None:
    worlds = itertools.count()
    said = st.tuples(st.integers(0, 7), st.sampled_from([0, 20, 40, 400, -3000]), st.sampled_from(["yes", "no"]))

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.lists(said, max_size=8), max_size=5))
    def check(batches: list[list[tuple[int, int, str]]]) -> None:
        world = next(worlds)
        first: dict[str, tuple[int, str]] = {}
        for batch in batches:
            rows = [row(f"{world}p{n}", day=day, prediction=label, version=world) for n, day, label in batch]
            new = 0
            for one in rows:
                new += one["id"] not in first
                first.setdefault(one["id"], (one["at_us"], one["prediction"]))
            assert traffic.absorb(rows) == new
        kept = traffic.joined(version=world)
        assert {one["id"]: (micros(one["at"]), one["prediction"]) for one in kept.to_dicts()} == first
        assert kept.height == len(first)

    check()


def test_any_text_that_can_be_said_comes_back(traffic: Traffic) -> None:
    names = (f"p{n}" for n in itertools.count())
    words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

    @settings(max_examples=60, deadline=None)
    @given(key=words, sent=st.text(st.characters(exclude_categories=["Cs"])), number=st.floats(allow_nan=False))
    def check(key: str, sent: str, number: float) -> None:
        name = next(names)
        traffic.absorb([row(name, key=key, features=json.dumps({"word": sent}), value=number, prediction=repr(number))])
        kept = traffic.prediction(name)
        assert (kept.key, kept.features, kept.prediction) == (key, {"word": sent}, number)

    check()


def test_writers_that_bring_the_same_rows_at_once_keep_each_once(traffic: Traffic) -> None:
    rows = [row(f"p{n}", day=n % 50) for n in range(400)]
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(traffic.absorb(rows))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 400]
    assert traffic.prediction_count() == 400


class Cut(dict[str, Any]):
    """A row at which the connection breaks: reading it ends the connection that holds the lock of the writers."""

    def __init__(self, url: str) -> None:
        super().__init__(row("cut"))
        self.url = url

    def __getitem__(self, name: str) -> Any:
        if name == "route":
            with psycopg.connect(self.url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                )
        return super().__getitem__(name)


def test_server_that_goes_away_while_rows_stream_keeps_none_and_is_unreachable(
    schema_url: str, open_postgres: Callable[[], Database]
) -> None:
    traffic = Traffic(open_postgres())
    with pytest.raises(StateUnreachableError):
        traffic.absorb([row("p1"), Cut(schema_url), row("p2")])
    assert traffic.absorb([row("p2"), row("p3")]) == 2  # the next call goes through
    assert sorted(traffic.joined()["id"]) == ["p2", "p3"]


def test_each_month_has_a_partition_of_its_own(open_postgres: Callable[[], Database]) -> None:
    database = open_postgres()
    traffic = Traffic(database)
    traffic.absorb([row("p1"), row("p2", day=31)])
    traffic.absorb([row("p3", day=1), row("p4", day=400)])
    query = text("SELECT tableoid::regclass::text AS month, id FROM predictions ORDER BY id")
    with database.read() as connection:
        assert [tuple(found) for found in connection.execute(query)] == [
            ("predictions_2026_01", "p1"), ("predictions_2026_02", "p2"), ("predictions_2026_01", "p3"),
            ("predictions_2027_02", "p4"),
        ]  # fmt: skip


# ---- outcomes that waited ----


def test_outcomes_that_waited_are_joined_as_their_predictions_are_absorbed(traffic: Traffic) -> None:
    known = "2026-03-01T00:00:00+00:00"
    waiting = [
        OutcomeRecord("yes", known, "p1"),
        OutcomeRecord("no", known, key="c2"),
        OutcomeRecord("no", known, "p9"),
    ]
    assert traffic.record_outcomes(waiting) == OutcomeCounts(waiting=3)
    traffic.absorb([row("p1"), row("p2", key="c2"), row("p3", key="c3")])
    assert traffic.joined()["outcome"].to_list() == ["yes", "no", None]
    assert traffic.waiting_count() == 1


def test_an_outcome_by_key_moves_to_a_later_prediction_that_it_is_about(traffic: Traffic) -> None:
    traffic.absorb([row("p1", key="c1")])
    traffic.record_outcomes([OutcomeRecord("no", "2026-01-11T00:00:00Z", key="c1")])
    traffic.absorb([row("p2", key="c1", day=5), row("p3", key="c1", day=20)])
    assert traffic.joined()["outcome"].to_list() == [None, "no", None]


# ---- set aside ----


def test_quarantined_predictions_are_kept_and_counted_but_nobody_learns_from_them(traffic: Traffic) -> None:
    traffic.absorb([row("p1"), row("p2", quarantined=True), row("p3")])
    traffic.absorb_shadows([shadow("p1", 2), shadow("p2", 2)])
    traffic.record_outcomes([OutcomeRecord("yes", "2026-03-01", "p2")])
    assert traffic.joined()["id"].to_list() == ["p1", "p3"]
    assert traffic.joined(quarantined=True)["outcome"].to_list() == [None, "yes", None]
    assert traffic.shadowed(2)["id"].to_list() == ["p1"]
    assert traffic.shadowed(2, quarantined=True)["id"].to_list() == ["p1", "p2"]
    assert (traffic.quarantined_count(), traffic.prediction_count()) == (1, 3)
    assert traffic.months()[0].quarantined == 1


# ---- shadow answers ----


def test_shadow_answers_stand_beside_what_was_said_and_what_came_true(traffic: Traffic) -> None:
    traffic.absorb([row(f"p{n}", day=n) for n in range(3)])
    traffic.record_outcomes([OutcomeRecord("no", "2026-03-01", "p1")])
    assert traffic.absorb_shadows([shadow("p1", 2), shadow("p0", 2), shadow("p1", 3), shadow("p1", 2)]) == 3
    assert traffic.absorb_shadows([shadow("p1", 2, prediction="yes"), shadow("p2", 3)]) == 1
    frame = traffic.shadowed(2)
    assert frame.select(
        "id", "version", "prediction", "probabilities", "shadow_prediction", "shadow_probabilities", "outcome"
    ).rows() == [
        ("p0", 1, "yes", [0.25, 0.75], "no", [0.5, 0.5], None),
        ("p1", 1, "yes", [0.25, 0.75], "no", [0.5, 0.5], "no"),
    ]
    assert traffic.shadowed(3)["id"].to_list() == ["p1", "p2"]
    assert traffic.shadowed(9).is_empty()


def test_shadow_answers_of_numbers_stand_beside_numbers(traffic: Traffic) -> None:
    number = {"prediction": "1.5", "value": 1.5, "probabilities": "[]", "low": 1.0, "high": 2.0}
    traffic.absorb([row("p1", **number)])
    traffic.absorb_shadows([shadow("p1", 2, **(number | {"value": 1.75}))])
    said = traffic.shadowed(2).row(0, named=True)
    assert (said["value"], said["shadow_value"], said["shadow_low"], said["shadow_high"]) == (1.5, 1.75, 1.0, 2.0)
