from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind
from tenure.core.errors import DataError, OutcomeError, RecordMissingError
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.traffic import OutcomeCounts, Traffic

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat()


def said(number: int, *, minute: int | None = None, key: str | None = None, **more: object) -> PredictionRecord:
    moment = at(number if minute is None else minute)
    record = PredictionRecord(f"p{number}", 1, moment, moment, {"age": 30 + number}, "yes", (0.25, 0.75), key=key)
    return replace(record, **more)


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


# ---- predictions ----


def test_an_id_known_before_keeps_its_answer_and_new_ones_are_logged(traffic: Traffic) -> None:
    first = said(1, key="c1")
    assert traffic.log_or_recall([first]) == [first]
    again = replace(first, version=2, prediction="no", at=at(9))
    assert traffic.log_or_recall([said(2), again]) == [said(2), traffic.prediction("p1")]
    assert traffic.prediction("p1").version == 1
    assert traffic.prediction_count() == 2


@pytest.mark.parametrize("other", [{"features": {"age": 99}}, {"key": "c9"}])
def test_an_id_of_another_row_refuses_the_whole_request(traffic: Traffic, other: dict[str, object]) -> None:
    traffic.log_or_recall([said(1, key="c1")])
    with pytest.raises(DataError, match="'p1' was used before"):
        traffic.log_or_recall([said(2), replace(said(1, key="c1"), **other), said(3)])
    assert traffic.prediction_count() == 1


def test_an_id_is_recalled_though_a_later_version_reads_other_columns(traffic: Traffic) -> None:
    traffic.log_or_recall([said(1)])
    later = said(1, version=2, features={"age": 31, "new": "x"})
    assert traffic.log_or_recall([later])[0].version == 1


def test_predictions_come_back_as_they_were_logged(traffic: Traffic) -> None:
    features = {"age": 31, "plan": "max ü", "share": 0.1, "gone": None, "is_new": True}
    classified = said(1, key="c1", features=features)
    valued = PredictionRecord("p2", 2, at(5), at(4), {"age": 2}, 17.25, (), 10.0, 20.5)
    traffic.log_predictions([classified, valued])
    assert traffic.prediction("p1") == classified
    assert traffic.prediction("p2") == valued
    assert (traffic.prediction_count(), traffic.prediction_count(version=2), traffic.outcome_count()) == (2, 1, 0)
    with pytest.raises(RecordMissingError):
        traffic.prediction("p9")


def test_logging_nothing_is_fine(traffic: Traffic) -> None:
    traffic.log_predictions([])
    assert traffic.prediction_count() == 0
    assert traffic.record_outcomes([]) == OutcomeCounts()


def test_same_id_again_does_not_rewrite_what_was_said(traffic: Traffic) -> None:
    traffic.log_predictions([said(1)])
    traffic.log_predictions([said(1, prediction="no"), said(2)])
    assert traffic.prediction("p1").prediction == "yes"
    assert traffic.prediction_count() == 2


def test_times_of_other_zones_are_kept_as_utc(traffic: Traffic) -> None:
    traffic.log_predictions([said(1, at="2026-01-01T02:00:00+02:00", event_at="2026-01-01T00:30:00Z")])
    kept = traffic.prediction("p1")
    assert (kept.at, kept.event_at) == ("2026-01-01T00:00:00+00:00", "2026-01-01T00:30:00+00:00")


def test_many_predictions_and_outcomes_go_in_one_call(traffic: Traffic) -> None:
    traffic.log_predictions([said(n, key=f"c{n}") for n in range(3000)])
    outcomes = [OutcomeRecord("yes", at(9999), prediction_id=f"p{n}") for n in range(0, 3000, 2)]
    outcomes += [OutcomeRecord("no", at(9999), key=f"c{n}") for n in range(1, 3000, 2)]
    assert traffic.record_outcomes(outcomes) == OutcomeCounts(joined=3000)
    assert traffic.record_outcomes(outcomes) == OutcomeCounts(repeated=3000)
    assert traffic.joined()["outcome"].value_counts(sort=True)["count"].to_list() == [1500, 1500]


# ---- outcomes ----


def test_outcome_is_joined_repeated_and_corrected(traffic: Traffic) -> None:
    traffic.log_predictions([said(1)])
    first = OutcomeRecord("no", at(10), prediction_id="p1")
    assert traffic.outcome_of("p1") is None
    assert traffic.record_outcomes([first]) == OutcomeCounts(joined=1)
    assert traffic.record_outcomes([first, first]) == OutcomeCounts(repeated=2)
    later = OutcomeRecord("yes", at(20), prediction_id="p1")
    assert traffic.record_outcomes([later]) == OutcomeCounts(corrected=1)
    assert traffic.outcome_of("p1") == later
    assert traffic.record_outcomes([first]) == OutcomeCounts(repeated=1)
    assert traffic.outcome_of("p1") == later
    assert traffic.outcome_count() == 1


