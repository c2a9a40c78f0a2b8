"""A search that begins with what the model in office is made of, and whether its twin is its twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tenure.core.lifecycle import Incumbent
from tenure.core.modelling import Candidate, Configuration, Score
from tenure.core.ports import Context
from tenure.testing.walks import small_walk
from tenure.testing.worlds import clean_world
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.twin import correlation
from tenure.training.warmth import proven_first, proven_of

FAMILY = LightGBMFamily()


def candidate(name: str, weight: float, *, complete: bool = True) -> Candidate:
    return Candidate(
        name, "lightgbm", {}, Score("roc_auc", 0.8, 0.7, 0.9, 100), (), 1.0, weight=weight, complete=complete
    )


@pytest.fixture
def basis_of(make_context: Callable[..., Context]) -> Callable[..., tuple[Context, Incumbent]]:
    def make(*candidates: Candidate) -> tuple[Context, Incumbent]:
        ctx = make_context('[project]\nname = "t"\ntask = "binary"\n[data]\nsource = "x.csv"\ntarget = "left"\n')
        board = replace(small_walk(clean_world(rows=60), ctx.artifacts, rounds=1).leaderboard, candidates=candidates)
        return ctx, Incumbent(1, board.model, ctx.artifacts.put_record(board))

    return make


def test_the_weightiest_members_run_first(basis_of: Callable[..., Any]) -> None:
    found = proven_of(
        *basis_of(candidate("c", 0.2), candidate("b", 0.0), candidate("a-again", 0.3), candidate("a", 0.5))
    )
    assert found == ("a", "c")
    proposals = [(FAMILY, Configuration(name, "lightgbm", {}, rank=at)) for at, name in enumerate("bcda")]
    ordered = sorted(proven_first(proposals, found), key=lambda proposal: proposal[1].rank)
    assert [configuration.name for _, configuration in ordered] == ["a", "c", "b", "d"]


def test_where_a_student_answers_the_best_candidates_run_first(basis_of: Callable[..., Any]) -> None:
    assert proven_of(*basis_of(candidate("c", 0.0), candidate("b", 0.0, complete=False), candidate("a", 0.0))) == (
        "c",
        "a",
    )
    assert proven_of(basis_of()[0], None) == ()


def test_answers_that_go_along_correlate_and_constant_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(200)
    both = np.column_stack([1 - said, said])
    assert correlation(both, 0.5 * both + 0.25) == pytest.approx(1.0)
    assert correlation(said, rng.permutation(said)) == pytest.approx(0.0, abs=0.2)
    assert correlation(both, np.full((200, 2), 0.5)) is None
