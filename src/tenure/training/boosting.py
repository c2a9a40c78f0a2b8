"""Boosts trees with LightGBM: one binned data set a problem, learning rates that fit the time, and early stopping.

Learning rate from the time slot and patience: methods.md 1.4. LightGBM keeps one thread setting for the whole process,
and unlike settings in two threads crash it, so every call here passes `problem.threads`.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, cast

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Configuration, Floats, Indices, Task
from tenure.core.ports import Deadline, Problem

_OBJECTIVES: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "l2"}
_RATES: Final = (0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.15, 0.30)
_QUICKEST_RATE: Final = 0.15
_QUICKEST_RATE_OF_MANY: Final = 0.30
"""A round of many classes grows many trees, so fewer rounds have to do."""
_MANY_CLASSES: Final = 8
_TIMELESS_RATE: Final = 0.05
"""What is used where no clock may be looked at."""
_MOST_ROUNDS: Final = 10_000
_LOOK_EVERY: Final = 5
_PROBE_ROUNDS: Final = 3
_FEWEST_ROUNDS: Final = 60
"""Rows are sampled where the time allows fewer rounds than this."""
_FEWEST_ROWS: Final = 10_000
_merging = threading.Lock()


@dataclass
class _Shared:
    """What all fits of one problem share: the binned data, and the cost and learning rate of each configuration."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    binned: lgb.Dataset | None = None
    pace: dict[str, float] = field(default_factory=dict)
    """Seconds a round and training row."""
    rates: dict[str, float] = field(default_factory=dict)
    rounds_at_one: dict[str, float] = field(default_factory=dict)
    """The most rounds that a fit so far needed, times its learning rate, by configuration."""


@dataclass(frozen=True, eq=False)
class Sets:
    """The binned rows to learn from, and those that stop the learning early."""

    train: lgb.Dataset
    valid: lgb.Dataset | None
    rows: int


@dataclass(frozen=True, eq=False)
class Boosted:
    """A grown ensemble: its model text, the rounds kept, how it was grown, and how often each column split."""

    text: str
    rounds: int
    rate: float
    leaves: int
    splits: NDArray[np.int64]


def quickest_rate(classes: int) -> float:
    """Return the largest learning rate in use for so many classes."""
    return _QUICKEST_RATE_OF_MANY if classes > _MANY_CLASSES else _QUICKEST_RATE


def binned_rows(problem: Problem, rows: Indices) -> lgb.Dataset:
    """Return some rows of the problem's binned data, which are binned at the first call."""
    shared = _shared(problem)
    with shared.lock:
        if shared.binned is None:
            shared.binned = lgb.Dataset(
                problem.matrix,
                label=problem.target,
                weight=problem.weight,
                categorical_feature=[at for at, is_category in enumerate(problem.categorical) if is_category],
                params=_binning(problem),
            ).construct()
    return _part(shared.binned, rows)


def _part(binned: lgb.Dataset, rows: Indices) -> lgb.Dataset:
    """Return some rows; they stay an array, of which LightGBM's own way makes a list of objects, 40 bytes a row."""
    part = binned.subset([])
    part.used_indices = cast("list[int]", np.sort(rows).astype(np.int32))
    return part


def binned_columns(problem: Problem, rows: Indices, columns: Floats, *, like: lgb.Dataset | None = None) -> lgb.Dataset:
    """Return more columns of some rows, binned by themselves or `like` others.

    They are not bundled: LightGBM bundles only the first of two alike data sets, and then takes them for unlike.
    """
    params = _binning(problem) | {"enable_bundle": False}
    return lgb.Dataset(columns, label=problem.target[rows], reference=like, params=params).construct()


def widened(rows: lgb.Dataset, columns: lgb.Dataset) -> lgb.Dataset:
    """Add binned columns to binned rows, which keep their bins and categories.

    LightGBM warns that its Python object forgets which columns are categories; the bins, which training reads, do not.
    """
    with _merging, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return rows.construct().add_features_from(columns)


