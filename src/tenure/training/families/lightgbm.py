"""LightGBM on the encoded columns: several unlike configurations on one binned data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.lightgbm import LightGBMMember
from tenure.training.boosting import Sets, binned_rows, boost, quickest_rate
from tenure.training.portfolio import proposal, values

_RANKS: Final = {
    "random-39": 20,
    "plain": 30,
    "wide-84": 40,
    "additive": 50,
    "small-20": 60,
    "random-64": 70,
    "random-180": 80,
    "small-16": 90,
    "random-8": 100,
}


class LightGBMFamily:
    """Boosted trees."""

    name: ClassVar[str] = "lightgbm"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task), seeded=True)

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose the portfolio.

        The first proposal learns fast: it is a good model early, and shows how many rounds the others will need.
        """
        params = values("plain", shape) | {"learning_rate": quickest_rate(shape.classes)}
        quick = Configuration(f"{self.name}-quick", self.name, params, rank=15)
        return (quick, *(proposal(self.name, name, shape, rank=rank) for name, rank in _RANKS.items()))

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
        """Boost until the validated loss stops falling, `rounds` are done, or the time is up."""
        if deadline.left == 0:
            return None
        checked = None if valid is None else binned_rows(problem, valid)
        sets = Sets(binned_rows(problem, train), checked, len(train))
        grown = boost(configuration, problem, sets, rounds=rounds, deadline=deadline)
        member = LightGBMMember(problem.task, grown.text, threads=problem.threads)
        return Fitted(member, grown.rounds, chosen={"learning_rate": grown.rate}, leaves=grown.leaves)
