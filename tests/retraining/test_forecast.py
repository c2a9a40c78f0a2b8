"""The forecast: sure of what is clear, honest about the choice among many, and never sure by one block alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.retraining import Recipe
from tenure.retraining.contest import CHUNKS, Entry
from tenure.retraining.forecast import Forecast, forecast
from tenure.retraining.history import Terms
from tenure.retraining.recipes import RECALIBRATE


def _entry(name: str, gains: np.ndarray) -> Entry:
    return Entry(Recipe(name), gains=list(gains))


def _ask(entries: list[Entry], *, cost: float = 0.0, windows: float = 4.0) -> list[Forecast]:
    blocks = max(len(entry.gains) for entry in entries)
    return forecast(entries, np.ones(blocks), Terms(volume=100, cost=cost), windows)


def test_a_clear_gain_is_sure_and_comes_first() -> None:
    rng = np.random.default_rng(0)
    told = _ask([_entry("noise", rng.normal(0, 0.1, (4, CHUNKS))), _entry("clear", rng.normal(1, 0.1, (4, CHUNKS)))])
    assert told[0].recipe.name == "clear"
    assert told[0].probability > 0.99
    assert told[0].gain.low < 1.0 < told[0].gain.high


@given(st.integers(0, 1_000), st.floats(0, 200), st.floats(0, 200))
def test_the_probability_never_rises_with_the_cost(seed: int, one: float, other: float) -> None:
    gains = np.random.default_rng(seed).normal(0.2, 0.3, (4, CHUNKS))
    dear, cheap = (_ask([_entry("it", gains)], cost=cost)[0] for cost in (max(one, other), min(one, other)))
    assert dear.probability <= cheap.probability
    assert dear.total.value <= cheap.total.value


def test_choosing_among_many_that_gain_nothing_is_seldom_sure() -> None:
    rng, sure, naive = np.random.default_rng(3), 0, 0
    for _ in range(50):
        entries = [_entry(str(at), rng.normal(0, 1, (4, CHUNKS))) for at in range(10)]
        told = _ask(entries)
        sure += told[0].probability >= 0.8
        naive += max(_ask([entry])[0].probability for entry in entries) >= 0.8
    assert sure <= 3
    assert naive >= 2 * max(sure, 2)


def test_one_block_is_not_taken_at_its_word() -> None:
    rng = np.random.default_rng(0)
    one = _ask([_entry("one", rng.normal(0.3, 0.05, (1, CHUNKS)))])[0]
    four = _ask([_entry("four", rng.normal(0.3, 0.05, (4, CHUNKS)))])[0]
    assert one.gain.high - one.gain.low > 2 * (four.gain.high - four.gain.low)


def test_blocks_that_lie_far_apart_make_it_unsure() -> None:
    near = np.full((4, CHUNKS), 0.3) + np.random.default_rng(0).normal(0, 0.01, (4, CHUNKS))
    far = near + np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
    assert _ask([_entry("near", near)])[0].probability > 0.99
    assert _ask([_entry("far", far)])[0].probability < 0.8


def test_corrections_do_not_pay_for_learning() -> None:
    gains = np.full((4, CHUNKS), 0.1) + np.random.default_rng(0).normal(0, 0.01, (4, CHUNKS))
    told = _ask([_entry("learned", gains), Entry(RECALIBRATE, gains=list(gains))], cost=1_000.0)
    assert told[0].recipe == RECALIBRATE
    assert [one.probability for one in told] == [1.0, 0.0]


def test_what_left_the_contest_is_never_first_and_what_never_ran_is_left_out() -> None:
    rng = np.random.default_rng(0)
    gone = Entry(Recipe("gone"), gains=[np.full(CHUNKS, 9.0), None], dropped="worse")
    told = _ask([gone, _entry("here", rng.normal(0.1, 0.1, (2, CHUNKS))), Entry(Recipe("never"), gains=[None, None])])
    assert [one.recipe.name for one in told] == ["here", "gone"]
    assert forecast([Entry(Recipe("never"), gains=[None])], np.ones(1), Terms(100, 0.0), 4.0) == []
