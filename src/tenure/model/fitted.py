"""A fitted model in memory: the column plan, the weighted members, and how their answer becomes a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.contract import Contract
from tenure.core.data import Schema
from tenure.core.modelling import Floats, Task
from tenure.model.correction import Correction
from tenure.model.dates import DateColumns
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval, ValueInterval
from tenure.model.plan import ColumnPlan

if TYPE_CHECKING:
    from tenure.core.ports import Member


@dataclass(frozen=True)
class WeightedMember:
    """One member of the ensemble: its candidate's name and its share of the answer."""

    name: str
    weight: float
    member: Member


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Everything that predicting, explaining and serving need.

    The weights of `members` sum to 1. `temperature` divides the log-probabilities (1 for none). `threshold` is the
    probability from which a binary answer is the positive (last) class, None for 0.5. `interval` gives the 90 %
    interval of a value, `probability_interval` how sure a binary probability is; `curve` corrects binary probabilities
    after the temperature, `correction` any answer after that, by what came true since. None of the four need be there.
    """

    task: Task
    classes: tuple[str, ...]
    target: str
    schema: Schema
    contract: Contract
    plan: ColumnPlan
    members: tuple[WeightedMember, ...]
    temperature: float = 1.0
    threshold: float | None = None
    threshold_reason: str = ""
    interval: ValueInterval | None = None
    metric: str = ""
    key: str | None = None
    time: str | None = None
    probability_interval: ProbabilityInterval | None = None
    curve: ProbabilityCurve | None = None
    correction: Correction | None = None

    @cached_property
    def dates(self) -> DateColumns:
        """Return what reads the date columns of rows and tables."""
        return DateColumns.of(self.schema)

    def predict(self, matrix: Floats) -> Floats:
        """Return calibrated probabilities (n, k) or values (n,) of an encoded matrix."""
        first, *others = self.members
        answer = first.weight * first.member.predict(matrix)
        for other in others:
            answer += other.weight * other.member.predict(matrix)
        said = calibrated(answer, self.temperature, self.curve) if self.task.is_classification else answer
        return said if self.correction is None else self.correction.apply(said)


def calibrated(probabilities: Floats, temperature: float, curve: ProbabilityCurve | None) -> Floats:
    """Return probabilities (n, k) corrected by a temperature (1 for none) and then by a curve, where there is one."""
    warmed = tempered(probabilities, temperature)
    return warmed if curve is None else curve(warmed)


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities (n, k) whose logarithms are divided by `temperature`; 1 changes nothing.

    Guo et al. 2017, "On calibration of modern neural networks".
    """
    if temperature == 1.0:
        return probabilities
    logs = np.log(np.maximum(probabilities, 1e-15)) / temperature
    logs -= logs.max(axis=1, keepdims=True)
    raised = np.exp(logs)
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares
