"""Judge realised performance so that quiet years stay quiet: one dial, false alarms a year.

The room for false alarms in one window is the yearly rate over the windows of a year. Half of it goes to the rules of
the contract, half to realised performance, where score and money share it (Bonferroni).

How far a score falls by chance is replayed from out-of-fold predictions: windows of the same size drawn from them give
spread and skewness (Cornish and Fisher 1938), once the largest losses of single rows are capped. Falls of window after
window are added up by `falls`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.metrics import Metric, Targets
from tenure.core.modelling import Floats, Score
from tenure.core.project import ValueSection
from tenure.core.value import PER
from tenure.monitoring.falls import WARN_SHARE, FallCourse, FallLimit, Spread, fall_limit, watch_falls
from tenure.monitoring.figures import figure
from tenure.monitoring.realised import Answered, joined_answers, money_of

REALISED_SCORE: Final = "realised-score"
REALISED_VALUE: Final = "realised-value"
POOLED_WINDOWS: Final = 4
_MOST_PER_WINDOW: Final = 0.05
_WARN_RATIO: Final = 3.0
_TOLERANCE: Final = 0.02
_REPLAYS: Final = 400
_CAP_AT: Final = 0.995
_REPLAY_ROWS: Final = 2_000
_USUAL_WOBBLE: Final = 0.1
_LEAST_ACTIONS: Final = 20
_JUST_BELOW_ONE: Final = float(np.nextafter(1.0, 0.0))
_HINT: Final = "Retrain on newer rows, or roll back if a promotion came just before."


@dataclass(frozen=True, slots=True)
class AlarmLevels:
    """The chance of a false alarm in one window, for faults of the feed and for realised performance."""

    faults: float
    realised: float


def alarm_levels(false_alarms_per_year: float, windows_per_year: float) -> AlarmLevels:
    """Share the owner's dial between the two kinds of alarm; never more than 5 % a window."""
    each = min(false_alarms_per_year / windows_per_year, _MOST_PER_WINDOW) / 2
    return AlarmLevels(each, each)


@dataclass(frozen=True, slots=True)
class Chance:
    """How far the score of `rows` rows falls by chance, in units of the metric: standard deviation and skewness.

    `known` counts the rows that the expected score itself was taken on.
    """

    rows: int
    deviation: float
    skewness: float
    known: int

    def spread(self, rows: int) -> float:
        """Return the standard deviation of the score of `rows` rows."""
        return self.deviation * float(np.sqrt(self.rows / rows))

    def allowed(self, rows: int, level: float, *, wobble: float = 0.0) -> float:
        """Return the fall that a window of `rows` rows exceeds with probability `level`."""
        z = float(ndtri(1 - level))
        quantile = z + (z**2 - 1) / 6 * self.skewness * float(np.sqrt(self.rows / rows))
        sampling = max(quantile, z) * self.spread(rows) * float(np.sqrt(1 + rows / self.known))
        between = float(stdtrit(5, 1 - level)) * wobble  # few windows: tails of five degrees of freedom
        return float(np.hypot(sampling, between))


@dataclass(frozen=True, slots=True)
class Ruler:
    """A metric that one wild row cannot decide: row losses above `cap` count as `cap` (None: the plain metric)."""

    metric: Metric
    cap: float | None

    def score(self, target: Targets, predicted: Floats) -> float:
        """Return the metric with capped row losses."""
        if self.cap is None or self.metric.row_loss is None or self.metric.from_mean_loss is None:
            return self.metric(target, predicted)
        losses = np.minimum(self.metric.row_loss(target, predicted), self.cap)
        return self.metric.from_mean_loss(float(np.mean(losses)))


def ruler_of(metric: Metric, reference: Answered) -> Ruler:
    """Return the metric, row losses capped at their 99.5 % quantile in the out-of-fold predictions."""
    if metric.row_loss is None or metric.from_mean_loss is None:
        return Ruler(metric, None)
    return Ruler(metric, float(np.quantile(metric.row_loss(reference.target, reference.predicted), _CAP_AT)))


def replayed_chance(ruler: Ruler, reference: Answered, *, rows: int, rng: np.random.Generator) -> Chance | None:
    """Replay windows of about `rows` rows from out-of-fold predictions; None where the metric is undefined on them."""
    size = int(min(max(rows, 2), _REPLAY_ROWS))
    draws = (rng.integers(0, len(reference), size) for _ in range(_REPLAYS))
    scores = np.array([ruler.score(reference.target[at], reference.predicted[at]) for at in draws])
    falls = -scores if ruler.metric.greater_is_better else scores
    falls = falls[np.isfinite(falls)]
    if falls.size < _REPLAYS // 2:
        return None
    deviation = float(np.std(falls))
    skewness = float(np.mean((falls - falls.mean()) ** 3) / deviation**3) if deviation > 0 else 0.0
    return Chance(size, deviation, skewness, len(reference))


