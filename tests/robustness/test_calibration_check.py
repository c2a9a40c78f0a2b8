"""Calibration error and Spiegelhalter's z, against worlds where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tenure.robustness.checks.calibration import calibration_error, spiegelhalter


@pytest.mark.parametrize("seed", range(5))
def test_true_probabilities_have_no_error_beyond_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    said = rng.beta(1, 3, 5_000)
    truth = rng.random(5_000) < said
    assert calibration_error(truth, said) < 0.01
    assert abs(spiegelhalter(truth, said)) < 3


def test_exaggerated_probabilities_are_seen_at_their_size() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.6, 20_000)
    truth = rng.random(20_000) < chance
    assert calibration_error(truth, chance + 0.1) == pytest.approx(0.1, abs=0.015)
    assert abs(spiegelhalter(truth, np.where(chance > 0.4, 0.95, 0.05))) > 10
