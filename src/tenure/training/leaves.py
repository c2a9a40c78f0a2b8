"""Go on from trees that are there: leaves learned again on newer rows, or more trees on top."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Task
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.members.lightgbm import LightGBMMember

_MORE_TREES: Final = 0.2
"""Of the rounds that are there."""
_FEWEST_ROUNDS: Final = 5
_FEWEST_IN_LEAF: Final = 20
_MIX: Final = 0.9
_OBJECTIVES: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "l2"}
_KEPT: Final = (
    "bagging_fraction",
    "bagging_freq",
    "feature_fraction",
    "lambda_l1",
    "lambda_l2",
    "learning_rate",
    "min_sum_hessian_in_leaf",
    "num_leaves",
    "extra_trees",
    "cat_l2",
    "cat_smooth",
    "max_cat_to_onehot",
    "min_data_per_group",
)
"""Parameters that go on as they were."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Encoded rows (n, d) with what came true: class codes or values (n,); `weight` (n,) is how much each counts."""

    matrix: Floats
    target: NDArray[Any]
    weight: Floats | None = None


Change = Callable[[lgb.Booster, dict[str, Any], Lesson, list[int]], lgb.Booster]


def has_trees(model: FittedModel) -> bool:
    """Say whether some member has trees that one can go on from."""
    return any(isinstance(part.member, LightGBMMember) for part in model.members)


def with_new_leaves(model: FittedModel, lesson: Lesson, mix: float | None) -> FittedModel:
    """Return the model with the leaves of its LightGBM members learned again; `mix` of the old leaf stays (0 to 1)."""
    return _changed(model, lesson, lambda *how: _refitted(*how, mix=_MIX if mix is None else mix))


def continued(model: FittedModel, lesson: Lesson) -> FittedModel:
    """Return the model with a fifth more trees in its LightGBM members, grown on these rows."""
    return _changed(model, lesson, _grown)


def _changed(model: FittedModel, lesson: Lesson, change: Change) -> FittedModel:
    categorical = [at for at, is_category in enumerate(model.plan.categorical) if is_category]
    members = tuple(_changed_member(model, part, lesson, change, categorical) for part in model.members)
    return replace(model, members=members)


def _changed_member(
    model: FittedModel, part: WeightedMember, lesson: Lesson, change: Change, categorical: list[int]
) -> WeightedMember:
    if not isinstance(part.member, LightGBMMember):
        return part
    booster = lgb.Booster(model_str=part.member.text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # parameters that are given twice
        grown = change(booster, _parameters(model, booster, len(lesson.target)), lesson, categorical)
    text = grown.model_to_string(num_iteration=-1)
    return replace(part, member=LightGBMMember(model.task, text, threads=1))


def _parameters(model: FittedModel, booster: lgb.Booster, rows: int) -> dict[str, Any]:
    kept = {name: booster.params[name] for name in _KEPT if name in booster.params}
    own: dict[str, Any] = {
        "objective": _OBJECTIVES[model.task],
        "min_data_in_leaf": int(np.clip(rows // 50, 1, _FEWEST_IN_LEAF)),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    if model.task is Task.MULTICLASS:
        own["num_class"] = len(model.classes)
    return kept | own


def _refitted(
    booster: lgb.Booster, params: dict[str, Any], lesson: Lesson, categorical: list[int], *, mix: float
) -> lgb.Booster:
    booster.params = params
    return booster.refit(
        lesson.matrix,
        lesson.target,
        decay_rate=mix,
        weight=lesson.weight,
        categorical_feature=categorical,
        dataset_params={"feature_pre_filter": False, "verbosity": -1},
    )


def _grown(booster: lgb.Booster, params: dict[str, Any], lesson: Lesson, categorical: list[int]) -> lgb.Booster:
    data = lgb.Dataset(
        lesson.matrix, lesson.target, weight=lesson.weight, categorical_feature=categorical, free_raw_data=False
    )
    rounds = max(round(_MORE_TREES * booster.current_iteration()), _FEWEST_ROUNDS)
    return lgb.train(params, data, num_boost_round=rounds, init_model=booster)
