from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.errors import SchemaChangedError
from tenure.core.modelling import Task
from tenure.model.bundle import WeightedMember
from tenure.model.correction import Correction
from tenure.model.fitted import tempered
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval, ValueInterval
from tenure.model.members.constant import ConstantMember
from tenure.model.scorer import Scorer

World = Callable[[Task], Any]
every_task = pytest.mark.parametrize("task", list(Task))


@every_task
def test_one_row_scores_bit_for_bit_like_the_table(tiny_world: World, task: Task) -> None:
    world = tiny_world(task)
    scorer = Scorer(world.model)
    table = scorer.score(world.frame)
    for at, row in enumerate(world.frame.iter_rows(named=True)):
        one = scorer.score_row(row)
        for name in ("probabilities", "values", "low", "high"):
            whole, single = getattr(table, name), getattr(one, name)
            assert (whole is None) == (single is None)
            if whole is not None:
                np.testing.assert_array_equal(single[0], whole[at])
        assert table.labels is None or one.labels == [table.labels[at]]


def test_the_threshold_decides_the_label(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    scored = Scorer(world.model).score(world.frame)
    assert scored.probabilities is not None
    assert scored.labels == ["yes" if p >= 0.4 else "no" for p in scored.probabilities[:, 1]]


def test_answers_become_a_table(tiny_world: World) -> None:
    for task, columns in (
        (Task.BINARY, ["id", "prediction", "probability", "version"]),
        (
            Task.MULTICLASS,
            ["id", "prediction", "probability_few", "probability_many", "probability_some", "version"],
        ),
        (Task.REGRESSION, ["id", "prediction", "interval_low", "interval_high", "version"]),
    ):
        world = tiny_world(task)
        made = Scorer(world.model).score(world.frame).to_frame(world.model, version="v3", key=world.frame["id"])
        assert made.columns == columns
        assert made.height == world.frame.height
        assert made["version"].unique().to_list() == ["v3"]


def test_intervals_surround_values_by_the_stored_offsets(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    scored = Scorer(world.model).score(world.frame)
    np.testing.assert_allclose(scored.low, scored.values - 2)
    np.testing.assert_allclose(scored.high, scored.values + 3)
    without = Scorer(replace(world.model, interval=None)).score(world.frame)
    assert without.low is None
    assert without.to_frame(world.model, version="v1").columns == ["prediction", "version"]


SURE = ProbabilityInterval((0.3, 0.6), (0.1, 0.35, 0.7), (0.25, 0.55, 0.9))


def test_intervals_follow_the_value(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    values = Scorer(world.model).raw(world.frame)
    edge = float(np.median(values))
    model = replace(world.model, interval=ValueInterval((edge,), (-1.0, -5.0), (2.0, 7.0)))
    scored = Scorer(model).score(world.frame)
    assert scored.low is not None
    assert scored.high is not None
    np.testing.assert_array_equal(scored.low, np.where(values < edge, values - 1, values - 5))
    np.testing.assert_array_equal(scored.high, np.where(values < edge, values + 2, values + 7))
    for at, row in enumerate(world.frame.head(30).iter_rows(named=True)):
        one = Scorer(model).score_row(row)
        assert (one.low, one.high) == (scored.low[at], scored.high[at])


def test_a_probability_says_how_sure_it_is(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    curve = ProbabilityCurve((0.0, 0.5, 1.0), (0.05, 0.3, 0.9))
    model = replace(world.model, probability_interval=SURE, curve=curve)
    scored = Scorer(model).score(world.frame)
    plain = Scorer(world.model).raw(world.frame)
    assert scored.probabilities is not None
    assert scored.low is not None
    assert scored.high is not None
    stated = scored.probabilities[:, 1]
    np.testing.assert_allclose(stated, np.interp(plain[:, 1], curve.at, curve.value))
    assert ((scored.low <= stated) & (stated <= scored.high)).all()
    assert scored.to_frame(model, version="v1").columns == [
        "prediction", "probability", "probability_low", "probability_high", "version",
    ]  # fmt: skip
    for at, row in enumerate(world.frame.head(30).iter_rows(named=True)):
        one = Scorer(model).score_row(row)
        assert (one.low, one.high) == (scored.low[at], scored.high[at])
        np.testing.assert_array_equal(one.probabilities[0], scored.probabilities[at])  # type: ignore[index]


def test_missing_columns_are_named_with_a_near_miss(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    scorer = Scorer(world.model)
    scorer.check_columns([*world.frame.columns, "more"])
    renamed = world.frame.rename({"size": "sise"}).drop("born")
    for ask in (scorer.score, scorer.raw, scorer.explain):
        with pytest.raises(SchemaChangedError, match="2 columns that the model reads: 'size', 'born'") as caught:
            ask(renamed)
        assert "'sise'" in caught.value.hint


def test_the_target_and_the_key_need_not_be_there(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    scorer = Scorer(world.model)
    np.testing.assert_array_equal(scorer.raw(world.frame.drop("id", "target")), scorer.raw(world.frame))


@every_task
def test_explanations_name_source_columns_and_find_the_strong_one(tiny_world: World, task: Task) -> None:
    world = tiny_world(task)
    explained = Scorer(world.model).explain(world.frame)
    assert explained.columns == ["size", "member", "plan", "note", "seen", "base"]
    strength = explained.drop("base").select(pl.all().abs().mean()).row(0, named=True)
    assert max(strength, key=strength.__getitem__) == "size"


def test_explanations_of_values_add_up(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    scorer = Scorer(world.model)
    np.testing.assert_allclose(scorer.explain(world.frame).sum_horizontal(), scorer.raw(world.frame), rtol=1e-9)


def test_explanations_of_corrected_answers_add_up(tiny_world: World) -> None:
    world = tiny_world(Task.REGRESSION)
    scorer = Scorer(replace(world.model, correction=Correction(1.5, (-20.0,))))
    np.testing.assert_allclose(scorer.explain(world.frame).sum_horizontal(), scorer.raw(world.frame), rtol=1e-9)
    binary = tiny_world(Task.BINARY)
    plain, moved = (
        Scorer(replace(binary.model, correction=correction)).explain(binary.frame).sum_horizontal().to_numpy()
        for correction in (None, Correction(2.0, (0.5, -0.25)))
    )
    np.testing.assert_allclose(moved, 2.0 * plain - 0.75)


def test_explanations_follow_the_answer(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    scorer = Scorer(world.model)
    total = scorer.explain(world.frame).sum_horizontal().to_numpy()
    probability = scorer.raw(world.frame)[:, 1]
    assert np.corrcoef(total, np.log(probability / (1 - probability)))[0, 1] > 0.95


def test_a_constant_model_explains_nothing_but_its_base(tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    model = replace(
        world.model, members=(WeightedMember("mean", 1.0, ConstantMember(Task.BINARY, [0.75, 0.25])),), temperature=1.0
    )
    explained = Scorer(model).explain(world.frame.head(3))
    assert explained.drop("base").sum_horizontal().to_list() == [0.0] * 3
    assert explained["base"][0] == pytest.approx(math.log(1 / 3))


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20), st.floats(0.2, 5))
def test_temperature_keeps_order_and_sums(shares: list[float], temperature: float) -> None:
    probabilities = np.array([[1 - share, share] for share in shares])
    cooled = tempered(probabilities, temperature)
    np.testing.assert_allclose(cooled.sum(axis=1), 1.0)
    in_order = cooled[np.argsort(probabilities[:, 1]), 1]
    assert (np.diff(in_order) >= -1e-12).all()  # two shares one bit apart may change places
    expected = np.log(probabilities[:, 1] / probabilities[:, 0]) / temperature
    np.testing.assert_allclose(np.log(cooled[:, 1] / cooled[:, 0]), expected, atol=1e-9)


def test_a_temperature_of_one_changes_nothing() -> None:
    probabilities = np.array([[0.1, 0.9]])
    assert tempered(probabilities, 1.0) is probabilities


def test_an_empty_table_gives_no_answers(tiny_world: World) -> None:
    for task in Task:
        world = tiny_world(task)
        scored = Scorer(world.model).score(world.frame.clear())
        assert scored.to_frame(world.model, version="v1").height == 0
        assert Scorer(world.model).explain(world.frame.clear()).height == 0