def test_repeat_confirms_the_value_and_keeps_when_it_was_first_known(traffic: Traffic) -> None:
    traffic.log_predictions([said(1)])
    traffic.record_outcomes([OutcomeRecord("no", at(minute), prediction_id="p1") for minute in (10, 30)])
    assert traffic.outcome_of("p1") == OutcomeRecord("no", at(10), prediction_id="p1")
    assert traffic.record_outcomes([OutcomeRecord("yes", at(20), prediction_id="p1")]) == OutcomeCounts(repeated=1)
    assert traffic.outcome_of("p1") == OutcomeRecord("no", at(10), prediction_id="p1")


def test_outcome_that_comes_first_waits_for_its_prediction(traffic: Traffic) -> None:
    early = [OutcomeRecord("no", at(10), prediction_id="p1"), OutcomeRecord("yes", at(10), key="c2")]
    assert traffic.record_outcomes(early) == OutcomeCounts(waiting=2)
    assert traffic.record_outcomes(early) == OutcomeCounts(repeated=2)
    assert traffic.outcome_count() == 0
    traffic.log_predictions([said(1), said(2, key="c2")])
    assert traffic.joined()["outcome"].to_list() == ["no", "yes"]
    assert traffic.outcome_count() == 2


def test_key_means_the_latest_prediction_before_the_outcome(traffic: Traffic) -> None:
    traffic.log_predictions([said(1, key="c"), said(5, key="c"), said(9, key="c"), said(4, key="d")])
    counts = traffic.record_outcomes([OutcomeRecord("a", at(8), key="c"), OutcomeRecord("b", at(1), key="c")])
    assert counts == OutcomeCounts(joined=2)
    joined = traffic.joined()
    assert dict(zip(joined["id"], joined["outcome"], strict=True)) == {"p1": "b", "p4": None, "p5": "a", "p9": None}
    assert traffic.record_outcomes([OutcomeRecord("z", at(0), key="c")]) == OutcomeCounts(waiting=1)


def test_id_wins_where_an_outcome_names_both(traffic: Traffic) -> None:
    traffic.log_predictions([said(1, key="c"), said(2, key="c")])
    traffic.record_outcomes([OutcomeRecord("no", at(10), prediction_id="p1", key="c")])
    assert traffic.joined()["outcome"].to_list() == ["no", None]


@pytest.mark.parametrize(
    "outcome", [OutcomeRecord("yes", at(1)), OutcomeRecord("yes", "last tuesday", prediction_id="p1")]
)
def test_outcome_without_name_or_moment_is_refused_and_nothing_is_kept(
    traffic: Traffic, outcome: OutcomeRecord
) -> None:
    traffic.log_predictions([said(1)])
    with pytest.raises(OutcomeError):
        traffic.record_outcomes([OutcomeRecord("yes", at(5), prediction_id="p1"), outcome])
    assert traffic.outcome_count() == 0


def test_numbers_and_truth_values_are_kept_as_text(traffic: Traffic) -> None:
    traffic.log_predictions([said(n) for n in range(4)])
    values = (1, 2.5, True, "text")
    traffic.record_outcomes([OutcomeRecord(v, at(9), prediction_id=f"p{n}") for n, v in enumerate(values)])
    assert traffic.joined()["outcome"].to_list() == ["1", "2.5", "true", "text"]


NEWS = st.tuples(st.sampled_from(["p0", "p1", "p2", "key"]), st.sampled_from(["yes", "no"]), st.integers(0, 40))


def expected(predictions: Sequence[PredictionRecord], news: Sequence[OutcomeRecord]) -> dict[str, str | None]:
    """Say by the rule, without any store, what each prediction's outcome is."""
    result: dict[str, str | None] = {}
    for prediction in predictions:
        mine = [
            o for o in news
            if o.prediction_id == prediction.id
            or (
                o.key is not None
                and prediction.event_at <= o.known_at
                and not any(prediction.event_at < p.event_at <= o.known_at for p in predictions)
            )
        ]  # fmt: skip
        result[prediction.id] = str(max(mine, key=lambda o: o.known_at).value) if mine else None
    return result


