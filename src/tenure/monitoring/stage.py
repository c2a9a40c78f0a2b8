"""From traffic to a health report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from tenure.core.contract import Contract
from tenure.core.data import Schema, Snapshot, WindowPair
from tenure.core.errors import TenureError
from tenure.core.evidence import Finding, Measurement, QualityReport, Verdict, broken_check, judged, worst
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import ModelVersion
from tenure.core.metrics import metric_named
from tenure.core.modelling import Floats, Leaderboard, Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Context, DriftTest
from tenure.core.records import digest_of
from tenure.monitoring.alarm import POOLED_WINDOWS, REALISED_SCORE, alarm_levels
from tenure.monitoring.attribution import fall_in_two, falls_by_slice
from tenure.monitoring.cohorts import Cohort, Wanted, cohorts_of
from tenure.monitoring.courses import courses_of
from tenure.monitoring.detector import DriftCourse
from tenure.monitoring.drift.psi import PopulationStabilityIndex
from tenure.monitoring.drift_findings import DRIFT, PSI, estimate_finding, evidence_findings
from tenure.monitoring.estimation.estimator import drop
from tenure.monitoring.estimation.rows import KnownRows
from tenure.monitoring.evidence import evidence
from tenure.monitoring.foresight import Foresight
from tenure.monitoring.freshness import judge_traffic_freshness
from tenure.monitoring.headline import headline_of
from tenure.monitoring.inputs import as_read, watched_features
from tenure.monitoring.layout import Layout
from tenure.monitoring.looking import LogReader, Seen, look_at
from tenure.monitoring.maturity import delay_curve, log_end
from tenure.monitoring.outcome_findings import Promised, judge_feed, judge_outcomes, promised
from tenure.monitoring.prices import Priced
from tenure.monitoring.quarantine import judge_quarantine, spans_of
from tenure.monitoring.realised import money_of
from tenure.monitoring.reference import Normal, Said, load_reference, make_reference
from tenure.monitoring.rules import ENOUGH_ROWS, RULES, judge_volume
from tenure.monitoring.sketch_files import sketch_file
from tenure.monitoring.sketches import empty_sketch
from tenure.monitoring.watching import Aim, Judged, Watch
from tenure.monitoring.windows import TrafficWindow, cut_windows, first_event, windows_per_year
from tenure.state.shelf import Shelf
from tenure.state.traffic import Traffic

_PAIR_ROWS: Final = 10_000
_JUDGED: Final = frozenset({*RULES, PSI, REALISED_SCORE})
"""What tells that the model itself is well; that rows and outcomes come does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """The version that is looked at, the records that it was made from, and its model on rows with the schema's types.

    `answer` gives probabilities (n, k) or values (n,); it is only called where something moved.
    """

    version: ModelVersion
    snapshot: Snapshot
    quality: QualityReport
    leaderboard: Leaderboard
    answer: Callable[[pl.DataFrame], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What is looked at, with its windows and what came true of them.

    `aside` are the quarantined predictions, `key` stands for what the windows are held against.
    """

    ctx: Context
    traffic: Traffic
    shelf: Shelf
    watched: Watched
    joined: pl.DataFrame
    aside: pl.DataFrame
    windows: tuple[TrafficWindow, ...]
    key: str
    now: datetime

    @property
    def task(self) -> Task:
        return self.ctx.project.project.task

    @property
    def wanted(self) -> Wanted:
        project, watched = self.ctx.project, self.watched
        return Wanted(
            self.task,
            watched.snapshot.classes,
            project.value,
            project.data.outcome_delay,
            watched.version.number,
            metric_named(watched.leaderboard.metric, task=self.task),
        )

    @property
    def full(self) -> list[TrafficWindow]:
        """Return the full windows that hold enough rows to be judged."""
        least = self.ctx.project.monitoring.least_rows
        return [window for window in self.windows if window.full and window.rows.height >= least]


def check_health(ctx: Context, traffic: Traffic, shelf: Shelf, watched: Watched) -> HealthReport:
    """Say how a version is doing: findings of the latest full window, what came true, and every window.

    Inputs are looked at whoever answered; predictions and outcomes only where the version did. Harmless drift never
    makes a model ill: faults of the feed that cost something, drift in alarm that surely costs skill, a broken check,
    and a realised score or money beyond chance and tolerance do.
    """
    monitoring = ctx.project.monitoring
    now = ctx.clock()
    key = _key(ctx, watched)
    cuts = shelf.cuts(key)
    since = first_event(traffic, monitoring, cuts)
    joined = traffic.joined(since=since, features=False)
    windows = cut_windows(joined, monitoring, now=now, cuts=cuts)
    aside = traffic.quarantined(since=since)
    subject = _Subject(ctx, traffic, shelf, watched, joined, aside, windows, key, now)
    levels = alarm_levels(monitoring.false_alarms_per_year, windows_per_year(windows, monitoring))
    ctx.log.progress(0.05, f"{len(windows)} windows of traffic")
    present = log_end(joined["event_at"], joined["known_at"], now)
    curve = delay_curve(joined["event_at"], joined["known_at"], present)
    wanted = subject.wanted
    # The owner's word on how long outcomes take is about the clock, what was learned about the log.
    cohorts = cohorts_of(windows, wanted, curve=curve, now=now if wanted.outcome_delay > 0 else present)
    about = promised(ctx, wanted, watched.leaderboard, cohorts)
    ctx.log.progress(0.3, "outcomes read")
    watch = _watch(subject, level=levels.faults)
    reader = _reader(subject)
    foresight = Foresight(
        watch,
        subject.task,
        cohorts,
        lambda window: reader.known(window, watch.columns),
        _usual(about, wanted),
        ctx.log.note,
    )
    broken: tuple[Finding, ...] = ()
    try:
        seen = look_at(subject.full, watch, reader, shelf, ctx.artifacts, key=key, estimated=foresight.estimate)
    except TenureError:
        raise
    except Exception as error:  # outcomes can still be judged, and nobody takes silence for health
        seen, broken = None, (broken_check(DRIFT, error, seen=ctx.log.note),)
    ctx.log.progress(0.7, "inputs looked at")
    course, judgement = (None, None) if seen is None else _judged(watch, seen, seen_to=ctx.log.note)
    findings = (
        *_findings_of_inputs(subject, watch, seen, judgement),
        *_estimated(seen, course, about, watch),
        *broken,
        *foresight.broken,
        *judge_outcomes(ctx, wanted, cohorts, about, watch.normal, level=levels.realised),
        *judge_feed(joined, cohorts, about.reference, wanted, curve=curve, now=present),
    )
    status = _status(findings)
    fallen = _fallen(reader, watch, cohorts, findings)
    usual, metric, columns = watch.normal.known, watch.aim.metric, watch.columns
    return HealthReport(
        findings=findings,
        version=watched.version.number,
        status=status,
        headline=headline_of(status, findings),
        expected=watched.leaderboard.score,
        windows=_window_healths(subject, cohorts, seen, course),
        made_from=(watched.snapshot.digest, watched.quality.digest, watched.leaderboard.digest),
        tolerance=None if about.promise is None else about.promise.tolerance,
        alarms=None if course is None else course.rate,
        changes=() if judgement is None else judgement.changes,
        falls=() if fallen is None else falls_by_slice(usual, fallen, metric=metric, columns=columns),
        courses=() if seen is None else courses_of(watch.normal, seen.looked, watch.importance),
        audit=None if seen is None else foresight.audit(seen.looked),
        parts=None if fallen is None else fall_in_two(usual, fallen, metric=metric, columns=columns, rng=ctx.rng(26)),
    )


def _watch(subject: _Subject, *, level: float) -> Watch:
    ctx, watched = subject.ctx, subject.watched
    leaderboard, monitoring = watched.leaderboard, ctx.project.monitoring
    contract = ctx.artifacts.get_record(Contract, watched.quality.contract)
    features, said = _features(watched, contract), _said(ctx, watched)
    metric = metric_named(leaderboard.metric, task=subject.task)
    skill = max(metric.gain(leaderboard.score.value, leaderboard.baseline.value), 0.0)
    return Watch(
        normal=_normal(ctx, subject.shelf, watched, features, said),
        features=features,
        contract=contract,
        said=said,
        aim=Aim(metric, skill, ctx.project.value),
        answer=watched.answer,
        importance={importance.feature: importance.share for importance in leaderboard.importance},
        allowed_per_year=monitoring.false_alarms_per_year,
        windows_per_year=windows_per_year(subject.windows, monitoring),
        fault_level=level,
        rng=subject.ctx.rng,
    )


def _features(watched: Watched, contract: Contract) -> Schema:
    return watched_features(watched.snapshot.schema, watched.quality.dropped, contract)


def _said(ctx: Context, watched: Watched) -> Said:
    project = ctx.project
    return Said(project.project.task, watched.snapshot.classes, watched.leaderboard.threshold, project.value.capacity)


def compare_file(ctx: Context, shelf: Shelf, watched: Watched, path: Path) -> tuple[int, tuple[Finding, ...]]:
    """Hold the rows of a Parquet or CSV file against the training rows of a version; return how many, and findings.

    One pass over the file in bounded memory. Findings are colour: what moved, one for each column, and no alarm.
    """
    contract = ctx.artifacts.get_record(Contract, watched.quality.contract)
    features = _features(watched, contract)
    normal = _normal(ctx, shelf, watched, features, _said(ctx, watched))
    names = {column.name for column in features.columns}
    layout = Layout(tuple(column for column in normal.layout.columns if column.name in names))
    (came,) = sketch_file(path, layout) or (empty_sketch(layout),)
    importance = {importance.feature: importance.share for importance in watched.leaderboard.importance}
    found = evidence(normal.merged, came, layout)
    return came.rows, evidence_findings(found, (), Priced({}, {}, {}), importance)


def _key(ctx: Context, watched: Watched) -> str:
    """Return what stands for all that the windows are held against."""
    return digest_of([watched.leaderboard.digest, watched.quality.digest, ctx.project.monitoring.window])


def _normal(ctx: Context, shelf: Shelf, watched: Watched, features: Schema, said: Said) -> Normal:
    """Return what is normal for the version: built the first time, found again later."""
    key = _key(ctx, watched)
    digest = shelf.reference(key)
    if digest is not None:
        return load_reference(ctx.artifacts, digest, said, features)
    ctx.log.note("learning what is normal from the training rows; this is done once for a version")
    normal = make_reference(ctx, features, watched.snapshot, watched.quality, watched.leaderboard)
    shelf.keep_reference(key, normal.digest)
    return normal


def _reader(subject: _Subject) -> LogReader:
    snapshot, number = subject.watched.snapshot, subject.watched.version.number
    return LogReader(subject.traffic, snapshot.schema, subject.task, snapshot.classes, number, subject.ctx.rng)


def _usual(about: Promised, wanted: Wanted) -> float:
    """Return the metric of the out-of-fold predictions, NaN where there are none."""
    if len(about.reference) == 0:
        return float("nan")
    return wanted.metric(about.reference.target, about.reference.predicted)


def _fallen(
    reader: LogReader, watch: Watch, cohorts: Sequence[Cohort], findings: Sequence[Finding]
) -> KnownRows | None:
    """Return the rows of the latest ripe windows, where the realised metric fell."""
    fell = any(f.check == REALISED_SCORE and f.verdict in (Verdict.WARN, Verdict.FAIL) for f in findings)
    ripe = [cohort for cohort in cohorts if cohort.ripe and len(cohort.own)][-POOLED_WINDOWS:]
    if not fell or not ripe:
        return None
    first, *others = (reader.known(cohort.window, watch.columns) for cohort in ripe)
    for later in others:
        first = first.followed_by(later)
    return first


def _estimated(seen: Seen | None, course: DriftCourse | None, about: Promised, watch: Watch) -> tuple[Finding, ...]:
    """Judge the estimate of the latest window against the promise."""
    if seen is None or course is None or about.promise is None:
        return ()
    told = seen.looked[-1].estimate
    if told is None:
        return ()
    metric, promise = watch.aim.metric, about.promise
    fall = drop(told, metric, promise.expected.value)
    alarmed = course.alarmed[len(seen.looked) - 1]
    return (estimate_finding(told, fall, tolerance=promise.tolerance, label=metric.label, alarmed=alarmed),)


def _judged(watch: Watch, seen: Seen, *, seen_to: Callable[[str], None]) -> tuple[DriftCourse | None, Judged]:
    """Judge the latest window; where a part of that breaks, what the rules found still stands, and the rest blocks."""
    try:
        course = watch.course(seen.looked)
        return course, watch.judge(seen.looked, course, seen.rows, seen.faults)
    except TenureError:
        raise
    except Exception as error:
        return None, Judged((*seen.faults, broken_check(DRIFT, error, seen=seen_to)), ())


def _findings_of_inputs(
    subject: _Subject, watch: Watch, seen: Seen | None, judgement: Judged | None
) -> tuple[Finding, ...]:
    """Return the findings of the latest full window with enough rows; a later, smaller one is only reported."""
    full = [window for window in subject.windows if window.full]
    monitoring = subject.ctx.project.monitoring
    least = monitoring.least_rows
    spans = spans_of(subject.windows, subject.aside, monitoring, now=subject.now)
    quarantine = judge_quarantine(spans, known_rows=watch.contract.rows, least=least)
    if not full:
        reason = f"no window is full yet; {sum(w.rows.height for w in subject.windows):,} predictions so far."
        return _not_yet(reason), quarantine
    findings = () if seen is None or judgement is None else (*judgement.findings, *_own_tests(subject, watch, seen))
    if full[-1].rows.height < least:
        reason = f"the latest full window holds {full[-1].rows.height:,} predictions; {least:,} are needed."
        findings = (_not_yet(reason), *findings)
    findings = (*findings, quarantine)
    if monitoring.window_rows is not None:
        return findings
    volume = judge_volume([window.rows.height for window in full], [window.skipped for window in full])
    return (*findings, volume, judge_traffic_freshness(subject.joined["at"], subject.now))


def _not_yet(reason: str) -> Finding:
    return Finding(ENOUGH_ROWS, Verdict.SKIPPED, Measurement(ENOUGH_ROWS, 0.0, skipped=reason))


def _own_tests(subject: _Subject, watch: Watch, seen: Seen) -> tuple[Finding, ...]:
    """Run the drift tests that are plug-ins on rows; the built-in index is taken from the sketches already."""
    ctx = subject.ctx
    found = (plugin("drift-test", name, project=ctx.folder) for name in plugin_names("drift-test", project=ctx.folder))
    tests: list[DriftTest] = [kind() for kind in found if kind is not PopulationStabilityIndex]
    if not tests:
        return ()
    broken = set(seen.looked[-1].broken)
    schema = Schema(tuple(column for column in watch.features.columns if column.name not in broken))
    current = as_read(seen.rows.came, schema)
    rng = ctx.rng(2)
    pair = WindowPair(_thinned(watch.normal.read, rng), _thinned(current, rng), schema)
    return tuple(
        finding
        for test in tests
        for finding in judged(test.name, test.threshold, lambda test=test: test.measure(pair), seen=ctx.log.note)  # type: ignore[misc]  # one test a turn
    )


def _thinned(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    if frame.height <= _PAIR_ROWS:
        return frame
    return frame[np.sort(rng.choice(frame.height, _PAIR_ROWS, replace=False))]


def _window_healths(
    subject: _Subject, cohorts: Sequence[Cohort], seen: Seen | None, course: DriftCourse | None
) -> tuple[WindowHealth, ...]:
    place = {} if seen is None else {id(window): at for at, window in enumerate(seen.windows)}
    return tuple(_window_health(subject, cohort, seen, course, place.get(id(cohort.window))) for cohort in cohorts)


def _window_health(
    subject: _Subject, cohort: Cohort, seen: Seen | None, course: DriftCourse | None, at: int | None
) -> WindowHealth:
    window, answers = cohort.window, cohort.answers
    money = money_of(answers, subject.ctx.project.value) if len(answers) else None
    looked = None if seen is None or at is None else seen.looked[at]
    column = {Task.BINARY: f"p_{len(subject.watched.snapshot.classes) - 1}", Task.REGRESSION: "value"}
    name = column.get(subject.task, "")
    mean = window.rows[name].cast(pl.Float64).mean() if name in window.rows.columns else None
    return WindowHealth(
        start=window.start.isoformat(),
        end=window.end.isoformat(),
        rows=window.rows.height,
        matured=window.matured,
        versions=window.versions,
        realised=cohort.realised,
        value=float(money.made.sum()) if money is not None else None,
        value_best=float(money.best.sum()) if money is not None else None,
        drifted=() if looked is None else looked.moved,
        mean_prediction=mean if isinstance(mean, float) else None,
        faults=() if looked is None else looked.faults,
        ripe=cohort.ripe,
        estimated=None if looked is None else looked.estimate,
        drift=None if course is None or at is None else course.levels[at],
    )


def _status(findings: Sequence[Finding]) -> Health:
    """Sum up in one word: anything that blocks is an illness, anything that warns a change."""
    if worst(findings).blocks:
        return Health.ILL
    if any(finding.verdict is Verdict.WARN for finding in findings):
        return Health.CHANGED
    is_judged = any(finding.verdict is Verdict.PASS and finding.check in _JUDGED for finding in findings)
    return Health.HEALTHY if is_judged else Health.LEARNING
