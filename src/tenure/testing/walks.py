"""A small honest model on a world, without any room: what checks, gates and releases need to be tried out.

Three folds of a small boosted model; the model in the bundle is the bag of the three, as in a real walk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Kind, Schema, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.metrics import DEFAULT_METRIC, metric_named
from tenure.core.modelling import Floats, Importance, Leaderboard, Scheme, Task, ValidationPlan
from tenure.core.ports import Artifacts
from tenure.core.uncertainty import score_with_interval
from tenure.model.bundle import write_bundle
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.intervals import ValueInterval
from tenure.model.members.constant import ConstantMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.operation import Operation
from tenure.model.operations import Category, Number
from tenure.model.plan import ColumnPlan
from tenure.model.rows import row_ids
from tenure.model.target import encode_target
from tenure.testing.worlds import World

_FOLDS: Final = 3
_OBJECTIVE: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "regression"}


@dataclass(frozen=True, slots=True)
class SmallWalk:
    """The records of a walk up to a trained model; what they name lies in the artifacts."""

    snapshot: Snapshot
    quality: QualityReport
    plan: ValidationPlan
    leaderboard: Leaderboard


def small_walk(
    world: World, artifacts: Artifacts, *, columns: Sequence[str] | None = None, rounds: int = 30
) -> SmallWalk:
    """Train a small model on a world and keep everything that a walk keeps.

    `columns` are the features to read (all when left out); `rounds` 0 gives a model that knows nothing.
    """
    schema = world.schema
    features = [c.name for c in schema.features if columns is None or c.name in columns]
    frame = world.frame if world.time is None else world.frame.sort(world.time)
    table = artifacts.put_table(frame)
    snapshot = Snapshot(table, frame.height, schema, "a small world", world.classes)
    contract = _contract(frame, schema)
    quality = QualityReport(clean=table, rows=frame.height, contract=artifacts.put_record(contract))
    block = (np.arange(frame.height) % _FOLDS).astype(np.int16)
    plan = ValidationPlan(
        scheme=Scheme.CROSS,
        splitter="k-fold",
        block_count=_FOLDS,
        blocks=artifacts.put_array(np.column_stack([block, block])),
        metric=DEFAULT_METRIC[world.task],
        reason="rows are independent",
        time=world.time,
    )
    target = encode_target(frame[world.target], world.task, world.classes)
    encoder = ColumnPlan([_operation(frame, schema, name) for name in features])
    matrix = encoder.encode(frame)
    members = [_member(world, encoder, matrix[block != b], target[block != b], rounds) for b in range(_FOLDS)]
    baselines = [_baseline(world, target[block != b]) for b in range(_FOLDS)]
    model = FittedModel(
        task=world.task,
        classes=world.classes,
        target=world.target,
        schema=schema,
        contract=contract,
        plan=encoder,
        members=tuple(WeightedMember(f"small-{b}", 1 / _FOLDS, member) for b, member in enumerate(members)),
        interval=ValueInterval.constant(-9.0, 9.0) if world.task is Task.REGRESSION else None,
        metric=plan.metric,
        key=world.key,
        time=world.time,
    )
    oof = [member.predict(matrix[block == b]) for b, member in enumerate(members)]
    baseline = [member.predict(matrix[block == b]) for b, member in enumerate(baselines)]
    leaderboard = _leaderboard(artifacts, model, frame, block, target, oof, baseline, clean=table)
    return SmallWalk(snapshot, quality, plan, leaderboard)


def _operation(frame: pl.DataFrame, schema: Schema, name: str) -> Operation:
    if schema[name].kind is Kind.CATEGORICAL:
        return Category(name, tuple(sorted(frame[name].drop_nulls().unique().to_list())))
    return Number(name)


def _member(
    world: World, plan: ColumnPlan, matrix: Floats, target: NDArray[Any], rounds: int
) -> LightGBMMember | ConstantMember:
    if rounds == 0:
        return _baseline(world, target)
    params: dict[str, Any] = {
        "objective": _OBJECTIVE[world.task],
        "num_leaves": 7,
        "learning_rate": 0.15,
        "min_data_in_leaf": 10,
        "num_threads": 1,
        "deterministic": True,
        "verbosity": -1,
    }
    if world.task is Task.MULTICLASS:
        params["num_class"] = len(world.classes)
    categories = [at for at, is_category in enumerate(plan.categorical) if is_category]
    data = lgb.Dataset(matrix, target.astype(np.float64), categorical_feature=categories, params=params)
    return LightGBMMember(world.task, lgb.train(params, data, num_boost_round=rounds).model_to_string(), threads=1)


def _baseline(world: World, target: NDArray[Any]) -> ConstantMember:
    if not world.task.is_classification:
        return ConstantMember(world.task, [float(target.mean())])
    return ConstantMember(world.task, (np.bincount(target, minlength=len(world.classes)) / len(target)).tolist())


def _leaderboard(
    artifacts: Artifacts,
    model: FittedModel,
    frame: pl.DataFrame,
    block: NDArray[np.int16],
    target: NDArray[Any],
    oof: Sequence[Floats],
    baseline: Sequence[Floats],
    *,
    clean: str,
) -> Leaderboard:
    metric = metric_named(model.metric, task=model.task)
    ids = row_ids(frame, model.schema)
    said, plain = _in_order(block, oof), _in_order(block, baseline)
    score = score_with_interval(metric, target, said)
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(model, Path(folder), sample=frame)
        bundle = artifacts.put_tree(Path(folder))
    gain = np.zeros(model.plan.width)
    for part in model.members:
        if isinstance(part.member, LightGBMMember):
            gain += np.abs(part.member.contributions(model.plan.encode(frame.head(200)))).mean(axis=(0, 2))[:-1]
    shares = gain / max(float(gain.sum()), 1e-12)
    return Leaderboard(
        task=model.task.value,
        metric=metric.name,
        candidates=(),
        model=bundle,
        oof=artifacts.put_table(_oof_table(ids, target, said)),
        baseline_oof=artifacts.put_table(_oof_table(ids, target, plain)),
        score=score,
        baseline=score_with_interval(metric, target, plain),
        naive_score=score,
        importance=tuple(Importance(name, float(s)) for name, s in zip(model.plan.sources, shares, strict=True)),
        clean=clean,
    )


def _in_order(block: NDArray[np.int16], parts: Sequence[Floats]) -> Floats:
    whole = np.empty((block.size, *parts[0].shape[1:]))
    for b, part in enumerate(parts):
        whole[block == b] = part
    return whole


def _oof_table(ids: Sequence[str], target: NDArray[Any], said: Floats) -> pl.DataFrame:
    columns = said[:, None] if said.ndim == 1 else said
    return pl.DataFrame(
        {
            "row": np.arange(len(ids)),
            "row_id": ids,
            "reported": np.zeros(len(ids), dtype=np.bool_),
            "target": target,
            **{f"p_{i}": columns[:, i] for i in range(columns.shape[1])},
        }
    )


def _contract(frame: pl.DataFrame, schema: Schema) -> Contract:
    rules = []
    for column in schema.columns:
        low = high = None
        if column.kind is Kind.NUMERIC:
            values = frame[column.name].cast(pl.Float64).drop_nulls().to_numpy()
            span = float(np.ptp(values))
            low, high = float(values.min()) - span, float(values.max()) + span
        share = column.nulls / max(frame.height, 1)
        rules.append(
            ColumnRule(
                column.name,
                column.kind,
                column.role,
                column.dtype,
                required=column.nulls == 0,
                null_share=share,
                max_null_share=min(2 * share + 0.05, 1.0),
                low=low,
                high=high,
            )
        )
    return Contract(tuple(rules), frame.height)
