"""Models of the owner's own: what they get, what they must show before the race, and what they may take."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from training_worlds import planted

from tenure.core.errors import ConfigError, ExtraMissingError
from tenure.core.modelling import Task
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.core.project import OwnSection
from tenure.testing.contracts.families import family_contract, tiny_problem
from tenure.training.families.own import OwnFamily
from tenure.training.own.estimators import Pace

TREE = "sklearn.tree._tree.Tree"
ROWS = np.arange(600)
# NumPy 2 warns about PyTorch's tensors, which Keras copies.
keras_copies = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Shares(ClassifierMixin, BaseEstimator):
    """Say the classes' shares; remember what came in."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Shares:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = np.array(
            [np.sum(sample_weight[y == c]) for c in self.classes_] if sample_weight is not None else counts
        )
        self.shares_ = self.shares_ / self.shares_.sum()
        self.gaps_ = int(np.isnan(X).sum())
        self.shape_ = list(X.shape)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.shares_, (len(X), 1))


class Unweighted(Shares):
    """Take no weights."""

    def fit(self, X: Any, y: Any) -> Unweighted:  # type: ignore[override]
        super().fit(X, y)
        return self


class Slow(RegressorMixin, BaseEstimator):
    """Move a clock by the square of the rows, and remember how many there were."""

    now = 0.0
    fits: list[int] = []  # noqa: RUF012  # shared on purpose: the test reads it

    def fit(self, X: Any, y: Any) -> Slow:
        Slow.now += (len(X) / 1000) ** 2
        Slow.fits.append(len(X))
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


class Broken(Shares):
    def fit(self, X: Any, y: Any) -> Broken:  # type: ignore[override]
        raise RuntimeError("the moon is full")


class Unstorable(Shares):
    def fit(self, X: Any, y: Any) -> Unstorable:  # type: ignore[override]
        self.secret_ = (i for i in range(3))
        super().fit(X, y)
        return self


class Nowhere(Shares):
    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), len(self.classes_)), np.nan)


