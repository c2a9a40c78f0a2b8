"""One row by the compiled program, many rows by it, and a table: the same answers, bit for bit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.errors import SchemaChangedError
from tenure.core.modelling import Floats, Task
from tenure.model.bundle import write_bundle
from tenure.model.calendar import CALENDAR_PARTS
from tenure.model.correction import Correction
from tenure.model.design import LinearDesign
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval, ValueInterval
from tenure.model.members.catboost import CatBoostMember, catboost_library, catboost_rows
from tenure.model.members.constant import ConstantMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.linear import LinearMember
from tenure.model.members.mlp import MLPDesign, MLPMember
from tenure.model.members.own import OwnMember
from tenure.model.members.prepared import PreparedMember
from tenure.model.operation import Get, Numbers, Operation, Step
from tenure.model.operations import Calendar, Category, Difference, Elapsed, Frequency, Number, TargetMean, TextShape
from tenure.model.own.estimator import EstimatorModel
from tenure.model.plan import ColumnPlan
from tenure.model.preparation import Levels, Lookup, Output, Preparation, Table
from tenure.model.program import Answered, RowProgram
from tenure.model.scorer import ROW_BY_ROW, Scorer

World = Callable[[Task], Any]
every_task = pytest.mark.parametrize("task", list(Task))
CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("few", "many", "some"), Task.REGRESSION: ()}
PLAN = ColumnPlan(
    [
        Number("size"),
        Number("member", 0.0),
        Category("plan", ("basic", "max", "plus"), ("old",)),
        Frequency("plan", ("basic", "max"), (9, 4)),
        TargetMean("plan", ("basic", "plus"), np.array([[0.5], [0.2], [0.3]])),
        TextShape("note"),
        Calendar("seen", CALENDAR_PARTS),
        Elapsed("seen"),
        Difference("seen", "born"),
    ]
)
WIDTH = PLAN.width
CODES = [at for at, coded in enumerate(PLAN.categorical) if coded]


def a_matrix(rows: int = 300) -> Floats:
    rng = np.random.default_rng(5)
    matrix = np.round(rng.normal(size=(rows, WIDTH)), 1)
    matrix[:, 1] = rng.integers(0, 2, rows)
    matrix[:, 2] = rng.integers(0, 4, rows)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


def a_target(task: Task) -> Any:
    matrix = np.nan_to_num(a_matrix())
    signal = matrix[:, 0] + 0.5 * matrix[:, 2] + matrix[:, 0] * matrix[:, 9]
    if task is Task.REGRESSION:
        return signal
    return np.searchsorted(np.quantile(signal, np.linspace(0, 1, len(CLASSES[task]) + 1)[1:-1]), signal)


def trees_of(task: Task, matrix: Floats, *, seed: int) -> LightGBMMember:
    params: dict[str, Any] = {"objective": task.value, "verbosity": -1, "num_threads": 1, "num_leaves": 6, "seed": seed}
    if task is Task.MULTICLASS:
        params["num_class"] = 3
    params |= {"feature_fraction": 0.4, "min_data_in_leaf": 5}
    data = lgb.Dataset(matrix, a_target(task), categorical_feature=CODES, params={"verbosity": -1})
    return LightGBMMember(task, lgb.train(params, data, 6).model_to_string())


def a_prepared(task: Task, *, seed: int) -> PreparedMember:
    """Return trees on lookups by one and two levels, on pairs that overflow, and on quotients by zero."""
    rng = np.random.default_rng(seed)
    levels = Levels(np.array([2, 1]), np.array([0.0, 0.0]), np.array([4, 2]))
    tables = [Table(0, -1, np.arange(4 - seed)), Table(0, 1, np.array([0, 1, 4, 9])), Table(1, -1, np.array([0, 1]))]
    lookups = [Lookup(at, rng.normal(size=len(table.keys)), float(at)) for at, table in enumerate(tables)]
    outputs = [Output("", WIDTH, WIDTH), Output("", WIDTH + 1, WIDTH + 1), Output("/", 0, 1), Output("*", 0, 0)]
    outputs += [Output("-", 0, WIDTH + 2), Output("+", 9, 0), Output("/", 0, WIDTH + seed), Output("*", 0, 9 + seed)]
    preparation = Preparation.of(WIDTH, levels, tables, lookups, outputs)
    wide = np.hstack([a_matrix(), preparation.transform(a_matrix())])
    trees = trees_of(task, wide, seed=seed)
    used = np.array([WIDTH + at in trees.used for at in range(len(outputs))])
    return PreparedMember(preparation.narrowed(used), trees)


def a_linear(task: Task) -> LinearMember:
    design = LinearDesign.fit(a_matrix(), PLAN.categorical)
    outputs, rng = 3 if task is Task.MULTICLASS else 1, np.random.default_rng(1)
    return LinearMember(task, design, rng.normal(size=(design.width, outputs)), rng.normal(size=outputs))


def an_mlp(task: Task) -> MLPMember:
    design = MLPDesign.fit(a_matrix(), PLAN.categorical)
    numbers, outputs = len(design.number), 3 if task is Task.MULTICLASS else 1
    width = 4 * numbers + len(design.flag) + len(design.level_of)
    shapes = {"frequency": (numbers, 16), "phase": (numbers, 16), "mix": (numbers, 16, 3), "mix_bias": (numbers, 3)}
    shapes |= {"table": (0, 8), "weight_0": (width, 12), "bias_0": (12,), "weight_1": (12, outputs)}
    rng = np.random.default_rng(2)
    arrays = {name: rng.normal(size=shape) / 3 for name, shape in (shapes | {"bias_1": (outputs,)}).items()}
    return MLPMember(task, design, arrays)


class _Estimator:
    """An owner's estimator: the share of small numbers decides."""

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)

    def predict(self, table: Floats) -> Floats:
        answer: Floats = np.nanmean(np.tanh(table), axis=1)
        return answer

    def predict_proba(self, table: Floats) -> Floats:
        shares = np.exp(self.predict(table)[:, None] * (1.0 + self.classes_))
        answer: Floats = shares / shares.sum(axis=1, keepdims=True)
        return answer


