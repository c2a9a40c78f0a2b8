from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.project import ValueSection
from tenure.core.value import acted
from tenure.reporting.worth import (
    curve_of,
    near_cut,
    ranked_groups,
    reach,
    reliability,
    wilson,
    worth_of,
)

VALUE = ValueSection(true_positive=60.0, false_positive=-20.0, false_negative=-5.0)


def world(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.beta(1.0, 3.0, size=rows)
    return rng.random(rows) < score, score


@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.floats(0.01, 1.0))
def test_nobody_below_the_threshold_or_beyond_the_room_is_acted_on(seed: int, threshold: float, room: float) -> None:
    yes, score = world(seed)
    chosen = acted(score, threshold=threshold, share=room)
    assert chosen.sum() <= room * len(score)
    assert not chosen[score < threshold].any()
    who = reach(yes, score, chosen, threshold=threshold)
    assert who.flagged == pytest.approx(chosen.mean())
    assert who.cut >= threshold
    if who.hit is not None:
        assert who.hit.value == pytest.approx(yes[chosen].mean())
        assert who.hit.low <= who.hit.value <= who.hit.high


@given(st.integers(1, 500), st.data())
def test_wilson_holds_its_share(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    share = wilson(hits, rows)
    assert 0.0 <= share.low <= share.value + 1e-9
    assert share.value - 1e-9 <= share.high <= 1.0


def test_curve_starts_at_nobody_and_ends_at_everybody() -> None:
    yes, score = world(1)
    curve = curve_of(yes, score, VALUE)
    policies = worth_of(yes, np.ones_like(yes), VALUE)
    assert curve.worth[0] == pytest.approx(policies.nobody.value)
    assert curve.worth[-1] == pytest.approx(policies.everybody.value)
    assert curve.found[0] == 0.0
    assert curve.found[-1] == 1.0
    assert (np.diff(curve.found) >= 0).all()
    assert (curve.low <= curve.worth).all()
    left, right = curve.plateau()
    assert left <= curve.share[int(curve.worth.argmax())] <= right


def test_bands_of_tied_rows_are_wider() -> None:
    yes, score = world(2, rows=600)
    doubled = np.repeat(yes, 4), np.repeat(score, 4)
    clusters = np.repeat(np.arange(600), 4)
    alone, together = curve_of(*doubled, VALUE), curve_of(*doubled, VALUE, clusters=clusters)
    assert (together.high - together.low)[25] > 1.5 * (alone.high - alone.low)[25]


@pytest.mark.parametrize("rare", [1.0, 0.1])
@pytest.mark.parametrize("rows", [1003, 40, 7, 1])
def test_ranked_groups_cover_every_case_once_in_falling_order(rows: int, rare: float) -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(1.0, 3.0, size=rows) * rare
    yes = rng.random(rows) < score
    groups = ranked_groups(yes, score)
    assert sum(g.rows for g in groups) == rows
    assert groups[0].first == 1
    assert groups[-1].last == 100
    assert sum(g.yes.value * g.rows for g in groups) == pytest.approx(yes.sum())
    assert all(a.low >= b.high and a.last + 1 == b.first for a, b in pairwise(groups))


def test_cases_near_the_cut_tell_whether_the_score_is_a_chance() -> None:
    yes, score = world(5, rows=20_000)
    stated, seen = near_cut(yes, score, 0.3)
    assert stated == pytest.approx(0.3, abs=0.02)
    assert seen == pytest.approx(stated, abs=0.05)
    assert near_cut(yes, score, 2.0)[0] == pytest.approx(np.sort(score)[-1000:].mean())


def test_reliability_of_honest_chances_lies_on_the_line() -> None:
    yes, score = world(4, rows=20_000)
    for stated, came_true, rows in reliability(yes, score):
        assert rows == 2000
        assert abs(stated - came_true.value) < 0.04
