from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reporting_runs import Written
from reporting_worlds import churn_project

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.project import parse_project
from tenure.reporting.advice import Advice, advise


def advice_of(run: Written, **changes: object) -> tuple[Advice, ...]:
    walk = replace(run.walk, **changes)
    snapshot, quality, plan, board, robustness, decision, _ = walk.records
    return advise(run.ctx.project, snapshot, quality, plan, board, robustness, decision)


def failing(check: str, hint: str = "Mend it.") -> Finding:
    return Finding(check, Verdict.FAIL, Measurement(check, 1.0, says="It fails.", hint=hint), Threshold(0.1, 0.2))


def test_what_blocks_comes_first_and_alone_is_urgent(written: Callable[[str], Written]) -> None:
    run = written("churn")
    robustness = replace(run.walk.robustness, findings=(*run.walk.robustness.findings, failing("noise")))
    found = advice_of(run, robustness=robustness)
    assert [a.urgent for a in found].index(True) == 0
    assert sum(a.urgent for a in found) == 1
    assert found[0].source == robustness.digest


def test_one_loud_check_does_not_fill_the_list(written: Callable[[str], Written]) -> None:
    run = written("churn")
    many = tuple(replace(failing("noise"), measurement=Measurement("noise", 1.0, f"c{i}", "x", "y")) for i in range(9))
    found = advice_of(run, robustness=replace(run.walk.robustness, findings=many))
    loud = [a for a in found if "noise" in a.what]
    assert len(loud) == 1
    assert "8\u00a0more findings like it" in loud[0].why
    assert len(found) <= 6


def test_leaks_left_out_are_asked_about_until_the_owner_answers(written: Callable[[str], Written]) -> None:
    run = written("churn")
    assert any("CancelReason" in a.what for a in advice_of(run))
    settled = parse_project(churn_project(more='[data.columns.CancelReason]\navailable = "after"\n'))
    snapshot, quality, plan, board, robustness, decision, _ = run.walk.records
    found = advise(settled, snapshot, quality, plan, board, robustness, decision)
    assert not any("CancelReason" in a.what for a in found)


def test_a_tie_asks_for_as_many_rows_as_would_settle_it(written: Callable[[str], Written]) -> None:
    run = written("churn-hold-no-value")
    collect = next(a for a in advice_of(run) if a.what.startswith("Collect more rows"))
    comparison = run.walk.decision.comparison
    assert comparison is not None
    factor = ((comparison.high - comparison.low) / 2 / comparison.gain) ** 2
    assert f"about {factor:.1f} times as many rows" in collect.how


def test_with_nothing_to_say_outcomes_are_asked_for(written: Callable[[str], Written]) -> None:
    run = written("churn")
    quiet = advice_of(
        run,
        quality=replace(run.walk.quality, findings=(), dropped={}, quarantine=(), quarantined_rows=0),
        robustness=replace(run.walk.robustness, findings=()),
    )
    assert [a.what for a in quiet] == ["Send back what came true"]