def an_own(task: Task) -> OwnMember:
    classes = len(CLASSES[task])
    model = EstimatorModel(task, "here:Thing", _Estimator(classes), shares=[1 / max(classes, 1)] * classes, trust=())
    return OwnMember(model, classes=classes, design=LinearDesign.fit(a_matrix(), PLAN.categorical))


def a_catboost(task: Task) -> CatBoostMember:
    pytest.importorskip("catboost", reason="the extra catboost is not installed")
    library = catboost_library()
    kind = library.CatBoostRegressor if task is Task.REGRESSION else library.CatBoostClassifier
    pool = library.Pool(catboost_rows(a_matrix(), PLAN.categorical), a_target(task))
    model = kind(iterations=5, depth=3, verbose=False, allow_writing_files=False, thread_count=1, random_seed=0)
    return CatBoostMember(task, model.fit(pool), PLAN.categorical, threads=1)


def a_constant(task: Task) -> ConstantMember:
    return ConstantMember(
        task, [0.3] if task is Task.REGRESSION else np.full(len(CLASSES[task]), 1 / len(CLASSES[task]))
    )


TREES: tuple[Callable[[Task], Any], ...] = (
    lambda task: trees_of(task, a_matrix(), seed=0),
    lambda task: a_prepared(task, seed=1),
    lambda task: a_prepared(task, seed=2),
    a_constant,
)
OTHERS = (a_linear, an_mlp, an_own)
MIXES: dict[str, Sequence[Callable[[Task], Any]]] = {
    "trees": TREES,
    "prepared": TREES[1:2],
    "others": OTHERS,
    "all": (*TREES, *OTHERS),
    "catboost": (TREES[0], a_catboost),
}
AFTERWARDS: dict[str, dict[str, Any]] = {
    "plain": {"temperature": 1.0, "interval": None},
    "tempered": {"temperature": 1.7, "threshold": 0.4},
    "curved": {
        "temperature": 1.0,
        "curve": ProbabilityCurve((0.0, 0.4, 0.5, 0.5, 0.9), (0.05, 0.2, 0.4, 0.6, 0.9)),
        "probability_interval": ProbabilityInterval((0.3, 0.6), (0.1, 0.35, 0.7), (0.25, 0.55, 0.9)),
        "interval": ValueInterval((0.0, 0.5), (-1.0, -0.3, -2.0), (0.1, 2.0, 0.7)),
    },
}


