"""Sudden changes in a series of losses: found where they are, and not in calm series."""

from __future__ import annotations

import numpy as np
import pytest

from tenure.retraining.changes import latest_change


@pytest.mark.parametrize("seed", range(5))
def test_a_jump_is_found_where_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = np.concatenate([rng.normal(0.5, 0.05, 24), rng.normal(0.9, 0.05, 4)])
    assert latest_change(losses) == 24


def test_of_two_jumps_the_later_one_is_told() -> None:
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.normal(level, 0.03, 12) for level in (0.5, 0.9, 0.3)])
    assert latest_change(losses) == 24


def test_calm_and_slow_series_have_hardly_any() -> None:
    rng = np.random.default_rng(1)
    assert sum(latest_change(rng.normal(0.5, 0.1, 48)) is not None for _ in range(1_000)) <= 5
    assert latest_change(np.full(20, 0.4)) is None


def test_too_short_a_series_has_none() -> None:
    assert latest_change(np.array([0.1, 0.1, 5.0, 5.0])) is None
    assert latest_change(np.array([])) is None