def test_outcomes_end_the_same_in_whatever_order_and_pieces_they_come(traffic: Traffic) -> None:
    worlds = itertools.count()

    @settings(max_examples=50, deadline=None)
    @given(
        news=st.lists(NEWS, max_size=10, unique_by=lambda said: said[2]),
        order=st.randoms(use_true_random=False),
        logged_at=st.integers(0, 10),
    )
    def check(news: list[tuple[str, str, int]], order: Random, logged_at: int) -> None:
        world = next(worlds)
        predictions = [said(n, id=f"{world}p{n}", version=world, minute=10 * n, key=f"{world}key") for n in range(3)]
        outcomes = [
            OutcomeRecord(value, at(minute), key=f"{world}key")
            if name == "key"
            else OutcomeRecord(value, at(minute), f"{world}{name}")
            for name, value, minute in news
        ]
        shuffled = order.sample(outcomes, len(outcomes))
        cut = min(logged_at, len(shuffled))
        for outcome in shuffled[:cut]:
            traffic.record_outcomes([outcome])
        traffic.log_predictions(predictions)
        traffic.record_outcomes(shuffled[cut:])
        joined = traffic.joined(version=world)
        assert dict(zip(joined["id"], joined["outcome"], strict=True)) == expected(predictions, outcomes)
        again = traffic.record_outcomes(order.sample(outcomes, len(outcomes)))
        assert again.joined == again.corrected == 0
        assert traffic.joined(version=world).equals(joined)

    check()