@dataclass
class _Made:
    """Models that were made already: training one takes longer than asking it."""

    models: dict[tuple[Task, str], FittedModel]


MADE = _Made({})


def a_scorer(tiny_world: World, task: Task, mix: str, afterwards: str = "plain") -> Scorer:
    if (task, mix) not in MADE.models:
        kinds = MIXES[mix]
        weights = np.linspace(1, 2, len(kinds)) / np.linspace(1, 2, len(kinds)).sum()
        members = tuple(
            WeightedMember(f"m{at}", float(w), kind(task))
            for at, (w, kind) in enumerate(zip(weights, kinds, strict=True))
        )
        MADE.models[task, mix] = replace(tiny_world(task).model, plan=PLAN, members=members, threshold=None)
    changed = AFTERWARDS[afterwards]
    if task is Task.MULTICLASS:
        changed = {name: value for name, value in changed.items() if name in ("temperature", "interval")}
    return Scorer(replace(MADE.models[task, mix], **changed))


TIMES = st.datetimes(min_value=datetime.fromisoformat("0001-01-01"), max_value=datetime.fromisoformat("9999-12-31"))
DATES = st.one_of(
    st.none(),
    TIMES,
    TIMES.map(datetime.date),
    TIMES.map(lambda at: at.isoformat()[:19]),
    TIMES.map(lambda at: at.isoformat(" ", "milliseconds")),
    st.sampled_from(
        ["", " ", float("nan"), "2024-02-29", "2024-2-9", "2024-02-29T12:30:00Z", "2024-02-29 12:30+02:00"]
    ),
)
VALUES = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**400), 10**400),
    st.booleans(),
    st.text(),
    st.sampled_from([1e300, -1e300, 0.0, -0.0, 2**53, 2**63, "7", " 7.5 ", "nan", "inf", "1_0", "true"]),
    st.sampled_from(["basic", "plus", "old", "Basic", np.float32(0.5), np.int64(2), np.str_("max"), date(2024, 1, 1)]),
)
LIKELY = {
    "size": st.floats(-3, 3).map(lambda x: round(x, 1)) | st.integers(-3, 3),
    "member": st.booleans(),
    "plan": st.sampled_from(["basic", "plus", "max", "old"]),
    "note": st.sampled_from(["ok", "Bad SERVICE!", "12 calls"]),
}
ROWS = st.fixed_dictionaries(
    {}, optional={name: likely | VALUES for name, likely in LIKELY.items()} | {"seen": DATES, "born": DATES}
)
COLUMNS = (*LIKELY, "seen", "born")


def numbers(answers: Sequence[Answered]) -> Floats:
    rows = [
        (*one.probabilities, *((one.prediction,) if not one.probabilities else ()), one.low, one.high)
        for one in answers
    ]
    return np.array(rows, dtype=np.float64)


def of_table(scorer: Scorer, rows: Sequence[dict[str, Any]]) -> tuple[list[Any], Floats]:
    """Return the labels and numbers of the same rows as one table, whose columns hold anything."""
    frame = pl.DataFrame([pl.Series(name, [row.get(name) for row in rows], dtype=pl.Object) for name in COLUMNS])
    scored = scorer.score(frame)
    said = scored.probabilities if scored.values is None else scored.values[:, None]
    assert said is not None
    ends = [np.full(len(rows), np.nan) if end is None else end for end in (scored.low, scored.high)]
    return scored.labels or said[:, 0].tolist(), np.column_stack([said, *ends])


