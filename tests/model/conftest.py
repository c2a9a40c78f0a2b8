"""A tiny trained model of each task, made by hand: LightGBM and linear members on a mixed table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.modelling import Floats, Task
from tenure.model.bundle import FittedModel, WeightedMember
from tenure.model.design import LinearDesign
from tenure.model.intervals import ValueInterval
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.linear import LinearMember
from tenure.model.operations import Calendar, Category, Difference, Number, TextShape
from tenure.model.plan import ColumnPlan
from tenure.model.target import encode_target

CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("few", "many", "some"), Task.REGRESSION: ()}


@dataclass(frozen=True)
class TinyWorld:
    """A table, and a model fitted on it."""

    frame: pl.DataFrame
    model: FittedModel


def tiny_frame(task: Task, rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    size = rng.normal(size=rows)
    if task is Task.REGRESSION:
        target: pl.Series = pl.Series(100 + 10 * size)
    else:
        cuts = np.quantile(size, np.linspace(0, 1, len(CLASSES[task]) + 1)[1:-1])
        target = pl.Series([CLASSES[task][code] for code in np.searchsorted(cuts, size)])
    start = pl.datetime(2025, 1, 1) + pl.duration(hours=pl.int_range(rows) * 11)
    return pl.DataFrame(
        {
            "id": [f"r{at}" for at in range(rows)],
            "size": pl.Series(np.where(rng.random(rows) < 0.1, np.nan, size)).fill_nan(None),
            "member": rng.random(rows) < 0.5,
            "plan": rng.choice(["basic", "plus", "max"], rows),
            "note": rng.choice(["ok", "Bad SERVICE!", "12 calls"], rows),
            "target": target,
        }
    ).with_columns(seen=start, born=pl.date(1990, 1, 1) + pl.duration(days=pl.int_range(rows) % 97))


def tiny_schema() -> Schema:
    return Schema(
        (
            Column("id", "String", Kind.CATEGORICAL, Role.KEY),
            Column("size", "Float64", Kind.NUMERIC),
            Column("member", "Boolean", Kind.BOOLEAN),
            Column("plan", "String", Kind.CATEGORICAL),
            Column("note", "String", Kind.TEXT),
            Column("target", "String", Kind.CATEGORICAL, Role.TARGET),
            Column("seen", "Datetime", Kind.DATETIME, Role.TIME),
            Column("born", "Date", Kind.DATETIME),
        )
    )


def _boosted(task: Task, matrix: Floats, target: Floats, categorical: list[int]) -> LightGBMMember:
    params = {"objective": task.value, "verbosity": -1, "num_threads": 1, "num_leaves": 8, "seed": 1}
    if task is Task.MULTICLASS:
        params["num_class"] = 3
    data = lgb.Dataset(matrix, target, categorical_feature=categorical, params={"verbosity": -1})
    return LightGBMMember(task, lgb.train(params, data, 10).model_to_string(), threads=1)


def _linear(task: Task, matrix: Floats, target: Floats, categorical: tuple[bool, ...]) -> LinearMember:
    design = LinearDesign.fit(matrix, categorical)
    wanted = target[:, None] if task is not Task.MULTICLASS else np.eye(3)[target.astype(int)]
    columns = np.column_stack([design.transform(matrix), np.ones(len(matrix))])
    solved = np.linalg.lstsq(columns.T @ columns + 0.1 * np.eye(columns.shape[1]), columns.T @ wanted, rcond=None)[0]
    limits = LinearMember.limits_of(target) if task is Task.REGRESSION else None
    return LinearMember(task, design, solved[:-1], solved[-1], limits=limits)


@pytest.fixture(scope="session")
def tiny_world() -> Callable[[Task], TinyWorld]:
    """Return a function that gives the table and the fitted model of a task."""
    made: dict[Task, TinyWorld] = {}

    def make(task: Task) -> TinyWorld:
        if task not in made:
            frame = tiny_frame(task)
            plan = ColumnPlan(
                [
                    Number("size"),
                    Number("member"),
                    Category("plan", ("basic", "max", "plus")),
                    TextShape("note"),
                    Calendar("seen", ("weekday", "hour")),
                    Difference("seen", "born"),
                ]
            )
            matrix = plan.encode(frame)
            target = encode_target(frame["target"], task, CLASSES[task])
            codes = [at for at, coded in enumerate(plan.categorical) if coded]
            members = (
                WeightedMember("trees", 0.75, _boosted(task, matrix, target, codes)),
                WeightedMember("line", 0.25, _linear(task, matrix, target, plan.categorical)),
            )
            rule = ColumnRule("size", Kind.NUMERIC, Role.FEATURE, "Float64", True, 0.1, 0.2, low=-5.0, high=5.0)
            made[task] = TinyWorld(
                frame,
                FittedModel(
                    task=task,
                    classes=CLASSES[task],
                    target="target",
                    schema=tiny_schema(),
                    contract=Contract((rule,), frame.height),
                    plan=plan,
                    members=members,
                    temperature=1.3 if task.is_classification else 1.0,
                    threshold=0.4 if task is Task.BINARY else None,
                    threshold_reason="costs" if task is Task.BINARY else "",
                    interval=ValueInterval.constant(-2.0, 3.0) if task is Task.REGRESSION else None,
                    metric="log_loss" if task.is_classification else "rmse",
                    key="id",
                    time="seen",
                ),
            )
        return made[task]

    return make
