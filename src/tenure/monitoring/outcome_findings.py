"""Judge what came true of the watched version's predictions, and whether outcomes still come as they should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.modelling import Leaderboard
from tenure.core.ports import Context
from tenure.monitoring.alarm import (
    REALISED_SCORE,
    MaturedWindow,
    Promise,
    judge_realised,
    promise_of,
    replayed_chance,
    ruler_of,
)
from tenure.monitoring.cohorts import Cohort, Wanted
from tenure.monitoring.freshness import (
    judge_lost_outcomes,
    judge_outcome_freshness,
    judge_outcome_values,
    judge_unread_outcomes,
)
from tenure.monitoring.maturity import DelayCurve, final_age
from tenure.monitoring.realised import Answered, joined_answers, reference_answers
from tenure.monitoring.reference import Normal

_FEWEST: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Promised:
    """What the version was released with: its record, its rows as answers, and the promise where it can be replayed."""

    leaderboard: Leaderboard
    reference: Answered
    promise: Promise | None


def promised(ctx: Context, wanted: Wanted, leaderboard: Leaderboard, cohorts: Sequence[Cohort]) -> Promised:
    """Return what `leaderboard` promises of windows as large as those judged so far."""
    reference = reference_answers(ctx.artifacts.get_table(leaderboard.oof), task=wanted.task)
    if len(reference) < _FEWEST:
        return Promised(leaderboard, reference, None)
    sizes = [len(cohort.own) for cohort in cohorts if cohort.ripe and len(cohort.own)]
    usual = int(np.median(sizes)) if sizes else min(len(reference), 1_000)
    ruler = ruler_of(wanted.metric, reference)
    chance = replayed_chance(ruler, reference, rows=usual, rng=ctx.rng(4))
    if chance is None:
        return Promised(leaderboard, reference, None)
    expected, baseline = leaderboard.score, leaderboard.baseline
    promise = promise_of(ruler, reference, expected=expected, baseline=baseline, chance=chance)
    return Promised(leaderboard, reference, promise)


def judge_outcomes(
    ctx: Context,
    wanted: Wanted,
    cohorts: Sequence[Cohort],
    about: Promised,
    normal: Normal | None,
    *,
    level: float,
) -> tuple[Finding, ...]:
    """Judge the realised score and money of the watched version over its ripe windows."""
    least = ctx.project.monitoring.least_rows
    own = [cohort for cohort in cohorts if wanted.version in cohort.window.versions]
    ripe = [MaturedWindow(cohort.window.start, cohort.own) for cohort in own if cohort.ripe]
    judged = [window for window in ripe if len(window.answers) >= least]
    if not judged:
        return (_no_outcomes(wanted, least, sum(len(cohort.own) for cohort in own)),)
    if about.promise is None:
        reason = f"{wanted.metric.label} cannot be replayed on the training rows."
        return (Finding(REALISED_SCORE, Verdict.SKIPPED, Measurement(REALISED_SCORE, 0.0, skipped=reason)),)
    earlier = _earlier(normal, least)
    return judge_realised(judged, about.promise, wanted.value, level=level, earlier=earlier)


def _earlier(normal: Normal | None, least: int) -> list[MaturedWindow]:
    """Return the reference's own windows, where they are stretches of time: they tell how much windows wobble."""
    if normal is None or not normal.natural:
        return []
    known = normal.known
    windows = []
    for number, part in enumerate(normal.sketches):
        at = np.flatnonzero(normal.window_of == number)
        if at.size >= least:
            acted = None if known.acted is None else known.acted[at]
            windows.append(MaturedWindow(part.start, Answered(known.target[at], known.predicted[at], acted)))
    return windows


def _no_outcomes(wanted: Wanted, least: int, known: int) -> Finding:
    reason = f"no full window of v{wanted.version} has {least:,} final outcomes yet ({known:,} so far)."
    hint = "Post outcomes as they become known, and say in data.outcome_delay how long they take."
    return Finding(REALISED_SCORE, Verdict.SKIPPED, Measurement(REALISED_SCORE, 0.0, skipped=reason, hint=hint))


def judge_feed(
    joined: pl.DataFrame,
    cohorts: Sequence[Cohort],
    reference: Answered,
    wanted: Wanted,
    *,
    curve: DelayCurve,
    now: datetime,
) -> tuple[Finding, ...]:
    """Judge the feed of outcomes itself: whether it still comes, what is lost, and whether it can be right."""
    findings = [judge_outcome_freshness(joined["event_at"], joined["known_at"], now, curve)]
    final = final_age(curve, outcome_delay=wanted.outcome_delay)
    due = [c for c in cohorts if final is not None and (now - c.window.end).total_seconds() >= final and c.window.full]
    if due:
        findings.append(judge_lost_outcomes(due[-1].window.rows.height, due[-1].window.matured, curve))
    ripe = [cohort for cohort in cohorts if cohort.ripe]
    if ripe:
        latest = ripe[-1]
        findings.append(judge_unread_outcomes(latest.window.rows, latest.answers))
        if len(latest.answers):
            findings.extend(judge_outcome_values(joined_answers([latest.answers]), reference))
    return tuple(findings)
