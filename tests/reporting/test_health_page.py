from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting_page_reader import Element, read_page
from reporting_worlds import churn_project, project_text

from health_years import CHANGES, FALLS, FINDINGS, LEARNING, RATE, RICH, courses, found, year
from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.health import Audit, Estimate, Health, HealthReport, WindowHealth
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


BARE = replace(RICH, findings=(), changes=(), falls=(), courses=(), audit=None, windows=RICH.windows[-3:])


@pytest.fixture(scope="module")
def html() -> str:
    return health_page(RICH, PROJECT)


@pytest.fixture(scope="module")
def rich(html: str) -> Element:
    return read_page(html)


def part(root: Element, name: str) -> Element:
    return next(e for e in root.all("section") if e.attributes["id"] == name)


def figure_of(root: Element, name: str) -> Element:
    return next(e for e in root.all("figure") if e.attributes["id"] == f"figure-{name}")


def test_the_owner_reads_health_then_money_then_changes_then_trust_and_charts_come_last(rich: Element) -> None:
    names = [e.attributes["id"] for e in rich.all() if e.attributes.get("id") in ("content", "engineer", *OWNER)]
    assert names == ["content", *OWNER, "engineer"]
    assert rich.all("h1")[0].words() == RICH.headline


OWNER = ("worth", "changed", "trust")


def test_money_is_set_against_never_acting_the_best_possible_and_the_windows_before(rich: Element) -> None:
    words = part(rich, "worth").words()
    assert re.search(r"From 8 to 15 December 2025, decisions made EUR [\d,]+ \(EUR [\d,]+ per 1,000 decisions\)", words)
    assert "Never acting would have made nothing, the best possible decisions EUR" in words
    assert re.search(r"less per 1,000 decisions \(EUR [\d.,]+ to [\d,]+, 90 % sure\): about EUR [\d,]+ a month", words)


def test_changes_stand_dearest_first_with_what_to_do(rich: Element) -> None:
    titles = [e.words() for e in part(rich, "changed").all("p") if e.attributes.get("class") == "what"]
    assert titles == [
        "What came true: the latest 4 windows needs action",
        "balance costs about 5 %",
        "All columns together may cost up to 3.8 %",
        "partner_code price not known",
        "region harmless",
    ]
    words = part(rich, "changed").words()
    assert "Since 1 September 2025. It costs about 5 % of the skill (3 to 7 %), about EUR 120 per 1,000" in words
    assert "Ask whoever delivers “balance” whether it is measured or sent differently." in words
    assert "58 of 100 parts of the fall come from rows with contract = Month-to-month" in words


def test_harmless_changes_are_never_red() -> None:
    calm = replace(BARE, changes=CHANGES[3:], status=Health.CHANGED)
    changed = part(read_page(health_page(calm, PROJECT)), "changed")
    assert not [e for e in changed.all() if {"urgent", "fail"} & set(e.attributes.get("class", "").split())]
    assert "It costs at most 0.4 % of the skill: harmless." in changed.words()
    assert "Nothing needs doing." in changed.words()


def alarmed(check: str, says: str, *, hint: str = "") -> Finding:
    return Finding(check, Verdict.FAIL, Measurement(check, 2.0, subject="balance", says=says, hint=hint))


def entries_in(report: HealthReport) -> list[Element]:
    return part(read_page(health_page(report, PROJECT)), "changed").all("li")


def test_a_finding_about_a_change_is_told_once_and_another_broken_rule_stands_alone() -> None:
    rules = ("missing-values: balance", "unit-slip: balance")
    windows = (replace(RICH.windows[-1], faults=rules),)
    empty = alarmed("missing-values", "'balance' is empty in 41% of rows. It costs about 5 %.", hint="Mend it.")
    unit = alarmed("unit-slip", "'balance' looks as if its unit changed.")
    moved = found("psi", Verdict.WARN, "'balance' moved: its median went from 2 to 3.", subject="balance")
    change = replace(CHANGES[0], says="'balance' is empty in 41% of rows.")
    entries = entries_in(replace(BARE, findings=(empty, unit, moved), changes=(change,), windows=windows))
    assert [e.all("p")[0].words() for e in entries] == ["Another unit: balance needs action", "balance costs about 5 %"]
    assert entries[1].attributes["class"] == "urgent"
    assert "Mend it." in entries[1].words()


