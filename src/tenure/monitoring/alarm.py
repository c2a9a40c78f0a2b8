"""Judge realised performance so that quiet years stay quiet: one dial, false alarms a year.

The room for false alarms in one window is the yearly rate over the windows of a year. Half of it goes to the rules of
the contract, half to realised performance, where it is shared by all tests (Bonferroni).

How far a score falls by chance is replayed from out-of-fold predictions: windows of the same size drawn from them give
spread and skewness (Cornish and Fisher 1938), once the largest losses of single rows are capped. Earlier quiet windows
give the wobble between windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from scipy.special import ndtri, stdtrit

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.metrics import Metric, Targets
from tenure.core.modelling import Floats, Score
from tenure.core.project import ValueSection
from tenure.core.value import PER
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
_WOBBLE_WINDOWS: Final = 4
_LEAST_ACTIONS: Final = 20


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
    plain score. `tolerance` is in units of the metric: 2 % of the skill over the baseline.
    """

    ruler: Ruler
    expected: Score
    usual: float
    optimism: float
    tolerance: float
    chance: Chance

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
        tolerance=_TOLERANCE * max(metric.gain(expected.value, baseline.value), 0.0),
        chance=chance,
    )


def judge_realised(
    windows: Sequence[MaturedWindow], promise: Promise, value: ValueSection, *, level: float
) -> tuple[Finding, ...]:
    """Judge the latest matured window, the latest four together, and the money of those four.

    Windows are taken in order, so each is judged as it would have been then; the wobble between windows is learned
    from quiet ones only. `evidence["since"]` of a finding is the start of the unbroken run of unwell windows.
    """
    tests = 3 if value.is_given else 2
    quiet: list[tuple[float, int]] = []
    since: datetime | None = None
    findings: tuple[Finding, ...] = ()
    for i, window in enumerate(windows):
        pooled = windows[max(0, i + 1 - POOLED_WINDOWS) : i + 1]
        wobble = _wobble(quiet, promise.chance)
        findings = _judged_at(pooled, promise, value, level=level / tests, wobble=wobble)
        if any(finding.verdict in (Verdict.WARN, Verdict.FAIL) for finding in findings):
            since = since or window.start
        else:
            since = None
            fall = promise.fall(window.answers)
            if np.isfinite(fall):
                quiet.append((fall, len(window.answers)))
    return findings if since is None else tuple(noted(finding, since=since.isoformat()) for finding in findings)


def _wobble(quiet: Sequence[tuple[float, int]], chance: Chance) -> float:
    """Return the standard deviation between quiet windows beyond what sampling explains (DerSimonian, Laird 1986)."""
    if len(quiet) < _WOBBLE_WINDOWS:
        return 0.0
    falls = np.array([fall for fall, _ in quiet])
    sampling = np.mean([chance.deviation**2 * chance.rows / rows for _, rows in quiet])
    return float(np.sqrt(max(np.var(falls, ddof=1) - sampling, 0.0) * (1 + 1 / falls.size)))


def _judged_at(
    pooled: Sequence[MaturedWindow], promise: Promise, value: ValueSection, *, level: float, wobble: float
) -> tuple[Finding, ...]:
    latest = pooled[-1].answers
    findings = [_judged_score(latest, promise, "the latest window", level=level, wobble=wobble)]
    together = latest
    if len(pooled) > 1:
        together = joined_answers([window.answers for window in pooled])
        subject = f"the latest {len(pooled)} windows"
        findings.append(
            _judged_score(together, promise, subject, level=level, wobble=wobble / float(np.sqrt(len(pooled))))
        )
    findings.extend(_judged_money(together, value, level=level))
    return tuple(findings)


def _judged_score(answers: Answered, promise: Promise, subject: str, *, level: float, wobble: float) -> Finding:
    metric, expected, rows = promise.metric, promise.expected, len(answers)
    fall = promise.fall(answers)
    if not np.isfinite(fall):
        reason = f"{metric.label} is not defined on the outcomes of {subject}."
        skipped = Measurement(REALISED_SCORE, 0.0, subject=subject, skipped=reason)
        return Finding(REALISED_SCORE, Verdict.SKIPPED, skipped)
    threshold = Threshold(
        warn=promise.tolerance + promise.chance.allowed(rows, _WARN_RATIO * level, wobble=wobble),
        fail=promise.tolerance + promise.chance.allowed(rows, level, wobble=wobble),
    )
    realised = metric(answers.target, answers.predicted)
    half_width = 1.96 * promise.chance.spread(rows)
    measurement = Measurement(
        REALISED_SCORE,
        fall,
        subject=subject,
        says=(
            f"In {subject}, {metric.label} was {figure(realised)} on {rows:,} known outcomes; "
            f"{figure(expected.value)} was promised."
        ),
        hint="Retrain on newer rows, or roll back if a promotion came just before.",
        low=fall - half_width,
        high=fall + half_width,
        evidence={"realised": realised, "expected": expected.value, "rows": rows, "wobble": wobble},
    )
    return threshold.judge(measurement, check=REALISED_SCORE)


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
