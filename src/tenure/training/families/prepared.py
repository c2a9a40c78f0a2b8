"""LightGBM on prepared features: pairs of numbers, numbers against their group, mean outcomes by category.

Some configurations do without mean outcomes. Those helped much where codes carry the signal (sales by store and
department), and hurt where rows are few or outcomes drift, so the race decides.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import lightgbm as lgb

from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.prepared import PreparedMember
from tenure.model.preparation import Preparation
from tenure.training.boosting import Sets, binned_columns, binned_rows, boost, widened
from tenure.training.features.prepare import MOST_CLASSES, Recipe, choose_recipe, fit_preparation
from tenure.training.portfolio import proposal

_RANKS: Final = {
    ("random-64", True): 33,
    ("plain", False): 36,
    ("wide-84", True): 45,
    ("random-39", False): 55,
    ("small-16", True): 65,
    ("random-8", False): 75,
}
"""By the portfolio's name, and whether mean outcomes are among the features."""
_ENCODE: Final = "outcomes"
"""The parameter that is not LightGBM's: whether mean outcomes are among the features."""
_MOST_ROWS: Final = 1_000_000
_KEPT_ROWS: Final = 8_000_000
"""Training rows whose preparation is kept for the next configuration, over all folds."""


@dataclass(eq=False)
class _Fold:
    """What is prepared of one fold's training rows, empty until first asked for.

    `made` holds the preparation and the binned prepared columns, with and without mean outcomes.
    """

    rows: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    recipe: Recipe | None = None
    made: dict[bool, tuple[Preparation, lgb.Dataset]] = field(default_factory=dict)


@dataclass(eq=False)
class _Folds:
    """The folds of a problem, by training rows and seed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[str, _Fold] = field(default_factory=dict)


class PreparedFamily:
    """Boosted trees that read prepared columns besides the encoded ones."""

    name: ClassVar[str] = "prepared"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task), seeded=True)

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose a part of the portfolio, unless the rows are too many to hold more columns of.

        Very many classes have no mean outcomes, and no time for more than a few configurations.
        """
        if shape.rows > _MOST_ROWS:
            return ()
        told = shape.classes <= MOST_CLASSES
        chosen = {named: rank for named, rank in _RANKS.items() if told or not named[1]}
        return tuple(_proposal(name, shape, encode=encode, rank=rank) for (name, encode), rank in chosen.items())

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
        """Prepare the fold once, then boost until the validated loss stops falling or `rounds` are done.

        Nothing is fitted where there is nothing to prepare, or where preparing took all the time.
        """
        if deadline.left == 0:
            return None
        params = {name: value for name, value in configuration.params.items() if name != _ENCODE}
        preparation, columns = _prepared(problem, train, encode=configuration.params[_ENCODE])
        if deadline.left == 0 or not preparation.width:
            return None
        checked = None
        if valid is not None:
            more = binned_columns(problem, valid, preparation.transform(problem.matrix[valid]), like=columns)
            checked = widened(binned_rows(problem, valid), more)
        sets = Sets(widened(binned_rows(problem, train), columns), checked, len(train))
        grown = boost(replace(configuration, params=params), problem, sets, rounds=rounds, deadline=deadline)
        trees = LightGBMMember(problem.task, grown.text, threads=problem.threads)
        member = PreparedMember(preparation.narrowed(grown.splits[len(problem.names) :] > 0), trees)
        return Fitted(member, grown.rounds, chosen={"learning_rate": grown.rate}, leaves=grown.leaves)


def _proposal(name: str, shape: DataShape, *, encode: bool, rank: int) -> Configuration:
    found = proposal(PreparedFamily.name, name, shape, rank=rank)
    named = f"{found.name}-{_ENCODE}" if encode else found.name
    return replace(found, name=named, params=found.params | {_ENCODE: encode})


def _prepared(problem: Problem, train: Indices, *, encode: bool) -> tuple[Preparation, lgb.Dataset]:
    """Return a fold's preparation and the binned prepared columns of its training rows, made at the first call."""
    folds: _Folds = problem.shared.setdefault(PreparedFamily.name, _Folds())
    name = f"{problem.seed}-{hashlib.sha256(train.tobytes()).hexdigest()}"
    with folds.lock:
        fold = folds.known.setdefault(name, _Fold(len(train)))
        while len(folds.known) > 1 and sum(kept.rows for kept in folds.known.values()) > _KEPT_ROWS:
            del folds.known[next(iter(folds.known))]
    with fold.lock:
        if fold.recipe is None:
            fold.recipe = choose_recipe(problem, train)
        if encode not in fold.made:
            recipe = fold.recipe if encode else replace(fold.recipe, encoded=())
            preparation, columns = fit_preparation(recipe, problem, train)
            fold.made[encode] = preparation, binned_columns(problem, train, columns)
        return fold.made[encode]
