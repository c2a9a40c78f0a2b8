"""What answers are worth where it is asked whether a new model would pay: a loss of each row, in money where told.

Deciding by a threshold makes money jump from row to row, so few rows tell little. A proper loss tells more of the same
rows, and is turned into money by what the model in office earns with each unit of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenure.core.lifecycle import ModelVersion
from tenure.core.metrics import log_losses, positive
from tenure.core.modelling import Floats, Indices, Leaderboard, Task
from tenure.core.ports import Context
from tenure.core.value import acted, realised
from tenure.model.fitted import FittedModel
from tenure.promotion.compare import predictions, target_of

Loss = Callable[[Indices, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Worth:
    """Losses in `unit`: the currency where `is_money`, else the metric's own loss.

    `rate` turns the loss into the unit. `skill` is how much less a row costs by the model in office than by the
    baseline, on rows that neither learned from.
    """

    task: Task
    metric: str
    unit: str
    is_money: bool
    rate: float
    skill: float

    def loss_of(self, target: NDArray[Any]) -> Loss:
        """Return the loss of rows (positions in `target`) under answers."""
        return lambda rows, answers: self.rate * _losses(self.task, self.metric, target[rows], answers)


def worth_of(ctx: Context, version: ModelVersion, model: FittedModel) -> Worth:
    """Return what answers are worth, going by the out-of-fold answers of a version and of its baseline."""
    board = ctx.artifacts.get_record(Leaderboard, version.leaderboard)
    own, plain = (ctx.artifacts.get_table(digest) for digest in (board.oof, board.baseline_oof))
    target, value = target_of(own, model.task), ctx.project.value
    answers, baseline = predictions(own, model.task), predictions(plain, model.task)
    money = value.is_given if model.task is Task.BINARY else model.task is Task.REGRESSION and bool(value.error_cost)
    metric = "mae" if money and model.task is Task.REGRESSION else model.metric
    skill = _mean_gain(_losses(model.task, metric, target, baseline), _losses(model.task, metric, target, answers))
    if money and value.error_cost is not None and model.task is Task.REGRESSION:
        rate = value.error_cost
    elif money:
        threshold = value.break_even if model.threshold is None else model.threshold
        is_yes = target == 1
        earned = [realised(is_yes, acted(positive(said), threshold=threshold), value) for said in (answers, baseline)]
        rate = _mean_gain(*earned) / skill if skill > 0 else 0.0
    else:
        rate = 0.0
    if rate <= 0:
        return Worth(model.task, metric, _unit(model.task, metric), is_money=False, rate=1.0, skill=max(skill, 0.0))
    return Worth(model.task, metric, value.currency, is_money=True, rate=rate, skill=max(rate * skill, 0.0))


def _mean_gain(more: Floats, less: Floats) -> float:
    return float(np.mean(more) - np.mean(less))


def _losses(task: Task, metric: str, target: NDArray[Any], answers: Floats) -> Floats:
    if task is not Task.REGRESSION:
        return log_losses(target, answers)
    off: Floats = np.abs(target - answers)
    return off if metric == "mae" else np.square(off)


def _unit(task: Task, metric: str) -> str:
    if task is not Task.REGRESSION:
        return "log loss"
    return "absolute error" if metric == "mae" else "squared error"
