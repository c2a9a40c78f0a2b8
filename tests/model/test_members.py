from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.errors import BundleError, ExtraMissingError
from tenure.core.modelling import Floats, Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Member
from tenure.model import boosters
from tenure.model.boosters import Booster
from tenure.model.design import LinearDesign
from tenure.model.members.catboost import CatBoostMember, catboost_library, catboost_rows
from tenure.model.members.constant import ConstantMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.linear import LinearMember
from tenure.model.members.mlp import MLPDesign, MLPMember
from tenure.model.members.prepared import PreparedMember
from tenure.model.preparation import Levels, Lookup, Output, Preparation, Table

CATEGORICAL = (False, False, True, False)
CLASSES = {Task.BINARY: 2, Task.MULTICLASS: 4, Task.REGRESSION: 1}


def a_matrix(rows: int = 300, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [rng.normal(size=rows), rng.exponential(size=rows), rng.integers(0, 5, rows), np.full(rows, 3.0)]
    ).astype(np.float64)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


def a_target(task: Task, matrix: Floats) -> Any:
    signal = np.nan_to_num(matrix[:, 0]) + 0.3 * np.nan_to_num(matrix[:, 2])
    if task is Task.REGRESSION:
        return signal
    cuts = np.quantile(signal, np.linspace(0, 1, CLASSES[task] + 1)[1:-1])
    return np.searchsorted(cuts, signal)


def a_constant(task: Task) -> ConstantMember:
    return ConstantMember(task, [2.5] if task is Task.REGRESSION else np.full(CLASSES[task], 1 / CLASSES[task]))


def a_linear(task: Task) -> LinearMember:
    design = LinearDesign.fit(a_matrix(), CATEGORICAL)
    outputs = CLASSES[task] if task is Task.MULTICLASS else 1
    rng = np.random.default_rng(1)
    limits = LinearMember.limits_of(np.array([-1.0, 2.0])) if task is Task.REGRESSION else None
    return LinearMember(task, design, rng.normal(size=(design.width, outputs)), rng.normal(size=outputs), limits=limits)


def an_mlp(task: Task) -> MLPMember:
    design = MLPDesign.fit(a_matrix(), CATEGORICAL)
    numbers, outputs = len(design.number), CLASSES[task] if task is Task.MULTICLASS else 1
    width = 4 * numbers + len(design.flag) + len(design.level_of)
    rng = np.random.default_rng(2)
    shapes = {
        "frequency": (numbers, 16),
        "phase": (numbers, 16),
        "mix": (numbers, 16, 3),
        "mix_bias": (numbers, 3),
        "table": (0, 8),
        "weight_0": (width, 12),
        "bias_0": (12,),
        "weight_1": (12, outputs),
        "bias_1": (outputs,),
    }
    return MLPMember(task, design, {name: rng.normal(size=shape) / 3 for name, shape in shapes.items()})


def a_booster(task: Task) -> lgb.Booster:
    matrix = a_matrix()
    objective: dict[str, Any] = {"objective": task.value, "verbosity": -1, "num_threads": 1, "num_leaves": 7}
    if task is Task.MULTICLASS:
        objective["num_class"] = CLASSES[task]
    data = lgb.Dataset(matrix, a_target(task, matrix), categorical_feature=[2], params={"verbosity": -1})
    return lgb.train(objective, data, num_boost_round=8)


def a_lightgbm(task: Task) -> LightGBMMember:
    return LightGBMMember(task, a_booster(task).model_to_string(), threads=1)


def a_prepared(task: Task) -> PreparedMember:
    levels = Levels(np.array([2]), np.array([0.0]), np.array([5]))
    known = [Table(0, -1, np.arange(4))], [Lookup(0, np.array([0.5, 0.1, 0.9, 0.3]), 0.4)]
    preparation = Preparation.of(4, levels, *known, [Output("", 4, 4), Output("/", 0, 1), Output("-", 0, 4)])
    matrix = a_matrix()
    objective: dict[str, Any] = {"objective": task.value, "verbosity": -1, "num_threads": 1, "num_leaves": 7}
    if task is Task.MULTICLASS:
        objective["num_class"] = CLASSES[task]
    wide = np.hstack([matrix, preparation.transform(matrix)])
    data = lgb.Dataset(wide, a_target(task, matrix), categorical_feature=[2], params={"verbosity": -1})
    trees = lgb.train(objective, data, num_boost_round=8).model_to_string()
    return PreparedMember(preparation, LightGBMMember(task, trees, threads=1))


def a_catboost(task: Task) -> CatBoostMember:
    library = catboost_library()
    matrix = a_matrix()
    kind = library.CatBoostRegressor if task is Task.REGRESSION else library.CatBoostClassifier
    pool = library.Pool(catboost_rows(matrix, CATEGORICAL), a_target(task, matrix))
    model = kind(iterations=8, depth=3, verbose=False, allow_writing_files=False, thread_count=1, random_seed=0)
    return CatBoostMember(task, model.fit(pool), CATEGORICAL, threads=1)


MEMBERS: dict[str, Callable[[Task], Member]] = {
    "constant": a_constant,
    "linear": a_linear,
    "lightgbm": a_lightgbm,
    "catboost": a_catboost,
    "mlp": an_mlp,
    "prepared": a_prepared,
}
every_member = pytest.mark.parametrize("kind", sorted(MEMBERS))
every_task = pytest.mark.parametrize("task", list(Task))


