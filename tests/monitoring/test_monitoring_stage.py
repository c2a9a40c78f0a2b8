"""Closed loops on a planted world: quiet weeks stay quiet, harm is found, harmless drift is not called harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tenure.core.evidence import Verdict
from tenure.core.health import Health, HealthReport
from tenure.core.lifecycle import Verb
from tenure.core.records import canonical
from tenure.engine.loop import choose
from tenure.engine.policy import Policy, Situation
from tenure.state.shelf import Shelf

pytestmark = pytest.mark.usefixtures("clock")
Columns = dict[str, np.ndarray]


def shift_noise(columns: Columns) -> None:
    columns["noise"] += 2.0


def lose_strong(columns: Columns) -> None:
    columns["strong"] = np.where(np.arange(len(columns["strong"])) % 2 == 0, np.nan, columns["strong"])


def failed(report: HealthReport) -> set[str]:
    return {finding.check for finding in report.findings if finding.verdict.blocks}


def test_twelve_quiet_weeks_raise_no_alarm(planted: Callable) -> None:
    world = planted()
    for number in range(12):
        world.week(number)
        if number % 3 == 2:
            report = world.health()
            assert report.status in (Health.HEALTHY, Health.CHANGED), report.headline
            assert not failed(report)
    assert report.status is Health.HEALTHY
    assert report.headline.startswith("The model does what was promised.")
    assert len(report.windows) == 12
    assert all(window.rows == 400 and window.realised and window.versions == (1,) for window in report.windows)
    last = report.windows[-1]
    assert last.value is not None
    assert 0 < last.value < last.value_best


def test_a_changed_concept_is_an_illness_within_two_matured_weeks(planted: Callable) -> None:
    world = planted()
    for number in range(5):
        world.week(number)
    world.week(5, concept=0.2)
    first = world.health()
    world.week(6, concept=0.2)
    second = world.health()
    assert Health.ILL in (first.status, second.status)
    assert second.status is Health.ILL
    assert "realised-score" in failed(second)
    assert second.headline.startswith("The model is worse than promised.")
    harm = next(f for f in second.findings if f.verdict is Verdict.FAIL)
    assert harm.measurement.evidence["since"].startswith("2026-02-09")


def test_harmless_drift_is_a_change_and_no_illness(planted: Callable) -> None:
    world = planted()
    for number in range(3):
        world.week(number)
    for number in range(3, 5):
        world.week(number, change=shift_noise)
        report = world.health()
        assert report.status is Health.CHANGED
    assert report.windows[-1].drifted == ("noise",)
    assert report.windows[0].drifted == ()
    assert "'noise' moved" in report.headline
    assert "No harm is shown." in report.headline


def test_a_spike_of_missing_values_is_a_fault_of_that_column_and_not_drift(planted: Callable) -> None:
    world = planted()
    for number in range(3):
        world.week(number)
    world.week(3, change=lose_strong)
    world.week(4, change=lose_strong)
    report = world.health()
    assert report.status is Health.ILL
    fault = next(f for f in report.findings if f.verdict is Verdict.FAIL)
    assert (fault.check, fault.subject) == ("missing-values", "strong")
    assert fault.measurement.evidence["since"].startswith("2026-01-26")
    assert report.windows[-1].faults == ("missing-values: strong",)
    assert "strong" not in report.windows[-1].drifted
    assert report.headline.startswith("The rows that come in are broken: 'strong' is empty in 50% of rows")


def test_a_unit_slip_and_a_new_value_are_faults(planted: Callable) -> None:
    def slip(columns: Columns) -> None:
        columns["amount"] *= 0.01
        columns["plan"] = np.where(np.arange(len(columns["plan"])) % 10 == 0, "gold", columns["plan"])

    world = planted()
    world.week(0)
    world.week(1, change=slip)
    report = world.health()
    assert set(report.windows[-1].faults) == {"unit-slip: amount", "new-values: plan"}
    fails = [f for f in report.findings if f.verdict is Verdict.FAIL]
    assert [f.subject for f in fails] == ["plan"]
    assert "'gold'" in fails[0].says
    slip_found = next(f for f in report.of("unit-slip") if f.subject == "amount")
    assert slip_found.verdict is Verdict.WARN  # the model does not use it: told, and nobody is paged
    assert "0.01 times" in slip_found.says
    assert next(change for change in report.changes if change.subject == "amount").harmless


def test_drift_before_outcomes_is_a_change_whose_harm_is_unknown(planted: Callable) -> None:
    world = planted()
    for number in range(3):
        world.week(number, outcomes=False)
    world.week(3, change=lambda c: c.update(strong=c["strong"] + 1), outcomes=False)
    report = world.health()
    assert report.status is Health.CHANGED
    assert "the prediction" in report.windows[-1].drifted
    assert "not known before outcomes come" in report.headline


def test_late_outcomes_wait_for_the_outcome_delay(planted: Callable) -> None:
    world = planted(data='outcome_delay = "14d"')
    world.week(0, known_share=0.3)
    world.week(1, known_share=0.3)
    report = world.health()
    realised = report.of("realised-score")
    assert [f.verdict for f in realised] == [Verdict.SKIPPED]
    assert report.windows[0].matured == pytest.approx(0.3, abs=0.1)
    assert report.windows[0].realised is not None
    world.clock.now += timedelta(days=14)
    assert world.health().of("realised-score")[0].verdict is Verdict.PASS


def test_old_weeks_that_are_brought_in_late_are_no_feed_that_stopped(planted: Callable) -> None:
    world = planted()
    for number in range(3):
        world.week(number, delay=timedelta(days=7), late=timedelta(days=300))
    world.week(3, late=timedelta(days=300), outcomes=False)
    report = world.health()
    assert report.status in (Health.HEALTHY, Health.CHANGED), report.headline


def test_too_few_rows_are_reported_and_not_judged(planted: Callable) -> None:
    world = planted()
    assert world.health().status is Health.LEARNING
    world.week(0, rows=50, concept=-1.0)
    report = world.health()
    assert report.status is Health.LEARNING
    assert report.headline.startswith("Too early to tell")
    assert report.windows[0].rows == 50
    assert not failed(report)


def test_a_small_window_at_the_end_leaves_the_judgement_of_the_one_before(planted: Callable) -> None:
    world = planted()
    for number in range(2):
        world.week(number)
    world.week(2, rows=20)
    report = world.health()
    assert report.status is Health.HEALTHY
    assert "holds 20 predictions" in report.of("enough-rows")[0].says
    assert report.of("psi")


def test_only_the_own_predictions_of_a_version_are_held_against_it(planted: Callable) -> None:
    world = planted()
    world.week(0, version=1, concept=0.0)
    world.week(1, version=1, concept=0.0)
    world.week(2, version=2)
    report = world.health(version=2)
    assert report.status is Health.HEALTHY
    assert [window.versions for window in report.windows] == [(1,), (1,), (2,)]
    assert world.health(version=1).status is Health.ILL


def test_decisions_that_lose_money_are_an_illness(planted: Callable) -> None:
    world = planted()
    for number in range(3):
        world.week(number, concept=-1.0)
    report = world.health()
    assert {"realised-score", "realised-value"} <= failed(report)
    assert report.windows[-1].value < 0 < report.windows[-1].value_best


def test_windows_of_rows_are_judged_like_windows_of_time(planted: Callable) -> None:
    world = planted(window="300 rows")
    for number in range(2):
        world.week(number, rows=400)
    report = world.health()
    assert [window.rows for window in report.windows] == [300, 300, 200]
    assert report.status is Health.HEALTHY


def test_the_same_traffic_gives_the_same_record(planted: Callable) -> None:
    world = planted()
    for number in range(2):
        world.week(number)
    first, second = world.health(), world.health()
    assert first.digest == second.digest
    assert HealthReport.from_dict(first.to_dict()).digest == first.digest
    assert len(canonical(first)) < 60_000


def test_odd_values_never_break_the_report(planted: Callable) -> None:
    """Empty, constant, infinite, mixed and missing columns give findings."""
    world = planted()
    world.week(0)

    def spoil(columns: Columns) -> None:
        columns["amount"] = np.full(len(columns["amount"]), np.inf)
        columns["noise"] = np.full(len(columns["noise"]), np.nan)
        columns["flag"] = np.array(["maybe", None, 3.5, True] * (len(columns["flag"]) // 4), dtype=object)

    world.week(1, change=spoil)
    report = world.health()
    assert report.status is Health.CHANGED  # the model uses none of them: nobody is paged
    assert not any(f.verdict is Verdict.ERROR for f in report.findings)
    assert {"unreadable-values: flag", "missing-values: noise"} <= set(report.windows[-1].faults)


BROKEN_TEST = """
from tenure.core.evidence import Threshold
class OwnTest:
    name = "own"
    threshold = Threshold(warn=0.1)
    def measure(self, pair):
        raise ZeroDivisionError("no rows")
