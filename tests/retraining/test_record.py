"""The record of earlier promises: chasing what comes and goes is left off, and what pays is still done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retraining_worlds import DAY, CellProber, stream, told_otherwise

from tenure.core.retraining import Prospect, Recipe, Way
from tenure.retraining.consider import consider
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.recipes import ALL
from tenure.retraining.record import Promise, Record

FIRST, TURNS, WINDOWS, PERIOD = 8, 10, 50, 4


def _end(window: int) -> int:
    return (window + 1) * DAY - 1


def _chase(seed: int) -> History:
    """Make a stream whose rule turns around every four windows, and is known after one more."""
    calm = stream(windows=WINDOWS, volume=200, delay=1, seed=seed)
    return told_otherwise(calm, (calm.window >= TURNS) & ((calm.window - TURNS) // PERIOD % 2 == 0))


def _lived(history: History, *, remembers: bool) -> list[Prospect]:
    """Ask at the end of each window and do what is chosen; what was asked before is remembered, or not."""
    incumbent, former, told = Incumbent(1, (Making(ALL, _end(FIRST - 1)),)), list[Incumbent](), list[Prospect]()
    terms, prober = Terms(volume=200, cost=2.0), CellProber()
    for window in range(FIRST, WINDOWS):
        now, memory = _end(window), told if remembers else []
        told.append(
            consider(history, incumbent, terms, prober, now=now, trigger="window", memory=memory, former=former)
        )
        chosen = told[-1].chosen
        if chosen is None:
            continue
        making = _making(chosen, incumbent, former, now)
        former = [one for one in (*former, incumbent) if one.making != making][-5:]
        incumbent = Incumbent(len(told) + 1, making)
    return told


def _making(chosen: Recipe, incumbent: Incumbent, former: Sequence[Incumbent], now: int) -> tuple[Making, ...]:
    if chosen.way is Way.RESTORE:
        return next(one.making for one in former if one.version == chosen.version)
    before = () if chosen.way is Way.REFIT else incumbent.making
    return (*before, Making(chosen, now))


def _swaps(*, remembers: bool) -> int:
    """Return how often another model was chosen in the second half."""
    told = _lived(_chase(seed=0), remembers=remembers)
    return sum(one.chosen is not None for one in told[len(told) // 2 :])


def test_a_chase_that_never_catches_up_is_left_off() -> None:
    chased, braked = _swaps(remembers=False), _swaps(remembers=True)
    assert chased >= 5
    assert braked <= chased / 3


def test_a_change_that_stays_is_answered_after_many_calm_looks() -> None:
    change = 30
    history = stream(windows=change + 2, changes_at=change)
    incumbent, told = Incumbent(1, (Making(ALL, _end(FIRST - 1)),)), list[Prospect]()
    for window in range(FIRST, change + 1):
        told.append(
            consider(
                history,
                incumbent,
                Terms(volume=400, cost=2.0),
                CellProber(),
                now=_end(window),
                trigger="window",
                memory=told,
            )
        )
    assert told[-1].chosen is not None


def test_the_record_is_the_same_again() -> None:
    history = stream(windows=20, changes_at=12)
    incumbent = Incumbent(1, (Making(ALL, _end(FIRST - 1)),))

    def asked() -> list[Prospect]:
        told: list[Prospect] = []
        for window in range(FIRST, 18):
            terms = Terms(volume=400, cost=2.0)
            told.append(
                consider(
                    history, incumbent, terms, CellProber(), now=_end(window), trigger="window", memory=tuple(told)
                )
            )
        return told

    assert asked() == asked()


def _record(*promises: tuple[float, float]) -> Record:
    return Record(tuple(Promise(seen, came, 1.0) for seen, came in promises), {}, looks=2.0)


def test_without_a_record_all_is_believed() -> None:
    assert _record().trust(0.1) == 1.0


@given(st.lists(st.floats(0.01, 1.0), max_size=20), st.floats(0.01, 1.0), st.floats(0.0, 2.0))
def test_promises_that_were_kept_in_part_change_nothing(seen: list[float], now: float, part: float) -> None:
    assert _record(*((one, part * one) for one in seen)).trust(now) == pytest.approx(1.0)


@given(st.floats(0.01, 1.0), st.integers(1, 20))
def test_every_promise_that_turned_around_takes_belief(seen: float, count: int) -> None:
    told = [_record(*[(seen, -seen)] * many).trust(seen) for many in (count - 1, count)]
    assert told[1] < told[0] or told == [0.0, 0.0]


def test_a_change_larger_than_all_before_is_believed_whatever_became_of_small_ones() -> None:
    record = _record(*[(0.01, -0.05)] * 12)
    assert record.trust(0.01) == 0.0
    assert record.trust(0.3) > 0.9


def test_one_large_promise_says_no_more_of_small_ones_than_a_small_one() -> None:
    assert _record((1.0, -1.0)).trust(0.1) == pytest.approx(_record((0.1, -0.1)).trust(0.1))


def test_what_does_not_last_gains_what_an_earlier_version_always_does() -> None:
    record = Record((), {3: 0.02}, looks=2.0)
    assert record.lasts(Recipe("restore v3", Way.RESTORE, version=3), 0.2)[1] == 0.02
    assert record.lasts(ALL, 0.2)[1] == 0.0