def test_a_broken_column_whose_price_is_not_known_needs_action_and_comes_first() -> None:
    empty = alarmed("missing-values", "'balance' did not arrive at all.")
    gone = replace(CHANGES[2], subject="balance", says="'balance' did not arrive at all")
    windows = (replace(RICH.windows[-1], faults=("missing-values: balance",)),)
    dear = replace(CHANGES[0], subject="age")
    entries = entries_in(replace(BARE, findings=(empty,), changes=(dear, gone), windows=windows))
    assert [e.all("p")[0].words() for e in entries] == ["balance needs action", "age costs about 5 %"]


def test_columns_that_could_not_be_looked_at_are_named_with_the_reason(rich: Element) -> None:
    assert "Not looked at: “notes” (all 912 values are empty) and “fax”" in part(rich, "changed").words()


@pytest.mark.parametrize(
    ("alarms", "says"),
    [
        (RATE, "the drift alarm rang 0 times a year (between 0 and 0.9, 95 % sure). That keeps within what you asked"),
        (LEARNING, "The drift alarm is still learning: it knows 5 of the 8 windows it needs."),
        (replace(RATE, measured=None), "It knows 52 windows as normal; too few to replay and count."),
        (replace(RATE, allowed=0.5), "You asked for at most 0.5 false alarms a year."),
    ],
)
def test_the_dial_is_said_to_mean_what_was_measured(alarms: Any, says: str) -> None:
    root = read_page(health_page(replace(BARE, alarms=alarms), PROJECT))
    assert says in part(root, "trust").words()


def test_estimates_stand_beside_what_came_true_and_young_windows_are_hollow(rich: Element) -> None:
    course = figure_of(rich, "course")
    keys = [e.words() for e in course.all("li")]
    assert keys[:3] == [
        "estimated before outcomes were known (90 %)",
        "came true (95 %)",
        "outcomes still coming in",
    ]
    hollow = [e for e in course.all("svg")[0].all("path") if e.attributes.get("fill") == "var(--paper)"]
    young = [w for w in RICH.windows if not w.ripe and w.realised is not None]
    assert len(hollow) == len(young)
    assert "No estimate was given for 2 windows" in course.words()


def test_the_timeline_tells_faults_falls_alarms_refusals_and_new_versions_with_their_days(rich: Element) -> None:
    rows = [row.words() for row in part(rich, "timeline").all("tr")[1:]]
    assert "22 September 2025 still so alarm The drift alarm stood. Moved: balance and region." in rows
    assert "31 March 2025 14 April 2025 harm The feed was broken (missing-values: income)." in rows
    assert "26 May 2025 one window note v2 began to answer." in rows
    assert any(row.startswith("10 November 2025 24 November 2025 no estimate") for row in rows)
    assert any("Clearly worse than promised" in row for row in rows)


def test_at_most_twelve_courses_are_drawn_the_changed_ones_first_and_the_rest_is_listed(rich: Element) -> None:
    columns = part(rich, "columns")
    titles = [e.words() for e in columns.all("figcaption")]
    assert len(titles) == 12
    assert titles[:2] == ["balance", "region: share of “north”"]
    listed = [row.all("td")[0].words() for row in columns.all("tr")[1:]]
    assert listed == ["usage_8", "usage_9", "usage_10", "notes"]
    assert len(columns.all("figure")[4].all("svg")) == 2, "income has empty cells, so a strip of them stands below"


