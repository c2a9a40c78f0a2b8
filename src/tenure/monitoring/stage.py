"""Check how the model in office is doing: inputs, predictions and what came true, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from tenure.core.contract import Contract
from tenure.core.data import Snapshot
from tenure.core.evidence import Finding, Measurement, QualityReport, Verdict, worst
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import ModelVersion
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Leaderboard, Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Context
from tenure.monitoring.alarm import (
    REALISED_SCORE,
    MaturedWindow,
    alarm_levels,
    judge_realised,
    promise_of,
    replayed_chance,
    ruler_of,
)
from tenure.monitoring.headline import headline_of
from tenure.monitoring.inputs import (
    InputWatch,
    WindowFindings,
    came_in,
    predictions_of,
    reference_frame,
    watched_schema,
    with_since,
)
from tenure.monitoring.realised import Answered, answered, money_of, reference_answers
from tenure.monitoring.rules import ENOUGH_ROWS, VOLUME, faulty, judge_volume
from tenure.monitoring.windows import SAMPLE_ROWS, TrafficWindow, cut_windows, sampled, windows_per_year
from tenure.state.traffic import Traffic

LOOKED_AT: Final = 26
_HISTORY_ROWS: Final = 5_000
_REFERENCE_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What is looked at: the version, what was promised for it, and its windows."""

    ctx: Context
    version: ModelVersion
    snapshot: Snapshot
    leaderboard: Leaderboard
    metric: Metric
    windows: Sequence[TrafficWindow]
    now: datetime

    @property
    def task(self) -> Task:
        return self.ctx.project.project.task


def check_health(
    ctx: Context,
    traffic: Traffic,
    version: ModelVersion,
    snapshot: Snapshot,
    quality: QualityReport,
    leaderboard: Leaderboard,
) -> HealthReport:
    """Say how `version` is doing: findings of the latest full window, what came true, and every window.

    `snapshot`, `quality` and `leaderboard` are the records that the version was made from. Inputs are looked at
    whoever answered; predictions and outcomes only where `version` did. Drift alone never makes a model ill: broken
    rules of the contract, a broken check, or a realised score or money beyond chance and tolerance do.
    """
    monitoring = ctx.project.monitoring
    now = ctx.clock()
    windows = cut_windows(traffic.joined(), monitoring, now=now)
    metric = metric_named(leaderboard.metric, task=ctx.project.project.task)
    subject = _Subject(ctx, version, snapshot, leaderboard, metric, windows, now)
    levels = alarm_levels(monitoring.false_alarms_per_year, windows_per_year(windows, monitoring))
    ctx.log.progress(0.1, f"{len(windows)} windows of traffic")
    looked = _look_at_inputs(subject, quality, level=levels.faults)
    ctx.log.progress(0.7, "inputs looked at")
    findings = (*_findings_of_inputs(subject, looked), *_findings_of_outcomes(subject, level=levels.realised))
    status = _status(findings)
    return HealthReport(
        findings=findings,
        version=version.number,
        status=status,
        headline=headline_of(status, findings),
        expected=leaderboard.score,
        windows=tuple(_window_health(subject, window, looked) for window in windows),
        made_from=(snapshot.digest, quality.digest, leaderboard.digest),
    )


def _look_at_inputs(subject: _Subject, quality: QualityReport, *, level: float) -> tuple[WindowFindings, ...]:
    """Return the findings of the latest full windows that hold enough rows, oldest first."""
    ctx = subject.ctx
    full = [window for window in subject.windows if window.full]
    chosen = [w for w in full[-LOOKED_AT:] if w.rows.height >= ctx.project.monitoring.min_rows]
    if not chosen:
        return ()
    watch = _input_watch(subject, quality, level=level, rows=SAMPLE_ROWS)
    small = replace(watch, reference=sampled(watch.reference, _REFERENCE_ROWS, ctx.rng(2)))
    looked = []
    for window in chosen:
        is_latest = window is chosen[-1]
        rows = sampled(window.rows, SAMPLE_ROWS if is_latest else _HISTORY_ROWS, ctx.rng(3))
        came = came_in(rows, watch.columns)
        said = predictions_of(rows, task=subject.task, classes=subject.snapshot.classes, version=subject.version.number)
        findings = (watch if is_latest else small).look(came, said, seen=ctx.log.note)
        looked.append(WindowFindings(window, findings))
    return tuple(looked)


def _input_watch(subject: _Subject, quality: QualityReport, *, level: float, rows: int) -> InputWatch:
    ctx, snapshot, leaderboard = subject.ctx, subject.snapshot, subject.leaderboard
    contract = ctx.artifacts.get_record(Contract, quality.contract)
    clean = ctx.artifacts.get_table(quality.clean)
    schema = watched_schema(snapshot.schema, quality.dropped, contract, subject.task)
    chosen = np.arange(clean.height)
    if clean.height > rows:
        chosen = np.sort(ctx.rng(1).choice(clean.height, rows, replace=False))
    oof = ctx.artifacts.get_table(leaderboard.oof)
    return InputWatch(
        reference=reference_frame(clean, oof, schema, task=subject.task, classes=snapshot.classes, rows=chosen),
        schema=schema,
        contract=contract,
        tests=tuple(
            plugin("drift-test", name, project=ctx.folder)() for name in plugin_names("drift-test", project=ctx.folder)
        ),
        level=level,
        importance={importance.feature: importance.share for importance in leaderboard.importance},
    )


