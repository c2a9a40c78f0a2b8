from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.metrics import METRICS
from tenure.core.modelling import Score
from tenure.reporting.words import (
    Estimate,
    hundredths,
    listing,
    metric_in_words,
    money,
    money_range,
    number,
    of_100,
    of_100_range,
    plural,
    seconds_in_words,
    sentence,
)


@given(st.floats(-1e12, 1e12, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-9))
def test_a_rounded_number_is_within_half_a_percent(value: float) -> None:
    read = float(number(value).replace(",", "").replace("−", "-"))
    assert math.isclose(read, value, rel_tol=0.005, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [(48_312.0, "48,300"), (0.1234, "0.123"), (60.0, "60"), (999.6, "1,000"), (-5.25, "−5.25"), (math.nan, "unknown")],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


def test_money_and_frequencies_read_well() -> None:
    assert money(5832.4, "EUR") == "EUR\u00a05,830"
    assert money(-0.5, "EUR") == "−EUR\u00a00.50"
    assert money_range(Estimate(1, -120.0, 5310.2), "EUR") == "EUR\u00a0−120 to 5,310"
    assert of_100(0.6234) == "62\u00a0of\u00a0100"
    assert of_100(0.004) == "4\u00a0of\u00a01,000"
    assert of_100(math.nan).startswith("an unknown number")
    assert of_100_range(Estimate(0.62, 0.58, 0.66)) == "58–\u206066"
    assert of_100_range(Estimate(0.9, 0.8961, 0.9042)) == "89.6–\u206090.4"
    assert hundredths(0.016) == "1.6"


def test_small_words() -> None:
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert plural(1, "check") == "1\u00a0check"
    assert plural(2, "class", "classes") == "2\u00a0classes"
    assert sentence("acting pays") == "Acting pays."
    assert [seconds_in_words(s) for s in (0.25, 60, 600, 9000, 864_000)] == [
        "250 ms",
        "60 s",
        "10 min",
        "2.5 h",
        "10 days",
    ]


def test_every_metric_has_words_for_people() -> None:
    for name in METRICS:
        says = metric_in_words(Score(name, 0.84, 0.8, 0.9, 100))
        assert "84" in says
        assert name not in says