def boost(
    configuration: Configuration, problem: Problem, sets: Sets, *, rounds: int | None, deadline: Deadline
) -> Boosted:
    """Boost until the validated loss stops falling, `rounds` are done, or the time is up.

    Without a clock (`deadline.left` is infinite) the learning rate is fixed, and no rows are left out.
    """
    shared = _shared(problem)
    with shared.lock:
        rate = _settle(shared, configuration, problem, sets, rounds, deadline)
    train = _affordable(sets, shared.pace.get(configuration.name, 0.0), rounds, problem.seed, deadline)
    booster = _booster(configuration, problem, train, rate)
    kept, done = _grow(booster, sets.valid, rate=rate, rounds=rounds, deadline=deadline)
    if sets.valid is not None and kept < done:
        with shared.lock:
            known = shared.rounds_at_one.get(_like(configuration), 0.0)
            shared.rounds_at_one[_like(configuration)] = max(known, done * rate)
    text = booster.model_to_string(num_iteration=kept)
    leaves = sum(int(line[11:]) for line in text.splitlines() if line.startswith("num_leaves="))
    splits = np.asarray(booster.feature_importance("split", iteration=kept), dtype=np.int64)
    return Boosted(text, kept, rate, leaves, splits)


def _shared(problem: Problem) -> _Shared:
    shared: _Shared = problem.shared.setdefault("boosting", _Shared())
    return shared


def _binning(problem: Problem) -> dict[str, Any]:
    return {
        "verbosity": -1,
        "max_bin": 255,
        "feature_pre_filter": False,
        "num_threads": problem.threads,
        "data_random_seed": problem.seed,
    }


def _settle(
    shared: _Shared,
    configuration: Configuration,
    problem: Problem,
    sets: Sets,
    rounds: int | None,
    deadline: Deadline,
) -> float:
    """Return the configuration's learning rate, settled once: the smallest whose rounds fit the time of this fit.

    A fit of fixed rounds takes what was settled, or the largest, and settles nothing.
    The time a round takes is measured on the spot, because it depends on columns, bins, classes and other programs.
    """
    name, quickest = configuration.name, quickest_rate(problem.classes)
    if deadline.left == inf:
        return float(configuration.params.get("learning_rate", _TIMELESS_RATE))
    if rounds is not None:
        return shared.rates.get(name, quickest)
    if name not in shared.rates:
        probe = _booster(configuration, problem, sets.train, quickest)
        before, done = deadline.left, 0
        while done < _PROBE_ROUNDS and not deadline.passed:
            probe.update()
            done += 1
        seconds = (before - deadline.left) / max(done, 1)
        shared.pace[name] = seconds / sets.rows
        wanted = shared.rounds_at_one.get(_like(configuration)) or _rounds_at_one(configuration)
        needed = wanted * seconds / max(deadline.left, 1e-3)
        slowest_enough = next((rate for rate in _RATES if rate >= min(needed, quickest)), quickest)
        shared.rates[name] = configuration.params.get("learning_rate", slowest_enough)
    return shared.rates[name]


def _like(configuration: Configuration) -> str:
    return configuration.like or configuration.name


def _rounds_at_one(configuration: Configuration) -> float:
    """Return the rounds that a configuration is first assumed to need at a learning rate of 1."""
    return 100.0 if configuration.params["num_leaves"] <= 8 else 40.0


def _affordable(sets: Sets, pace: float, rounds: int | None, seed: int, deadline: Deadline) -> lgb.Dataset:
    """Return the training rows, sampled where the time would not allow the fewest rounds on all of them."""
    wanted = min(rounds or _FEWEST_ROUNDS, _FEWEST_ROUNDS)
    most = max(deadline.left / max(pace * wanted, 1e-12), _FEWEST_ROWS)
    if sets.rows <= most:
        return sets.train
    return _part(sets.train.construct(), np.random.default_rng(seed).choice(sets.rows, int(most), replace=False))


def _booster(configuration: Configuration, problem: Problem, train: lgb.Dataset, rate: float) -> lgb.Booster:
    params = configuration.params | {
        "objective": _OBJECTIVES[problem.task],
        "learning_rate": rate,
        "bagging_freq": 1,
        "seed": problem.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": problem.threads,
        "verbosity": -1,
    }
    if problem.task is Task.MULTICLASS:
        params["num_class"] = problem.classes
    return lgb.Booster(params, train)


def _grow(
    booster: lgb.Booster, valid: lgb.Dataset | None, *, rate: float, rounds: int | None, deadline: Deadline
) -> tuple[int, int]:
    """Grow the booster and return how many rounds to keep, and how many were done."""
    if valid is not None:
        booster.add_valid(valid, "valid")
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