def _findings_of_inputs(subject: _Subject, looked: Sequence[WindowFindings]) -> tuple[Finding, ...]:
    """Return the findings of the latest full window with enough rows; a later, smaller one is only reported."""
    full = [window for window in subject.windows if window.full]
    least = subject.ctx.project.monitoring.min_rows
    if not full:
        return (
            _not_yet(f"no window is full yet; {sum(w.rows.height for w in subject.windows):,} predictions so far."),
        )
    latest, findings = full[-1], with_since(looked) if looked else ()
    if latest.rows.height < least:
        reason = f"the latest full window holds {latest.rows.height:,} predictions; {least:,} are needed."
        findings = (_not_yet(reason), *findings)
    if subject.ctx.project.monitoring.window_rows is not None:
        return findings
    volume = judge_volume([window.rows.height for window in full], [window.skipped for window in full])
    return (*findings, volume)


def _not_yet(reason: str) -> Finding:
    return Finding(ENOUGH_ROWS, Verdict.SKIPPED, Measurement(ENOUGH_ROWS, 0.0, skipped=reason))


def _findings_of_outcomes(subject: _Subject, *, level: float) -> tuple[Finding, ...]:
    """Judge what came true of the version's own predictions, over its matured windows."""
    ctx, leaderboard, metric = subject.ctx, subject.leaderboard, subject.metric
    value, least = ctx.project.value, ctx.project.monitoring.min_rows
    matured = [
        MaturedWindow(window.start, _answers(subject, window, own=True))
        for window in subject.windows
        if subject.version.number in window.versions
        and window.is_mature(now=subject.now, delay_seconds=ctx.project.data.outcome_delay)
    ]
    judged = [window for window in matured if len(window.answers) >= least]
    if not judged:
        return (_no_outcomes(subject, sum(len(window.answers) for window in matured)),)
    reference = reference_answers(ctx.artifacts.get_table(leaderboard.oof), task=subject.task)
    usual = int(np.median([len(window.answers) for window in judged]))
    ruler = ruler_of(metric, reference)
    chance = replayed_chance(ruler, reference, rows=usual, rng=ctx.rng(4))
    if chance is None:
        reason = f"{metric.label} cannot be replayed on the training rows."
        return (Finding(REALISED_SCORE, Verdict.SKIPPED, Measurement(REALISED_SCORE, 0.0, skipped=reason)),)
    expected, baseline = leaderboard.score, leaderboard.baseline
    promise = promise_of(ruler, reference, expected=expected, baseline=baseline, chance=chance)
    return judge_realised(judged, promise, value, level=level)


def _no_outcomes(subject: _Subject, known: int) -> Finding:
    least = subject.ctx.project.monitoring.min_rows
    reason = f"no full window of {subject.version.label} has {least:,} final outcomes yet ({known:,} so far)."
    hint = "Post outcomes as they become known, and say in data.outcome_delay how long they take."
    return Finding(REALISED_SCORE, Verdict.SKIPPED, Measurement(REALISED_SCORE, 0.0, skipped=reason, hint=hint))


def _answers(subject: _Subject, window: TrafficWindow, *, own: bool = False) -> Answered:
    rows = window.rows.filter(pl.col("version") == subject.version.number) if own else window.rows
    return answered(rows, task=subject.task, classes=subject.snapshot.classes, value=subject.ctx.project.value)


def _window_health(subject: _Subject, window: TrafficWindow, looked: Sequence[WindowFindings]) -> WindowHealth:
    answers = _answers(subject, window)
    money = money_of(answers, subject.ctx.project.value) if len(answers) else None
    seen = next((item for item in looked if item.window is window), WindowFindings(window))
    column = {Task.BINARY: f"p_{len(subject.snapshot.classes) - 1}", Task.REGRESSION: "value"}.get(subject.task, "")
    mean = window.rows[column].cast(pl.Float64).mean() if column in window.rows.columns else None
    return WindowHealth(
        start=window.start.isoformat(),
        end=window.end.isoformat(),
        rows=window.rows.height,
        matured=window.matured,
        versions=window.versions,
        realised=answers.score(subject.metric),
        value=float(money.made.sum()) if money is not None else None,
        value_best=float(money.best.sum()) if money is not None else None,
        drifted=seen.drifted,
        mean_prediction=mean if isinstance(mean, float) else None,
        faults=tuple(faulty(seen.findings)),
    )


def _status(findings: Sequence[Finding]) -> Health:
    """Sum up in one word: anything that blocks is an illness, anything that warns a change."""
    if worst(findings).blocks:
        return Health.ILL
    if any(finding.verdict is Verdict.WARN for finding in findings):
        return Health.CHANGED
    is_judged = any(finding.verdict is Verdict.PASS and finding.check != VOLUME for finding in findings)
    return Health.HEALTHY if is_judged else Health.LEARNING
