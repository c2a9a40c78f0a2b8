"""What is written of each row: what is predicted and how surely, what to do, what moved it, by which version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import ConfigError
from tenure.core.lifecycle import ModelVersion, PredictionRecord
from tenure.core.modelling import Task
from tenure.core.project import Project
from tenure.engine.scoring import NO_ACTION, prediction_records
from tenure.model.fitted import FittedModel
from tenure.model.scorer import Scorer
from tenure.model.values import texts_of

MOST_REASONS: Final = 20
_BLOCK: Final = 5_000
_EXPLAINED_BLOCK: Final = 250


@dataclass(frozen=True, slots=True)
class Extras:
    """What is written beside the prediction: the columns that moved it most, what is done with a yes, the ids."""

    reasons: int = 0
    action: str | None = None
    ids: bool = False


def extras_of(project: Project, model: FittedModel, *, reasons: int, action: bool, ids: bool) -> Extras:
    """Return what was asked for.

    Raises:
        ConfigError: an action is asked for and the model does not answer yes or no.
    """
    if action and model.task is not Task.BINARY:
        raise ConfigError(
            f"An action belongs to a yes or no; this model's task is {model.task.value}.",
            where="--action",
            hint="Leave out --action.",
        )
    return Extras(reasons, project.value.action if action else None, ids)


def columns_read(model: FittedModel) -> frozenset[str]:
    """Return the columns of a table that scoring reads or keeps: inputs, features, time and key."""
    named = {column.name for column in model.schema.features} | set(model.plan.inputs)
    return frozenset(named | {name for name in (model.time, model.key) if name is not None})


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answered rows: what is written of each, and what the log keeps of it (empty where nothing is logged)."""

    table: pl.DataFrame
    records: list[PredictionRecord]


def answer_table(
    version: ModelVersion,
    scorer: Scorer,
    rows: pl.DataFrame,
    extras: Extras,
    *,
    at: datetime,
    log: bool,
    ids: Sequence[str] | None = None,
    keep_on: Callable[[], None] = lambda: None,
) -> Answers:
    """Answer rows in the order in which they stand.

    The table holds the key, prediction, probabilities or interval, `action`, the reasons, `version` and `id`, as far as
    the model has them and `extras` asks for them. Without `ids` each row that needs one gets a new one. `keep_on` is
    called every few thousand rows; what it raises ends the work.

    Raises:
        SchemaChangedError: a column that the model reads is missing, or a date column holds what is no date.
        DataError: a text cannot be kept in the log.
    """
    scorer.check_columns(rows.columns)
    block = _EXPLAINED_BLOCK if extras.reasons else _BLOCK
    tables, records = [], []
    for start in range(0, max(rows.height, 1), block):
        keep_on()
        own = None if ids is None else ids[start : start + block]
        answers = _answer(version, scorer, rows[start : start + block], extras, at=at, log=log, ids=own)
        tables.append(answers.table)
        records += answers.records
    return Answers(pl.concat(tables), records)


def _answer(
    version: ModelVersion,
    scorer: Scorer,
    rows: pl.DataFrame,
    extras: Extras,
    *,
    at: datetime,
    log: bool,
    ids: Sequence[str] | None,
) -> Answers:
    model = scorer.model
    key = rows[model.key] if model.key is not None and model.key in rows.columns else None
    scored = scorer.score(rows)
    table = scored.to_frame(model, version=version.label, key=key)
    added = []
    if extras.action is not None:
        done = {model.classes[-1]: extras.action}
        said = table["prediction"].replace_strict(done, default=NO_ACTION, return_dtype=pl.String)
        added.append(said.alias("action"))
    added += _reasons(scorer, rows, extras.reasons)
    if added:
        *before, by = table.iter_columns()
        table = pl.DataFrame([*before, *added, by])
    records = []
    if log or (extras.ids and ids is None):
        kept = rows.select(sorted(columns_read(model) & set(rows.columns))).to_dicts()
        records = prediction_records(model, version, kept, scored, at=at, ids=ids)
    if extras.ids:
        table = table.with_columns(id=pl.Series(ids if ids is not None else [record.id for record in records]))
    return Answers(table, records if log else [])


def _reasons(scorer: Scorer, rows: pl.DataFrame, most: int) -> list[pl.Series]:
    """Return for each rank the column that moved the score that much, its value as text, and how much it added.

    Largest effect first, whatever its sign.
    """
    if not most:
        return []
    effects = scorer.explain(rows)
    names = effects.columns[:-1]  # the base comes last
    matrix = effects.to_numpy()[:, :-1]
    order = np.argsort(-np.abs(matrix), axis=1, kind="stable")[:, :most]
    found = []
    for rank in range(order.shape[1]):
        chosen, head = order[:, rank], f"reason_{rank + 1}"
        found.append(pl.Series(head, names, dtype=pl.String).gather(chosen))
        found.append(_values(rows, names, chosen).alias(f"{head}_value"))
        found.append(pl.Series(f"{head}_contribution", matrix[np.arange(len(chosen)), chosen]))
    return found


def _values(rows: pl.DataFrame, names: Sequence[str], chosen: NDArray[np.int64]) -> pl.Series:
    """Return each row's value, as text, of the column that was chosen for it."""
    texts = np.full(len(chosen), None, dtype=object)
    for code in np.unique(chosen).tolist():
        at = np.flatnonzero(chosen == code)
        texts[at] = texts_of(rows[names[code]].gather(at)).to_numpy()
    return pl.Series(texts.tolist(), dtype=pl.String)