def make_pipeline(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline as pipeline
    from sklearn.preprocessing import StandardScaler

    return pipeline(StandardScaler(), LogisticRegression(C=strength))


def own(path: str, **more: Any) -> OwnSection:
    return OwnSection(name="mine", path=path, **more)


def here(kind: type | str, **more: Any) -> OwnSection:
    name = kind if isinstance(kind, str) else kind.__name__
    return own(f"{__name__}:{name}", trust=[f"{__name__}.{name}"], **more)


def fit(model: OwnSection, problem: Problem, deadline: Deadline, **more: Any) -> Fitted:
    family = OwnFamily([model])
    configuration = family.configurations(problem.shape)[0]
    fitted = family.fit(configuration, problem, ROWS, None, rounds=None, deadline=deadline, **more)
    assert fitted is not None
    return fitted


def refused(model: OwnSection, problem: Problem) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        OwnFamily([model]).rehearse(problem)
    assert caught.value.hint
    return caught.value


# ---- the same promises as ours ----

FORESTS = [
    OwnSection(name=name, path=f"sklearn.ensemble:{kind}", params={"n_estimators": 10}, trust=[TREE], input=form)
    for name, kind, form in (
        ("trees", "ExtraTreesClassifier", "numbers"),
        ("values", "ExtraTreesRegressor", "encoded"),
    )
]


@pytest.mark.parametrize(("name", "promise"), [pytest.param(*p, id=p[0]) for p in family_contract(OwnFamily(FORESTS))])
def test_estimators_keep_the_promises_of_a_family(name: str, promise: Callable[[], None]) -> None:
    pytest.importorskip("skops", reason="the extra own is not installed")
    promise()


TORCH = """
    import torch


    class Net(torch.nn.Module):
        def __init__(self, *, inputs, outputs, width=16):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(inputs, width), torch.nn.BatchNorm1d(width), torch.nn.ReLU(),
                torch.nn.Dropout(0.1), torch.nn.Linear(width, outputs),
            )

        def forward(self, rows):
            return self.layers(rows)
"""
KERAS = """
    import keras


    def net(*, inputs, outputs, width=16):
        dense = keras.layers.Dense
        return keras.Sequential([keras.Input((inputs,)), dense(width, activation="relu"), dense(outputs)])
"""
PROMISES = {
    "torch": ("same_seed", "answers_in", "obeys", "beats", "members_keep"),
    "keras": ("same_seed", "beats", "members_keep"),
}


def network(kind: str, folder: Path) -> OwnFamily:
    """Write a module with a network into a folder, and return the family that finds it there."""
    pytest.importorskip("torch", reason="torch is not installed")  # Keras counts on it here
    pytest.importorskip(kind, reason=f"{kind} is not installed")
    path = {"torch": "own_torch_net:Net", "keras": "own_keras_net:net"}[kind]
    text = {"torch": TORCH, "keras": KERAS}[kind]
    (folder / f"own_{kind}_net.py").write_text(textwrap.dedent(text))
    model = own(path, kind=kind, trust=[path.replace(":", ".")], learning_rate=0.01, epochs=40)
    return OwnFamily([model], folder)


@keras_copies
@pytest.mark.parametrize("kind", ["torch", pytest.param("keras", marks=pytest.mark.slow)])
def test_networks_keep_the_promises_of_a_family(
    kind: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    family = network(kind, tmp_path_factory.mktemp("nets"))
    task = Task.MULTICLASS if kind == "torch" else Task.BINARY
    family.rehearse(tiny_problem(task))  # and import the library outside of the promises' deadlines
    kept = 0
    for name, promise in family_contract(family):
        if name.endswith(task.value) and name.startswith(PROMISES[kind]):
            promise()
            kept += 1
    assert kept == len(PROMISES[kind])


def test_a_network_learns_values_in_their_own_units(tmp_path: Path, plenty: Deadline) -> None:
    problem, family = planted(Task.REGRESSION), network("torch", tmp_path)
    chosen = family.configurations(problem.shape)[0]
    fitted = family.fit(chosen, problem, ROWS[:400], ROWS[400:], rounds=None, deadline=plenty)
    assert fitted is not None
    assert fitted.rounds
    errors = fitted.member.predict(problem.matrix[400:]) - problem.target[400:]
    assert np.std(errors) < 0.8 * np.std(problem.target)


# ---- what it gets ----


def test_seed_and_threads_are_given_where_the_class_takes_them_and_the_owner_did_not(plenty: Deadline) -> None:
    problem = planted(Task.BINARY, seed=5)
    inner = fit(FORESTS[0], problem, plenty).member.model._estimator
    assert (inner.random_state, inner.n_jobs, inner.n_estimators) == (5, 1, 10)
    told = FORESTS[0].model_copy(update={"params": {"n_estimators": 2, "random_state": 9}})
    assert fit(told, problem, plenty).member.model._estimator.random_state == 9


def test_a_function_that_makes_a_pipeline_will_do_and_needs_no_trust(plenty: Deadline) -> None:
    pytest.importorskip("skops", reason="the extra own is not installed")
    model = own(f"{__name__}:make_pipeline", params={"strength": 0.1})
    OwnFamily([model]).rehearse(planted(Task.MULTICLASS))
    assert fit(model, planted(Task.MULTICLASS), plenty).member.predict(np.full((1, 4), np.nan)).shape == (1, 4)


@pytest.mark.parametrize(("form", "gaps", "width"), [("numbers", False, None), ("encoded", True, 4)])
def test_numbers_come_without_gaps_and_the_encoded_matrix_as_it_is(
    form: str, gaps: bool, width: int | None, plenty: Deadline
) -> None:
    inner = fit(here(Shares, input=form), planted(Task.BINARY), plenty).member.model._estimator
    assert (inner.gaps_ > 0) == gaps
    assert width is None or inner.shape_[1] == width


@pytest.mark.parametrize("kind", [Shares, Unweighted])
def test_weights_count_whether_or_not_the_estimator_takes_them(kind: type, plenty: Deadline) -> None:
    problem = planted(Task.BINARY, rows=600)
    weight = np.where(problem.target == 1, 3.0, 1.0)
    weighted = Problem(
        **{n: getattr(problem, n) for n in ("task", "classes", "matrix", "names", "categorical", "target")},
        weight=weight,
    )
    said = fit(here(kind), weighted, plenty).member.predict(problem.matrix[:1])[0, 1]
    assert said == pytest.approx(weight[problem.target == 1].sum() / weight.sum(), abs=0.04)


def test_a_class_that_no_training_row_has_keeps_its_place(plenty: Deadline) -> None:
    problem = planted(Task.MULTICLASS)
    family = OwnFamily([here(Shares)])
    rows = np.flatnonzero(problem.target != 1)
    fitted = family.fit(family.configurations(problem.shape)[0], problem, rows, None, rounds=None, deadline=plenty)
    assert fitted is not None
    said = fitted.member.predict(problem.matrix[:2])
    assert said.shape == (2, 4)
    assert (said[:, 1] > 0).all()
    assert (said[:, 1] < 0.001).all()


# ---- what it must show before the race ----


def test_types_that_nobody_trusts_are_named_with_what_to_write() -> None:
    pytest.importorskip("skops", reason="the extra own is not installed")
    error = refused(own("sklearn.ensemble:ExtraTreesClassifier", params={"n_estimators": 2}), planted(Task.BINARY))
    assert error.exit_code == 2
    assert f'trust = ["{TREE}"]' in error.hint
    error = refused(own(f"{__name__}:Shares"), planted(Task.BINARY))
    assert f'trust = ["{__name__}.Shares"]' in error.hint


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (own("sklearn.linear_model:Ridge"), "cannot answer a binary task"),
        (own("sklearn.linear_model:RidgeClassifier"), "cannot answer a binary task"),
        (own("sklearn.linear_model:NoSuchThing"), "no class or function"),
        (own("no_such_module:Thing"), "No module named"),
        (own("sklearn.naive_bayes:GaussianNB", params={"depth": 3}), "depth"),
        (here(Broken), "the moon is full"),
        (here(Unstorable), "cannot be stored as data"),
    ],
)
def test_what_cannot_work_says_so_before_the_race(model: OwnSection, says: str) -> None:
    pytest.importorskip("skops", reason="the extra own is not installed")
    assert says in refused(model, planted(Task.BINARY)).message


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_answers_that_are_no_numbers_are_refused() -> None:
    pytest.importorskip("skops", reason="the extra own is not installed")
    assert "NaN" in refused(here(Nowhere), planted(Task.BINARY)).message


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ExtraMissingError, match="'own'"):
        OwnFamily([here(Shares)]).rehearse(planted(Task.BINARY))


