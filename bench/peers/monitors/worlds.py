"""Real sets whose rows stand in random order, each with a model that knows half of the rows: nothing drifts in them.

Rows in random order are stationary by construction, and windows are drawn from the half that the model never saw, with
replacement ("bootstrap days"). What is made once is kept in a folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from peers.suite import Entry, classes_of, plain
from tenure.core.contract import Contract
from tenure.core.data import Column, Kind, Schema
from tenure.core.metrics import Metric
from tenure.core.modelling import Floats, Task
from tenure.model.target import encode_target
from tenure.quality.contract import infer_contract

MOST_ROWS: Final = 40_000
"""Of a set, half of them to learn from."""
PREDICTION: Final = "the prediction"
_FOLDS: Final = 5
_TREES: Final = {Task.BINARY: 150, Task.REGRESSION: 300, Task.MULTICLASS: 60}
_IMPORTANCE_ROWS: Final = 10_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with what came true (class codes or values) and what the model says without having seen them."""

    features: pl.DataFrame
    target: NDArray[Any]
    said: Floats

    def take(self, at: NDArray[np.int64]) -> Rows:
        """Return the rows at positions, which may come twice."""
        return Rows(self.features[at], self.target[at], self.said[at])


@dataclass(frozen=True, eq=False)
class World:
    """One set: rows to learn from with out-of-fold answers, rows kept away with the model's, and the model.

    `importance` is each column's share of the skill, by permutation in the kept rows.
    """

    entry: Entry
    schema: Schema
    contract: Contract
    classes: tuple[str, ...]
    learned: Rows
    kept: Rows
    answer: Callable[[pl.DataFrame], Floats]
    importance: dict[str, float]

    @property
    def task(self) -> Task:
        """Return the task of the set."""
        return self.entry.task

    @property
    def metric(self) -> Metric:
        """Return the metric by which the set is judged."""
        return self.entry.metric

    def same(self) -> World:
        """Return the world in which the kept rows are those that windows are held against, too."""
        return replace(self, learned=self.kept, contract=infer_contract(self.kept.features, self.schema))

    def score(self, rows: Rows) -> float:
        """Return the metric on rows."""
        return self.metric(rows.target, rows.said)

    def skill(self) -> float:
        """Return how much better than a constant the model is on the kept rows, in units of the metric."""
        return self.metric.gain(self.score(self.kept), self.metric(self.kept.target, self._constant()))

    def cost(self, shifted: pl.DataFrame) -> float:
        """Return which share of its skill the model loses when the kept rows come as `shifted`, the truth as it is."""
        worse = self.metric(self.kept.target, self.answer(shifted))
        return self.metric.gain(self.score(self.kept), worse) / self.skill()

    def predictions(self, said: Floats) -> pl.Series:
        """Return answers as one column: the probability of yes, the value, or the likeliest class."""
        if self.task is Task.MULTICLASS:
            return pl.Series(PREDICTION, [self.classes[code] for code in said.argmax(axis=1)])
        return pl.Series(PREDICTION, said[:, -1] if said.ndim == 2 else said)

    def _constant(self) -> Floats:
        if self.task is Task.REGRESSION:
            return np.full(len(self.kept.target), self.learned.target.mean())
        shares = np.bincount(self.learned.target, minlength=len(self.classes)) / len(self.learned.target)
        return np.tile(shares, (len(self.kept.target), 1))


