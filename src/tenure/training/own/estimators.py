"""Fit estimators with scikit-learn's methods: no such fit can be stopped, so small ones tell what large ones take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import inf, log
from typing import Any, Final

import numpy as np

from tenure.core.errors import ConfigError
from tenure.core.modelling import Task
from tenure.core.ports import Deadline
from tenure.core.project import OwnSection
from tenure.model.own.code import named, owners_code
from tenure.model.own.estimator import EstimatorModel
from tenure.training.own.lesson import Lesson

_FIRST: Final = 250
"""Rows of the first fit of a model that nobody knows yet."""
_STEP: Final = 8
_SAFE: Final = 0.6
"""Part of the time left that a fit may be expected to take."""
_GROWTH: Final = (1.5, 3.5)
_MORE_GROWTH: Final = 0.5
"""Added to the power that was seen: what takes the same time for any number of rows makes small fits look alike."""
_WORTH: Final = 1.5
"""A fit again must have this many times the rows of the last one."""
_SEEDS: Final = 2**32


class Pace:
    """What fits of one estimator took, by rows: seconds grow with a power of the rows, seen in the two largest."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def saw(self, rows: int, seconds: float) -> None:
        """Remember one fit; of equally many rows the slowest counts."""
        self._seen = {**self._seen, rows: max(seconds, self._seen.get(rows, 1e-6))}

    def rows_within(self, seconds: float) -> int:
        """Return how many rows a fit of that many seconds can have, at most some times those seen."""
        if not self._seen:
            return _FIRST
        sizes = sorted(self._seen)
        last, took = sizes[-1], self._seen[sizes[-1]]
        growth = _GROWTH[1]
        if len(sizes) > 1:
            before = sizes[-2]
            growth = float(np.clip(log(took / self._seen[before]) / log(last / before) + _MORE_GROWTH, *_GROWTH))
        return int(last * min((seconds / took) ** (1 / growth), _STEP))


def build(own: OwnSection, *, seed: int, threads: int) -> Any:
    """Make the estimator as the project file says, with our seed and threads where it takes and leaves them open.

    Raises:
        ConfigError: the owner's code is not there or fails.
    """
    make = named(own.path)
    with owners_code(own.path, "being made"):
        takes = inspect.signature(make).parameters
        usual = {"random_state": seed % _SEEDS, "n_jobs": threads}
        return make(**{name: value for name, value in usual.items() if name in takes} | own.params)


def answers(estimator: Any, task: Task) -> bool:
    """Say whether an estimator gives what the task needs: probabilities, or values."""
    has_probabilities = hasattr(estimator, "predict_proba")
    return has_probabilities if task.is_classification else hasattr(estimator, "predict") and not has_probabilities


def refuse_wrong_kind(own: OwnSection, task: Task) -> ConfigError:
    """Return the error for an estimator that cannot answer the task."""
    wanted = "predict_proba" if task.is_classification else "predict, and no predict_proba"
    return ConfigError(
        f"{own.path} cannot answer a {task} task: its estimators need {wanted}.",
        where=f"training.own: {own.name}",
        hint="Name a classifier with probabilities for classes, a regressor for values."
        + (" sklearn.calibration:CalibratedClassifierCV adds probabilities." if task.is_classification else ""),
    )


def fit_estimator(
    own: OwnSection,
    lesson: Lesson,
    *,
    task: Task,
    classes: int,
    make: Callable[[], Any],
    pace: Pace,
    deadline: Deadline,
) -> EstimatorModel | None:
    """Fit on as many rows as the time is sure to allow; None where that is too few, or all rows are of one class.

    The first fits are small and tell what larger ones take; without a clock there is one fit, on all rows.
    """
    fitted = None
    rows, done = len(lesson), 0
    while done < rows:
        fits = rows if deadline.left == inf else min(rows, pace.rows_within(_SAFE * deadline.left))
        if fits < max(_WORTH * done, min(rows, _FIRST)) and fits < rows:
            break
        part = lesson.first(fits)
        if task.is_classification and len(np.unique(part.target)) < 2:
            break
        started = deadline.now
        fitted = _fit(own, part, make())
        if deadline.left < inf:
            pace.saw(fits, deadline.now - started)
        done = fits
    if fitted is None:
        return None
    shares = np.bincount(lesson.target, weights=lesson.weight, minlength=classes) + 1.0 if classes else np.empty(0)
    known = (shares / shares.sum()).tolist() if classes else []
    return EstimatorModel(task, own.path, fitted, shares=known, trust=own.trust)


def _fit(own: OwnSection, lesson: Lesson, estimator: Any) -> Any:
    """Fit; an estimator that takes no weights gets rows drawn by their weight."""
    with owners_code(own.path, "learning"):
        if lesson.weight is None:
            return _fitted(estimator, lesson.table, lesson.target)
        if "sample_weight" in inspect.signature(estimator.fit).parameters:
            return _fitted(estimator, lesson.table, lesson.target, sample_weight=lesson.weight)
        rng = np.random.default_rng(len(lesson))
        drawn = rng.choice(len(lesson), len(lesson), p=lesson.weight / lesson.weight.sum())
        return _fitted(estimator, lesson.table[drawn], lesson.target[drawn])


def _fitted(estimator: Any, *arguments: Any, **more: Any) -> Any:
    estimator.fit(*arguments, **more)
    return estimator