@every_task
@pytest.mark.parametrize("mix", sorted(MIXES))
@pytest.mark.parametrize("afterwards", sorted(AFTERWARDS))
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_a_row_rows_and_a_table_get_the_same_bits(
    tiny_world: World, task: Task, mix: str, afterwards: str, data: st.DataObject
) -> None:
    scorer = a_scorer(tiny_world, task, mix, afterwards)
    rows = data.draw(st.lists(ROWS, min_size=1, max_size=6))
    alone = [scorer.answer(row) for row in rows]
    labels, expected = of_table(scorer, rows)
    np.testing.assert_array_equal(numbers(alone), expected)
    assert [one.prediction for one in alone] == labels
    assert scorer.answers(rows) == alone
    many = rows * (ROW_BY_ROW // len(rows) + 1)
    assert scorer.answers(many) == alone * (ROW_BY_ROW // len(rows) + 1)
    np.testing.assert_array_equal(numbers(scorer.answers(many))[: len(rows)], expected)


@every_task
def test_a_model_of_no_columns_answers_too(tiny_world: World, task: Task) -> None:
    members = (WeightedMember("mean", 1.0, a_constant(task)),)
    scorer = Scorer(replace(tiny_world(task).model, plan=ColumnPlan([]), members=members))
    alone = scorer.answer({})
    assert scorer.answers([{}] * 99) == [alone] * 99
    np.testing.assert_array_equal(numbers([alone])[0], of_table(scorer, [{}])[1][0])


def test_prepared_features_that_no_split_reads_are_left_out(tiny_world: World) -> None:
    prepared = a_prepared(Task.BINARY, seed=1)
    wide = np.hstack([a_matrix(), np.zeros((300, prepared.preparation.width))])
    trees = trees_of(Task.BINARY, wide, seed=3)
    nothing = prepared.preparation.narrowed(np.zeros(prepared.preparation.width, dtype=np.bool_))
    for preparation in (prepared.preparation, nothing):
        members = (WeightedMember("trees", 1.0, PreparedMember(preparation, trees)),)
        scorer = Scorer(replace(tiny_world(Task.BINARY).model, plan=PLAN, members=members))
        rows = [{"size": 0.5, "plan": "max"}, {"plan": "plus", "seen": "2024-01-02"}, {}]
        np.testing.assert_array_equal(numbers(scorer.answers(rows)), of_table(scorer, rows)[1])


@every_task
def test_an_answer_holds_nothing_of_numpy(tiny_world: World, task: Task) -> None:
    scorer = a_scorer(tiny_world, task, "all", "curved")
    for one in (scorer.answer({}), *scorer.answers([{}] * (ROW_BY_ROW + 1))):
        assert type(one.prediction) in (str, float)
        assert {type(part) for part in (*one.probabilities, one.low, one.high)} <= {float, type(None)}
    assert scorer.answers([]) == []


def test_threads_do_not_disturb_each_other(tiny_world: World) -> None:
    scorer = a_scorer(tiny_world, Task.BINARY, "all", "tempered")
    rows = [{"size": at / 7, "plan": ["basic", "plus", "max"][at % 3], "seen": "2024-05-06"} for at in range(400)]
    expected = [scorer.answer(row) for row in rows]
    start = threading.Barrier(4)

    def answered(_: int) -> list[Answered]:
        start.wait()
        return [scorer.answer(row) for row in rows]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(answered, range(4))) == [expected] * 4


@pytest.mark.parametrize("mix", ["trees", "others"])
def test_what_is_no_date_is_refused_by_every_way(tiny_world: World, mix: str) -> None:
    scorer = a_scorer(tiny_world, Task.BINARY, mix)
    for ask in (scorer.answer, scorer.score_row, lambda row: scorer.answers([row] * 99)):
        with pytest.raises(SchemaChangedError, match="'born' holds 'soon'"):
            ask({"born": "soon"})


def test_a_date_column_that_no_number_is_made_of_must_hold_dates_too(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    members = (WeightedMember("mean", 1.0, ConstantMember(Task.REGRESSION, [1.0])),)
    scorer = Scorer(replace(world.model, plan=ColumnPlan([Number("size")]), members=members))
    assert scorer.answer({"seen": "2024-01-01"}).prediction == 1.0
    with pytest.raises(SchemaChangedError, match="'seen' holds 7"):
        scorer.answer({"seen": 7})


@dataclass(frozen=True)
class _Refusing(Operation):
    """An operation that must not run."""

    op: ClassVar[str] = "refusing"

    def encode(self, frame: pl.DataFrame) -> Floats:
        return np.zeros((frame.height, 1))

    def step(self, at: int) -> Step:
        def step(get: Get, numbers: Numbers) -> None:
            raise AssertionError("nobody reads this number")

        return step


def test_only_numbers_that_some_member_reads_are_worked_out(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    plan = ColumnPlan([Number("size"), _Refusing("note")])
    matrix = np.column_stack([np.arange(100.0), np.zeros(100)])
    data = lgb.Dataset(matrix, np.arange(100.0), params={"verbosity": -1})
    trees = lgb.train({"objective": "regression", "verbosity": -1, "num_threads": 1}, data, 3)
    member = LightGBMMember(Task.REGRESSION, trees.model_to_string())
    model = replace(world.model, plan=plan, members=(WeightedMember("trees", 1.0, member),))
    assert RowProgram(model).raw({"size": 4}) == tuple(member.predict(np.array([[4.0, 0.0]])).tolist())
    line = LinearMember(Task.REGRESSION, LinearDesign.fit(matrix, (False, False)), np.ones(1), np.zeros(1))
    with pytest.raises(AssertionError, match="nobody reads"):
        RowProgram(replace(model, members=(WeightedMember("line", 1.0, line),))).raw({"size": 4})


@pytest.mark.parametrize("linear", [False, True])
def test_features_that_no_split_and_no_leaf_reads_change_nothing(linear: bool) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(500, 6))
    matrix[:, 5] = 0.0
    params = {"objective": "regression", "verbosity": -1, "num_threads": 1, "num_leaves": 4, "linear_tree": linear}
    data = lgb.Dataset(matrix, matrix[:, 0] + matrix[:, 1] ** 2, params={"verbosity": -1, "linear_tree": linear})
    member = LightGBMMember(Task.REGRESSION, lgb.train(params, data, 3).model_to_string())
    unread = [at for at in range(6) if at not in member.used]
    assert 5 in unread
    assert {0, 1} <= set(member.used)
    other = matrix.copy()
    other[:, unread] = rng.normal(size=(500, len(unread)))
    np.testing.assert_array_equal(member.predict(other), member.predict(matrix))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), min_size=1),
)
def test_a_curve_runs_straight_between_its_knots(knots: list[tuple[float, float]], stated: list[float]) -> None:
    at, value = (sorted(part) for part in zip(*knots, strict=True))
    curve = ProbabilityCurve(tuple(dict.fromkeys(at)), tuple(value[: len(set(at))]))
    table = curve(np.column_stack([1.0 - np.array(stated), stated]))[:, 1]
    assert [curve.of_one(p) for p in stated] == table.tolist()
    np.testing.assert_allclose(table, np.interp(stated, curve.at, curve.value), rtol=1e-12, atol=1e-12)


@every_task
def test_a_corrected_answer_is_the_same_for_a_row_and_a_table(tiny_world: World, task: Task, tmp_path: Path) -> None:
    world = tiny_world(task)
    offsets = (0.0,) if task is Task.REGRESSION else (0.0, 0.7, -0.4)[: len(world.model.classes)]
    model = replace(world.model, correction=Correction(1.3, (*offsets,)), temperature=1.2)
    scorer = Scorer(model)
    whole = scorer.raw(world.frame)
    rows = world.frame.to_dicts()
    each = np.array([scorer._program.raw(row) for row in rows])
    np.testing.assert_array_equal(each, whole.reshape(len(whole), -1))
    assert not np.allclose(whole, Scorer(world.model).raw(world.frame))
    write_bundle(model, tmp_path, sample=world.frame)
    again = Scorer.load(tmp_path)
    assert again.model.correction == model.correction
    np.testing.assert_array_equal(again.raw(world.frame), whole)