def days(rows: int, *, size: int, windows: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Return which of `rows` rows make up each window, drawn with replacement, shape (windows, size)."""
    return np.random.default_rng(seed).integers(0, rows, (windows, size))


def world_of(entry: Entry, folder: Path) -> World:
    """Return the world of a set; its model and answers are made once and kept in `folder`."""
    learned, kept, classes = _halves(entry)
    schema = _schema(learned.drop(entry.target))
    features, target = learned.drop(entry.target), encode_target(learned[entry.target], entry.task, classes)
    truth = encode_target(kept[entry.target], entry.task, classes)
    kept = kept.drop(entry.target)
    place = folder / entry.name
    if not (place / "world.json").exists():
        _make(place, entry, features, target, kept, truth, classes)
    made = np.load(place / "said.npz")
    told = json.loads((place / "world.json").read_text())
    model = _Trees.load(place)
    return World(
        entry,
        schema,
        infer_contract(features, schema),
        classes,
        Rows(features, target, made["learned"]),
        Rows(kept, truth, made["kept"]),
        model.answer,
        told["importance"],
    )


def _halves(entry: Entry) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Return two halves of the set in random order; texts are turned into counts, dates and identifiers left out."""
    table = pl.read_parquet(entry.path).filter(pl.col(entry.target).is_not_null())
    chosen = np.random.default_rng(0).permutation(table.height)[:MOST_ROWS]
    table = table[chosen].drop([name for name in (entry.time, *entry.withheld) if name is not None])
    table = plain(_counted(table, entry.target), entry)
    half = table.height // 2
    learned, kept = table[:half], table[half:]
    # A column that never changes says nothing, to nobody.
    learned = learned.select(c.name for c in learned.iter_columns() if c.name == entry.target or c.n_unique() > 1)
    classes = classes_of(entry, learned)
    kept = kept.select(learned.columns)
    return learned, kept.filter(pl.col(entry.target).is_in(classes)) if classes else kept, classes


def _counted(table: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return the table with counts in place of free texts, which none of the systems looks into by default."""
    texts = [
        name
        for name, dtype in table.schema.items()
        if name != target and dtype == pl.String and (table[name].str.len_chars().mean() or 0) > 100
    ]
    return table.with_columns(
        made
        for name in texts
        for made in (
            pl.col(name).str.len_chars().alias(f"{name}: characters"),
            pl.col(name).str.count_matches(r"\S+").alias(f"{name}: words"),
            pl.col(name).str.count_matches("!").alias(f"{name}: exclamations"),
            pl.col(name).str.count_matches(r"\?").alias(f"{name}: questions"),
            (pl.col(name).str.count_matches(r"[A-Z]") / pl.col(name).str.len_chars()).alias(f"{name}: capitals"),
            pl.col(name).str.count_matches(r"(?i)\b(not|no|but|n't)\b").alias(f"{name}: denials"),
            pl.col(name).str.count_matches(r"(?i)\b(love|great|best|good)\b").alias(f"{name}: praise"),
            pl.col(name).str.extract(r"^\s*(\w+)").str.to_lowercase().alias(f"{name}: first word"),
        )
    ).drop(texts)


def _schema(features: pl.DataFrame) -> Schema:
    return Schema(
        tuple(
            Column(
                column.name,
                str(column.dtype),
                Kind.NUMERIC if column.dtype.is_numeric() else Kind.CATEGORICAL,
                nulls=column.null_count(),
                distinct=column.drop_nulls().n_unique(),
            )
            for column in features.iter_columns()
        )
    )


# ---- the model ----


@dataclass(frozen=True, eq=False)
class _Trees:
    """LightGBM on numbers and codes of levels; a level that it has not seen counts as missing."""

    booster: lgb.Booster
    levels: dict[str, list[str]]

    @classmethod
    def fit(cls, features: pl.DataFrame, target: NDArray[Any], task: Task, classes: int) -> _Trees:
        levels = {
            column.name: sorted(column.drop_nulls().unique())
            for column in features.iter_columns()
            if not column.dtype.is_numeric()
        }
        aims = {Task.BINARY: "binary", Task.REGRESSION: "regression", Task.MULTICLASS: "multiclass"}
        params = {"objective": aims[task], "learning_rate": 0.07, "min_data_in_leaf": 20, "verbose": -1, "seed": 0}
        if task is Task.MULTICLASS:
            params["num_class"] = classes
        coded = [at for at, name in enumerate(features.columns) if name in levels]
        data = lgb.Dataset(_matrix(features, levels), target, categorical_feature=coded)
        return cls(lgb.train(params, data, num_boost_round=_TREES[task]), levels)

    def answer(self, features: pl.DataFrame) -> Floats:
        """Return probabilities (n, k), or values (n,)."""
        said: Floats = np.asarray(self.booster.predict(_matrix(features, self.levels)), dtype=np.float64)
        is_yes = said.ndim == 1 and self.booster.params.get("objective") == "binary"
        return np.column_stack([1 - said, said]) if is_yes else said

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / "model.txt")
        (folder / "levels.json").write_text(json.dumps(self.levels))

    @classmethod
    def load(cls, folder: Path) -> _Trees:
        return cls(lgb.Booster(model_file=folder / "model.txt"), json.loads((folder / "levels.json").read_text()))


def _matrix(features: pl.DataFrame, levels: dict[str, list[str]]) -> Floats:
    columns = []
    for column in features.iter_columns():
        if column.name in levels:
            coded = column.cast(pl.String).replace_strict(
                levels[column.name], range(len(levels[column.name])), default=None, return_dtype=pl.Float64
            )
            columns.append(coded.to_numpy())
        else:
            columns.append(column.cast(pl.Float64).to_numpy())
    return np.column_stack(columns)


def _make(
    place: Path,
    entry: Entry,
    features: pl.DataFrame,
    target: NDArray[Any],
    kept: pl.DataFrame,
    truth: NDArray[Any],
    classes: tuple[str, ...],
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    model = _Trees.fit(features, target, entry.task, len(classes))
    folds = np.random.default_rng(1).integers(0, _FOLDS, features.height)
    said = np.empty_like(model.answer(features))
    for fold in range(_FOLDS):
        part = _Trees.fit(features.filter(folds != fold), target[folds != fold], entry.task, len(classes))
        said[folds == fold] = part.answer(features.filter(folds == fold))
    model.save(place)
    np.savez(place / "said.npz", learned=said, kept=model.answer(kept))
    importance = _importance(model, entry.metric, kept[:_IMPORTANCE_ROWS], truth[:_IMPORTANCE_ROWS])
    (place / "world.json").write_text(json.dumps({"importance": importance}))


def _importance(model: _Trees, metric: Metric, kept: pl.DataFrame, truth: NDArray[Any]) -> dict[str, float]:
    """Return by what each column, shuffled, makes the metric worse, as shares."""
    rng = np.random.default_rng(2)
    good = metric(truth, model.answer(kept))
    lost = {
        name: max(0.0, metric.gain(good, metric(truth, model.answer(_shuffled(kept, name, rng)))))
        for name in kept.columns
    }
    total = sum(lost.values()) or 1.0
    return {name: value / total for name, value in lost.items()}


def _shuffled(frame: pl.DataFrame, name: str, rng: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(frame[name][rng.permutation(frame.height)])
