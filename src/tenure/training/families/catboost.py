"""CatBoost (extra `catboost`): plain boosting of symmetric trees, tried where the time allows a useful number of them.

Values: methods.md 1.2, C1. Never required: the family stands aside where classes times categories explode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.catboost import CatBoostMember, catboost_library, catboost_rows

_LOSSES: Final = {Task.BINARY: "Logloss", Task.MULTICLASS: "MultiClass", Task.REGRESSION: "RMSE"}
_CLASSES: Final[dict[str, Any]] = {"depth": 7, "random_strength": 0.8, "one_hot_max_size": 15}
_VALUES: Final[dict[str, Any]] = {"depth": 8, "random_strength": 0.0, "one_hot_max_size": 20, "max_ctr_complexity": 1}
_RATES: Final = (0.05, 0.07, 0.10, 0.15)
_SECONDS_PER_CELL: Final = 3e-8
"""One tree, one row, one feature, one output, one thread; measured with catboost 1.2.10, as the next two."""
_SECONDS_PER_FEATURE: Final = 5e-5
_SECONDS_PER_FEATURE_AND_CLASS: Final = 3.4e-4
_FEWEST_TREES: Final = 150
_MOST_TREES: Final = 2000
_MOST_CLASSES_TIMES_CATEGORIES: Final = 200


class CatBoostFamily:
    """Symmetric trees with ordered statistics of categories."""

    name: ClassVar[str] = "catboost"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task), seeded=True)

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose one configuration.

        Raises:
            ExtraMissingError: the package is not installed.
        """
        catboost_library()
        if max(shape.classes, 1) * shape.categorical > _MOST_CLASSES_TIMES_CATEGORIES:
            return ()
        values = _VALUES if shape.task is Task.REGRESSION else _CLASSES
        return (Configuration("catboost", self.name, dict(values), rank=45),)

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
        """Boost until the validated loss stops falling, `rounds` are done, or the time is up.

        Nothing is fitted where the training rows lack a class, or all have one value: CatBoost refuses such rows.
        """
        if len(np.unique(problem.target[train])) < max(problem.classes, 2):
            return None
        trees = deadline.left / _seconds_per_tree(problem, len(train))
        if trees < _FEWEST_TREES:
            return None
        affordable = next((rate for rate in _RATES if 60 / rate <= trees), _RATES[-1])
        rate = problem.shared.setdefault(self.name, {}).setdefault(configuration.name, affordable)
        params = configuration.params | {
            "loss_function": _LOSSES[problem.task],
            "learning_rate": rate,
            "iterations": rounds or _MOST_TREES,
            "boosting_type": "Plain",
            "bootstrap_type": "Bernoulli",
            "subsample": 0.9,
            "leaf_estimation_iterations": 1,
            "l2_leaf_reg": 1e-5,
            "random_seed": problem.seed,
            "thread_count": problem.threads,
            "allow_writing_files": False,
            "verbose": False,
        }
        library = catboost_library()
        model = (library.CatBoostClassifier if problem.task.is_classification else library.CatBoostRegressor)(**params)
        model.fit(
            _pool(library, problem, train),
            eval_set=None if valid is None else _pool(library, problem, valid),
            use_best_model=valid is not None,
            early_stopping_rounds=None if valid is None else int(np.clip(4 / rate, 30, 100)),
            callbacks=[_Watch(deadline)],
        )
        if not model.tree_count_:
            return None
        member = CatBoostMember(problem.task, model, problem.categorical, threads=problem.threads)
        leaves = int(np.sum(model.get_tree_leaf_counts()))
        return Fitted(member, int(model.tree_count_), chosen={"learning_rate": rate}, leaves=leaves)


class _Watch:
    """Ends a fit at its deadline; CatBoost asks after every tree."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def after_iteration(self, info: Any) -> bool:
        """Say whether to go on."""
        return not self._deadline.passed


def _seconds_per_tree(problem: Problem, rows: int) -> float:
    features = len(problem.names)
    if problem.task is Task.MULTICLASS:
        by_feature = _SECONDS_PER_FEATURE_AND_CLASS * problem.classes
        return features * (rows * _SECONDS_PER_CELL * problem.classes + by_feature)
    return features * (rows * _SECONDS_PER_CELL + _SECONDS_PER_FEATURE)


def _pool(library: Any, problem: Problem, rows: Indices) -> Any:
    weight = None if problem.weight is None else problem.weight[rows]
    return library.Pool(catboost_rows(problem.matrix[rows], problem.categorical), problem.target[rows], weight=weight)
