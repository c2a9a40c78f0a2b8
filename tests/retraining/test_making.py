"""Recipes and makings: which rows are learned from, with which weights, and step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from retraining_worlds import DAY, CellProber, stream, told_otherwise

from tenure.core.retraining import Recipe, Way
from tenure.retraining.history import Making
from tenure.retraining.making import correction_rows, make
from tenure.retraining.recipes import ALL, CONTINUE, LEAVES, LEVEL, RECALIBRATE, learned_rows, moment_of, refits, since

NOON_OF_9 = 9 * DAY + DAY // 2


@pytest.mark.parametrize("recipe", refits(), ids=lambda recipe: recipe.name)
def test_only_usable_rows_that_were_known_are_learned_from(recipe: Recipe) -> None:
    history = stream(delay=2)
    history = replace(history, usable=history.window != 4)
    rows, weight = learned_rows(history, recipe, NOON_OF_9)
    assert (history.known[rows] <= NOON_OF_9).all()
    assert (history.window[rows] != 4).all()
    assert (np.diff(rows) > 0).all()
    if recipe.half_life is None:
        assert weight is None
        known = int((history.usable & (history.known <= NOON_OF_9)).sum())
        assert len(rows) == int(np.ceil(recipe.share * known))
    else:
        assert weight is not None
        assert weight.mean() == pytest.approx(1.0)
        assert (np.diff(weight) > 0).all()


def test_a_half_life_halves() -> None:
    rows, weight = learned_rows(stream(), Recipe("a quarter", half_life=0.25), NOON_OF_9)
    assert weight is not None
    quarter = len(rows) // 4
    assert weight[-1] / weight[-1 - quarter] == pytest.approx(2.0, rel=0.01)


def test_rows_before_a_change_are_left_out_and_many_are_thinned_evenly() -> None:
    history = stream()
    recipe = since(7 * DAY)
    assert moment_of(recipe) == 7 * DAY
    rows, _ = learned_rows(history, recipe, NOON_OF_9)
    assert history.times[rows].min() == 7 * DAY
    few, _ = learned_rows(history, ALL, NOON_OF_9, most=100)
    assert len(few) == 100
    assert np.ptp(np.diff(few)) <= 1
    before, _ = learned_rows(history, ALL, NOON_OF_9, until=8 * DAY)
    assert history.times[before].max() < 8 * DAY


def test_corrections_learn_from_the_latest_windows_that_are_new() -> None:
    history = stream()
    rows = correction_rows(history, 5 * DAY - 1, 10 * DAY - 1)
    assert set(history.window[rows]) == {8, 9}
    assert set(history.window[correction_rows(history, 9 * DAY - 1, 10 * DAY - 1)]) == {9}
    assert len(correction_rows(history, 10 * DAY - 1, 10 * DAY - 1)) == 0


def test_a_correction_mends_the_model_and_goes_when_it_is_learned_anew() -> None:
    history = stream(changes_at=8)
    first, fix = Making(ALL, 8 * DAY - 1), Making(RECALIBRATE, 11 * DAY - 1)
    later = np.flatnonzero(history.window == 12)
    matrix, prober = history.problem.matrix[later], CellProber()
    bare, mended = (make(history, steps, prober) for steps in ((first,), (first, fix)))
    assert history.loss(later, mended.predict(matrix)).mean() < history.loss(later, bare.predict(matrix)).mean() - 0.3
    anew = make(history, (first, fix, Making(ALL, 12 * DAY - 1)), prober).predict(matrix)
    assert (anew == make(history, (Making(ALL, 12 * DAY - 1),), prober).predict(matrix)).all()


@pytest.mark.parametrize("recipe", [CONTINUE, *LEAVES], ids=lambda recipe: recipe.name)
def test_what_goes_on_starts_from_the_trees(recipe: Recipe) -> None:
    history, prober = stream(changes_at=8), CellProber()
    steps = (Making(ALL, 8 * DAY - 1), Making(LEVEL, 9 * DAY - 1), Making(recipe, 10 * DAY - 1))
    make(history, steps, prober)
    first, further = prober.seen
    assert history.window[first].max() == 7
    assert set(history.window[further]) == ({8, 9} if recipe.way is Way.CONTINUE else set(range(10)))


def test_a_making_that_starts_from_nothing_raises() -> None:
    with pytest.raises(ValueError, match="start from"):
        make(stream(), (Making(LEVEL, 5 * DAY),), CellProber())
    with pytest.raises(ValueError, match="at least one step"):
        make(stream(), (), CellProber())


def test_what_was_not_known_makes_no_difference() -> None:
    history, steps = stream(changes_at=8, delay=1), (Making(ALL, 8 * DAY), Making(RECALIBRATE, 11 * DAY))
    other = told_otherwise(history, history.known > 11 * DAY)
    matrix = history.problem.matrix[-100:]
    one, two = (make(this, steps, CellProber()).predict(matrix) for this in (history, other))
    assert (one == two).all()