def test_a_year_of_weeks_fits_in_a_megabyte_and_every_figure_is_told_in_words(html: str, rich: Element) -> None:
    assert len(html.encode()) < 1_000_000
    for picture in (e for e in rich.all("div") if e.attributes.get("role") == "img"):
        assert len(picture.attributes["aria-label"]) > 20
    ids = [e.attributes["id"] for e in rich.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_equal_reports_give_equal_pages() -> None:
    small = replace(BARE, courses=RICH.courses[:2])
    assert health_page(small, PROJECT) == health_page(small, PROJECT)


def test_hostile_names_and_reasons_never_become_markup() -> None:
    bad = '<script>alert("x")</script>'
    report = replace(
        RICH,
        headline=bad,
        changes=(replace(CHANGES[0], subject=bad, says=bad), replace(CHANGES[2], unpriced=bad)),
        falls=(replace(FALLS[0], column=bad, slice=bad),),
        courses=(replace(courses()[3], subject=bad, level=bad),),
        windows=tuple(replace(w, drifted=(bad,), faults=(f"missing-values: {bad}",)) for w in RICH.windows[-3:]),
    )
    html = health_page(report, PROJECT)
    assert "<script" not in html
    assert not read_page(html).all("script")


def test_errors_that_cost_money_are_told_as_costs() -> None:
    project = parse_project(project_text("homes", "regression", "price", more="[value]\nerror_cost = 0.5\n"))
    windows = tuple(replace(w, value=-400.0 - week, value_best=0.0) for week, w in enumerate(year()[:12]))
    report = replace(BARE, windows=windows)
    words = part(read_page(health_page(report, project)), "worth").words()
    assert "errors cost EUR 411" in words
    assert "In all 12 windows they cost EUR 4,870" in words
    assert "best possible" not in words


def some(values: Any) -> Any:
    """Return a strategy for each element of `values` or a thinner one: what older or younger reports hold."""
    return st.lists(st.sampled_from(values), max_size=3, unique_by=id).map(tuple)


def thinned(window: WindowHealth, keep: int) -> WindowHealth:
    """Drop parts of a window by the bits of `keep`."""
    parts: dict[str, Any] = {
        "realised": None,
        "value": None,
        "value_best": None,
        "estimated": None,
        "drift": None,
        "matured": 0.0,
        "mean_prediction": None,
        "versions": (),
        "drifted": (),
        "rows": 0,
    }
    return replace(window, **{name: empty for bit, (name, empty) in enumerate(parts.items()) if not keep >> bit & 1})


@settings(max_examples=12)
@given(
    windows=st.lists(st.tuples(st.integers(0, 52), st.integers(0, 1023)), max_size=4, unique_by=lambda pair: pair[0]),
    findings=some(FINDINGS),
    changes=some(CHANGES),
    falls=some(FALLS),
    drawn=some(
        [
            replace(
                c, starts=c.starts[-4:], middle=c.middle[-4:], missing=c.missing[-4:], low=c.low[-4:], high=c.high[-4:]
            )
            for c in courses()[:6]
        ]
    ),
    alarms=st.sampled_from([None, RATE, LEARNING]),
    audit=st.sampled_from([None, Audit(), RICH.audit, Audit(2, 2, 0.01)]),
    expected=st.sampled_from([None, EXPECTED]),
    tolerance=st.sampled_from([None, 0.01]),
    status=st.sampled_from(list(Health)),
    money=st.booleans(),
)
def test_every_mixture_of_what_is_known_has_a_page(
    windows: list[tuple[int, int]], findings: Any, changes: Any, falls: Any, drawn: Any, money: bool, **more: Any
) -> None:
    chosen = tuple(thinned(RICH.windows[week], keep) for week, keep in sorted(windows))
    report = HealthReport(
        findings, version=2, windows=chosen, changes=changes, falls=falls, courses=drawn, made_from=(), **more
    )
    root = read_page(health_page(report, parse_project(churn_project(value=money))))
    assert len(root.all("h1")) == 1
    assert all(section.all("div")[0].words() or section.all("svg") for section in root.all("section"))
    assert not {"nan", "None", "inf"} & set(root.words().split())


def test_an_estimate_without_bounds_or_with_a_refusal_is_drawn_as_what_it_is() -> None:
    bare = replace(RICH.windows[-1], estimated=Estimate("roc_auc", 500, value=0.8))
    no = replace(RICH.windows[-1], estimated=Estimate("roc_auc", 500, refused="nothing like it was learned from."))
    words = read_page(health_page(replace(BARE, windows=(bare,)), PROJECT)).words()
    assert "Expected of 5 to 12 January 2026, whose outcomes are not all known yet: 80 of 100 (80 to 80)" in words
    words = read_page(health_page(replace(BARE, windows=(no,)), PROJECT)).words()
    assert "nothing can be expected before its outcomes are known: nothing like it was learned from." in words
