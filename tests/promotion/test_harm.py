"""Bets on harm: seldom wrong however often one looks, quick where harm is planted, the same whoever looks when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.modelling import Floats, Task
from tenure.promotion.harm import OPEN, blocks_of, harm_of, yardstick_of

Draw = Callable[[np.random.Generator, int], Floats]
ROWS = 20


def _sticky(rng: np.random.Generator, blocks: int) -> Floats:
    level = rng.normal(size=blocks)
    for at in range(1, blocks):
        level[at] = 0.5 * level[at - 1] + np.sqrt(0.75) * level[at]
    return rng.normal(size=blocks * ROWS) + 0.5 * np.repeat(level, ROWS)


NULLS: dict[str, Draw] = {
    "rows that stand alone": lambda rng, blocks: rng.normal(size=blocks * ROWS),
    "heavy tails": lambda rng, blocks: rng.standard_t(3, size=blocks * ROWS),
    "a spread that grows tenfold": lambda rng, blocks: (
        rng.normal(size=blocks * ROWS) * np.linspace(0.3, 3.0, blocks * ROWS)
    ),
    "blocks that move together": lambda rng, blocks: (
        rng.normal(size=blocks * ROWS) + np.repeat(rng.normal(size=blocks), ROWS)
    ),
    "blocks that resemble their neighbours": _sticky,
    "a candidate that gains by rare rows": lambda rng, blocks: np.where(
        rng.random(blocks * ROWS) < 0.02, -7.0, 7.0 * 0.02 / 0.98
    ),
}


def _wealths(draw: Draw, *, worlds: int, blocks: int, more: float = 0.0) -> Floats:
    block = np.repeat(np.arange(blocks), ROWS)
    drawn = (draw(np.random.default_rng(world), blocks) + more for world in range(worlds))
    return np.array([harm_of(excess, block, margin=0.0, spread=1.0).wealth for excess in drawn])


@pytest.mark.parametrize("name", list(NULLS))
def test_without_harm_the_bar_is_reached_no_more_often_than_promised_over_all_looks(name: str) -> None:
    wealth = _wealths(NULLS[name], worlds=200, blocks=60)
    # Three standard errors above 5 % and 1 % of 200 worlds.
    assert (wealth >= 20).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert (wealth >= 100).mean() <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 200)


@pytest.mark.parametrize(("more", "blocks"), [(0.5, 20), (1.0, 12), (3.0, 10)])
def test_planted_harm_is_found_within_a_few_blocks(more: float, blocks: int) -> None:
    found = _wealths(NULLS["rows that stand alone"], worlds=60, blocks=blocks, more=more) >= 20
    assert found.mean() >= 0.9


def test_a_version_that_is_ever_less_good_than_it_was_does_no_harm() -> None:
    wealth = _wealths(lambda rng, n: rng.normal(size=n * ROWS) + np.linspace(-5.0, 0.0, n * ROWS), worlds=60, blocks=60)
    assert (wealth >= 20).mean() <= 0.05


def test_versions_that_say_the_same_do_each_other_no_harm() -> None:
    block = np.repeat(np.arange(40), ROWS)
    assert harm_of(np.zeros(block.size), block, margin=0.01, spread=1.0).wealth == 1.0
    assert harm_of(np.zeros(block.size), block, margin=0.0, spread=0.0).wealth == 1.0


def test_one_bad_block_alone_is_no_harm() -> None:
    excess = np.random.default_rng(0).normal(size=20 * ROWS)
    excess[10 * ROWS : 11 * ROWS] += 1_000.0
    assert harm_of(excess, np.repeat(np.arange(20), ROWS), margin=0.0, spread=1.0).wealth < 20


@given(
    moments=st.lists(st.floats(0, 1e6), max_size=60).map(np.array),
    least=st.integers(1, 7),
    span=st.floats(0, 1e5),
    cut=st.integers(0, 60),
)
def test_blocks_are_full_and_later_rows_change_none(moments: Floats, least: int, span: float, cut: int) -> None:
    block = blocks_of(moments, least=least, span=span)
    for number in range(block.max(initial=OPEN) + 1):
        rows = moments[block == number]
        assert rows.size >= least
        assert np.ptp(rows) >= span
    before = blocks_of(moments[:cut], least=least, span=span)
    assert (block[:cut][before != OPEN] == before[before != OPEN]).all()


@given(seed=st.integers(0, 1_000), cut=st.integers(0, 400))
def test_what_was_won_stays_won_and_is_counted_once(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    excess, moments = rng.normal(0.3, 1.0, size=400), np.arange(400.0)
    before = harm_of(excess[:cut], blocks_of(moments[:cut], least=10, span=0.0), margin=0.0, spread=1.0)
    after = harm_of(excess, blocks_of(moments, least=10, span=0.0), margin=0.0, spread=1.0)
    assert after.wealth >= before.wealth
    assert before.blocks == cut // 10


def test_a_yardstick_bounds_what_one_row_can_say() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 500)
    predicted = np.column_stack([1 - target * 0.4 - 0.3, target * 0.4 + 0.3])
    ranked = yardstick_of("roc_auc", Task.BINARY, target, predicted)
    assert ranked.metric.name == "log_loss"
    assert 0 < ranked.margin < 0.05 * np.log(2)
    sure = ranked.losses(np.array([1]), np.array([[1.0, 0.0]]))
    assert sure[0] == pytest.approx(np.log(100))
    values = rng.normal(size=500)
    errors = yardstick_of("mae", Task.REGRESSION, values, values + 0.1 * rng.normal(size=500))
    assert errors.losses(np.array([0.0]), np.array([1e9]))[0] == errors.cap < 20
    assert errors.margin > 0.01


def test_a_model_without_skill_leaves_a_margin_all_the_same() -> None:
    values = np.random.default_rng(0).normal(size=500)
    assert yardstick_of("rmse", Task.REGRESSION, values, values + 3.0).margin > 0