def test_every_kind_of_member_is_found_by_its_file_name() -> None:
    assert plugin_names("member") == tuple(sorted([*MEMBERS, "own"]))  # for own see test_own_member.py
    for kind in MEMBERS:
        assert plugin("member", kind).kind == kind


@every_member
@every_task
def test_answers_have_the_shape_of_the_task(kind: str, task: Task) -> None:
    answer = MEMBERS[kind](task).predict(a_matrix(20))
    if task is Task.REGRESSION:
        assert answer.shape == (20,)
    else:
        assert answer.shape == (20, CLASSES[task])
        np.testing.assert_allclose(answer.sum(axis=1), 1.0)


@every_member
@every_task
def test_one_row_and_a_table_give_the_same_bits(kind: str, task: Task) -> None:
    member, matrix = MEMBERS[kind](task), a_matrix(60, seed=3)
    matrix[5] = np.nan
    matrix[6] = 1e12
    table = member.predict(matrix)
    for at in range(len(matrix)):
        np.testing.assert_array_equal(member.predict(matrix[at : at + 1])[0], table[at])


@every_member
@every_task
def test_a_member_survives_its_files_and_writes_the_same_bytes_again(kind: str, task: Task, tmp_path: Path) -> None:
    member, matrix = MEMBERS[kind](task), a_matrix(40, seed=4)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    spec = json.loads(json.dumps(member.save(first, "00")))
    again = type(member).load(first, spec)
    np.testing.assert_array_equal(again.predict(matrix), member.predict(matrix))
    assert again.save(second, "00") == spec
    assert all(path.name.startswith("00") for path in first.iterdir())
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}


@every_member
@every_task
def test_two_equal_trainings_write_the_same_bytes(kind: str, task: Task, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        MEMBERS[kind](task).save(tmp_path / name, "00")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@every_member
@every_task
def test_contributions_add_up_to_the_raw_score(kind: str, task: Task) -> None:
    member, matrix = MEMBERS[kind](task), a_matrix(30, seed=5)
    if isinstance(member, LinearMember):
        member.limits = None
    shares = member.contributions(matrix)  # type: ignore[attr-defined]
    answer, raw = member.predict(matrix), shares.sum(axis=1)
    if task is Task.REGRESSION:
        np.testing.assert_allclose(raw[:, 0], answer, rtol=1e-6, atol=1e-6)
    elif task is Task.BINARY:
        np.testing.assert_allclose(raw[:, 0], np.log(answer[:, 1] / answer[:, 0]), rtol=1e-6, atol=1e-6)
    else:
        margins = np.log(answer)
        np.testing.assert_allclose(
            raw - raw.mean(axis=1, keepdims=True), margins - margins.mean(axis=1, keepdims=True), rtol=1e-5, atol=1e-5
        )


@every_task
def test_the_c_library_answers_like_the_python_package(task: Task) -> None:
    booster, matrix = a_booster(task), a_matrix(100, seed=6)
    ours = Booster(booster.model_to_string(), threads=1)
    np.testing.assert_array_equal(ours.predict(matrix).squeeze(), booster.predict(matrix, num_threads=1))
    shares = booster.predict(matrix, pred_contrib=True, num_threads=1)
    np.testing.assert_array_equal(ours.contributions(matrix).reshape(100, -1), shares)


def test_damaged_trees_are_refused_in_words() -> None:
    with pytest.raises(BundleError) as caught:
        Booster("tree\nversion=v4\nnonsense")
    assert caught.value.hint


def test_a_library_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(ExtraMissingError, match="'catboost'"):
        catboost_library()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissingError, match="LightGBM"):
        boosters._library.__wrapped__()


def test_catboost_takes_codes_alone_or_numbers_alone() -> None:
    codes = catboost_rows(np.array([[0.0, np.nan], [3.0, 1.0]]), (True, True))
    assert codes.get_cat_feature_count() == 2
    assert catboost_rows(np.array([[0.5], [np.nan]]), (False,)).get_num_feature_count() == 1


def test_threads_share_one_booster() -> None:
    member, matrix = a_lightgbm(Task.BINARY), a_matrix(16, seed=7)
    expected = member.predict(matrix)
    wrong: list[int] = []

    def ask(at: int) -> None:
        answers = (member.predict(matrix[at : at + 1])[0] for _ in range(200))
        wrong.extend(at for answer in answers if not np.array_equal(answer, expected[at]))

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**31))
@settings(max_examples=30)
def test_the_linear_sum_does_not_depend_on_how_many_rows_come_together(width: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(200, width))
    design = LinearDesign.fit(matrix, (False,) * width)
    member = LinearMember(Task.MULTICLASS, design, rng.normal(size=(design.width, 3)), rng.normal(size=3))
    alone = np.vstack([member.predict(matrix[at : at + 1]) for at in range(rows)])
    np.testing.assert_array_equal(member.predict(matrix[:rows]), alone)
    np.testing.assert_array_equal(member.predict(np.asfortranarray(matrix[:rows])), alone)


def test_linear_values_stay_within_their_limits() -> None:
    member = a_linear(Task.REGRESSION)
    assert member.limits == (-1.3, 2.3)
    extreme = np.array([[1e9, 1e9, 0, 0], [-1e9, -1e9, 1, 0]])
    assert ((member.predict(extreme) >= -1.3) & (member.predict(extreme) <= 2.3)).all()
