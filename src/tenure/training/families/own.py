"""Models of the owner's own, named in the project file by import path: raced, gated, stored and served like ours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from tenure.core.errors import ConfigError
from tenure.core.modelling import Configuration, DataShape, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.core.project import OwnSection
from tenure.model.members.own import OwnMember
from tenure.model.own.code import look_in
from tenure.training.own.estimators import Pace, answers, build, fit_estimator, refuse_wrong_kind
from tenure.training.own.lesson import Lesson, design_of, in_random_order
from tenure.training.own.networks import fit_network

_RANK: Final = 20
"""After the first quick learner of ours: the owner asked for it, so it shall have its turn."""
_REHEARSED_ROWS: Final = 200


class OwnFamily:
    """Estimators with scikit-learn's methods, PyTorch modules and Keras models of the owner's.

    `folder` is where modules are looked for besides what is installed.
    """

    name: ClassVar[str] = "own"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def __init__(self, models: Sequence[OwnSection] = (), folder: Path | None = None) -> None:
        self._models = {f"{self.name}-{own.name}": own for own in models}
        self._paces = {name: Pace() for name in self._models}
        if folder is not None:
            look_in(folder)

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose each model that can answer the task.

        Raises:
            ConfigError: the owner's code is not there or fails.
        """
        return tuple(
            Configuration(name, self.name, {"path": own.path} | own.params, rank=_RANK)
            for name, own in self._models.items()
            if own.kind != "estimator" or answers(build(own, seed=0, threads=1), shape.task)
        )

    def rehearse(self, problem: Problem) -> None:
        """Let every model learn from 200 rows and be stored and read again, so that what cannot work says so early.

        Raises:
            ConfigError: the owner's code fails, cannot answer the task, cannot be stored, or is not trusted by name.
            ExtraMissingError: a package that a model needs is not installed.
        """
        rows = np.random.default_rng(problem.seed).permutation(len(problem.target))
        rows = rows[np.argsort(_seen_before(problem.target[rows]), kind="stable")] if problem.classes else rows
        for name, own in self._models.items():
            if own.kind == "estimator" and not answers(build(own, seed=0, threads=1), problem.task):
                raise refuse_wrong_kind(own, problem.task)
            fitted = self._fit(name, own, problem, np.sort(rows[:_REHEARSED_ROWS]), None, 1, _no_clock())
            if fitted is not None:
                _store_and_read(own, fitted.member, problem)

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
        """Let the owner's model learn; an estimator from as many rows as the time is sure to allow.

        Raises:
            ConfigError: the owner's code failed.
        """
        if deadline.passed:
            return None
        own = self._models[configuration.name]
        return self._fit(configuration.name, own, problem, train, valid, rounds, deadline)

    def _fit(
        self,
        name: str,
        own: OwnSection,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        rows = in_random_order(train, len(problem.names), problem.seed)
        design = design_of(own, problem, rows)
        if design is not None:
            if not design.width:
                return None
            rows = in_random_order(rows, design.width, problem.seed)
        lesson = Lesson.of(problem, design, rows)
        sizes: dict[str, Any] = {"task": problem.task, "classes": problem.classes, "deadline": deadline}
        if own.kind == "estimator":
            model = fit_estimator(
                own,
                lesson,
                make=lambda: build(own, seed=problem.seed, threads=problem.threads),
                pace=self._paces[name],
                **sizes,
            )
            return None if model is None else Fitted(OwnMember(model, classes=problem.classes, design=design))
        checked = None if valid is None else Lesson.of(problem, design, valid)
        found = fit_network(own, lesson, checked, seed=problem.seed, rounds=rounds, **sizes)
        if found is None:
            return None
        network, epochs = found
        return Fitted(OwnMember(network, classes=problem.classes, design=design), epochs)


def _seen_before(codes: Any) -> Indices:
    """Return how often each code stood earlier in the array: sorted by it, every class comes among the first rows."""
    counts: dict[int, int] = {}
    seen = np.empty(len(codes), dtype=np.int64)
    for at, code in enumerate(codes.tolist()):
        seen[at] = counts.get(code, 0)
        counts[code] = seen[at] + 1
    return seen


def _no_clock() -> Deadline:
    return Deadline(inf, lambda: 0.0)


def _store_and_read(own: OwnSection, member: Any, problem: Problem) -> None:
    """Refuse a model that answers with what is no number, or otherwise after it was stored and read."""
    rows = problem.matrix[:50]
    said = member.predict(rows)
    with tempfile.TemporaryDirectory(prefix="tenure-own-") as folder:
        again = OwnMember.load(Path(folder), member.save(Path(folder), "own")).predict(rows)
    if np.isfinite(said).all() and np.allclose(said, again, rtol=1e-9, atol=1e-12):
        return
    wrong = "gives other answers after it was stored and read" if np.isfinite(said).all() else "answers with NaN"
    raise ConfigError(
        f"{own.path} {wrong}.",
        where=f"training.own: {own.name}",
        hint="Keep all that it learned in its attributes (or weights), and answer every row with numbers.",
    )
