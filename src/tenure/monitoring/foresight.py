"""Estimate the metric of each new window before its outcomes come, as honestly as past estimates turned out to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import polars as pl

from tenure.core.errors import TenureError
from tenure.core.evidence import Finding, broken_check
from tenure.core.health import Audit, Estimate
from tenure.core.modelling import Score, Task
from tenure.monitoring.cohorts import Cohort
from tenure.monitoring.drift_findings import ESTIMATED_SCORE
from tenure.monitoring.estimation.estimator import Estimator
from tenure.monitoring.estimation.ledger import PastEstimate, audit_of, audited
from tenure.monitoring.estimation.rows import KnownRows
from tenure.monitoring.watching import Looked, Rows, Watch
from tenure.monitoring.windows import TrafficWindow

_STOOD_ON: Final = 2


@dataclass(slots=True, eq=False)
class Foresight:
    """Estimates windows of a watched version; past estimates are taken as they were made, with what came true since.

    `cohorts` are those of all windows, `known` reads the rows of one whose outcome is known, `usual` is the metric of
    the out-of-fold predictions: what would be said if nothing had changed.
    """

    watch: Watch
    task: Task
    cohorts: Sequence[Cohort]
    known: Callable[[TrafficWindow], KnownRows]
    usual: float
    note: Callable[[str], None]
    broken: list[Finding] = field(default_factory=list, init=False)
    _estimator: Estimator | None = field(default=None, init=False)
    _rows: dict[datetime, KnownRows] = field(default_factory=dict, init=False)
    _scores: dict[datetime, Score | None] = field(default_factory=dict, init=False)

    def estimate(self, window: TrafficWindow, rows: Rows, looked: Sequence[Looked]) -> Estimate | None:
        """Return the estimate of one window, given those `looked` at before; None where the version did not answer.

        Where the estimator breaks there is none either, and a finding in `broken` that blocks.
        """
        try:
            return self._estimated(window, rows, looked)
        except TenureError:
            raise
        except Exception as error:
            self.broken.append(broken_check(ESTIMATED_SCORE, error, seen=self.note))
            return None

    def _estimated(self, window: TrafficWindow, rows: Rows, looked: Sequence[Looked]) -> Estimate | None:
        own = rows.own
        if not own.any():
            return None
        if self._estimator is None:
            self._estimator = self._learned()
        features = rows.typed.filter(pl.Series(own)).select(self.watch.columns)
        told = self._widened(self._estimator, window).estimate(features, rows.predicted[own])
        aim = self.watch.aim
        return _within(
            audited(told, self.past(looked, until=window), skill=aim.skill, still=self.usual), *aim.metric.bounds
        )

    def _learned(self) -> Estimator:
        known = self.watch.normal.known
        reference = KnownRows(known.features.select(self.watch.columns), known.predicted, known.target, known.acted)
        return Estimator.learned(self.watch.aim.metric, self.task, reference, importance=self.watch.importance)

    def _widened(self, estimator: Estimator, window: TrafficWindow) -> Estimator:
        """Return the estimator that also stands on the latest rows whose outcome was known when `window` ended."""
        ripe = [cohort.window for cohort in self.cohorts if self._realised(cohort, window) is not None]
        for earlier in [one for one in ripe if one.end <= window.start][-_STOOD_ON:]:
            if earlier.start not in self._rows:
                self._rows[earlier.start] = self.known(earlier)
            estimator = estimator.knowing(self._rows[earlier.start])
        return estimator

    def past(self, looked: Sequence[Looked], *, until: TrafficWindow | None = None) -> list[PastEstimate]:
        """Return the estimates made so far beside what came true, as far as that was known when `until` ended."""
        realised = {cohort.window.start: self._realised(cohort, until) for cohort in self.cohorts}
        return [
            PastEstimate(item.start.isoformat(), item.estimate, realised.get(item.start))
            for item in looked
            if item.estimate is not None
        ]

    def _realised(self, cohort: Cohort, until: TrafficWindow | None) -> Score | None:
        if not cohort.ripe or len(cohort.own) == 0:
            return None
        if until is not None and cohort.own.known_at is not None and len(cohort.own):
            late = float((cohort.own.known_at > until.end.timestamp()).mean())
            if late > 0.05:
                return None
        if cohort.window.start not in self._scores:
            self._scores[cohort.window.start] = cohort.own.score(self.watch.aim.metric)
        return self._scores[cohort.window.start]

    def audit(self, looked: Sequence[Looked]) -> Audit:
        """Return how the estimates made so far did against what came true."""
        return audit_of(self.past(looked), still=self.usual)


def _within(estimate: Estimate, least: float, most: float) -> Estimate:
    """Return the estimate without what its metric cannot be."""

    def inside(number: float | None) -> float | None:
        return None if number is None else min(max(number, least), most)

    return replace(estimate, value=inside(estimate.value), low=inside(estimate.low), high=inside(estimate.high))
