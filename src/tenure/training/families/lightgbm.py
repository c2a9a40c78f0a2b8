"""LightGBM: several unlike configurations on one binned data set, each with a learning rate that fits its time.

Values of the portfolio: methods.md 1.2; learning rate from the time slot and patience: methods.md 1.4.
LightGBM keeps one thread setting for the whole process, and unlike settings in two threads crash it, so every call
here passes `problem.threads`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

import lightgbm as lgb
import numpy as np

from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.lightgbm import LightGBMMember

_OBJECTIVES: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "l2"}
_RATES: Final = (0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.15)
_MOST_ROUNDS: Final = 10_000
_LOOK_EVERY: Final = 5
_PROBE_ROUNDS: Final = 3
_FEWEST_ROUNDS: Final = 60
"""Rows are sampled where the time allows fewer rounds than this."""
_FEWEST_ROWS: Final = 10_000

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


_PORTFOLIO: Final[tuple[tuple[str, int, dict[str, Any]], ...]] = (
    ("random-39", 20, _drawn(39, 3, 0.4622, 0.8769, 0.2375, 0.3552, (0.3418, 15.43, 16, 9), random=True)),
    ("additive", 50, _drawn(2, 17, 0.5876, 0.8406, 0.0789, 0.7713, (0.9285, 0.0898, 16, 11))),
    ("wide-84", 40, _drawn(84, 3, 0.5280, 0.9784, 0.0269, 0.8375, (0.1553, 0.0093, 42, 75))),
    ("small-20", 60, _drawn(20, 2, 0.4251, 0.7112, 0.5141, 0.5134, (0.8679, 48.7, 16, 32))),
    ("random-64", 70, _drawn(64, 28, 0.5534, 0.9923, 0.9144, 1.9044, (0.0143, 1.866, 18, 54), random=True)),
    ("random-180", 80, _drawn(180, 12, 0.4045, 0.9501, 0.7662, 1.604, (0.2159, 0.0638, 11, 3), random=True)),
    ("small-16", 90, _drawn(16, 1, 0.5792, 0.9592, 0.9385, 0.9900, (1.896, 0.0215, 27, 39))),
    ("random-8", 100, _drawn(8, 15, 0.4248, 0.7215, 0.1130, 0.2623, (1.887, 0.0279, 9, 10), random=True)),
)


@dataclass
class _Shared:
    """What all fits of one problem share: the binned data, and the cost and learning rate of each configuration."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    binned: lgb.Dataset | None = None
    pace: dict[str, float] = field(default_factory=dict)
    """Seconds a round and training row."""
    rates: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    """The most that a fit so far needed, as a share of the rounds first assumed."""


