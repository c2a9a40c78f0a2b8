from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from reporting_page_reader import read_page
from reporting_worlds import churn_project

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import Action, Verb
from tenure.core.modelling import Score
from tenure.core.project import parse_project
from tenure.reporting.health_page import health_page

PROJECT = parse_project(churn_project())
EXPECTED = Score("roc_auc", 0.845, 0.836, 0.854, 7043)


def window(week: int, score: float | None, *, value: float | None = None) -> WindowHealth:
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=7 * week)
    realised = Score("roc_auc", score, score - 0.02, score + 0.02, 500) if score is not None else None
    return WindowHealth(
        start.isoformat(), (start + timedelta(days=7)).isoformat(), 500, 0.9, (2,), realised, value, None, ("tenure",)
    )


def finding(verdict: Verdict) -> Finding:
    measured = Measurement("realised-score", 0.05, says="Worse than promised.", hint="Run: tenure run")
    return Finding("realised-score", verdict, measured, Threshold(0.01, 0.02))


ILL = HealthReport(
    (finding(Verdict.FAIL),),
    version=2,
    status=Health.ILL,
    headline="The model is worse than promised.",
    expected=EXPECTED,
    windows=(window(0, 0.85, value=900.0), window(1, 0.75, value=-100.0)),
    made_from=("a" * 64,),
)


@pytest.mark.parametrize("status", list(Health))
def test_every_state_of_health_has_a_page(status: Health) -> None:
    root = read_page(health_page(replace(ILL, status=status), PROJECT))
    assert not root.all("script")
    assert len(root.all("h1")) == 1
    alarmed = [e for e in root.all("p") if e.attributes.get("class") == "chip alarm"]
    assert bool(alarmed) is (status is Health.ILL)


def test_the_page_shows_promise_course_and_money() -> None:
    words = read_page(health_page(ILL, PROJECT)).words()
    assert "EUR 800" in words
    assert "0.85 (0.83 to 0.87)" in words
    assert "0.845 (0.836 to 0.854)" in words


def test_a_worse_window_is_red_and_a_good_one_is_not() -> None:
    figure = next(
        e for e in read_page(health_page(ILL, PROJECT)).all("figure") if e.attributes["id"] == "figure-course"
    )
    strokes = [e.attributes.get("fill") for e in figure.all("svg")[0].all("path")]
    assert strokes.count("var(--alarm)") == 1


def test_nothing_known_yet_is_said_and_not_drawn() -> None:
    young = HealthReport(version=1, status=Health.LEARNING, headline="Too early to tell: 3 rows.", expected=EXPECTED)
    root = read_page(health_page(young, PROJECT))
    assert not root.all("figure")
    assert "No outcome is known yet" in root.words()


def test_the_chosen_action_and_its_command_are_told() -> None:
    action = Action(Verb.RETRAIN, "It earns less than promised.", proposal="tenure run")
    words = read_page(health_page(ILL, PROJECT, action=action)).words()
    assert "Chosen: retrain. It earns less than promised. To do it: tenure run" in words
