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
from tenure.monitoring.alarm import MaturedWindow, alarm_levels, judge_realised, promise_of, replayed_chance, ruler_of
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


def judged(metric: Metric, reference: Answered, windows: list[Answered], *, level: float) -> tuple[Finding, ...]:
    rng = np.random.default_rng(1)
    ruler = ruler_of(metric, reference)
    chance = replayed_chance(ruler, reference, rows=len(windows[0]), rng=rng)
    assert chance is not None
    expected = score_with_interval(metric, reference.target, reference.predicted)
    promise = promise_of(ruler, reference, expected=expected, baseline=expected, chance=chance)
    matured = [MaturedWindow(START + timedelta(days=7 * i), window) for i, window in enumerate(windows)]
    return judge_realised(matured, promise, ValueSection(), level=level)


@pytest.mark.parametrize(("metric", "world"), [("roc_auc", binary), ("log_loss", binary), ("rmse", heavy)])
def test_quiet_windows_alarm_no_oftener_than_allowed(metric: str, world) -> None:
    level, alarms, runs = 0.05, 0, 100
    for run in range(runs):
        rng = np.random.default_rng((9, run))
        found = judged(METRICS[metric], world(rng, 2_000), [world(rng, 200) for _ in range(5)], level=level)
        alarms += any(finding.verdict is Verdict.FAIL for finding in found)
    assert alarms <= runs * level + 2 * np.sqrt(runs * level)  # two standard errors above the allowed rate


def test_a_fall_of_skill_alarms_and_tells_since_when() -> None:
    rng = np.random.default_rng(2)
    windows = [binary(rng, 300) for _ in range(4)] + [binary(rng, 300, skill=0.4) for _ in range(3)]
    found = judged(METRICS["roc_auc"], binary(rng, 2_000), windows, level=0.01)
    assert all(finding.verdict is Verdict.FAIL for finding in found)
    assert {f.measurement.evidence["since"] for f in found} == {(START + timedelta(days=28)).isoformat()}


def test_a_wobble_between_quiet_windows_widens_the_limit() -> None:
    rng = np.random.default_rng(3)
    calm = [binary(rng, 300) for _ in range(8)]
    wild = [binary(rng, 300, skill=1.0 if i % 2 else 0.85) for i in range(8)]
    limits = [
        judged(METRICS["roc_auc"], binary(rng, 5_000), windows, level=0.01)[0].threshold for windows in (calm, wild)
    ]
    assert limits[0].fail < limits[1].fail


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
    many = judged(METRICS["rmse"], reference, [Answered(wild, window.predicted)], level=0.01)
    assert many[0].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8768, "0.877"), (49_034.2, "49,034"), (-2_500, "-2,500"), (0, "0"), (3e15, "3.00e+15")],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert figure(value) == text
