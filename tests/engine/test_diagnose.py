"""Why is the model not working: planted worlds, each with one cause, and what is said about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenure.cli.app import app
from tenure.core.diagnosis import Diagnosis, FallParts, Sureness
from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import Change, Health, HealthReport, Price, Reading, SliceFall, Span, WindowHealth
from tenure.core.lifecycle import Alias, AliasMove
from tenure.core.modelling import Score
from tenure.engine.diagnose import diagnosis_of
from tenure.engine.suspects import Evidence, share_words
from tenure.engine.workspace import open_workspace
from tenure.monitoring.alarm import REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.prices import is_harmful
from tenure.monitoring.rules import ENOUGH_ROWS

START = datetime(2026, 3, 2, tzinfo=UTC)
COLUMNS = ("income", "plan", "noise")


def day(week: int) -> str:
    return (START + timedelta(weeks=week)).isoformat()


def window(week: int, *, auc: float | None = 0.8, version: int = 1, matured: float = 1.0) -> WindowHealth:
    score = None if auc is None else Score("roc_auc", auc, auc - 0.03, auc + 0.03, 500)
    return WindowHealth(day(week), day(week + 1), 500, matured, (version,), realised=score)


def rule(column: str, check: str = "missing-values", *, since: int | None = None, says: str = "fine") -> Finding:
    evidence = {} if since is None else {"since": day(since)}
    measurement = Measurement(check, 0.4, subject=column, says=says, hint=f"Ask about {column}.", evidence=evidence)
    return Finding(check, Verdict.PASS if since is None else Verdict.FAIL, measurement)


def score(*, since: int | None = None) -> Finding:
    says = "In the latest window, AUC was 0.7 on 500 known outcomes; 0.8 was promised."
    evidence = {} if since is None else {"since": day(since)}
    measurement = Measurement(
        REALISED_SCORE, 0.1, subject="the latest window", says=says, low=0.07, high=0.13, evidence=evidence
    )
    return Finding(REALISED_SCORE, Verdict.PASS if since is None else Verdict.FAIL, measurement)


def price(reading: Reading, share: float, error: float) -> Price:
    return Price(reading, Span(share / 3, 0.0, share), Span(share, share - error, share + error))


def change(column: str, *, cost: Price | None, since: int = 5, harmless: bool = False) -> Change:
    harmful = cost is not None and is_harmful(cost)
    says = f"{column!r} moved."
    return Change(column, says, day(since), importance=0.3, price=cost, harmless=harmless, harmful=harmful)


def evidence(
    *findings: Finding,
    windows: tuple[WindowHealth, ...] = tuple(window(week) for week in range(8)),
    changes: tuple[Change, ...] = (),
    falls: tuple[SliceFall, ...] = (),
    parts: FallParts | None = None,
    promoted: int | None = None,
) -> Evidence:
    subjects = {finding.subject for finding in findings}
    healthy = tuple(rule(name) for name in COLUMNS if name not in subjects)
    everything = (*findings, *healthy)
    ill = any(finding.verdict.blocks for finding in everything)
    status = Health.ILL if ill else Health.CHANGED if changes else Health.HEALTHY
    report = HealthReport(
        findings=everything,
        version=1,
        status=status,
        headline="In words.",
        windows=windows,
        changes=changes,
        falls=falls,
        tolerance=0.006,
    )
    moves = [AliasMove(Alias.CHAMPION, None, 1, day(-5), "tenure", "first")]
    if promoted is not None:
        moves.append(AliasMove(Alias.CHAMPION, 1, 2, day(promoted), "tenure", "better"))
    return Evidence(report, tuple(moves), parts)


def said(diagnosis: Diagnosis) -> str:
    return " ".join(diagnosis.ruled_out)


def test_a_model_that_works_has_no_suspects_and_says_what_was_looked_at() -> None:
    found = diagnosis_of(evidence(score()))
    assert (found.suspects, found.is_ill) == ((), False)
    assert found.headline == "v1 works, and nothing speaks against it."
    for looked_at in ("no rule of the contract", "realised score", "promotion", "3 of 3 columns"):
        assert looked_at in said(found)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("missing-values", "'income' did not arrive at all."),
        ("unit-slip", "'income' looks as if its unit changed: values are 1,000 times what they were."),
        ("new-values", "12% of 'income' holds values never seen in training."),
    ],
)
def test_a_broken_column_is_the_first_suspect_with_its_day_and_its_price(check: str, says: str) -> None:
    broken = rule("income", check, since=6, says=says)
    moved = change("income", cost=price(Reading.INSTRUMENT, 0.3, 0.05))
    found = diagnosis_of(evidence(broken, score(since=6), changes=(moved,)))
    first = found.suspects[0]
    assert (first.kind, first.what, first.where, first.since) == ("feed", says, "column income", day(6))
    assert first.sureness is Sureness.CERTAIN
    assert "30.0% (25.0% to 35.0%)" in first.why_sure
    assert first.todo == "Ask about income."
    assert found.is_ill
    assert [suspect.kind for suspect in found.suspects] == ["feed"]


def test_two_rules_broken_by_one_column_are_one_suspect() -> None:
    found = diagnosis_of(evidence(rule("income", since=6), rule("income", "out-of-range", since=4)))
    assert [suspect.since for suspect in found.suspects] == [day(4)]
    assert found.suspects[0].numbers["rules"] == ["missing-values", "out-of-range"]


def test_a_dear_move_comes_before_a_cheap_one_and_a_harmless_one_is_ruled_out() -> None:
    moved = (
        change("noise", cost=price(Reading.INSTRUMENT, 0.001, 0.002), harmless=True),
        change("plan", cost=price(Reading.INSTRUMENT, 0.03, 0.02)),
        change("income", cost=price(Reading.INSTRUMENT, 0.2, 0.05)),
    )
    found = diagnosis_of(evidence(score(), changes=moved))
    assert [(s.where, s.sureness) for s in found.suspects] == [
        ("column income", Sureness.LIKELY),
        ("column plan", Sureness.POSSIBLE),
    ]
    assert "noise: it moved, and costs 0.1%" in said(found)
    assert "do not retrain" in found.suspects[0].todo


def test_other_rows_ask_for_training_and_not_for_mending() -> None:
    parts = FallParts("roc_auc", Span(0.1, 0.07, 0.13), Span(0.09, 0.06, 0.12), Span(0.001, -0.004, 0.005))
    moved = change("all columns together", cost=price(Reading.WORLD, 0.2, 0.05))
    found = diagnosis_of(evidence(score(since=5), changes=(moved,), parts=parts))
    assert {suspect.kind for suspect in found.suspects} == {"rows"}
    assert found.suspects[0].command == "tenure run"
    assert "Worse answers on the same rows: no more than" in said(found)


def test_worse_answers_in_one_slice_are_named_with_the_slice() -> None:
    fall = SliceFall("plan", "plan is basic", 160, Span(0.4, 0.3, 0.5), 0.92)
    parts = FallParts("roc_auc", Span(0.1, 0.07, 0.13), Span(0.001, -0.004, 0.005), Span(0.099, 0.06, 0.13))
    found = diagnosis_of(evidence(score(since=6), falls=(fall,), parts=parts))
    first = found.suspects[0]
    assert (first.kind, first.where, first.since) == ("concept", "plan is basic (92% of the fall)", day(6))
    assert (first.sureness, first.command) == (Sureness.LIKELY, "tenure run")
    assert first.numbers["concept"]["low"] == 0.06
    assert "Other rows: no more than" in said(found)


def test_a_fall_that_began_with_a_promotion_is_blamed_on_it() -> None:
    windows = (*(window(w) for w in range(4)), *(window(w, auc=0.7, version=2) for w in range(4, 8)))
    found = diagnosis_of(evidence(score(since=4), windows=windows, promoted=4))
    first = found.suspects[0]
    assert (first.kind, first.where, first.command) == ("promotion", "v2", "tenure rollback")
    assert first.since == day(4)
    assert first.numbers["worse"]["value"] == pytest.approx(0.1)


def test_a_fall_long_after_a_promotion_is_not_blamed_on_it() -> None:
    later = (*(window(w, version=2) for w in range(4, 8)), *(window(w, auc=0.6, version=2) for w in range(8, 10)))
    windows = (*(window(w, auc=0.9) for w in range(4)), *later)
    found = diagnosis_of(evidence(score(since=8), windows=windows, promoted=4))
    assert [suspect.kind for suspect in found.suspects] == ["unexplained"]
    assert "4 windows went well before the fall began" in said(found)


def test_a_promotion_without_outcomes_before_it_is_neither_suspected_nor_ruled_out() -> None:
    windows = (
        *(window(w, auc=None, matured=0.0) for w in range(4)),
        *(window(w, auc=0.7, version=2) for w in range(4, 8)),
    )
    found = diagnosis_of(evidence(score(since=4), windows=windows, promoted=4))
    assert "promotion" not in said(found)
    assert any("promotion" in line for line in found.unknown)


def test_what_moved_after_the_fall_began_is_less_sure() -> None:
    moved = change("income", cost=price(Reading.INSTRUMENT, 0.2, 0.05), since=7)
    found = diagnosis_of(evidence(score(since=5), changes=(moved,)))
    assert found.suspects[0].sureness is Sureness.POSSIBLE
    assert "after the fall" in found.suspects[0].why_sure


def test_outcomes_that_stop_coming_are_told_though_nobody_is_ill() -> None:
    windows = (*(window(w) for w in range(6)), *(window(w, auc=None, matured=0.0) for w in range(6, 8)))
    found = diagnosis_of(evidence(windows=windows))
    assert [(s.kind, s.sureness, s.since) for s in found.suspects] == [("outcomes", Sureness.POSSIBLE, day(6))]
    assert not found.is_ill


def test_one_young_window_without_outcomes_is_no_suspect() -> None:
    windows = (*(window(w) for w in range(7)), window(7, auc=None, matured=0.0))
    assert diagnosis_of(evidence(score(), windows=windows)).suspects == ()


def test_decisions_that_lose_money_and_checks_that_break_are_suspects() -> None:
    loss = Finding(
        REALISED_VALUE, Verdict.FAIL, Measurement(REALISED_VALUE, 40.0, says="It loses.", low=20.0, high=60.0)
    )
    crash = Finding("drift", Verdict.ERROR, Measurement("drift", float("nan"), says="The check drift broke."))
    found = diagnosis_of(evidence(loss, crash))
    assert [(s.kind, s.sureness) for s in found.suspects] == [
        ("check", Sureness.CERTAIN),
        ("value", Sureness.LIKELY),
    ]


def test_what_could_not_be_looked_at_is_said() -> None:
    young = Finding(ENOUGH_ROWS, Verdict.SKIPPED, Measurement(ENOUGH_ROWS, 0.0, skipped="no window is full yet."))
    unpriced = Change("plan", "'plan' moved.", unpriced="the model has no skill to lose.")
    found = diagnosis_of(evidence(young, changes=(unpriced,)))
    assert any("no window is full yet" in line for line in found.unknown)
    assert any("no skill to lose" in line for line in found.unknown)


def test_the_command_says_that_nothing_is_wrong_and_writes_nothing(office: Path) -> None:
    with open_workspace(office) as workspace:
        before = len(workspace.ledger.events())
    done = CliRunner().invoke(app, ["diagnose", "--json", "--project", str(office)])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["result"]["diagnosis"]["suspects"]) == (0, [])
    assert told["result"]["diagnosis"]["unknown"]
    lines = CliRunner().invoke(app, ["diagnose", "--quiet", "--project", str(office)])
    assert "Not known:" in lines.stdout
    with open_workspace(office) as workspace:
        assert len(workspace.ledger.events()) == before


def test_shares_of_the_skill_are_never_below_nothing_nor_above_all() -> None:
    assert share_words(Span(-0.1, -0.2, 0.013)) == "0.0% (0.0% to 1.3%)"
    assert share_words(Span(1.4, 1.1, 1.9)) == "more than all"
