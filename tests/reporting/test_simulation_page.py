"""The page of a simulation: the answer first, every number from the record, the same in Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from simulation_worlds import ALONE, COST, CUT, LOSS, MONEY

from tenure.core.health import Span
from tenure.core.project import parse_project
from tenure.core.simulation import Simulation
from tenure.reporting.markdown import as_markdown
from tenure.reporting.page import render
from tenure.reporting.simulation_page import page_of
from tenure.reporting.simulation_words import counted, duel_words, headline, window_words
from tenure.reporting.words import plain_spaces

PROJECT = parse_project(
    '[project]\nname = "shop"\ntask = "binary"\n[data]\nsource = "x.parquet"\ntarget = "left"\npositive = "yes"\n'
)


def words(simulation: Simulation) -> str:
    return as_markdown(page_of(simulation, PROJECT))


@pytest.mark.parametrize("simulation", [MONEY, LOSS, COST, ALONE, CUT], ids=["money", "loss", "cost", "alone", "cut"])
def test_a_page_needs_no_network_and_holds_no_script(simulation: Simulation) -> None:
    html = render(page_of(simulation, PROJECT))
    assert "<script" not in html
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)
    assert f'data-source="{simulation.digest}"' in html


def test_the_answer_comes_first_in_the_owners_money() -> None:
    text = words(MONEY)
    assert text.startswith("# With “as it is”, EUR 720 better off over 12 windows than without.")
    assert "What would 5 January 2026 to 30 March 2026 have looked like without tenure?" in text
    assert "“sure” did better than “as it is” by EUR 120 (EUR −90 to 330). That may be chance." in text


def test_a_difference_within_chance_is_called_none_and_a_loss_a_loss() -> None:
    def first(gain: Span) -> Simulation:
        static, ours, _ = MONEY.policies
        return replace(MONEY, policies=(static, replace(ours, over_static=gain)), duels=MONEY.duels[:1])

    assert headline(first(Span(50.0, -10.0, 110.0))) == "Over 12\u00a0windows, tenure made no difference beyond chance."
    page = page_of(first(Span(-50.0, -90.0, -10.0)), PROJECT)
    assert plain_spaces(page.hero.headline) == "With tenure, EUR 50 worse off over 12 windows than without."
    assert (page.hero.chip, page.hero.tone) == ("It cost", "alarm")


def test_what_was_done_is_told_with_its_reason_and_escaped() -> None:
    html = render(page_of(MONEY, PROJECT))
    assert "It fell &lt;fast&gt; &amp; far." in html
    assert "It fell \\<fast\\> & far." in words(MONEY)
    assert "v2 answers beside v1" in html
    assert "| 16 February 2026 | retrained | It pays. | 160 |" in words(MONEY)
    told = plain_spaces(counted(MONEY.policies[1]))
    assert told.startswith("“as it is” retrained once, put a new version in office once and raised 1 alarm.")


def test_every_policy_has_a_line_in_the_table_and_its_changes() -> None:
    text = words(MONEY)
    assert "| Without tenure | EUR 1,200 (EUR 1,000 to 1,400) |  |" in text
    assert "- operations.certainty: 0.95" in text
    assert "at least" not in headline(MONEY)


def test_an_interrupted_simulation_says_so() -> None:
    page = page_of(CUT, PROJECT)
    assert page.hero.chip == "Interrupted"
    assert "It was interrupted: 12 of 20 windows were flown." in page.hero.lead


def test_the_cost_of_errors_has_no_sign() -> None:
    costly = replace(
        COST, policies=tuple(replace(p, total=Span(-500.0, -700.0, -300.0)) for p in COST.policies), unit="EUR"
    )
    assert "| Without tenure | EUR 500 (EUR 300 to 700) |" in words(costly)


def test_equal_policies_came_to_the_same_and_windows_are_told_by_their_days() -> None:
    assert duel_words(MONEY, "a", "b", Span(0.0, 0.0, 0.0)) == "“a” and “b” came to the same."
    assert plain_spaces(window_words(MONEY, 0)) == "5 January to 12 January 2026"


def test_drawings_with_the_same_numbers_are_the_same() -> None:
    assert render(page_of(MONEY, PROJECT)) == render(page_of(MONEY, PROJECT))
