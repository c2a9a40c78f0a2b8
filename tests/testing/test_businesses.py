"""Synthetic businesses: the same rows however one looks, the planted truth in the numbers, nothing known too early."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema, WindowPair
from tenure.core.evidence import Verdict, judged
from tenure.core.modelling import Floats, Task
from tenure.core.project import parse_project
from tenure.monitoring.drift.psi import PopulationStabilityIndex
from tenure.testing.businesses import FEATURES, KEY, KNOWN, LEVELS, TIME, Batch, Business
from tenure.testing.faults import BrokenFeed, LateOutcomes, NoTraffic, Prevents, SelectiveLabels, WrongLabels
from tenure.testing.named import NAMES, OPENING, named_business, project_text
from tenure.testing.planted import NEVER, BaseRate, ConceptChange, Event, InputsMove, Season, micros_of

WEEK = timedelta(weeks=1)
MONTH = (datetime(2025, 2, 3, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC))
SPAN: dict[str, Any] = {"start": MONTH[0], "end": MONTH[1]}
EVENTS: dict[str, Event] = {
    "sudden": ConceptChange(**SPAN),
    "gradual": ConceptChange(**SPAN, shape="gradual", over=2 * WEEK),
    "incremental": ConceptChange(**SPAN, shape="incremental", over=2 * WEEK),
    "recurring": ConceptChange(**SPAN, shape="recurring", over=WEEK, to=2),
    "numbers move": InputsMove(**SPAN, column="spend", by=2.0, ramp=WEEK),
    "a new level": InputsMove(**SPAN, column="plan", by=0.3, level="pilot"),
    "base rate": BaseRate(**SPAN),
    "fewer": BaseRate(**SPAN, by=-1.0),
    "season": Season(**SPAN),
    "unit": BrokenFeed(**SPAN),
    "zeros": BrokenFeed(**SPAN, how="zeros", column="visits"),
    "missing": BrokenFeed(**SPAN, how="missing", column="region"),
    "mixed": BrokenFeed(**SPAN, how="mixed"),
    "wrong labels": WrongLabels(**SPAN, share=0.5),
    "labels low": WrongLabels(**SPAN, how="low"),
    "outage": NoTraffic(**SPAN),
    "prevents": Prevents(**SPAN),
    "selective": SelectiveLabels(**SPAN),
}
LATE: dict[str, LateOutcomes] = {
    "late": LateOutcomes(**SPAN, share=0.5),
    "growing": LateOutcomes(**SPAN, how="growing"),
    "held": LateOutcomes(**SPAN, how="held"),
    "lost": LateOutcomes(**SPAN, how="lost"),
}
ALL = EVENTS | LATE


def shop(*events: Event, rows: int = 400, **more: Any) -> Business:
    return Business(
        "shop", OPENING - 4 * WEEK, OPENING, OPENING + 12 * WEEK, weekly_rows=rows, events=tuple(events), **more
    )


def same(one: Batch, other: Batch) -> bool:
    arrays = ("truth", "outcome", "reported", "seen", "known", "luck")
    return one.frame.equals(other.frame) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


def during(business: Business) -> Batch:
    return business.batch(*MONTH)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(sorted(ALL)), max_size=4),
    st.integers(0, 50),
    st.sampled_from([Task.BINARY, Task.REGRESSION]),
    st.lists(st.floats(0, 10), min_size=1, max_size=4),
)
def test_the_same_seed_gives_the_same_rows_however_they_are_cut(
    names: Sequence[str], seed: int, task: Task, cuts: Sequence[float]
) -> None:
    business = shop(*(ALL[name] for name in names), seed=seed, task=task, rows=60)
    whole = business.batch(OPENING, OPENING + 10 * WEEK)
    assert same(whole, replace(business).batch(OPENING, OPENING + 10 * WEEK))
    moments = [OPENING, *(OPENING + cut * WEEK for cut in sorted(cuts)), OPENING + 10 * WEEK]
    parts = [business.batch(a, b) for a, b in itertools.pairwise(moments) if a < b]
    assert pl.concat([part.frame for part in parts]).equals(whole.frame)
    assert np.array_equal(np.concatenate([part.truth for part in parts]), whole.truth)
    assert np.array_equal(np.concatenate([part.known for part in parts]), whole.known)


def test_another_seed_and_another_week_give_other_rows() -> None:
    assert not same(during(shop(seed=1)), during(shop(seed=2)))
    first, second = shop().batch(OPENING, OPENING + WEEK), shop().batch(OPENING + WEEK, OPENING + 2 * WEEK)
    assert not set(first.truth) & set(second.truth)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(ALL)), max_size=5), st.integers(0, 50), st.floats(0, 20), st.floats(0, 0.9))
def test_no_outcome_is_known_before_its_row(names: Sequence[str], seed: int, spread: float, unlabelled: float) -> None:
    business = shop(
        *(ALL[name] for name in names),
        seed=seed,
        rows=60,
        delay=timedelta(0),
        delay_spread=timedelta(days=spread),
        unlabelled=unlabelled,
    )
    batch = business.batch(OPENING - WEEK, OPENING + 9 * WEEK)
    assert (batch.known >= batch.seen).all()
    assert (np.diff(batch.seen) >= 0).all()
    assert len(set(batch.keys)) == len(batch)


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_event_changes_no_row_outside_of_its_time(name: str) -> None:
    # Late outcomes are told by when they would be known: a week after the row.
    before = WEEK if name in LATE else timedelta(0)
    for event, plain in ((shop(ALL[name]), shop()), (shop(ALL["season"], ALL[name]), shop(ALL["season"]))):
        for start, end in ((OPENING, MONTH[0] - before), (MONTH[1], MONTH[1] + 4 * WEEK)):
            assert same(replace(event.batch(start, end), events=()), replace(plain.batch(start, end), events=()))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"prevents", "selective"}))
def test_an_event_is_seen_in_its_time(name: str) -> None:
    assert not same(during(shop(ALL[name])), during(shop()))


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_outcomes_follow_the_stated_truth_whatever_is_planted(task: Task) -> None:
    planted = [EVENTS[name] for name in ("gradual", "recurring", "numbers move", "base rate", "season")]
    business = shop(*planted, BaseRate(**SPAN, by=0.5, amounts=True), rows=6_000, task=task)
    batch = during(business)
    assert batch.outcome.mean() == pytest.approx(batch.truth.mean(), abs=0.01 if task is Task.BINARY else 0.4)
    for low, high in zip(*(np.quantile(batch.truth, cuts) for cuts in ([0, 0.3, 0.7], [0.3, 0.7, 1])), strict=True):
        part = (batch.truth >= low) & (batch.truth <= high)
        error = 4 * (0.5 if task is Task.BINARY else 15.0) / np.sqrt(part.sum())
        assert abs(batch.outcome[part].mean() - batch.truth[part].mean()) < error


# ---- planted shares are hit ----


def test_a_sudden_change_turns_the_truth_and_leaves_the_inputs() -> None:
    changed, plain = during(shop(EVENTS["sudden"])), during(shop())
    assert changed.frame.equals(plain.frame)
    assert np.corrcoef(changed.truth, plain.truth)[0, 1] < 0.5


def changed_share(event: Event, start: datetime, end: datetime) -> float:
    pair = [shop(*events, rows=5_000).batch(start, end).truth for events in ((event,), ())]
    return float((np.abs(pair[0] - pair[1]) > 1e-9).mean())


def test_a_gradual_change_takes_more_and_more_rows() -> None:
    weeks = [changed_share(EVENTS["gradual"], MONTH[0] + i * WEEK, MONTH[0] + (i + 1) * WEEK) for i in range(3)]
    assert weeks == pytest.approx([0.25, 0.75, 1.0], abs=0.03)


def test_an_incremental_change_moves_every_row_a_little_more() -> None:
    far = [
        np.abs(shop(EVENTS["incremental"]).batch(a, a + WEEK).truth - shop().batch(a, a + WEEK).truth).mean()
        for a in (MONTH[0], MONTH[0] + WEEK, MONTH[0] + 2 * WEEK)
    ]
    assert 0 < far[0] < far[1] < far[2]
    assert changed_share(EVENTS["incremental"], MONTH[0], MONTH[0] + WEEK) > 0.99


def test_a_recurring_concept_comes_and_goes() -> None:
    weeks = [changed_share(EVENTS["recurring"], MONTH[0] + i * WEEK, MONTH[0] + (i + 1) * WEEK) for i in range(4)]
    assert weeks == [1.0, 0.0, 1.0, 0.0]


def test_moved_inputs_keep_their_meaning() -> None:
    moved, plain = during(shop(InputsMove(**SPAN, column="noise", by=2.0))), during(shop())
    assert np.array_equal(moved.truth, plain.truth)
    shift = (moved.frame["noise"] - plain.frame["noise"]).drop_nulls()
    assert shift.to_numpy() == pytest.approx(2.0)


def test_inputs_that_move_slowly_get_there_in_the_stated_time() -> None:
    moved, plain = during(shop(EVENTS["numbers move"])), during(shop())
    shift = (moved.frame["spend"] - plain.frame["spend"]).to_numpy()
    weeks = (moved.seen - micros_of(MONTH[0])) / (7 * 86_400e6)
    assert shift == pytest.approx(20.0 * np.minimum(weeks, 1.0))


def test_a_new_level_takes_its_share() -> None:
    batch = during(shop(EVENTS["a new level"], rows=5_000))
    assert (batch.frame["plan"] == "pilot").mean() == pytest.approx(0.3, abs=0.02)
    assert (batch.numbers()[:, FEATURES.index("plan")] == -1).mean() == pytest.approx(0.3, abs=0.02)


def test_a_base_rate_moves_the_shares_and_neither_the_traffic_nor_the_looks_of_a_class() -> None:
    moved, plain = (during(shop(*events, rows=8_000)) for events in ((EVENTS["base rate"],), ()))
    rate = plain.outcome.mean()
    odds = rate / (1 - rate) * np.e
    assert moved.outcome.mean() == pytest.approx(odds / (1 + odds), abs=0.015)
    assert len(moved) == pytest.approx(len(plain), rel=0.03)
    for label in (0.0, 1.0):
        means = [batch.frame.filter(batch.outcome == label)["spend"].mean() for batch in (moved, plain)]
        assert means[0] == pytest.approx(means[1], abs=0.4)


def test_a_season_fills_and_empties_the_shop() -> None:
    season = Season(period=8 * WEEK, top=MONTH[0], traffic=0.5)
    weeks = [len(shop(season, rows=4_000).batch(a, a + WEEK)) for a in (MONTH[0], MONTH[0] + 4 * WEEK)]
    assert weeks == pytest.approx([4_000 * 1.46, 4_000 * 0.54], rel=0.06)


def test_a_broken_feed_breaks_what_is_told_and_not_what_is_true() -> None:
    plain = during(shop())
    unit, zeros, missing, mixed = (during(shop(EVENTS[name])) for name in ("unit", "zeros", "missing", "mixed"))
    for batch in (unit, zeros, missing, mixed):
        assert np.array_equal(batch.truth, plain.truth)
        assert np.array_equal(batch.outcome, plain.outcome)
    assert (unit.frame["spend"] / plain.frame["spend"]).to_numpy() == pytest.approx(100.0)
    assert (zeros.frame["visits"] == 0).all()
    assert missing.frame["region"].null_count() == len(plain)
    assert mixed.frame["spend"].sort().equals(plain.frame["spend"].sort())
    assert not mixed.frame["spend"].equals(plain.frame["spend"])


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_wrong_labels_are_told_and_did_not_happen(task: Task) -> None:
    batch = during(shop(EVENTS["wrong labels"], rows=4_000, task=task))
    assert (batch.reported != batch.outcome).mean() == pytest.approx(0.5, abs=0.03)
    wrong = batch.reported != batch.outcome
    total = 1.0 if task is Task.BINARY else 200.0
    assert (batch.reported + batch.outcome)[wrong] == pytest.approx(total)


def test_outcomes_come_late_in_each_of_the_ways() -> None:
    plain = shop().batch(OPENING, OPENING + 12 * WEEK)
    start, end = (micros_of(moment) for moment in MONTH)
    due = (plain.known >= start) & (plain.known < end)
    known = {name: shop(event).batch(OPENING, OPENING + 12 * WEEK).known for name, event in LATE.items()}
    for moments in known.values():
        assert np.array_equal(moments[~due], plain.known[~due])
    late = (known["late"] - plain.known)[due] / 86_400e6
    assert set(late) == {0.0, 30.0}
    assert np.mean(late == 30.0) == pytest.approx(0.5, abs=0.05)
    growing = (known["growing"] - plain.known)[due] / 86_400e6
    assert np.corrcoef(growing, plain.known[due])[0, 1] > 0.999
    assert 28 < growing.max() <= 30
    assert (known["held"][due] == end).all()
    assert (known["lost"][due] == NEVER).all()


def test_nobody_comes_in_an_outage() -> None:
    assert len(during(shop(EVENTS["outage"]))) == 0
    assert len(during(shop(NoTraffic(**SPAN, share=0.5), rows=4_000))) == pytest.approx(8_000, rel=0.05)


# ---- what acting does ----


def test_acting_prevents_what_it_is_to_prevent() -> None:
    batch = during(shop(Prevents(**SPAN, works=0.6), rows=4_000))
    acted = batch.truth > 0.4
    after = batch.acted_on(acted)
    stopped = (batch.reported == 1) & (after.reported == 0)
    assert not stopped[~acted].any()
    assert stopped[acted & (batch.reported == 1)].mean() == pytest.approx(0.6, abs=0.03)
    assert same(batch.acted_on(np.zeros(len(batch), dtype=np.bool_)), batch)


def test_only_what_was_acted_on_gets_an_outcome() -> None:
    batch = during(shop(SelectiveLabels(**SPAN, explored=0.1), rows=4_000))
    acted = batch.truth > 0.4
    after = batch.acted_on(acted)
    assert np.array_equal(after.known[acted], batch.known[acted])
    assert (after.known[~acted] < NEVER).mean() == pytest.approx(0.1, abs=0.02)


# ---- what users take from it ----


def test_outcomes_come_in_order_each_once_and_not_before_they_are_known() -> None:
    business = shop(LATE["growing"], delay_spread=timedelta(days=3), unlabelled=0.2)
    told: list[str] = []
    waiting = business.batch(OPENING, OPENING).outcomes()
    for batch in business.windows():
        due, waiting = waiting.and_those(batch.outcomes()).due(batch.end)
        records = due.records()
        assert [r.known_at for r in records] == sorted(r.known_at for r in records)
        assert all(r.known_at <= batch.end.isoformat(timespec="microseconds") for r in records)
        told += [str(r.key) for r in records]
    last, none = waiting.due(datetime(2026, 1, 1, tzinfo=UTC))
    told += [str(r.key) for r in last.records()]
    whole = business.batch(OPENING, business.end)
    assert len(none) == 0
    assert sorted(told) == sorted(np.array(whole.keys)[whole.known < NEVER])
    some = last.records({key: f"p-{key}" for key in last.keys})
    assert {r.prediction_id for r in some} == {f"p-{key}" for key in last.keys}


def test_a_table_holds_only_what_is_known_by_then() -> None:
    batch = shop().batch(OPENING - 2 * WEEK, OPENING)
    table = batch.table(by=OPENING - WEEK / 2)
    known = table.filter(pl.col("left").is_not_null())
    assert 0 < known.height < table.height
    assert known[KNOWN].max() <= (OPENING - WEEK / 2).replace(tzinfo=None)  # type: ignore[operator]
    assert table.filter(pl.col("left").is_null())[KNOWN].null_count() == table.height - known.height
    history = shop().history()
    assert history["left"].null_count() == 0
    assert history[TIME].max() <= (OPENING - WEEK).replace(tzinfo=None)  # type: ignore[operator]


def test_numbers_and_frame_tell_the_same() -> None:
    batch = during(shop(EVENTS["season"]))
    numbers: Floats = batch.numbers()
    for at, name in enumerate(FEATURES):
        column = batch.frame[name]
        assert np.array_equal(np.isnan(numbers[:, at]), column.is_null().to_numpy())
        if name in LEVELS:
            said = [LEVELS[name][int(code)] for code in numbers[:, at] if not np.isnan(code)]
            assert said == column.drop_nulls().to_list()
        else:
            assert np.array_equal(numbers[:, at], column.cast(pl.Float64).to_numpy(), equal_nan=True)


def _pair(reference: pl.DataFrame, current: pl.DataFrame) -> WindowPair:
    kinds = [Column(n, str(reference.schema[n]), Kind.CATEGORICAL if n in LEVELS else Kind.NUMERIC) for n in FEATURES]
    return WindowPair(reference.select(FEATURES), current.select(FEATURES), Schema(tuple(kinds)))


def _moved(business: Business, start: datetime, end: datetime) -> set[str | None]:
    pair, test = _pair(business.batch(business.start, business.opening).frame, business.batch(start, end).frame), None
    test = PopulationStabilityIndex()
    found = judged(test.name, test.threshold, lambda: test.measure(pair), seen=lambda _: None)
    return {finding.subject for finding in found if finding.verdict in (Verdict.WARN, Verdict.FAIL)}


def test_our_own_drift_test_is_silent_where_nothing_is_planted() -> None:
    quiet = [named_business("quiet", seed=seed, weekly_rows=400, weeks=8) for seed in range(5)]
    found = [_moved(b, b.opening + i * WEEK, b.opening + (i + 1) * WEEK) for b in quiet for i in range(8)]
    assert sum(map(len, found)) <= 0.05 * len(found) * len(FEATURES)


def test_our_own_drift_test_finds_what_moved() -> None:
    business = named_business("moving_inputs", weekly_rows=400)
    assert "noise" in _moved(business, business.events[0].start, business.events[0].start + WEEK)
    assert "spend" in _moved(business, business.end - WEEK, business.end)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_every_named_business_says_what_it_expects_and_has_a_project(name: str, task: Task) -> None:
    business = named_business(name, task=task, weekly_rows=50)
    assert business.name == name
    windows = list(business.windows())
    assert len(windows) == 52
    assert windows[0].start == OPENING
    assert all(business.opening <= event.start < business.end for event in business.events if type(event) is not Season)
    assert all(event.expects.says for event in business.events)
    project = parse_project(project_text(business))
    assert project.data.target in business.history().columns
    assert project.data.key == KEY
    assert project.operations.autonomy == "auto"
