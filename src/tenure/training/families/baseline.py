"""The baseline: the share of each class, or the mean. What every other family must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.constant import ConstantMember


class BaselineFamily:
    """Says the same of every row."""

    name: ClassVar[str] = "baseline"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose the one configuration there is."""
        return (Configuration("baseline", self.name, rank=0),)

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        """Take the mean, or the share of each class; one more row a class keeps every share above zero."""
        weight = None if problem.weight is None else problem.weight[train]
        target = problem.target[train]
        if not problem.task.is_classification:
            return Fitted(ConstantMember(problem.task, [float(np.average(target, weights=weight))]))
        counts = np.bincount(target, weights=weight, minlength=problem.classes) + 1.0
        return Fitted(ConstantMember(problem.task, (counts / counts.sum()).tolist()))