"""


def test_a_broken_drift_test_of_the_project_means_that_health_is_not_known(planted: Callable) -> None:
    world = planted()
    own = world.ctx.folder / "plugins" / "drift-test"
    own.mkdir(parents=True)
    (own / "own.py").write_text(BROKEN_TEST)
    world.week(0)
    report = world.health()
    assert report.status is Health.ILL
    assert report.headline == "The health is not known. The check own broke: ZeroDivisionError: no rows"
    action = choose(report, Policy("auto"), Situation(champion=1, new_rows=True))
    assert action.verb is Verb.ESCALATE


def test_a_model_that_breaks_while_prices_are_asked_blocks_and_what_the_rules_found_stands(planted: Callable) -> None:
    world = planted()
    world.week(0)
    world.week(1, change=lose_strong)

    def broken(rows: object) -> np.ndarray:
        raise ValueError("no such layer")

    report = world.health(answer=broken)
    assert report.status is Health.ILL
    assert {"missing-values", "drift"} <= failed(report)
    assert any("no such layer" in finding.says for finding in report.of("drift"))


class FullShelf(Shelf):
    """A shelf that cannot take anything any more."""

    def keep_window(self, *_: object, **__: object) -> None:
        raise RuntimeError("no room")


def test_a_look_that_breaks_blocks_and_outcomes_are_judged_all_the_same(planted: Callable) -> None:
    world = planted()
    world.shelf = FullShelf(world.shelf._db)
    world.week(0)
    report = world.health()
    assert report.status is Health.ILL
    assert "no room" in report.of("drift")[0].says
    assert report.of("realised-score")[0].verdict is Verdict.PASS


def test_a_version_without_rows_out_of_fold_is_looked_at_without_a_promise(planted: Callable) -> None:
    world = planted()
    store = world.ctx.artifacts
    world.leaderboard = replace(world.leaderboard, oof=store.put_table(store.get_table(world.leaderboard.oof)[:0]))
    world.week(0)
    report = world.health()
    assert report.of("realised-score")[0].verdict is Verdict.SKIPPED
    assert report.tolerance is None


def test_windows_of_few_rows_are_judged_where_the_owner_asked_for_them(planted: Callable) -> None:
    world = planted(window="60 rows")
    world.week(0, rows=130)
    report = world.health()
    assert not any("are needed" in finding.says for finding in report.findings)


def test_illness_is_answered_as_its_cause_asks(planted: Callable) -> None:
    world = planted()
    for number in range(6):
        world.week(number)
    here = Situation(champion=1, new_rows=True)
    assert choose(world.health(), Policy("auto"), here).verb is Verb.KEEP
    for number in (6, 7):
        world.week(number, concept=0.0)
    assert choose(world.health(), Policy("auto"), here).verb is Verb.RETRAIN
    world.week(8, concept=0.0, change=lose_strong)
    assert choose(world.health(), Policy("auto"), here).verb is Verb.ESCALATE


def test_a_collapse_after_promotion_asks_for_a_remedy(planted: Callable) -> None:
    world = planted()
    for number in range(4):
        world.week(number, version=1)
    world.week(4, version=2, concept=0.0)
    action = choose(world.health(version=2), Policy("auto"), Situation(champion=2, new_rows=True))
    assert action.verb is Verb.RETRAIN
