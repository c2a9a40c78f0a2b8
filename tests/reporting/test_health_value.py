from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from reporting_worlds import churn_project

from health_years import RICH, year
from tenure.core.health import HealthReport, WindowHealth
from tenure.core.project import parse_project
from tenure.reporting.health_value import decisions_a_month, worth_of, worth_words
from tenure.reporting.words import plain_spaces

PROJECT = parse_project(churn_project())


def paid(amounts: list[float], *, best: float | None = 9_000.0) -> HealthReport:
    """Return weekly windows of 1,000 rows with all outcomes known that made `amounts`."""
    windows = [
        replace(w, rows=1000, matured=1.0, ripe=True, versions=(2,), value=amount, value_best=best)
        for w, amount in zip(year()[20:], amounts, strict=False)
    ]
    return HealthReport(version=2, windows=tuple(windows))


def test_the_latest_window_is_the_newest_whose_outcomes_are_final() -> None:
    worth = worth_of(RICH, PROJECT)
    assert worth is not None
    assert worth.window is [w for w in RICH.windows if w.ripe][-1]
    assert worth.so_far.made == pytest.approx(sum(w.value or 0.0 for w in RICH.windows))
    assert worth_of(replace(RICH, windows=year(money=False)), PROJECT) is None


def test_a_window_as_good_as_the_others_is_not_called_better_or_worse() -> None:
    """Of quiet windows, one in ten lies outside a 90 % range."""
    rng = np.random.default_rng(5)
    outside = 0
    for _ in range(400):
        worth = worth_of(paid(list(5_000.0 + 300.0 * rng.normal(size=12))), PROJECT)
        assert worth is not None
        assert worth.change is not None
        outside += not worth.change.low <= 0 <= worth.change.high
    assert 20 <= outside <= 62, "400 draws at 10 %, within 3.5 standard errors"


def test_a_real_loss_is_told_with_its_range_and_by_the_month() -> None:
    worth = worth_of(paid([5_000.0, 5_100.0, 4_950.0, 5_050.0, 5_020.0, 4_980.0, 3_000.0]), PROJECT)
    assert worth is not None
    assert worth.is_down
    assert worth.change is not None
    assert worth.change.value == pytest.approx(3_000 - fmean([5_000.0, 5_100.0, 4_950.0, 5_050.0, 5_020.0, 4_980.0]))
    words = plain_spaces(" ".join(worth_words(worth)))
    assert "they made EUR 2,020 less per 1,000 decisions" in words
    assert "about EUR 8,770 a month" in words


def test_with_few_earlier_windows_nothing_is_compared() -> None:
    worth = worth_of(paid([5_000.0] * 5), PROJECT)
    assert worth is not None
    assert worth.change is None
    assert "before" not in " ".join(worth_words(worth))


def test_what_never_acting_makes_is_told_only_where_it_is_known() -> None:
    costly = parse_project(churn_project().replace("false_positive", "false_negative = -5.0\nfalse_positive"))
    for project, told in ((PROJECT, True), (costly, False)):
        worth = worth_of(paid([5_000.0, 5_000.0]), project)
        assert worth is not None
        assert ("Never acting would have made nothing" in " ".join(worth_words(worth))) is told


def test_decisions_a_month_leave_out_the_last_window_and_zero_lengths() -> None:
    weeks = [replace(w, rows=700) for w in year()[:5]]
    assert decisions_a_month([*weeks, replace(year()[5], rows=1)]) == pytest.approx(100 * 365.25 / 12)
    instant: list[WindowHealth] = [replace(w, end=w.start) for w in weeks]
    assert decisions_a_month(instant) is None
    assert decisions_a_month([]) is None
