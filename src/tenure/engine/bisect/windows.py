"""Find the first window of traffic in which the realised metric broke: one change of level, with its interval.

The likeliest change of a mean with known errors; the interval holds every change whose log-likelihood lies within 3.68
of the best (Siegmund 1988, "Confidence sets in change-point problems"). It counts as a change where the difference of
the levels is beyond chance among all places where it could have been (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import NormalDist
from typing import Final

import numpy as np

from tenure.core.errors import ConfigError
from tenure.core.health import Span
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Floats, Score
from tenure.engine.bisect.result import Bisected, By, Lean, Tried
from tenure.engine.workspace import Workspace
from tenure.monitoring.realised import answered
from tenure.monitoring.windows import cut_windows

_FEWEST: Final = 4
_MATURED: Final = 0.8
_WITHIN: Final = 3.68
_Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Change:
    """A change of level before position `at`, which may lie from `earliest` to `latest`; `by` is how much."""

    at: int
    earliest: int
    latest: int
    by: Span
    is_sure: bool


def by_window(
    workspace: Workspace, metric: str | None = None, good: str | None = None, bad: str | None = None
) -> Bisected:
    """Find the first bad window between the dates `good` and `bad` (left out: all windows whose outcomes are known).

    Raises:
        NoChampionError: no model was promoted yet.
        ConfigError: a date is none, or the metric does not fit the task.
    """
    model = workspace.scorer(workspace.champion()).model
    measure = metric_named(metric or model.metric, task=model.task)
    monitoring = workspace.project.monitoring
    since, until = _date(good, "--good"), _date(bad, "--bad")
    joined = workspace.traffic.joined(since=since, until=until, features=False)
    scored: list[tuple[str, Score]] = []
    unknown: list[str] = []
    for window in cut_windows(joined, monitoring, now=workspace.context.clock()):
        name = f"{window.start:%Y-%m-%d %H:%M}"
        answers = answered(window.rows, task=model.task, classes=model.classes, value=workspace.project.value)
        score = answers.score(measure) if len(answers) >= monitoring.min_rows else None
        if window.matured < _MATURED:
            unknown.append(f"{name}: only {window.matured:.0%} of the outcomes are known")
        elif score is None:
            unknown.append(f"{name}: {len(answers)} known outcomes do not suffice")
        else:
            scored.append((name, score))
    compared = f"The realised score of {len(scored)} windows, each on its own outcomes, before a change and after it."
    if len(scored) < _FEWEST:
        says = f"It cannot be told: {len(scored)} windows have known outcomes, {_FEWEST} are needed."
        return Bisected(By.WINDOW, measure.name, None, says, compared, _tried(scored, None), unknown=tuple(unknown))
    change = change_of(*_levels(measure, [score for _, score in scored]))
    return _told(measure, scored, change, compared, tuple(unknown))


def change_of(levels: Floats, errors: Floats) -> Change:
    """Return the likeliest change of the mean of `levels` (n,), whose standard errors are `errors` (n,).

    What windows differ by beyond their errors, within each side of the change, counts as error too.
    """
    wobble = 0.0
    for _ in range(2):
        weights = 1.0 / (np.square(errors) + wobble)
        gains = np.array([_gain(levels, weights, at) for at in range(1, len(levels))])
        best = int(gains.argmax()) + 1
        wobble = _wobble(levels, errors, best)
    weights = 1.0 / (np.square(errors) + wobble)
    gains = np.array([_gain(levels, weights, at) for at in range(1, len(levels))])
    best = int(gains.argmax()) + 1
    before, after = (_mean(levels[part], weights[part]) for part in (slice(best), slice(best, None)))
    error = float(np.hypot(before[1], after[1]))
    half = NormalDist().inv_cdf(1.0 - 0.025 / len(gains)) * error
    by = Span(after[0] - before[0], after[0] - before[0] - half, after[0] - before[0] + half)
    near = np.flatnonzero(gains >= gains.max() - _WITHIN) + 1
    return Change(best, int(near[0]), int(near[-1]), by, is_sure=not by.low <= 0.0 <= by.high)


def _gain(levels: Floats, weights: Floats, at: int) -> float:
    """Return how much likelier a change before `at` makes the levels than none (log-likelihood)."""
    whole = _mean(levels, weights)[0]
    gain = 0.0
    for part in (slice(at), slice(at, None)):
        gain += 0.5 * float(weights[part].sum()) * (_mean(levels[part], weights[part])[0] - whole) ** 2
    return gain


def _mean(levels: Floats, weights: Floats) -> tuple[float, float]:
    """Return the weighted mean and its standard error."""
    total = float(weights.sum())
    return float((levels * weights).sum()) / total, total**-0.5


def _wobble(levels: Floats, errors: Floats, at: int) -> float:
    """Return the variance between windows beyond their errors, on both sides of a change (DerSimonian-Laird)."""
    squares = free = scale = 0.0
    for part in (slice(at), slice(at, None)):
        weights = 1.0 / np.square(errors[part])
        mean, total = _mean(levels[part], weights)[0], float(weights.sum())
        squares += float((weights * np.square(levels[part] - mean)).sum())
        free += len(weights) - 1
        scale += total - float(np.square(weights).sum()) / total
    return max((squares - free) / scale, 0.0) if scale > 0.0 else 0.0


def _levels(metric: Metric, scores: Sequence[Score]) -> tuple[Floats, Floats]:
    """Return the scores, turned so that larger is better, and their standard errors."""
    turn = 1.0 if metric.greater_is_better else -1.0
    values = np.array([turn * score.value for score in scores])
    errors = np.array([(score.high - score.low) / (2.0 * _Z95) for score in scores])
    floor = max(float(errors[errors > 0.0].min(initial=np.inf)), 1e-9) if (errors > 0.0).any() else 1e-9
    return values, np.maximum(errors, floor)


def _told(
    metric: Metric, scored: Sequence[tuple[str, Score]], change: Change, compared: str, unknown: tuple[str, ...]
) -> Bisected:
    names = [name for name, _ in scored]
    if not change.is_sure or change.by.value > 0.0:
        better = change.is_sure and change.by.value > 0.0
        says = (
            f"{metric.label} did not break; it got better with the window from {names[change.at]}."
            if better
            else f"No window stands out: the largest change, with that from {names[change.at]}, may be chance."
        )
        return Bisected(By.WINDOW, metric.name, None, says, compared, _tried(scored, None), unknown=unknown)
    by = change.by
    says = (
        f"{metric.label} broke with the window from {names[change.at]}: {by.value:+.4g} ({by.low:+.4g} to "
        f"{by.high:+.4g}, better is positive) from then on. It began between {names[change.earliest]} and "
        f"{names[change.latest]}."
    )
    return Bisected(
        By.WINDOW,
        metric.name,
        names[change.at],
        says,
        compared,
        _tried(scored, change),
        names[change.earliest],
        names[change.latest],
        unknown,
    )


def _tried(scored: Sequence[tuple[str, Score]], change: Change | None) -> tuple[Tried, ...]:
    found = []
    for at, (name, score) in enumerate(scored):
        lean = Lean.OPEN
        if change is not None and not change.earliest <= at < change.latest:
            lean = Lean.GOOD if at < change.at else Lean.BAD
        found.append(Tried(name, lean, score, rows=score.rows))
    return tuple(found)


def _date(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a date.", where=option, hint=f"For example: {option} 2026-01-31") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
