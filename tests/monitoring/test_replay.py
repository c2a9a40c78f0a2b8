"""The measured rate of false alarms: near the truth, repeatable, and never surer than it can be."""

from __future__ import annotations

import numpy as np
import pytest

from tenure.core.modelling import Floats
from tenure.monitoring.betting import Stakes, Windows
from tenure.monitoring.replay import measured_rate

SUMMARIES = 30
STAKES = Stakes(
    np.full(SUMMARIES, 1 / SUMMARIES), np.full(SUMMARIES, 0.03**2), np.arange(SUMMARIES, dtype=np.int64), 365.0
)


def windows_of(values: Floats) -> Windows:
    return Windows(values, np.full(values.shape, 1 / 2_000))


def test_a_quiet_reference_is_measured_to_be_quiet() -> None:
    rng = np.random.default_rng(1)
    known = windows_of(0.1 * rng.normal(size=(40, SUMMARIES)))
    rate, replayed = measured_rate(known, STAKES, windows_per_year=365, rng=rng)
    assert rate.value <= 0.5
    assert rate.low <= rate.value <= rate.high <= 1.0
    assert replayed >= 10 * 365


def test_a_reference_that_shifts_within_itself_is_measured_to_alarm() -> None:
    rng = np.random.default_rng(2)
    values = 0.02 * rng.normal(size=(40, SUMMARIES))
    values[18:22] += 1.0  # four odd windows in forty: replays meet them again and again
    rate, _ = measured_rate(windows_of(values), STAKES, windows_per_year=365, rng=rng)
    assert rate.low > 1.0


def test_the_same_seed_measures_the_same() -> None:
    known = windows_of(0.1 * np.random.default_rng(3).standard_t(3, size=(25, SUMMARIES)))
    found = [measured_rate(known, STAKES, windows_per_year=365, rng=np.random.default_rng(4)) for _ in range(2)]
    assert found[0] == found[1]


@pytest.mark.parametrize("windows_per_year", [12.0, 52.2, 365.25, 8_766.0])
def test_no_alarm_still_leaves_an_upper_bound_that_fits_the_years_replayed(windows_per_year: float) -> None:
    known = windows_of(np.zeros((24, SUMMARIES)))
    rate, replayed = measured_rate(known, STAKES, windows_per_year=windows_per_year, rng=np.random.default_rng(5))
    assert (rate.value, rate.low) == (0.0, 0.0)
    assert rate.high == pytest.approx(3.6889 * windows_per_year / replayed, rel=1e-3)  # Garwood's bound for none
