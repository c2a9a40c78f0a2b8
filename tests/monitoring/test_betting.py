"""Bets against "nothing has changed": fair, patient in restless worlds, quick where something moves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tenure.core.modelling import Floats
from tenure.monitoring.betting import (
    NEEDED,
    Stakes,
    Windows,
    alarmed,
    bets,
    collected,
    normal_of,
    run,
)

COLUMNS = 20
EACH = 2
YEAR = 365
IMPORTANCE = 0.8 ** np.arange(COLUMNS)
WEIGHT = np.maximum(IMPORTANCE / IMPORTANCE.sum(), 0.2 / COLUMNS)
STAKES = Stakes(
    weight=np.repeat(WEIGHT / WEIGHT.sum() / EACH, EACH),
    floor=np.full(COLUMNS * EACH, 0.03**2),
    group=np.repeat(np.arange(COLUMNS), EACH),
    bar=YEAR,
)
ROWS = 2_000


def wobble(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
    if kind == "heavy tails":
        return rng.standard_t(4, shape) / np.sqrt(2)
    fresh = rng.normal(size=shape)
    if kind == "sticky":
        for t in range(1, shape[1]):
            fresh[:, t] = 0.7 * fresh[:, t - 1] + np.sqrt(1 - 0.7**2) * fresh[:, t]
    return fresh


def world(kind: str, size: float, worlds: int, windows: int, rng: np.random.Generator, *, rows: int = ROWS) -> Windows:
    shape = (worlds, windows, COLUMNS * EACH)
    values = size * wobble(kind, shape, rng) + rng.normal(size=shape) / np.sqrt(rows)
    return Windows(values, np.full(shape, 1 / rows))


def cut(windows: Windows, at: int) -> tuple[Windows, Windows]:
    return (
        Windows(windows.values[:, :at], windows.variances[:, :at]),
        Windows(windows.values[:, at:], windows.variances[:, at:]),
    )


def alarms(level: Floats) -> int:
    on = alarmed(level)
    return int(on[:, 0].sum() + (on[:, 1:] & ~on[:, :-1]).sum())


@pytest.mark.parametrize("known", [10, 20, 60])
@pytest.mark.parametrize("kind", ["even", "heavy tails", "sticky"])
def test_quiet_years_raise_fewer_alarms_than_the_owner_allows(kind: str, known: int) -> None:
    years = 16
    base, live = cut(world(kind, 0.1, years, known + YEAR, np.random.default_rng(3)), known)
    assert alarms(run(base, live, STAKES)) / years <= 1.0


@pytest.mark.parametrize("rows", [500, 2_000, 10_000])
def test_windows_drawn_at_random_never_come_near_an_alarm(rows: int) -> None:
    base, live = cut(world("even", 0.0, 8, 20 + YEAR, np.random.default_rng(4), rows=rows), 20)
    assert run(base, live, STAKES).max() < 0.1


@pytest.mark.parametrize(("kind", "most"), [("even", 4), ("heavy tails", 4)])
@pytest.mark.parametrize("column", [0, 3, 6])
def test_a_shift_that_costs_a_twentieth_of_the_skill_is_found_within_days(kind: str, most: int, column: int) -> None:
    """A shift of d deviations costs about d² of the column's share of the skill in log-loss."""
    base, live = cut(world(kind, 0.1, 40, 20 + 40, np.random.default_rng(5)), 20)
    live.values[:, 5:, column * EACH] += np.sqrt(0.05 / WEIGHT[column])
    on = alarmed(run(base, live, STAKES))[:, 5:]
    assert on.any(axis=1).mean() >= 0.9
    assert np.median(on.argmax(axis=1) + 1) <= most


def test_small_windows_after_large_ones_stay_quiet() -> None:
    rng = np.random.default_rng(6)
    base = world("even", 0.0, 8, 20, rng, rows=5_000)
    live = world("even", 0.0, 8, YEAR, rng, rows=100)
    assert run(base, live, STAKES).max() < 0.1


def test_bets_are_fair_where_nothing_changed() -> None:
    base, live = cut(world("even", 0.1, 800, 20 + 1, np.random.default_rng(7)), 20)
    won = bets(live, base.values[:, -1], normal_of(base, STAKES))
    assert won.mean() <= 1.0
    assert won.min() >= 0.2


def test_the_bet_on_a_summary_that_never_moved_is_calm_about_its_first_wobble() -> None:
    still = Windows(np.full((1, 20, 1), 0.3), np.full((1, 20, 1), 1 / 500))
    stakes = Stakes(np.ones(1), np.full(1, 0.03**2), np.zeros(1, dtype=np.int64), YEAR)
    wobbles = Windows(np.full((1, 1, 1), 0.3 + 0.05), np.full((1, 1, 1), 1 / 500))
    assert float(bets(wobbles, still.values[:, -1], normal_of(still, stakes)).item()) < 1.0


def test_a_summary_that_few_windows_know_is_not_bet_on() -> None:
    base, live = cut(world("even", 0.1, 1, 20 + 5, np.random.default_rng(8)), 20)
    base.values[:, NEEDED - 1 :, 0] = np.nan
    live.values[:, :, 0] = 1e6
    won = bets(live, base.values[:, -1], normal_of(base, STAKES))
    assert (won[..., 0] == 1.0).all()
    assert (won[..., 1] != 1.0).all()


def test_important_columns_get_there_first() -> None:
    won = np.full((1, 10, COLUMNS * EACH), 0.5)
    levels = []
    for column in (0, COLUMNS - 1):
        moved = won.copy()
        moved[..., column * EACH] = 8.0
        levels.append(collected(moved, np.zeros((1, COLUMNS * EACH)), STAKES).level.sum(axis=2)[0, 3])
    assert levels[0] > 10 * levels[1]


def test_a_column_is_learned_from_until_it_moves_and_the_others_go_on() -> None:
    won = np.full((1, 4, COLUMNS * EACH), 0.5)
    won[:, 2:, 0] = 50.0
    got = collected(won, np.zeros((1, COLUMNS * EACH)), STAKES)
    assert got.learned[0, :2].all()
    assert not got.learned[0, 2:, :EACH].any()
    assert got.learned[0, 2:, EACH:].all()


def test_the_alarm_stays_on_until_all_is_as_before_and_goes_off_soon_then() -> None:
    base, live = cut(world("even", 0.02, 1, 30 + 80, np.random.default_rng(9)), 30)
    live.values[:, 10:50, 0] += 1.0
    on = alarmed(run(base, live, STAKES))[0].tolist()
    assert not any(on[:10])
    assert all(on[12:50])
    assert not any(on[58:])
    assert sum(one != other for one, other in pairwise(on)) == 2
