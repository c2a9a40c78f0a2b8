"""Ours: the code that judges traffic, on windows without a project around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from peers.monitors.watching import cause_of
from peers.monitors.worlds import Rows, World
from tenure.core.evidence import Finding, Verdict
from tenure.core.modelling import Score
from tenure.core.project import MonitoringSection, ValueSection
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
from tenure.monitoring.betting import NEEDED
from tenure.monitoring.drift_findings import estimate_finding
from tenure.monitoring.estimation.estimator import Estimator, drop
from tenure.monitoring.estimation.ledger import audited
from tenure.monitoring.falls import FallLimit
from tenure.monitoring.prices import TOLERANCE
from tenure.monitoring.realised import Answered
from tenure.monitoring.reference import Said, cut_reference, normal_of
from tenure.monitoring.watching import Aim, Looked, Watch
from tenure.monitoring.watching import Rows as Window
from tenure.monitoring.windows import KEPT_WINDOWS

_DAYS: Final = 365.25
_DAY: Final = timedelta(days=1)
_BEGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)
_VALUE: Final = ValueSection()
_LEVELS: Final = alarm_levels(1.0, _DAYS)


@dataclass
class Ours:
    """Looks at windows as `tenure` does each day: inputs and predictions, and outcomes where `promise` is there.

    The owner's dial stands at one false alarm a year.
    """

    watch: Watch
    promised: float
    promise: Promise | None
    limit: FallLimit | None
    seen: list[Looked] = field(default_factory=list)
    matured: list[MaturedWindow] = field(default_factory=list)
    count: int = 0

    def look(self, window: Rows) -> Sequence[str]:
        """Return the causes for which somebody is paged: "check: subject"."""
        start = _BEGIN + self.count * _DAY
        self.count += 1
        rows = Window(start, start + _DAY, window.features, window.features, window.said)
        faults = self.watch.faults(rows)
        looked = self.watch.look(rows, faults, learning=len(self.seen) < NEEDED)
        self.seen = [*self.seen, looked][-KEPT_WINDOWS:]
        course = self.watch.course(self.seen, measured=False)
        findings = [*self.watch.judge(self.seen, course, rows, faults).findings, *self._outcomes(start, window)]
        if course.alarmed[-1]:  # else an estimate pages nobody
            findings.append(self._estimated(window))
        return [cause_of(finding) for finding in findings if finding.verdict in (Verdict.FAIL, Verdict.ERROR)]

    def _outcomes(self, start: datetime, window: Rows) -> tuple[Finding, ...]:
        if self.promise is None:
            return ()
        self.matured = [*self.matured, MaturedWindow(start, Answered(window.target, window.said))][-KEPT_WINDOWS:]
        return judge_realised(self.matured, self.promise, _VALUE, level=_LEVELS.realised, limit=self.limit)

    def _estimated(self, window: Rows) -> Finding:
        """Judge the estimate of a window against the promise; no earlier one has been held against the truth."""
        estimator = Estimator.learned(
            self.watch.aim.metric,
            self.watch.said.task,
            self.watch.normal.known,
            importance=self.watch.importance,
        )
        metric, skill = self.watch.aim.metric, self.watch.aim.skill
        told = audited(estimator.estimate(window.features, window.said), (), skill=skill, still=self.promised)
        fall = drop(told, metric, self.promised)
        return estimate_finding(told, fall, tolerance=TOLERANCE * skill, label=metric.label, alarmed=True)

    def fork(self) -> Ours:
        """Return one that has seen the same."""
        return replace(self, seen=list(self.seen), matured=list(self.matured))


def start(world: World, rows: int, *, outcomes: bool = False) -> Ours:
    """Return a monitor of a world for windows of so many rows that come each day.

    With `outcomes` what came true of each window is known at once, and judged as well.
    """
    monitoring = MonitoringSection(window=f"{rows} rows")
    windows, natural = cut_reference(world.learned.features, None, monitoring, rng=_rng(21))
    said = Said(world.task, world.classes)
    normal = normal_of(
        world.learned.features,
        world.learned.said,
        world.learned.target,
        schema=world.schema,
        windows=windows,
        natural=natural,
        said=said,
        rng=_rng(22),
    )
    watch = Watch(
        normal=normal,
        features=world.schema,
        contract=world.contract,
        said=said,
        aim=Aim(world.metric, world.skill()),
        answer=world.answer,
        importance=world.importance,
        allowed_per_year=1.0,
        windows_per_year=_DAYS,
        fault_level=_LEVELS.faults,
        rng=_rng,
    )
    promise = _promise(world, rows) if outcomes else None
    limit = None if promise is None else realised_limit(promise, _VALUE, level=_LEVELS.realised)
    return Ours(watch, world.score(world.learned), promise, limit)


def _promise(world: World, rows: int) -> Promise | None:
    reference = Answered(world.learned.target, world.learned.said)
    ruler = ruler_of(world.metric, reference)
    chance = replayed_chance(ruler, reference, rows=rows, rng=_rng(4))
    if chance is None:
        return None
    promised, skill = world.score(world.learned), world.skill()
    worse = promised - skill if world.metric.greater_is_better else promised + skill
    expected, baseline = (Score(world.metric.name, v, v, v, len(reference)) for v in (promised, worse))
    return promise_of(ruler, reference, expected=expected, baseline=baseline, chance=chance)


def _rng(salt: int) -> np.random.Generator:
    return np.random.default_rng((0, salt))
