"""How much worse answers are: by what the model itself promised, or by what came true of other rows.

The model in office has seen the rows of its reference. What it answers on them knows a part of their targets, and any
change of a cell makes it forget that part, so known targets make a moved row look several times as harmful as it is.
Targets are therefore taken as out-of-fold predictions, which have not seen them, promise them: calibrated
probabilities, and errors that are as likely to one side as to the other.

Intervals are delete-a-group jackknife (Kott 2001), which needs one pass of the metric for each group whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tenure.core.health import Span
from tenure.core.metrics import Metric, Targets, positive
from tenure.core.modelling import Floats
from tenure.core.project import ValueSection
from tenure.core.value import PER, Flags, by_everybody, by_nobody, cost_of_errors, expected, realised

_Z90: Final = 1.6448536269514722
_GROUPS: Final = 40
_MODEL_ERROR: Final = 0.2
"""How far off, as a share, the price of a move is for all that no sample tells (measured with known shifts)."""
_WINDOW_ERROR: Final = 4.5
"""The same for not knowing the move itself: this over the square root of the window's rows."""


def jackknifed(statistic: Callable[[Floats], float], rows: int, rng: np.random.Generator) -> Span:
    """Return the statistic of row weights (n,) with its 90 % interval; NaN where it is not defined."""
    groups = min(_GROUPS, rows)
    group = rng.permutation(np.arange(rows) % groups)
    whole = statistic(np.ones(rows))
    parts = np.array([statistic((group != g).astype(np.float64)) for g in range(groups)])
    parts = parts[np.isfinite(parts)]
    if parts.size < 2:
        return Span(whole, float("-inf"), float("inf"))
    error = float(np.sqrt((parts.size - 1) / parts.size * np.square(parts - parts.mean()).sum()))
    return Span(whole, whole - _Z90 * error, whole + _Z90 * error)


def widened(span: Span, *, window_rows: int, least: float = 0.0) -> Span:
    """Return the span of a moved column's cost, wider by what neither sample tells, at least an error of `least`."""
    share = np.hypot(_MODEL_ERROR, _WINDOW_ERROR / np.sqrt(max(window_rows, 1)))
    more = _Z90 * float(np.hypot(share * span.value, least))
    low, high = span.value - span.low, span.high - span.value
    return Span(span.value, span.value - float(np.hypot(low, more)), span.value + float(np.hypot(high, more)))


def promised_drop(
    metric: Metric, target: Targets, promise: Floats, before: Floats, after: Floats, rng: np.random.Generator
) -> Span:
    """Return how much worse answers `after` are than those `before` for the same rows, if `promise` holds of them."""
    truths, chances = _promised(target, promise)
    truth = np.concatenate(truths)
    was, now = (np.concatenate([answers] * len(truths)) for answers in (before, after))

    def drop(weight: Floats) -> float:
        likely = np.concatenate([chance * weight for chance in chances])
        kept = likely > 0
        old, new = (metric(truth[kept], answers[kept], weight=likely[kept]) for answers in (was, now))
        return metric.gain(old, new)

    return jackknifed(drop, len(target), rng)


def _promised(target: Targets, predicted: Floats) -> tuple[list[Targets], list[Floats]]:
    """Return what each row may turn out to be, and how likely that is."""
    if predicted.ndim == 1:
        error = target - predicted
        return [predicted + error, predicted - error], [np.full(len(target), 0.5)] * 2
    classes = range(predicted.shape[1])
    return [np.full(len(target), code, dtype=np.int64) for code in classes], [predicted[:, code] for code in classes]


def promised_loss(
    value: ValueSection,
    target: Targets,
    promise: Floats,
    before: Floats,
    after: Floats,
    acted: Flags | None,
    rng: np.random.Generator,
) -> Span | None:
    """Return the money lost per 1,000 decisions when they follow `after` instead of `before`; None without values.

    Binary: acted on from the smallest probability on that `acted` says was acted on.
    """
    lost: Floats
    if promise.ndim == 1 and value.error_cost is not None:
        cost = value.error_cost
        each = [
            chance * (cost_of_errors(truth, before, cost) - cost_of_errors(truth, after, cost))
            for truth, chance in zip(*_promised(target, promise), strict=True)
        ]
        lost = np.sum(each, axis=0)
    elif promise.ndim == 2 and promise.shape[1] == 2 and value.is_given and acted is not None:
        threshold = _threshold(promise, acted)
        made = [expected(positive(promise), positive(answers) >= threshold, value) for answers in (before, after)]
        lost = made[0] - made[1]
    else:
        return None
    return jackknifed(lambda weight: PER * float(np.average(lost, weights=weight)), len(target), rng)


def _threshold(promise: Floats, acted: Flags) -> float:
    """Return the smallest probability that was acted on."""
    return float(positive(promise)[acted].min()) if acted.any() else np.inf


def turned(promise: Floats, before: Floats, after: Floats, acted: Flags | None, *, window_rows: int) -> Span:
    """Return the share of decisions that change from `before` to `after`, beyond what a window's chance turns; 90 %.

    Nothing turns where nobody acts on answers. A window of n rows knows a quantile to half of one over the root of n.
    """
    if promise.ndim != 2 or acted is None:
        return Span(0.0, 0.0, 0.0)
    threshold = _threshold(promise, acted)
    share = float(np.mean((positive(before) >= threshold) != (positive(after) >= threshold)))
    error = _Z90 * float(np.sqrt(share * (1 - share) / max(len(before), 1) + 0.25 / max(window_rows, 1)))
    return Span(share, max(share - error, 0.0), min(share + error, 1.0))


def money_short(value: ValueSection, target: Targets, predicted: Floats, acted: Flags | None) -> Floats | None:
    """Return by how much each decision fell short of the best one, (n,), 0 or less; None without values that fit.

    Not what it made: where fewer rows are worth acting on, less is made, and no decision is worse.
    """
    if predicted.ndim == 1 and value.error_cost is not None:
        return cost_of_errors(target.astype(np.float64), predicted, value.error_cost)
    if predicted.ndim == 2 and predicted.shape[1] == 2 and value.is_given and acted is not None:
        is_yes = target == 1
        best: Floats = np.maximum(by_everybody(is_yes, value), by_nobody(is_yes, value))
        return realised(is_yes, acted, value) - best
    return None


def money_at_stake(value: ValueSection, target: Targets, predicted: Floats, acted: Flags | None) -> float | None:
    """Return what the model makes per 1,000 decisions over doing without it; None where that is nothing or not known.

    Without it nobody is acted on, or, where errors cost, every answer is the median.
    """
    short = money_short(value, target, predicted, acted)
    if short is None or not len(target):
        return None
    if predicted.ndim == 1:
        without = money_short(value, target, np.full(len(target), float(np.median(target))), acted)
    else:
        without = money_short(value, target, predicted, np.zeros(len(target), dtype=np.bool_))
    assert without is not None  # the values fit
    stake = PER * float(short.mean() - without.mean())
    return stake if stake > 0 else None