def test_only_models_that_can_answer_the_task_are_proposed() -> None:
    family = OwnFamily(FORESTS)
    assert [c.name for c in family.configurations(planted(Task.BINARY).shape)] == ["own-trees"]
    assert [c.name for c in family.configurations(planted(Task.REGRESSION).shape)] == ["own-values"]
    assert OwnFamily().configurations(planted(Task.BINARY).shape) == ()


# ---- what it may take ----


@pytest.mark.parametrize(("seconds", "all_rows"), [(1e6, True), (2.0, False)])
def test_an_estimator_learns_from_as_many_rows_as_the_time_is_sure_to_allow(seconds: float, all_rows: bool) -> None:
    Slow.fits.clear()
    rows = 20_000
    problem = planted(Task.REGRESSION, rows=rows)
    family = OwnFamily([here(Slow)])
    deadline = Deadline(seconds, lambda: Slow.now)
    chosen = family.configurations(problem.shape)[0]
    assert family.fit(chosen, problem, np.arange(rows), None, rounds=None, deadline=deadline) is not None
    assert (Slow.fits[-1] == rows) == all_rows
    assert Slow.fits == sorted(Slow.fits)
    assert not deadline.passed


def test_too_little_time_for_any_fit_gives_nothing() -> None:
    problem, family = planted(Task.REGRESSION, rows=5000), OwnFamily([here(Slow)])
    chosen = family.configurations(problem.shape)[0]
    family.fit(chosen, problem, np.arange(5000), None, rounds=None, deadline=Deadline(20.0, lambda: Slow.now))
    short = Deadline(0.001, lambda: Slow.now)
    assert family.fit(chosen, problem, np.arange(5000), None, rounds=None, deadline=short) is None


def test_without_a_clock_there_is_one_fit_on_all_rows() -> None:
    Slow.fits.clear()
    fit(here(Slow), planted(Task.REGRESSION), Deadline(inf, time.monotonic))
    assert Slow.fits == [600]


def test_the_pace_is_read_from_the_two_largest_fits() -> None:
    pace = Pace()
    for rows in (250, 2000, 4000):
        pace.saw(rows, rows**2 / 1e6)
    assert 6000 < pace.rows_within(64.0) < 8000  # 64 s are just enough for 8,000
    assert pace.rows_within(1e9) == 8 * 4000
