"""State what new rows will show: the measured score, corrected for how the model is served, with an honest interval.

Cross validation measures the members of single folds, and their bag is served. What the bag gains is known without more
fits: the loss of a mean is below the mean loss by how much the members disagree (Krogh and Vedelsby 1995).
Forward: the next period is a further draw from the periods seen so far.
Either interval is for a score as measured on new rows, a third as many as were learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tenure.core.metrics import METRICS, PROPER_LOSS, Metric, metric_named
from tenure.core.modelling import Floats, Score, Task, ValidationPlan
from tenure.core.ports import Deadline
from tenure.core.uncertainty import measured_on
from tenure.model.fitted import WeightedMember
from tenure.training.ensemble import mix
from tenure.training.material import Material
from tenure.training.scores import clusters_of, score
from tenure.training.served import Ensemble

_NEW_ROWS: Final = 3
"""Learned rows for each new row that the stated interval is for."""
_ASKED_ROWS: Final = 2_000
_BATCH: Final = 250
_MOST_RATIO: Final = 100.0
_POWER: Final = {Task.REGRESSION: 0.75, Task.BINARY: 0.25, Task.MULTICLASS: 0.25}
_SALT: Final = 11
_Z95: Final = 1.959963984540054
_USUAL_SPREAD: Final = 0.2
"""How much periods usually differ: the standard deviation of the logarithm of the error on four sets (decision 6)."""
_USUAL_PERIODS: Final = 4
_LEAST_ERROR: Final = 1e-3
"""Of the largest error: a period without any error would be infinitely far from all others."""
_FEWEST_FOLDS: Final = 3
"""Members disagree where a row was seen by two of them or more."""

Corrects = Callable[[Floats], Floats]


def expected_score(
    material: Material,
    plan: ValidationPlan,
    ensemble: Ensemble,
    predicted: Floats,
    measured: Score,
    *,
    calibrate: Corrects,
    deadline: Deadline,
) -> tuple[Score, str]:
    """Return the score to expect on new rows with its 95 % interval, and in a sentence or two why it is so.

    `predicted` are the calibrated out-of-fold answers, `measured` their score, `calibrate` what made them of the
    ensemble's. The members of other folds are asked about up to 2,000 rows until `deadline`.
    """
    new = max(material.course.rows // _NEW_ROWS, 1)
    sampled = measured_on(measured, new)
    if material.course.reporting is not None:
        low, high, says = _of_periods(material, plan, ensemble, predicted, measured)
        return _within_bounds(replace(sampled, low=min(low, sampled.low), high=max(high, sampled.high))), says
    gain = _gain_of_bag(material, ensemble, predicted, calibrate=calibrate, deadline=deadline)
    stated = _within_bounds(_moved(sampled, gain, material.metric))
    says = f"The interval is for the score as measured on {new:,} new rows."
    if gain > 0:
        says = (
            f"Members of single folds measured {_figure(measured.value)}; together, as they serve, they should reach "
            f"{_figure(stated.value)}. {says}"
        )
    return stated, says


def gain_of_mean(
    metric: Metric, task: Task, target: NDArray[Any], unseen: Floats, seen: Floats, *, weight: Floats | None = None
) -> float:
    """Return how much better the metric of J + 1 members' mean is on new rows than that of one of them.

    `unseen` (n,) or (n, k) answers rows that its members did not learn from, `seen` (J, ...) those that other members
    did. Having seen a row draws members together: for a linear smoother as much as it shrinks their errors, for trees
    less. So the differences are enlarged by a power of the ratio of the losses, chosen such that the gain came out a
    little below the true one on six data sets (docs/decisions/0006). Each answer of `unseen` is then moved by how far
    each other member stands from their mean: J answers as if none had seen the row. `weight` (n,) is how much each row
    counts.
    """
    count = len(seen)
    if count < 2:
        return 0.0
    loss = metric_named(PROPER_LOSS[task], task=task)
    known = float(np.mean([loss(target, each, weight=weight) for each in seen]))
    ratio = loss(target, unseen, weight=weight) / known if known > 0 else _MOST_RATIO
    reach = float(np.clip(ratio, 1.0, _MOST_RATIO)) ** _POWER[task]
    answers = _spread_around(unseen, seen, reach, task)
    single = float(np.mean([metric(target, each, weight=weight) for each in answers]))
    gain = metric.gain(metric(target, answers.mean(axis=0), weight=weight), single)
    # A mean of j independent answers gains (j - 1) / j of their variance; these vary around their own mean.
    enlarged = count**2 / ((count + 1) * (count - 1))
    return max(gain * enlarged, 0.0) if np.isfinite(gain) else 0.0


def next_period(scores: Sequence[Score]) -> tuple[float, float]:
    """Return between what the score of one more period lies, 95 % sure, from two or more periods.

    The prediction interval of a further draw (Student's t) of the logarithm of the error: the loss, or what is missing
    to 1. A few periods tell little of how much periods differ, so a usual difference counts as four more; the spread is
    at least what sampling of rows explains.
    """
    is_share = METRICS[scores[0].metric].greater_is_better
    errors = np.array([1.0 - each.value if is_share else each.value for each in scores])
    errors = np.maximum(errors, max(_LEAST_ERROR * float(errors.max()), 1e-12))
    sampling = float(np.mean([(each.high - each.low) / (2 * _Z95) for each in scores]) / np.mean(errors))
    logs, own = np.log(errors), len(scores) - 1
    variance = (own * float(np.var(logs, ddof=1)) + _USUAL_PERIODS * _USUAL_SPREAD**2) / (own + _USUAL_PERIODS)
    spread = float(np.sqrt(max(variance, min(sampling, 1.0) ** 2) * (1.0 + 1.0 / len(logs))))
    reach = float(stdtrit(own + _USUAL_PERIODS, 0.975)) * spread
    low, high = (float(np.exp(np.mean(logs) + side * reach)) for side in (-1, 1))
    return (1.0 - high, 1.0 - low) if is_share else (low, high)


def _spread_around(unseen: Floats, seen: Floats, reach: float, task: Task) -> Floats:
    """Return `unseen` moved by each deviation of `seen` from its mean, `reach` times; probabilities in logarithms."""
    if task is Task.REGRESSION:
        moved: Floats = unseen + reach * (seen - seen.mean(axis=0))
        return moved
    logs = np.log(np.maximum(seen, 1e-15))
    raised = np.log(np.maximum(unseen, 1e-15)) + reach * (logs - logs.mean(axis=0))
    odds = np.exp(raised - raised.max(axis=-1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=-1, keepdims=True)
    return shares


def _gain_of_bag(
    material: Material, ensemble: Ensemble, predicted: Floats, *, calibrate: Corrects, deadline: Deadline
) -> float:
    """Return what the bag gains over the members of one fold, from rows asked in random order until the deadline."""
    folds = len(ensemble.bags)
    if folds < _FEWEST_FOLDS:
        return 0.0
    problem = material.problem
    fold = np.empty(len(ensemble.rows), dtype=np.int64)
    for at, rows in enumerate(ensemble.folds):
        fold[rows] = at
    order = np.random.default_rng((problem.seed, _SALT)).permutation(len(ensemble.rows))[:_ASKED_ROWS]
    seen: list[Floats] = []
    for start in range(0, len(order), _BATCH):
        if seen and deadline.passed:
            break
        asked = order[start : start + _BATCH]
        matrix = problem.matrix[ensemble.rows[asked]]
        said = np.stack([calibrate(_mean_answer(bag, matrix)) for bag in ensemble.bags])
        others = [(fold[asked] + step) % folds for step in range(1, folds)]
        seen.append(np.stack([said[other, np.arange(len(asked))] for other in others]))
    answers = np.concatenate(seen, axis=1)
    known = order[: answers.shape[1]]
    rows = ensemble.rows[known]
    weight = material.counts_of(rows)
    target = problem.target[rows]
    gain = gain_of_mean(material.metric, problem.task, target, predicted[known], answers, weight=weight)
    # The variance that a mean of k members is rid of is in proportion to 1 - 1 / k.
    return gain * (1 - 1 / ensemble.served_folds) / (1 - 1 / folds)


def _mean_answer(bag: Sequence[WeightedMember], matrix: Floats) -> Floats:
    return mix(np.array([part.weight for part in bag]), [part.member.predict(matrix) for part in bag])


def _of_periods(
    material: Material, plan: ValidationPlan, ensemble: Ensemble, predicted: Floats, measured: Score
) -> tuple[float, float, str]:
    """Return the interval of one more period after those chosen by and the reported one, and its reason."""
    problem = material.problem
    periods = [measured]
    for positions in ensemble.folds:
        rows = ensemble.rows[positions]
        clusters = clusters_of(material.clean, plan, rows)
        target, said = problem.target[rows], predicted[positions]
        weight = material.counts_of(rows)
        periods.append(score(material.metric, target, said, clusters=clusters, weight=weight, seed=problem.seed))
    known = [each for each in periods if np.isfinite([each.value, each.low, each.high]).all()]
    if len(known) < 2:
        return measured.low, measured.high, "Only one period could be measured; others may differ more than stated."
    low, high = next_period(known)
    ends = [_figure(end(each.value for each in known)) for end in (min, max)]
    says = f"Scores of {len(known)} past periods ranged from {ends[0]} to {ends[1]}; the interval allows for that."
    return low, high, says


def _moved(sampled: Score, gain: float, metric: Metric) -> Score:
    """Return the score made better by the gain, whose own error is taken to be as large as itself."""
    value = sampled.value + (gain if metric.greater_is_better else -gain)
    low, high = (float(np.hypot(end - sampled.value, gain)) for end in (sampled.low, sampled.high))
    return replace(sampled, value=value, low=value - low, high=value + high)


def _within_bounds(stated: Score) -> Score:
    """Return the score with an interval that ends where the metric does."""
    metric = METRICS[stated.metric]
    high = min(stated.high, max(1.0, stated.value)) if metric.greater_is_better else stated.high
    low = stated.low if stated.metric == "r2" else max(stated.low, min(0.0, stated.value))
    return replace(stated, low=low, high=high)


def _figure(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 4
    return f"{value:,.{digits}f}"
