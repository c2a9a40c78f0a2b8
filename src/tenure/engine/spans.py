"""How many windows have passed since a moment, and how long outcomes take: in windows of time or of rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from tenure.core.project import MonitoringSection
from tenure.engine.workspace import Workspace
from tenure.monitoring.maturity import delay_curve, final_age

_LEARNED_FROM: Final = 26
SLOW: Final = 2.0
"""Outcomes that take more windows than this are not waited for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast windows pass: the seconds of one, None where it is counted in rows and none came yet.

    `delay` is how long outcomes take in windows; None while nobody can tell.
    """

    monitoring: MonitoringSection
    seconds: float | None
    delay: float | None

    @property
    def is_slow(self) -> bool:
        """Say whether outcomes take too long to wait for them."""
        return self.delay is not None and self.delay > SLOW

    def passed(self, rows: pl.DataFrame, since: datetime, until: datetime) -> float:
        """Return how many windows lie between two moments, in which `rows` (column `at`) were said."""
        size = self.monitoring.window_rows
        if size is not None:
            return rows.filter(pl.col("at").is_between(since, until)).height / size
        return max((until - since).total_seconds(), 0.0) / (self.seconds or 1.0)


def pace_of(workspace: Workspace) -> Pace:
    """Return how fast windows and outcomes come, from the project file, or else from the latest of the log."""
    project, now = workspace.project, workspace.context.clock()
    monitoring, told = project.monitoring, project.data.outcome_delay
    if told > 0 and monitoring.window_seconds is not None:
        return Pace(monitoring, monitoring.window_seconds, told / monitoring.window_seconds)
    rows = _latest(workspace, now)
    delay = final_age(delay_curve(rows["event_at"], rows["known_at"], now), outcome_delay=told) if rows.height else None
    seconds = monitoring.window_seconds or _seconds_of_rows(rows, monitoring.window_rows or 1)
    return Pace(monitoring, seconds, None if delay is None or seconds is None else delay / seconds)


def _latest(workspace: Workspace, now: datetime) -> pl.DataFrame:
    """Return the latest 26 windows of the log, without features."""
    traffic, size = workspace.traffic, workspace.project.monitoring.window_rows
    if size is not None:
        return traffic.joined(features=False, since=traffic.latest_event(_LEARNED_FROM * size))
    length = timedelta(seconds=workspace.project.monitoring.window_seconds or 0.0)
    return traffic.joined(features=False, said_since=now - _LEARNED_FROM * length)


def _seconds_of_rows(rows: pl.DataFrame, size: int) -> float | None:
    if rows.height < 2:
        return None
    span = (rows["at"].max() - rows["at"].min()).total_seconds()  # type: ignore[operator, union-attr]  # polars types a sum-up as any cell
    return float(size * span / rows.height) or None
