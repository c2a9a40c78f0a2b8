"""The decision: what is planted is found, what is not is left alone, and nothing is known early."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from retraining_worlds import DAY, CellProber, stream, told_otherwise

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Probe, Problem
from tenure.core.retraining import Prospect, Recipe, Way
from tenure.retraining.consider import consider
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.recipes import ALL, usual

CHANGE = 12


def _end(window: int) -> int:
    return (window + 1) * DAY - 1


def _incumbent(window: int = 7) -> Incumbent:
    return Incumbent(1, (Making(ALL, _end(window)),))


def _ask(history: History, window: int, *, cost: float = 2.0, **also: Any) -> Prospect:
    terms = Terms(volume=400, cost=cost)
    told = {"incumbent": _incumbent(), "prober": CellProber(), "terms": terms, "trigger": "matured window"} | also
    return consider(history, now=_end(window), **told)


def test_a_sudden_change_is_answered_with_recent_rows_within_two_windows() -> None:
    for seed in range(5):
        history = stream(changes_at=CHANGE, seed=seed)
        chosen = [_ask(history, window).chosen for window in (CHANGE, CHANGE + 1)]
        first = next(recipe for recipe in chosen if recipe is not None)
        assert first.share < 0.2 or first.since is not None or (first.half_life or 1) < 0.2


def test_with_late_outcomes_it_is_answered_when_they_are_known() -> None:
    history = stream(changes_at=CHANGE, delay=2)
    assert _ask(history, CHANGE + 1).chosen is None
    told = [_ask(history, CHANGE + 2 + late).chosen for late in (0, 1)]
    assert any(recipe is not None for recipe in told)


def test_where_nothing_changes_nothing_is_made() -> None:
    told = [_ask(stream(seed=seed), window).chosen for seed in range(8) for window in (10, 14)]
    assert sum(recipe is not None for recipe in told) <= 1


def test_what_is_not_known_yet_changes_nothing() -> None:
    history = stream(changes_at=CHANGE, delay=1)
    now = _end(14)
    assert _ask(history, 14) == _ask(told_otherwise(history, history.known > now), 14)


def test_no_probe_learns_from_a_row_before_its_outcome_was_known() -> None:
    history, prober = stream(changes_at=CHANGE, delay=1), CellProber()
    _ask(history, 14, prober=prober)
    assert prober.seen
    assert all(history.known[rows].max() <= _end(14) for rows in prober.seen)


def test_rows_of_faulty_windows_neither_teach_nor_judge() -> None:
    history = stream(changes_at=CHANGE)
    faulty = np.isin(history.window, (9, 14))
    prober = CellProber()
    told = _ask(replace(told_otherwise(history, faulty), usable=~faulty), 14, prober=prober)
    assert not any(faulty[rows].any() for rows in prober.seen)
    assert told == _ask(replace(history, usable=~faulty), 14)


def test_it_says_the_same_again() -> None:
    assert _ask(stream(changes_at=CHANGE), 13) == _ask(stream(changes_at=CHANGE), 13)
    assert _ask(stream(changes_at=CHANGE), 13, threads=2) == _ask(stream(changes_at=CHANGE), 13)


def test_the_dearer_a_model_the_less_likely_it_pays() -> None:
    history = stream(changes_at=CHANGE, seed=3)
    told = [_ask(history, CHANGE + 1, cost=cost) for cost in (0.0, 50.0, 200.0, 5_000.0)]
    chances = [one.probability for one in told]
    assert chances == sorted(chances, reverse=True)
    assert told[0].chosen is not None
    refit = {one.recipe.name: one.probability for one in told[-1].alternatives if one.recipe.is_retraining}
    assert max(refit.values()) < 0.01


def test_the_model_in_office_made_again_from_the_same_rows_gains_nothing() -> None:
    history = stream()
    again = Recipe("again", since="1970-01-01T00:00:00+00:00")
    told = _ask(history, 8, recipes=(again,), incumbent=_incumbent(7))
    whole = told.alternatives[0].gains[1]
    assert whole == pytest.approx(0.0, abs=1e-12)


def test_an_earlier_version_comes_back_with_its_world() -> None:
    history = stream(changes_at=CHANGE, back_at=18, windows=24)
    old = Incumbent(1, (Making(ALL, _end(9)),))
    new = Incumbent(2, (Making(Recipe("since", since="1970-01-13T00:00:00+00:00"), _end(15)),))
    told = _ask(history, 19, incumbent=new, former=(old,))
    assert told.chosen is not None
    assert told.chosen.way is Way.RESTORE
    assert told.chosen.version == 1


def test_a_change_that_was_noted_is_not_forgotten() -> None:
    history = stream(changes_at=CHANGE)
    first = _ask(history, CHANGE + 1)
    noted = [one.recipe for one in first.alternatives if one.recipe.since is not None]
    assert noted
    renewed = Incumbent(2, (Making(noted[0], _end(CHANGE + 1)),))
    later = _ask(history, CHANGE + 3, incumbent=renewed, memory=(first,))
    assert noted[0] in [one.recipe for one in later.alternatives]


def test_answers_that_are_off_by_a_constant_are_corrected_and_not_learned_anew() -> None:
    history, prober = stream(), CellProber()
    right = prober.fit(history.problem, np.arange(3_200), None).predict(history.problem.matrix)
    odds = 3.0 * right[:, 1] / (1 - right[:, 1] + 3.0 * right[:, 1])
    incumbent = replace(_incumbent(), answers=np.column_stack([1 - odds, odds]))
    told = _ask(history, 12, incumbent=incumbent)
    assert told.chosen is not None
    assert told.chosen.way is Way.RECALIBRATE


class _Broken:
    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> Probe:
        raise RuntimeError("no memory left")


def test_a_prober_that_breaks_is_never_taken_for_an_answer() -> None:
    with pytest.raises(RuntimeError, match="no memory left"):
        _ask(stream(changes_at=CHANGE), 13, prober=_Broken())


def test_without_outcomes_that_are_new_nothing_is_chosen() -> None:
    told = _ask(stream(changes_at=CHANGE, delay=4), 7)
    assert told.chosen is None
    assert told.rows == 0
    assert "nothing can be said yet" in told.says


def test_the_record_tells_of_every_recipe_and_why() -> None:
    told = _ask(stream(changes_at=CHANGE), CHANGE + 1)
    assert told.chosen is not None
    assert {recipe.name for recipe in usual()} <= {one.recipe.name for one in told.alternatives}
    best = next(one for one in told.alternatives if one.recipe == told.chosen)
    assert best.gain is not None
    assert best.gain.low < best.gain.value < best.gain.high
    assert len(best.gains) == len(told.starts)
    assert f"{told.probability:.0%}" in told.says
    assert Prospect.from_dict(told.to_dict()) == told