class LightGBMFamily:
    """Boosted trees."""

    name: ClassVar[str] = "lightgbm"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose the portfolio; leaves need fewer rows where there are few.

        The first proposal learns fast: it is a good model early, and shows how many rounds the others will need. The
        last ones repeat the most useful with another seed.
        """
        plain = _PLAIN_REGRESSION if shape.task is Task.REGRESSION else _PLAIN
        portfolio = {name: params for name, _, params in _PORTFOLIO}
        proposals = (
            ("quick", 15, plain | {"learning_rate": _RATES[-1]}),
            ("plain", 30, plain),
            *_PORTFOLIO,
            ("plain-again", 110, plain | {"extra_seed": 1}),
            ("wide-84-again", 120, portfolio["wide-84"] | {"extra_seed": 1}),
            ("random-39-again", 130, portfolio["random-39"] | {"extra_seed": 1}),
        )
        few = max(shape.rows // 100, 1)
        return tuple(
            Configuration(
                f"lightgbm-{name}",
                self.name,
                params | {"min_data_in_leaf": min(params["min_data_in_leaf"], few)},
                rank=rank,
            )
            for name, rank, params in proposals
        )

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
        shared: _Shared = problem.shared.setdefault(self.name, _Shared())
        with shared.lock:
            if deadline.left == 0:
                return None
            binned = _binned(shared, problem)
            rate = _settle(shared, configuration, problem, binned, train, rounds, deadline)
        train = _affordable(train, shared.pace.get(configuration.name, 0.0), rounds, problem.seed, deadline)
        booster = _booster(configuration, problem, binned, train, rate)
        kept, done = _boost(booster, valid, binned, rate=rate, rounds=rounds, deadline=deadline)
        if valid is not None:
            with shared.lock:
                shared.longest = max(shared.longest, done * rate / _rounds_at_one(configuration))
        text = booster.model_to_string(num_iteration=kept)
        leaves = sum(int(line[11:]) for line in text.splitlines() if line.startswith("num_leaves="))
        member = LightGBMMember(problem.task, text, threads=problem.threads)
        return Fitted(member, kept, chosen={"learning_rate": rate}, leaves=leaves)


def _binned(shared: _Shared, problem: Problem) -> lgb.Dataset:
    """Return the binned data of all rows, made at the first call."""
    if shared.binned is None:
        params = {
            "verbosity": -1,
            "max_bin": 255,
            "feature_pre_filter": False,
            "num_threads": problem.threads,
            "data_random_seed": problem.seed,
        }
        shared.binned = lgb.Dataset(
            problem.matrix,
            label=problem.target,
            weight=problem.weight,
            categorical_feature=[at for at, is_category in enumerate(problem.categorical) if is_category],
            params=params,
        ).construct()
    return shared.binned


def _settle(
    shared: _Shared,
    configuration: Configuration,
    problem: Problem,
    binned: lgb.Dataset,
    train: Indices,
    rounds: int | None,
    deadline: Deadline,
) -> float:
    """Return the configuration's learning rate, settled once: the smallest whose rounds fit the time of this fit.

    A fit of fixed rounds takes what was settled, or the largest, and settles nothing.
    The time a round takes is measured on the spot, because it depends on columns, bins, classes and other programs.
    """
    name = configuration.name
    if rounds is not None:
        return shared.rates.get(name, _RATES[-1])
    if name not in shared.rates:
        probe = _booster(configuration, problem, binned, train, _RATES[-1])
        before, done = deadline.left, 0
        while done < _PROBE_ROUNDS and not deadline.passed:
            probe.update()
            done += 1
        seconds = (before - deadline.left) / max(done, 1)
        shared.pace[name] = seconds / len(train)
        needed = _rounds_at_one(configuration) * (shared.longest or 1.0) * seconds / max(deadline.left, 1e-3)
        slowest_enough = next((rate for rate in _RATES if rate >= needed), _RATES[-1])
        shared.rates[name] = configuration.params.get("learning_rate", slowest_enough)
    return shared.rates[name]


def _rounds_at_one(configuration: Configuration) -> float:
    """Return the rounds that a configuration is first assumed to need at a learning rate of 1."""
    return 100.0 if configuration.params["num_leaves"] <= 8 else 40.0


def _affordable(train: Indices, pace: float, rounds: int | None, seed: int, deadline: Deadline) -> Indices:
    """Return the training rows, sampled where the time would not allow the fewest rounds on all of them."""
    wanted = min(rounds or _FEWEST_ROUNDS, _FEWEST_ROUNDS)
    most = max(int(deadline.left / max(pace * wanted, 1e-12)), _FEWEST_ROWS)
    if len(train) <= most:
        return train
    return np.sort(np.random.default_rng(seed).choice(train, most, replace=False))


def _booster(
    configuration: Configuration, problem: Problem, binned: lgb.Dataset, train: Indices, rate: float
) -> lgb.Booster:
    given = {name: value for name, value in configuration.params.items() if name != "extra_seed"}
    params = given | {
        "objective": _OBJECTIVES[problem.task],
        "learning_rate": rate,
        "bagging_freq": 1,
        "seed": problem.seed + configuration.params.get("extra_seed", 0),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": problem.threads,
        "verbosity": -1,
    }
    if problem.task is Task.MULTICLASS:
        params["num_class"] = problem.classes
    return lgb.Booster(params, binned.subset(cast("list[int]", train)))


def _boost(
    booster: lgb.Booster,
    valid: Indices | None,
    binned: lgb.Dataset,
    *,
    rate: float,
    rounds: int | None,
    deadline: Deadline,
) -> tuple[int, int]:
    """Grow the booster and return how many rounds to keep, and how many were done."""
    if valid is not None:
        booster.add_valid(binned.subset(cast("list[int]", valid)), "valid")
    best, best_round, done = np.inf, 0, 0
    going = True
    while going:
        finished = booster.update()
        done += 1
        going = not (finished or deadline.passed or done >= (rounds or _MOST_ROUNDS))
        if valid is None or (going and done % _LOOK_EVERY):
            continue
        loss = booster.eval_valid()[0][2]
        if loss < best:
            best, best_round = loss, done
        patience = float(np.clip(0.25 * best_round + 20, 3 / rate, 8 / rate))
        going = going and done - best_round <= patience
    return (done if valid is None else best_round), done
