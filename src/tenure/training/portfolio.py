"""The values of the boosted configurations: two hand-made ones, and drawn ones that did well on many data sets.

methods.md 1.2. A configuration is tried with its quickest learning rate first, where a look is asked for.
"""

from __future__ import annotations

from typing import Any, Final

from tenure.core.modelling import Configuration, DataShape, Task
from tenure.training.boosting import quickest_rate

_FEW_COLUMNS: Final = 40

_PLAIN: Final[dict[str, Any]] = {
    "num_leaves": 50,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.75,
    "feature_fraction": 1.0,
    "min_sum_hessian_in_leaf": 1e-7,
}
_PLAIN_REGRESSION: Final[dict[str, Any]] = {
    "num_leaves": 100,
    "min_data_in_leaf": 3,
    "bagging_fraction": 0.70,
    "feature_fraction": 1.0,
    "min_sum_hessian_in_leaf": 1e-7,
}


def _drawn(
    leaves: int,
    in_leaf: int,
    features: float,
    rows: float,
    l1: float,
    l2: float,
    category: tuple[float, float, int, int],
    *,
    random: bool = False,
) -> dict[str, Any]:
    """Return one drawn configuration; `category` is cat_l2, cat_smooth, max_cat_to_onehot, min_data_per_group."""
    cat_l2, cat_smooth, onehot, group = category
    return {
        "num_leaves": leaves,
        "min_data_in_leaf": in_leaf,
        "feature_fraction": features,
        "bagging_fraction": rows,
        "lambda_l1": l1,
        "lambda_l2": l2,
        "cat_l2": cat_l2,
        "cat_smooth": cat_smooth,
        "max_cat_to_onehot": onehot,
        "min_data_per_group": group,
        "extra_trees": random,
    }


_DRAWN: Final[dict[str, dict[str, Any]]] = {
    "random-39": _drawn(39, 3, 0.4622, 0.8769, 0.2375, 0.3552, (0.3418, 15.43, 16, 9), random=True),
    "additive": _drawn(2, 17, 0.5876, 0.8406, 0.0789, 0.7713, (0.9285, 0.0898, 16, 11)),
    "wide-84": _drawn(84, 3, 0.5280, 0.9784, 0.0269, 0.8375, (0.1553, 0.0093, 42, 75)),
    "small-20": _drawn(20, 2, 0.4251, 0.7112, 0.5141, 0.5134, (0.8679, 48.7, 16, 32)),
    "random-64": _drawn(64, 28, 0.5534, 0.9923, 0.9144, 1.9044, (0.0143, 1.866, 18, 54), random=True),
    "random-180": _drawn(180, 12, 0.4045, 0.9501, 0.7662, 1.604, (0.2159, 0.0638, 11, 3), random=True),
    "small-16": _drawn(16, 1, 0.5792, 0.9592, 0.9385, 0.9900, (1.896, 0.0215, 27, 39)),
    "random-8": _drawn(8, 15, 0.4248, 0.7215, 0.1130, 0.2623, (1.887, 0.0279, 9, 10), random=True),
}


def values(name: str, shape: DataShape) -> dict[str, Any]:
    """Return the parameters of a configuration; leaves need fewer rows where there are few.

    In time order trees see most columns, few columns all: a tree that lacks the column it needs takes what went along
    with it in the past (the month for the year), which goes wrong later.
    """
    plain = _PLAIN_REGRESSION if shape.task is Task.REGRESSION else _PLAIN
    params = plain if name == "plain" else _DRAWN[name]
    seen = params["feature_fraction"]
    if shape.in_time:
        seen = 1.0 if shape.features <= _FEW_COLUMNS else (1.0 + seen) / 2
    in_leaf = min(params["min_data_in_leaf"], max(shape.rows // 100, 1))
    return params | {"min_data_in_leaf": in_leaf, "feature_fraction": seen}


def proposal(family: str, name: str, shape: DataShape, *, rank: int) -> Configuration:
    """Return a family's configuration of that name, with a quick look at the quickest rate."""
    return Configuration(
        f"{family}-{name}", family, values(name, shape), rank=rank, look={"learning_rate": quickest_rate(shape.classes)}
    )
