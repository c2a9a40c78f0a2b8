from __future__ import annotations

import time

import numpy as np
import pytest
from training_worlds import ticking

from tenure.core.modelling import Floats
from tenure.core.ports import Deadline
from tenure.training.importance import Judged, measure_importance

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(500, 4))
TARGET = 3 * MATRIX[:, 0] + MATRIX[:, 1] + MATRIX[:, 2]


USED = np.array([3.0, 1.0, 1.0, 0.0])


def loss(matrix: Floats) -> float:
    return float(np.mean(np.square(TARGET[: len(matrix)] - matrix @ USED)))


def measured(deadline: Deadline) -> dict[str, float]:
    judged = Judged(MATRIX, ("strong", "pair", "pair", "idle"), loss, lambda matrix: np.abs(matrix * USED))
    found = measure_importance(judged, rng=np.random.default_rng(1), deadline=deadline)
    return {item.feature: item.share for item in found}


def test_shares_follow_what_the_model_uses() -> None:
    shares = measured(Deadline(1e9, time.monotonic))
    assert list(shares) == ["strong", "pair", "idle"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["idle"] == 0
    assert 3 < shares["strong"] / shares["pair"] < 6


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.05])
def test_without_time_to_shuffle_contributions_stand_in(seconds: float) -> None:
    shares = measured(Deadline(seconds, ticking()))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["strong"] > shares["pair"] > shares["idle"] == 0


def test_a_model_that_needs_nothing_gives_no_shares() -> None:
    judged = Judged(MATRIX, ("a", "b", "c", "d"), lambda matrix: 1.0, np.zeros_like)
    found = measure_importance(judged, rng=RNG, deadline=Deadline(1e9, time.monotonic))
    assert all(item.share == 0 for item in found)


def test_no_columns_no_importance() -> None:
    judged = Judged(np.empty((5, 0)), (), lambda matrix: 1.0, np.zeros_like)
    assert measure_importance(judged, rng=RNG, deadline=Deadline(1.0, time.monotonic)) == ()
