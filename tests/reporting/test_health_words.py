from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_years import CHANGES, RATE, RICH
from tenure.core.health import Audit, Price, Reading, Span
from tenure.reporting.health_words import (
    Harm,
    alarm_words,
    audit_words,
    badge_words,
    day,
    harm_of,
    metric_figures,
    percent,
    price_words,
    remedy,
    stretch,
)
from tenure.reporting.words import plain_spaces

DEAR, MAYBE, UNPRICED, HARMLESS = CHANGES


def test_days_and_stretches_of_time_read_well() -> None:
    week = RICH.windows[-1]
    assert plain_spaces(day("2026-03-03T00:00:00+00:00")) == "3 March 2026"
    assert plain_spaces(stretch(week)) == "5 to 12 January 2026"
    assert plain_spaces(stretch(replace(week, start="2025-12-29T00:00:00+00:00", end="2026-01-05T00:00:00+00:00"))) == (
        "29 December 2025 to 5 January 2026"
    )
    assert plain_spaces(stretch(replace(week, start="2026-01-29T00:00:00+00:00", end="2026-02-05T00:00:00+00:00"))) == (
        "29 January to 5 February 2026"
    )
    hour = replace(week, start="2026-01-05T13:00:00+00:00", end="2026-01-05T14:00:00+00:00")
    assert plain_spaces(stretch(hour)) == "5 January 2026, 13:00 to 14:00"


@pytest.mark.parametrize(
    ("change", "harm"),
    [(DEAR, Harm.COSTS), (MAYBE, Harm.MAY_COST), (UNPRICED, Harm.UNKNOWN), (HARMLESS, Harm.HARMLESS)],
)
def test_only_a_price_that_is_surely_beyond_the_tolerance_costs(change: object, harm: Harm) -> None:
    assert harm_of(change, 0.007) is harm  # type: ignore[arg-type]


@given(st.floats(-0.5, 0.5), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.1), st.booleans())
def test_words_never_claim_more_than_the_interval(
    value: float, down: float, up: float, tolerance: float, paid: bool
) -> None:
    span = Span(value, value - down, value + up)
    change = replace(DEAR, price=Price(Reading.WORLD, span, span, span if paid else None))
    harm = harm_of(change, tolerance)
    words = plain_spaces(price_words(change, harm, currency="EUR", monthly=4000.0))
    assert ("costs about" in words) is (span.low > tolerance)
    assert ("costs about" in badge_words(change, harm)) is (span.low > tolerance)
    assert "−" not in words or harm is Harm.COSTS
    assert words.endswith(".")
    assert remedy(change, harm)


def test_money_is_told_per_thousand_decisions_and_a_month() -> None:
    words = plain_spaces(price_words(DEAR, Harm.COSTS, currency="EUR", monthly=4000.0))
    assert words == (
        "It costs about 5 % of the skill (3 to 7 %), about EUR 120 per 1,000 decisions (EUR 80 to 160), "
        "or EUR 480 a month."
    )
    assert "month" not in price_words(DEAR, Harm.COSTS, currency="EUR", monthly=None)


def test_a_cost_above_all_of_the_skill_is_no_share_of_it() -> None:
    price = Price(Reading.INSTRUMENT, Span(0.4, 0.3, 0.5), Span(1.3, 1.1, 1.6))
    change = replace(DEAR, price=price)
    assert plain_spaces(price_words(change, Harm.COSTS, currency="EUR", monthly=None)) == (
        "It costs more than all of the skill."
    )
    assert badge_words(change, Harm.COSTS) == "costs more than all"
    assert plain_spaces(badge_words(change, Harm.MAY_COST)) == "may cost up to 100 %"


def test_what_costs_money_and_hardly_any_skill_is_told_money_first() -> None:
    price = Price(Reading.INSTRUMENT, Span(0.0, -0.01, 0.01), Span(0.0, -0.01, 0.008), Span(120.0, 80.0, 160.0))
    words = plain_spaces(price_words(replace(DEAR, price=price), Harm.MAY_COST, currency="EUR", monthly=None))
    assert words == "It costs about EUR 120 per 1,000 decisions (EUR 80 to 160), and up to 0.8 % of the skill."


def test_a_harmless_change_says_the_most_it_can_cost() -> None:
    words = plain_spaces(price_words(HARMLESS, Harm.HARMLESS, currency="EUR", monthly=None))
    assert words == "It costs at most 0.4 % of the skill: harmless."
    assert remedy(HARMLESS, Harm.HARMLESS) == "Nothing needs doing."


def test_what_to_do_follows_how_a_change_is_read() -> None:
    assert "Ask whoever delivers “balance”" in remedy(DEAR, Harm.COSTS)
    assert "Other cases come" in remedy(MAYBE, Harm.COSTS)
    assert "Send outcomes" in remedy(UNPRICED, Harm.UNKNOWN)


def test_a_dial_that_is_broken_more_often_than_asked_is_owned_up_to() -> None:
    assert alarm_words(None) == ("How often the drift alarm is wrong here is not known yet.",)
    assert "read its alarms with care" in alarm_words(replace(RATE, measured=Span(6.0, 3.1, 11.0)))[-1]
    assert "more windows will make it surer" in alarm_words(replace(RATE, measured=Span(0.0, 0.0, 3.0)))[-1]


def test_an_audit_says_what_held_and_how_far_off() -> None:
    assert audit_words(Audit(), "roc_auc") == "No estimate could be held against what came true yet."
    assert "held in 43 of 47" in plain_spaces(audit_words(RICH.audit, "roc_auc"))


def test_metrics_are_told_as_people_count() -> None:
    assert plain_spaces(metric_figures("roc_auc", 0.81, 0.785, 0.83)) == "81 of 100 (78 to 83)"
    assert plain_spaces(metric_figures("rmse", 1234.0, 1100.0, 1300.0)) == "1,230 (1,100 to 1,300)"
    assert plain_spaces(percent(0.004)) == "0.4 %"