@dataclass(frozen=True, slots=True, eq=False)
class MaturedWindow:
    """One window of the judged version whose outcomes are final."""

    start: datetime
    answers: Answered


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised at release, and what counts as falling short of it.

    `usual` is the ruler's score of the out-of-fold predictions, `optimism` how much better the promise is than their
    plain score. `skill` is how much better than the baseline was promised, in units of the metric, 0 where it was not;
    2 % of it are tolerated.
    """

    ruler: Ruler
    expected: Score
    usual: float
    optimism: float
    skill: float
    chance: Chance

    @property
    def tolerance(self) -> float:
        """Return the fall that counts as none, in units of the metric."""
        return _TOLERANCE * self.skill

    @property
    def spread(self) -> Spread:
        """Return what moves the fall of a quiet window; before any is known, a tenth of the skill for the wobble."""
        chance = self.chance
        return Spread(
            chance.deviation,
            chance.rows,
            chance.skewness,
            reference=chance.spread(chance.known),
            wobble=_USUAL_WOBBLE * self.skill,
        )

    @property
    def metric(self) -> Metric:
        """Return the plain metric."""
        return self.ruler.metric

    def fall(self, answers: Answered) -> float:
        """Return how far the realised score lies below the promise (positive is worse, NaN where undefined)."""
        return self.optimism + self.metric.gain(self.usual, self.ruler.score(answers.target, answers.predicted))


def promise_of(ruler: Ruler, reference: Answered, *, expected: Score, baseline: Score, chance: Chance) -> Promise:
    """Return the promise that a leaderboard with out-of-fold predictions `reference` makes."""
    metric = ruler.metric
    return Promise(
        ruler,
        expected,
        usual=ruler.score(reference.target, reference.predicted),
        optimism=metric.gain(expected.value, metric(reference.target, reference.predicted)),
        skill=max(metric.gain(expected.value, baseline.value), 0.0),
        chance=chance,
    )


def realised_limit(
    promise: Promise, value: ValueSection, *, level: float, earlier: Sequence[MaturedWindow] = ()
) -> FallLimit:
    """Return the limit of the alarm on realised scores, by replay of quiet years.

    `level` is the chance of a false alarm in one window. `earlier` are windows known to be quiet, oldest first: the
    out-of-fold predictions cut as traffic is, where their rows have times. They tell how much windows wobble; without
    them a wobble of a tenth of the skill is expected at first.
    """
    falls, rows = _falls(earlier, promise)
    return fall_limit(promise.spread, falls, rows, tolerance=promise.tolerance, level=_share(level, value))


def _share(level: float, value: ValueSection) -> float:
    return level / 2 if value.is_given else level


def _falls(windows: Sequence[MaturedWindow], promise: Promise) -> tuple[Floats, NDArray[np.int64]]:
    """Return how far each window fell, and its rows; windows on which the metric is not defined are left out."""
    falls = np.array([promise.fall(window.answers) for window in windows], dtype=np.float64)
    rows = np.array([len(window.answers) for window in windows], dtype=np.int64)
    defined = np.isfinite(falls)
    return falls[defined], rows[defined]


def judge_realised(
    windows: Sequence[MaturedWindow],
    promise: Promise,
    value: ValueSection,
    *,
    level: float,
    earlier: Sequence[MaturedWindow] = (),
    limit: FallLimit | None = None,
) -> tuple[Finding, ...]:
    """Judge the windows up to the latest together, the latest by itself, and the money of the latest four.

    `level` and `earlier` are those of `realised_limit`, `limit` what it returned, where that was asked for.
    Windows are taken in order, so each is judged as it would have been then. Only the course of windows raises the
    alarm of the score; the latest window by itself at most warns. `evidence["since"]` of a finding is the start of the
    unbroken run of unwell windows.
    """
    limit = limit or realised_limit(promise, value, level=level, earlier=earlier)
    defined = [window for window in windows if np.isfinite(promise.fall(window.answers))]
    falls, rows = _falls(defined, promise)
    earlier_falls, earlier_rows = _falls(earlier, promise)
    course = watch_falls(
        falls,
        rows,
        earlier=earlier_falls,
        earlier_rows=earlier_rows,
        spread=promise.spread,
        tolerance=promise.tolerance,
        limit=limit,
    )
    share, reached = _share(level, value), dict(zip((w.start for w in defined), course.levels.tolist(), strict=True))
    since: int | None = None
    now = 0.0
    money: tuple[Finding, ...] = ()
    for i, window in enumerate(windows):
        now = reached.get(window.start, now)
        pooled = [matured.answers for matured in windows[max(0, i + 1 - POOLED_WINDOWS) : i + 1]]
        money = _judged_money(joined_answers(pooled), value, level=share)
        unwell = now > WARN_SHARE or any(f.verdict in (Verdict.WARN, Verdict.FAIL) for f in money)
        since = (i if since is None else since) if unwell else None
    findings = [*_judged_latest(windows, promise, level=share, course=course)]
    if defined:
        begin = windows[max(0, len(windows) - POOLED_WINDOWS) if since is None else since].start
        run = [window for window in defined if window.start >= begin] or defined[-1:]
        findings.append(_judged_course(run, promise, now, course=course, limit=limit))
    findings.extend(money)
    if since is None:
        return tuple(findings)
    return tuple(noted(finding, since=windows[since].start.isoformat()) for finding in findings)


def _judged_latest(
    windows: Sequence[MaturedWindow], promise: Promise, *, level: float, course: FallCourse
) -> Iterator[Finding]:
    """Yield the finding of the latest window by itself, where it is not the only one; it never raises the alarm."""
    answers, subject = windows[-1].answers, "the latest window"
    fall = promise.fall(answers)
    if not np.isfinite(fall):
        reason = f"{promise.metric.label} is not defined on the outcomes of {subject}."
        skipped = Measurement(REALISED_SCORE, 0.0, subject=subject, skipped=reason)
        yield Finding(REALISED_SCORE, Verdict.SKIPPED, skipped)
    elif len(windows) > 1:
        allowed = promise.chance.allowed(len(answers), _WARN_RATIO * level, wobble=course.wobble)
        measurement = Measurement(
            REALISED_SCORE,
            fall,
            subject=subject,
            says=_said(answers, promise, subject),
            hint=_HINT,
            low=fall - 1.96 * promise.chance.spread(len(answers)),
            high=fall + 1.96 * promise.chance.spread(len(answers)),
            evidence=_facts(answers, promise, course),
        )
        yield Threshold(warn=promise.tolerance + allowed).judge(measurement, check=REALISED_SCORE)


def _judged_course(
    run: Sequence[MaturedWindow], promise: Promise, reached: float, *, course: FallCourse, limit: FallLimit
) -> Finding:
    """Judge how far the course of windows is on its way to an alarm: the measurement is 1 where it is one."""
    answers = joined_answers([window.answers for window in run])
    subject = "the latest window" if len(run) == 1 else f"the latest {len(run)} windows"
    facts = _facts(answers, promise, course)
    replayed: dict[str, Any] = {"windows": len(run), "false_alarms_a_window": limit.rate, "replayed": limit.replayed}
    measurement = Measurement(
        REALISED_SCORE,
        reached,
        subject=subject,
        says=_said(answers, promise, subject),
        hint=_HINT,
        evidence=facts | replayed,
    )
    return Threshold(warn=WARN_SHARE, fail=_JUST_BELOW_ONE).judge(measurement, check=REALISED_SCORE)


def _said(answers: Answered, promise: Promise, subject: str) -> str:
    realised = figure(promise.metric(answers.target, answers.predicted))
    promised = f"{figure(promise.expected.value)} was promised."
    return f"In {subject}, {promise.metric.label} was {realised} on {len(answers):,} known outcomes; {promised}"


def _facts(answers: Answered, promise: Promise, course: FallCourse) -> dict[str, Any]:
    fall, half = promise.fall(answers), 1.96 * promise.chance.spread(len(answers))
    return {
        "realised": promise.metric(answers.target, answers.predicted),
        "expected": promise.expected.value,
        "rows": len(answers),
        "fall": fall,
        "fall_low": fall - half,
        "fall_high": fall + half,
        "wobble": course.wobble,
        "quiet_windows": course.known,
    }


def _judged_money(answers: Answered, value: ValueSection, *, level: float) -> tuple[Finding, ...]:
    """Judge whether acting on predictions loses money against never acting, per 1,000 decisions."""
    money = money_of(answers, value)
    if money is None or answers.acted is None:
        return ()
    acts = int(answers.acted.sum())
    if acts < _LEAST_ACTIONS:
        reason = f"only {acts} predictions led to an action."
        return (Finding(REALISED_VALUE, Verdict.SKIPPED, Measurement(REALISED_VALUE, 0.0, skipped=reason)),)
    loss: Floats = -PER * (money.made - money.without)[answers.acted] * acts / len(answers)
    error = float(np.std(loss, ddof=1) / np.sqrt(acts))
    warn, fail = (float(stdtrit(acts - 1, 1 - chance)) * error for chance in (_WARN_RATIO * level, level))
    mean = float(np.mean(loss))
    worth = f"lost {mean:,.0f}" if mean > 0 else f"made {-mean:,.0f}"
    evidence: dict[str, Any] = {"decisions": len(answers), "actions": acts, "currency": value.currency}
    measurement = Measurement(
        REALISED_VALUE,
        mean,
        says=f"Acting on predictions {worth} {value.currency} per 1,000 decisions, against never acting.",
        hint="Stop acting on the predictions until the model is replaced, or check the values in [value].",
        low=mean - 1.96 * error,
        high=mean + 1.96 * error,
        evidence=evidence,
    )
    return (Threshold(warn=max(warn, 0.0), fail=max(fail, 0.0)).judge(measurement, check=REALISED_VALUE),)


def noted(finding: Finding, **facts: Any) -> Finding:
    """Return the finding with `facts` added to its evidence."""
    evidence = finding.measurement.evidence | facts
    return replace(finding, measurement=replace(finding.measurement, evidence=evidence))
