"""The alarm: its rate on quiet windows stays below what was allowed, for smooth and for heavy-tailed losses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tenure.core.evidence import Finding, Verdict
from tenure.core.metrics import METRICS, Metric
from tenure.core.modelling import Score
from tenure.core.project import ValueSection
from tenure.core.uncertainty import score_with_interval
from tenure.monitoring.alarm import (
    MaturedWindow,
    Promise,
    alarm_levels,
    judge_realised,
    promise_of,
    realised_limit,
    replayed_chance,
    ruler_of,
)
from tenure.monitoring.falls import FallLimit
from tenure.monitoring.figures import figure
from tenure.monitoring.realised import Answered

START = datetime(2026, 1, 1, tzinfo=UTC)


def binary(rng: np.random.Generator, rows: int, *, skill: float = 1.0) -> Answered:
    chance = 1 / (1 + np.exp(-1.5 * rng.normal(size=rows)))
    truth = (rng.random(rows) < 0.5 + skill * (chance - 0.5)).astype(np.int64)
    return Answered(truth, np.column_stack([1 - chance, chance]), chance >= 0.5)


def heavy(rng: np.random.Generator, rows: int, *, skill: float = 1.0) -> Answered:
    said = rng.normal(10, 3, rows)
    return Answered(said + rng.standard_t(4, rows) * (2 - skill), said)


def promised(metric: Metric, reference: Answered, rows: int) -> Promise:
    rng = np.random.default_rng(1)
    ruler = ruler_of(metric, reference)
    chance = replayed_chance(ruler, reference, rows=rows, rng=rng)
    assert chance is not None
    expected = score_with_interval(metric, reference.target, reference.predicted)
    naive = np.full_like(reference.predicted, 0.5 if reference.predicted.ndim == 2 else reference.target.mean())
    baseline = score_with_interval(metric, reference.target, naive)
    return promise_of(ruler, reference, expected=expected, baseline=baseline, chance=chance)


def weekly(windows: list[Answered]) -> list[MaturedWindow]:
    return [MaturedWindow(START + timedelta(days=7 * i), window) for i, window in enumerate(windows)]


def judged(
    metric: Metric,
    reference: Answered,
    windows: list[Answered],
    *,
    level: float,
    value: ValueSection = ValueSection(),  # noqa: B008 - it is frozen
    limit: FallLimit | None = None,
) -> tuple[Finding, ...]:
    promise = promised(metric, reference, len(windows[0]))
    return judge_realised(weekly(windows), promise, value, level=level, limit=limit)


@pytest.mark.parametrize(("metric", "world"), [("roc_auc", binary), ("log_loss", binary), ("rmse", heavy)])
def test_quiet_windows_alarm_no_oftener_than_allowed(metric: str, world) -> None:
    level, alarms, runs = 0.05, 0, 60
    first = promised(METRICS[metric], world(np.random.default_rng(9), 2_000), 200)
    limit = realised_limit(first, ValueSection(), level=level)
    for run in range(runs):
        rng = np.random.default_rng((9, run))
        windows = [world(rng, 200) for _ in range(5)]
        found = judged(METRICS[metric], world(rng, 2_000), windows, level=level, limit=limit)
        alarms += any(finding.verdict is Verdict.FAIL for finding in found)
    assert alarms <= runs * level + 2 * np.sqrt(runs * level)  # two standard errors above the allowed rate


def test_a_fall_of_skill_alarms_and_tells_since_when() -> None:
    rng = np.random.default_rng(2)
    windows = [binary(rng, 300) for _ in range(4)] + [binary(rng, 300, skill=0.4) for _ in range(3)]
    latest, course = found = judged(METRICS["roc_auc"], binary(rng, 2_000), windows, level=0.01)
    assert (latest.verdict, course.verdict) == (Verdict.WARN, Verdict.FAIL)
    assert course.subject == "the latest 3 windows"
    assert course.measurement.evidence["rows"] == 900
    assert {f.measurement.evidence["since"] for f in found} == {(START + timedelta(days=28)).isoformat()}


def test_a_wobble_between_quiet_windows_widens_the_limit() -> None:
    rng = np.random.default_rng(3)
    calm = [binary(rng, 300) for _ in range(8)]
    wild = [binary(rng, 300, skill=1.0 if i % 2 else 0.85) for i in range(8)]
    limits = [
        judged(METRICS["roc_auc"], binary(rng, 5_000), windows, level=0.01)[0].threshold for windows in (calm, wild)
    ]
    assert limits[0].warn < limits[1].warn


def test_a_small_fall_that_lasts_alarms_though_no_window_does_by_itself() -> None:
    rng = np.random.default_rng(7)
    reference = binary(rng, 20_000)
    promise = promised(METRICS["roc_auc"], reference, 500)
    earlier = weekly([binary(rng, 500) for _ in range(20)])
    limit = realised_limit(promise, ValueSection(), level=0.005, earlier=earlier)
    windows = weekly([binary(rng, 500, skill=0.87) for _ in range(20)])
    found = judge_realised(windows, promise, ValueSection(), level=0.005, earlier=earlier, limit=limit)
    assert found[-1].verdict is Verdict.FAIL
    assert found[-1].measurement.evidence["fall_low"] > 0
    alone = [judge_realised([w], promise, ValueSection(), level=0.005, earlier=earlier, limit=limit) for w in windows]
    assert not any(f.verdict is Verdict.FAIL for each in alone for f in each)


def test_quiet_windows_of_the_reference_tell_how_much_windows_wobble() -> None:
    rng = np.random.default_rng(8)
    promise = promised(METRICS["roc_auc"], binary(rng, 5_000), 300)
    calm, wild = (
        weekly([binary(rng, 300, skill=1.2 if i % 2 and is_wild else 0.9) for i in range(20)])
        for is_wild in (False, True)
    )
    fell = weekly([binary(rng, 300, skill=0.7)] * 2)
    wobbles = [
        judge_realised(fell, promise, ValueSection(), level=0.01, earlier=earlier)[-1].measurement.evidence["wobble"]
        for earlier in (calm, wild)
    ]
    assert wobbles[0] < wobbles[1]


def test_money_has_its_own_half_and_its_own_run() -> None:
    rng = np.random.default_rng(9)
    value = ValueSection(true_positive=10.0, false_positive=-8.0)
    windows = [binary(rng, 400) for _ in range(3)] + [binary(rng, 400, skill=-0.5) for _ in range(2)]
    found = judged(METRICS["roc_auc"], binary(rng, 2_000), windows, level=0.01, value=value)
    assert [f.check for f in found] == ["realised-score", "realised-score", "realised-value"]
    assert all(f.measurement.evidence["since"] == (START + timedelta(days=21)).isoformat() for f in found)


def test_one_class_only_is_skipped_with_the_reason() -> None:
    rng = np.random.default_rng(4)
    one = binary(rng, 200)
    one = Answered(np.zeros_like(one.target), one.predicted, one.acted)
    found = judged(METRICS["roc_auc"], binary(rng, 1_000), [one], level=0.01)
    assert [f.verdict for f in found] == [Verdict.SKIPPED]
    assert "not defined" in found[0].says


def test_the_dial_is_shared_out_and_capped() -> None:
    assert alarm_levels(1, 52).faults == pytest.approx(1 / 104)
    assert alarm_levels(12, 52).realised == pytest.approx(0.025)
    assert alarm_levels(1, 52) == alarm_levels(7, 364)


def test_a_promise_without_skill_has_no_tolerance() -> None:
    rng = np.random.default_rng(5)
    reference = binary(rng, 500)
    ruler = ruler_of(METRICS["roc_auc"], reference)
    chance = replayed_chance(ruler, reference, rows=200, rng=rng)
    assert chance is not None
    better, worse = Score("roc_auc", 0.8, 0.7, 0.9, 500), Score("roc_auc", 0.5, 0.4, 0.6, 500)
    assert promise_of(ruler, reference, expected=better, baseline=worse, chance=chance).tolerance == pytest.approx(
        0.006
    )
    assert promise_of(ruler, reference, expected=worse, baseline=better, chance=chance).tolerance == 0


def test_one_wild_row_is_no_alarm_and_many_are() -> None:
    rng = np.random.default_rng(6)
    reference, window = heavy(rng, 2_000), heavy(rng, 200)
    wild = window.target.copy()
    wild[0] += 1_000
    one = judged(METRICS["rmse"], reference, [Answered(wild, window.predicted)], level=0.01)
    assert one[0].verdict is Verdict.PASS
    wild[:40] += 1_000
    many = judged(METRICS["rmse"], reference, [Answered(wild, window.predicted)] * 2, level=0.01)
    assert many[-1].verdict is Verdict.FAIL


def test_windows_without_a_defined_score_are_passed_over() -> None:
    rng = np.random.default_rng(10)
    windows = [binary(rng, 300), binary(rng, 300, skill=-0.5), binary(rng, 300, skill=-0.5)]
    blank = Answered(np.zeros(300, dtype=np.int64), windows[0].predicted, windows[0].acted)
    latest, course = judged(METRICS["roc_auc"], binary(rng, 2_000), [*windows, blank], level=0.01)
    assert latest.verdict is Verdict.SKIPPED
    assert course.verdict is Verdict.FAIL
    assert np.isfinite(course.measurement.evidence["realised"])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8768, "0.877"), (49_034.2, "49,034"), (-2_500, "-2,500"), (0, "0"), (3e15, "3.00e+15")],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert figure(value) == text