def test_threads_that_log_and_report_at_once_lose_nothing(traffic: Traffic) -> None:
    def log(worker: int) -> None:
        for n in range(10):
            traffic.log_predictions([said(100 * worker + n, key=f"c{100 * worker + n}")])

    def report(worker: int) -> None:
        for n in range(10):
            traffic.record_outcomes([OutcomeRecord("yes", at(9999), key=f"c{100 * worker + n}")])

    threads = [threading.Thread(target=task, args=(n,)) for task in (log, report) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert traffic.prediction_count() == traffic.outcome_count() == 20


# ---- joined ----


def test_joined_is_ordered_by_event_and_bounded_by_it(traffic: Traffic) -> None:
    traffic.log_predictions([said(n, event_at=at(50 - 10 * n), version=n) for n in range(5)])
    assert traffic.joined()["id"].to_list() == ["p4", "p3", "p2", "p1", "p0"]
    middle = traffic.joined(since=START + timedelta(minutes=20), until=START + timedelta(minutes=40))
    assert middle["id"].to_list() == ["p3", "p2"]
    assert traffic.joined(version=3)["id"].to_list() == ["p3"]


def test_what_was_sent_can_be_read_for_some_rows_only(traffic: Traffic) -> None:
    traffic.log_predictions([said(n, event_at=at(3000 - n)) for n in range(1200)])
    whole, bare = traffic.joined(), traffic.joined(features=False)
    assert traffic.with_sent(bare).equals(whole)
    assert traffic.with_sent(bare[5:900:7]).equals(whole[5:900:7])
    assert traffic.with_sent(bare.clear()).equals(whole.clear())
    gone = bare.head(3).with_columns(pl.Series("id", ["p1199", "gone", "p1197"]))
    assert traffic.with_sent(gone)["id"].to_list() == ["p1199", "p1197"]


def test_the_latest_events_that_count_are_found_from_the_end(traffic: Traffic) -> None:
    assert traffic.latest_event() is None
    traffic.log_predictions([said(n, event_at=at(50 - 10 * n)) for n in range(5)])
    traffic.log_predictions([said(9, event_at=at(99), quarantined=True)])
    minutes = [traffic.latest_event(place) for place in range(1, 7)]
    assert minutes == [*(START + timedelta(minutes=m) for m in (50, 40, 30, 20, 10)), None]


def test_stretches_without_predictions_do_not_count(traffic: Traffic) -> None:
    hour = timedelta(hours=1)

    def found(count: int) -> datetime | None:
        return traffic.stretch_start(count, width=hour, origin=START)

    assert found(3) is None
    traffic.log_predictions([said(n, event_at=at(minute)) for n, minute in enumerate([-30, 5, 59, 60, 601, 9999])])
    traffic.log_predictions([said(9, event_at=at(300), quarantined=True)])
    assert [found(count) for count in range(1, 7)] == [START + hours * hour for hours in (166, 10, 1, 0, -1, -1)]


def test_rows_that_are_set_aside_are_told_with_their_violations(traffic: Traffic) -> None:
    broken = {"field": "age", "rule": "missing"}
    traffic.log_predictions([said(n, quarantined=n % 2 == 0, violations=(broken,)) for n in range(6)])
    aside = traffic.quarantined(since=START + timedelta(minutes=1))
    assert aside["event_at"].to_list() == [START + timedelta(minutes=m) for m in (2, 4)]
    assert aside["violations"].to_list() == ['[{"field":"age","rule":"missing"}]'] * 2
    assert traffic.quarantined().height == 3


def test_joined_says_all_of_a_classified_row(traffic: Traffic) -> None:
    traffic.log_predictions([said(1, key="c1"), said(2, probabilities=(0.1, 0.2, 0.7))])
    traffic.record_outcomes([OutcomeRecord("no", at(30), prediction_id="p1")])
    joined = traffic.joined()
    moment = pl.Datetime("us", "UTC")
    assert dict(joined.schema) == {
        "id": pl.String, "version": pl.Int64, "at": moment, "event_at": moment, "key": pl.String,
        "prediction": pl.String, "p_0": pl.Float64, "p_1": pl.Float64, "p_2": pl.Float64, "low": pl.Float64,
        "high": pl.Float64, "outcome": pl.String, "known_at": moment, "features": pl.String,
    }  # fmt: skip
    assert joined.row(0, named=True) == {
        "id": "p1", "version": 1, "at": START + timedelta(minutes=1), "event_at": START + timedelta(minutes=1),
        "key": "c1", "prediction": "yes", "p_0": 0.25, "p_1": 0.75, "p_2": None, "low": None, "high": None,
        "outcome": "no", "known_at": START + timedelta(minutes=30), "features": '{"age":31}',
    }  # fmt: skip


def test_joined_has_value_where_values_are_predicted_and_where_nothing_is(traffic: Traffic) -> None:
    assert traffic.joined().columns[6] == "value"
    assert traffic.joined().is_empty()
    traffic.log_predictions([said(1, prediction=0.1 + 0.2, probabilities=(), low=-1.0, high=2.0)])
    row = traffic.joined().row(0, named=True)
    assert (row["value"], row["low"], row["high"], row["prediction"]) == (0.1 + 0.2, -1.0, 2.0, repr(0.1 + 0.2))


def test_features_get_their_types_back(traffic: Traffic) -> None:
    sent = [
        {"age": 31, "price": 2.5, "plan": "max", "code": 7, "new": True, "day": "2026-01-02", "seen": at(3)},
        {"age": "n/a", "price": float("nan"), "plan": 5, "code": 8, "new": None, "day": "soon", "seen": "never"},
        {"other": 1},
    ]
    traffic.log_predictions([said(n, features=features) for n, features in enumerate(sent)])
    columns = [
        Column("age", "Int64", Kind.NUMERIC),
        Column("price", "Float64", Kind.NUMERIC),
        Column("plan", "Enum(categories=['max'])", Kind.CATEGORICAL),
        Column("code", "Int32", Kind.CATEGORICAL),
        Column("new", "Boolean", Kind.BOOLEAN),
        Column("day", "Date", Kind.DATETIME),
        Column("seen", "Datetime(time_unit='us', time_zone=None)", Kind.DATETIME),
    ]
    frame = traffic.features(traffic.joined(), columns)
    assert [str(kind) for kind in frame.dtypes] == [
        "Int64", "Float64", "String", "Int32", "Boolean", "Date", "Datetime(time_unit='us', time_zone=None)",
    ]  # fmt: skip
    assert frame.rows() == [
        (31, 2.5, "max", 7, True, date(2026, 1, 2), START.replace(minute=3, tzinfo=None)),
        (None, None, "5", 8, None, None, None),
        (None,) * 7,
    ]
    bare = traffic.features(traffic.joined(), ["price", "plan", "absent"])
    assert bare["price"].dtype == pl.Float64
    assert bare["plan"].to_list() == ["max", "5", None]
    assert bare["absent"].to_list() == [None] * 3
    assert traffic.features(traffic.joined().clear(), columns).shape == (0, 7)


def test_real_rows_come_back_equal_to_their_table(traffic: Traffic, real_data) -> None:
    table = pl.read_parquet(real_data("telco_churn")).head(300)
    traffic.log_predictions([said(n, features=row) for n, row in enumerate(table.to_dicts())])
    columns = [Column(name, str(kind), Kind.TEXT) for name, kind in table.schema.items()]
    plain = {name: pl.String for name, kind in table.schema.items() if kind in (pl.Categorical, pl.Enum)}
    assert traffic.features(traffic.joined(), columns).equals(table.cast(plain))
