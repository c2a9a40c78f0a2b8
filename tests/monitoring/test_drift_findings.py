"""What a drift alarm says and pages for: the price of what it blames, in skill and in money, and of nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import AlarmRate, Price, Reading, Span
from tenure.monitoring.detector import DriftCourse
from tenure.monitoring.drift_findings import Trace, changes_of, drift_finding, price_words, weighed_faults
from tenure.monitoring.evidence import Evidence
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.prices import ALL_TOGETHER, Priced

START = datetime(2026, 1, 5, tzinfo=UTC)
EUR = "EUR"


def skill(low: float, value: float, high: float, money: Span | None = None) -> Price:
    return Price(Reading.INSTRUMENT, Span(0.0, 0.0, 0.0), Span(value, low, high), money)


CHEAP, DEAR = skill(-0.002, 0.001, 0.008), skill(0.14, 0.27, 0.41)


def prices(**known: Price) -> Priced:
    """Return prices where losing more than 100 EUR counts; `together` is that of all columns."""
    by_name = {ALL_TOGETHER if name == "together" else name: price for name, price in known.items()}
    return Priced(by_name, {}, {}, money_limit=100.0, currency=EUR)


def course(*, known: int = 30, **levels: float) -> DriftCourse:
    rate = AlarmRate(1.0, 52.0, 52.0, known, 8, learning=known < 8)
    spelled = {
        {"together": ALL_TOGETHER, "prediction": PREDICTION}.get(name, name): part for name, part in levels.items()
    }
    return DriftCourse((1.4,), (True,), (spelled,), (spelled,), rate)


def trace(number: int = 0, *, broken: str = "", moved: str = "") -> Trace:
    return Trace(START + number * timedelta(days=7), frozenset(broken.split()), frozenset(moved.split()))


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (CHEAP, "at most 0.8% of the skill"),
        (skill(-0.5, -0.2, -0.1), "at most 0% of the skill"),
        (skill(-0.1, -0.02, 0.3), "about 0% (0% to 30%) of the skill"),
        (DEAR, "about 27% (14% to 41%) of the skill"),
        (skill(0.5, 0.9, 1.4), "about 90% (50% to all) of the skill"),
        (skill(0.8, 1.3, 1.9), "more than all of its skill (at least 80%)"),
        (skill(1.1, 1.3, 1.9), "more than all of its skill"),
        (
            skill(-0.1, 0.001, 0.01, Span(2_225.0, 1_117.0, 3_332.0)),
            "at most 1.0% of the skill, and 2,225 EUR per 1,000 decisions (1,117 to 3,332)",
        ),
        (
            skill(-0.1, 0.001, 0.01, Span(-20.0, -80.0, 40.0)),
            "at most 1.0% of the skill, and at most 40 EUR per 1,000 decisions",
        ),
        (skill(-0.1, 0.001, 0.01, Span(-20.0, -80.0, -4.0)), "at most 1.0% of the skill, and no money"),
    ],
)
def test_a_price_is_told_in_skill_and_money_never_below_nothing(price: Price, words: str) -> None:
    assert price_words(price, currency=EUR) == words


def test_the_price_of_a_broken_column_is_no_price_of_the_drift_beside_it() -> None:
    found = prices(noise=CHEAP, strong=DEAR, together=DEAR)
    seen = drift_finding(course(noise=0.9, together=0.4), 0, found, [trace(broken="strong", moved="noise")])
    assert seen.verdict is Verdict.WARN
    assert "'noise' costs at most 0.8% of the skill, if" in seen.says
    assert seen.measurement.evidence["priced"] == "noise"


def test_an_alarm_of_a_broken_column_alone_has_no_price() -> None:
    seen = drift_finding(course(strong=1.2), 0, prices(strong=DEAR, together=DEAR), [trace(broken="strong")])
    assert seen.verdict is Verdict.WARN
    assert seen.says.endswith("; what broke in the feed is told by itself.")


def test_the_price_of_a_column_that_is_not_blamed_is_not_that_of_the_alarm() -> None:
    found = prices(noise=CHEAP, strong=DEAR)
    seen = drift_finding(course(noise=1.2, strong=0.05), 0, found, [trace(moved="noise strong")])
    assert seen.verdict is Verdict.WARN
    assert "'noise' moved further than it ever did by chance; that costs at most 0.8%" in seen.says


def test_the_sentence_names_the_column_whose_price_it_tells() -> None:
    seen = drift_finding(course(noise=1.2, strong=0.5), 0, prices(noise=CHEAP, strong=DEAR), [trace()])
    assert seen.verdict is Verdict.FAIL
    assert "'noise', 'strong' moved further than they ever did by chance; 'strong' costs about 27%" in seen.says


def test_all_columns_together_are_the_price_where_they_cost_most() -> None:
    seen = drift_finding(course(a=0.6, b=0.6), 0, prices(a=CHEAP, b=CHEAP, together=DEAR), [trace(moved="a b")])
    assert seen.verdict is Verdict.FAIL
    assert "; all columns together cost about 27%" in seen.says


def test_where_only_the_answers_are_blamed_whatever_moved_is_the_cause() -> None:
    seen = drift_finding(course(prediction=1.2), 0, prices(strong=DEAR), [trace(moved="strong")])
    assert (seen.verdict, seen.measurement.evidence["priced"]) == (Verdict.FAIL, "strong")


def test_money_beyond_its_limit_pages_whatever_the_skill_says() -> None:
    lost = skill(-0.1, 0.001, 0.01, Span(2_225.0, 1_117.0, 3_332.0))
    assert drift_finding(course(strong=1.2), 0, prices(strong=lost), [trace()]).verdict is Verdict.FAIL
    fault = Finding("out-of-range", Verdict.FAIL, Measurement("out-of-range", 1.0, "strong", "It is out of range."))
    (told,) = weighed_faults([fault], prices(strong=lost), [trace(broken="strong")])
    assert told.verdict is Verdict.FAIL
    assert "2,225 EUR" in told.says
    (cheap,) = weighed_faults([fault], prices(strong=CHEAP), [trace(broken="strong")])
    assert cheap.verdict is Verdict.WARN


def test_decisions_that_turn_are_told_and_are_no_harmless_change() -> None:
    swayed = Priced({"strong": CHEAP}, {}, {}, swayed={"strong": 0.51})
    fault = Finding("out-of-range", Verdict.FAIL, Measurement("out-of-range", 1.0, "strong", "It is out of range."))
    (told,) = weighed_faults([fault], swayed, [trace(broken="strong")])
    assert told.verdict is Verdict.FAIL
    assert told.says.endswith("It costs at most 0.8% of the skill, and turns 51% of the decisions.")
    assert drift_finding(course(strong=1.2), 0, swayed, [trace(moved="strong")]).verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("price", "moved", "pages"),
    [
        (DEAR, ("strong", "strong"), True),
        (DEAR, ("", "strong"), False),
        (DEAR, ("strong",), False),
        (skill(0.09, 0.2, 0.3), ("strong", "strong"), False),
        (skill(0.0, 0.01, 0.02, Span(2_000.0, 1_001.0, 3_000.0)), ("strong", "strong"), True),
        (skill(0.0, 0.01, 0.02, Span(2_000.0, 999.0, 3_000.0)), ("strong", "strong"), False),
    ],
    ids=["twice", "once", "the first window", "not so dear", "money", "not so much money"],
)
def test_only_what_is_far_too_dear_twice_pages_while_learning(
    price: Price, moved: tuple[str, ...], pages: bool
) -> None:
    traces = [trace(number, moved=names) for number, names in enumerate(moved)]
    seen = drift_finding(course(known=4), 0, prices(strong=price), traces)
    assert seen.verdict is (Verdict.FAIL if pages else Verdict.SKIPPED)
    assert "4 of 8 windows are known" in seen.says


def test_changes_come_dearest_first_by_skill_or_money_and_say_what_they_turn() -> None:
    flat = Span(0.5, 0.4, 0.6)
    found = [Evidence(name, psi=flat, coloured=True, says="it moved") for name in ("a", "b", "c")]
    lost = skill(-0.1, 0.001, 0.01, Span(2_225.0, 1_117.0, 3_332.0))
    known = Priced({"a": CHEAP, "b": DEAR, "c": lost}, {}, {}, 100.0, EUR, {"a": 0.2})
    changes = changes_of(found, [], set(), known, {}, [trace(moved="a b c")])
    assert [change.subject for change in changes] == ["c", "b", "a"]
    assert [change.harmless for change in changes] == [False, False, False]
    assert changes[2].says == "it moved, which turns 20% of the decisions"
