"""What came true of each window's predictions so far, and whether it can be taken as final."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from tenure.core.metrics import Metric
from tenure.core.modelling import Score, Task
from tenure.core.project import ValueSection
from tenure.monitoring.maturity import DelayCurve, OutcomeDelays, is_ripe, outcome_delays, weights_of
from tenure.monitoring.realised import Answered, answered, joined_answers, young_score
from tenure.monitoring.windows import TrafficWindow


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """The predictions of one window and what came true of them.

    `answers` are those of every version, `own` those of the watched one, both with a known outcome only. `ripe` says
    that the outcomes are final; `realised` is the score of all of them, early ones weighted until then.
    """

    window: TrafficWindow
    answers: Answered
    own: Answered
    ripe: bool
    realised: Score | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How outcomes are read: the task and its classes, the owner's values and delay (seconds), version and metric."""

    task: Task
    classes: tuple[str, ...]
    value: ValueSection
    outcome_delay: float
    version: int
    metric: Metric


def cohorts_of(
    windows: Sequence[TrafficWindow], wanted: Wanted, *, curve: DelayCurve, now: datetime
) -> tuple[Cohort, ...]:
    """Return the cohort of each window, oldest first; early outcomes are weighted by what the older ones teach."""
    read = [_read(window.rows, wanted) for window in windows]
    ripe = [_is_ripe(window, wanted, curve=curve, now=now) for window in windows]
    known = [answers for answers in read if len(answers)]
    delays = outcome_delays(joined_answers(known), curve) if known and not all(ripe) else None
    return tuple(
        _cohort(window, answers, wanted, ripe=final, curve=curve, delays=delays)
        for window, answers, final in zip(windows, read, ripe, strict=True)
    )


def _read(rows: pl.DataFrame, wanted: Wanted) -> Answered:
    return answered(rows, task=wanted.task, classes=wanted.classes, value=wanted.value)


def _is_ripe(window: TrafficWindow, wanted: Wanted, *, curve: DelayCurve, now: datetime) -> bool:
    if not window.full:
        return False
    age = max((now - window.end).total_seconds(), 0.0)
    return is_ripe(matured=window.matured, age=age, curve=curve, outcome_delay=wanted.outcome_delay)


def _cohort(
    window: TrafficWindow,
    answers: Answered,
    wanted: Wanted,
    *,
    ripe: bool,
    curve: DelayCurve,
    delays: OutcomeDelays | None,
) -> Cohort:
    is_own = window.rows["version"] == wanted.version
    own = answers if is_own.all() else _read(window.rows.filter(is_own), wanted)
    if ripe or delays is None or len(answers) == 0:
        return Cohort(window, answers, own, ripe, answers.score(wanted.metric))
    awaited = window.rows.height * curve.ceiling
    young = young_score(answers, weights_of(delays, answers), metric=wanted.metric, awaited=awaited)
    return Cohort(window, answers, own, ripe, young.score)
