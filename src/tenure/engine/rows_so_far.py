"""All rows so far, as the question of a new model needs them: encoded, in order of time, each with when it was known.

They are the rows that the model in office learned from, or those of the source where that changed since, and the ripe
rows of the log. The model's own encoding is used, so that nothing is fitted before it is known whether that would pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Kind, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Alias, ModelVersion
from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Problem
from tenure.core.project import Project
from tenure.core.retraining import Recipe, Way
from tenure.engine.logged_rows import Pin, logged
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import pin_of
from tenure.engine.source_looks import known_fingerprint
from tenure.engine.workspace import Workspace
from tenure.engine.worth import Worth, worth_of
from tenure.ingest.stage import ingest
from tenure.model.fitted import FittedModel
from tenure.model.scorer import Scorer
from tenure.model.target import encode_target
from tenure.monitoring.windows import window_numbers
from tenure.retraining.history import History, Incumbent, Making
from tenure.state.features import feature

Moments = NDArray[np.int64]
_ALL: Final = Recipe("all")
_SECOND: Final = 1_000_000
_FORMER: Final = 5
_MOST_LOGGED: Final = 200_000
"""Newest rows of the log that are looked at: four times as many as a probe learns from."""


@dataclass(frozen=True, slots=True, eq=False)
class RowsSoFar:
    """The history, the model in office as one of its makings, and the versions before it that it could go back to.

    `worth` says what losses are counted in, `volume` is rows a window. `timed` says whether rows of the source have
    times of their own.
    """

    history: History
    incumbent: Incumbent
    former: tuple[Incumbent, ...]
    worth: Worth
    volume: float
    timed: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of one origin: what the model reads, the outcome as text or number, and when (us since 1970).

    `said` is what a row's own column of times says, `times` where it has none.
    """

    frame: pl.DataFrame
    times: Moments
    known: Moments
    said: Moments

    def at(self, rows: Indices) -> _Part:
        """Return some of the rows, in that order."""
        return _Part(self.frame[rows], self.times[rows], self.known[rows], self.said[rows])


def rows_so_far(workspace: Workspace, version: ModelVersion, scorer: Scorer, pin: Pin, *, volume: float) -> RowsSoFar:
    """Gather all rows whose outcomes may be learned from; `volume` is how many a window brings.

    Raises:
        RecordMissingError: the run that made the model did not keep its rows.
        TenureError: the source changed and cannot be read.
    """
    model = scorer.model
    log = _log_part(workspace, model, pin)
    learned = _learned_part(workspace, version, model, log, volume)
    source = _source_part(workspace, version, model, pin, log, volume) or learned
    both = _joined(source, log)
    problem = Problem(
        task=model.task,
        classes=len(model.classes),
        matrix=model.plan.encode(model.dates.read_table(both.frame)),
        names=model.plan.names,
        categorical=model.plan.categorical,
        target=encode_target(both.frame[model.target], model.task, model.classes),
        seed=workspace.context.seed,
        threads=1,
    )
    worth = worth_of(workspace.context, _learned_anew(workspace, version), model)
    history = History(
        problem=problem,
        times=both.times,
        known=both.known,
        window=_windows(workspace.project, both.times, first=len(source.times) - max(pin.rows - len(log.times), 0)),
        usable=_usable(both.times, pin),
        loss=worth.loss_of(problem.target),
    )
    past = _Past(workspace, int(learned.known.max(initial=0)), _age(pin))
    answers = _answers(scorer, problem, np.flatnonzero(both.known > past.learned_at(version)))
    incumbent = Incumbent(version.number, past.making(version), answers)
    former = tuple(Incumbent(old.number, past.making(old)) for old in _former(workspace, version))
    return RowsSoFar(history, incumbent, former, worth, volume, _has_times(model))


# ---- the parts ----


def _log_part(workspace: Workspace, model: FittedModel, pin: Pin) -> _Part:
    """Return the newest ripe rows of the log; all of them count as known at the age at which a whole cohort is."""
    rows = logged(workspace, pin, most=_MOST_LOGGED).read()
    sent: list[dict[str, Any]] = [orjson.loads(text) for text in rows["features"]]
    kinds = {column.name: column for column in model.schema.columns}
    frame = pl.DataFrame(
        [feature(kinds[name], sent).alias(name) for name in model.plan.inputs]
        + [rows["outcome"].cast(_target_type(model), strict=False).alias(model.target)],
        height=rows.height,
    )
    times = rows["event_at"].dt.timestamp("us").to_numpy()
    own = None if model.time is None or model.time not in kinds else feature(kinds[model.time], sent)
    said = times if own is None or not own.dtype.is_temporal() else _micros(own).fill_null(pl.Series(times)).to_numpy()
    return _usable_target(_Part(frame, times, times + _age(pin), said), model)


def _learned_part(workspace: Workspace, version: ModelVersion, model: FittedModel, log: _Part, volume: float) -> _Part:
    """Return the rows that the model learned from but those of the log."""
    quality = record_in(records_of(workspace, version.run_id), "quality", QualityReport)
    run = workspace.ledger.run(version.run_id)
    pin = pin_of(run) if "logged" in run.data else None
    until = None if pin is None or pin.rows == 0 else pin.until
    held = 0 if until is None else int(np.sum(log.times <= until.timestamp() * _SECOND))
    clean = workspace.context.artifacts.get_table(quality.clean)
    return _without_log(workspace, model, clean, log, volume, held=held)


def _source_part(
    workspace: Workspace, version: ModelVersion, model: FittedModel, pin: Pin, log: _Part, volume: float
) -> _Part | None:
    """Return the rows of the source, where it changed since the model was learned and still has what it reads."""
    source = known_fingerprint(workspace)
    if source is None or source == workspace.ledger.run(version.run_id).data["source"]:
        return None
    snapshot: Snapshot = ingest(workspace.context, logged(workspace, replace(pin, until=None, rows=0)))
    frame = workspace.context.artifacts.get_table(snapshot.table)
    if not set(model.plan.inputs) <= set(frame.columns):
        return None
    return _without_log(workspace, model, frame.drop_nulls(model.target), log, volume)


def _without_log(
    workspace: Workspace, model: FittedModel, frame: pl.DataFrame, log: _Part, volume: float, *, held: int = 0
) -> _Part:
    """Return rows that are not those of the log, with times: their own, or just before the first of the log.

    `held` first rows of the log are known to be among them.
    """
    names = [*model.plan.inputs, model.target]
    times = _own_times(frame, model.time)
    read = frame.select(
        pl.col(model.target).cast(_target_type(model), strict=False) if name == model.target else pl.col(name)
        for name in names
    )
    logged_rows = log.frame.select(names).cast(read.schema, strict=False)
    if times is None:
        new = _not_counted(_identities(read), _identities(logged_rows), held)
        read = read[new]
        times = _before(log, read.height, _width_us(workspace.project, log, volume), volume, workspace)
    else:
        # A corrected outcome makes no other row of it.
        known = [name for name in model.plan.inputs if name != model.time]
        said = _micros(pl.from_epoch(pl.Series(log.said), time_unit="us").cast(_naive(frame[model.time or ""].dtype)))
        own = _identities(read.select(*known, pl.Series("", times)))
        of_log = _identities(logged_rows.select(*known, said.alias("")))
        new = np.flatnonzero(~own.is_in(of_log.implode()).to_numpy())
        read, times = read[new], times[new]
    order = np.argsort(times, kind="stable")
    delay = int(workspace.project.data.outcome_delay * _SECOND)
    return _usable_target(_Part(read, times, times + delay, times).at(order), model)


def _not_counted(own: pl.Series, of_log: pl.Series, held: int) -> Indices:
    """Return which rows are not those of the log, where they have no times.

    A pattern that comes again and again is no sign of the same row: then only as many rows go, the last ones, as the
    log's first `held` rows show it.
    """
    rows = pl.DataFrame({"own": own}).with_columns(
        unique=pl.col("own").is_unique() & pl.col("own").is_in(of_log.implode()),
        still=pl.int_range(pl.len()).reverse().over("own"),
    )
    counts = of_log.head(held).value_counts(name="held")
    both = rows.join(counts, left_on="own", right_on=of_log.name, how="left", maintain_order="left")
    return np.flatnonzero(both.select(~(pl.col("unique") | (pl.col("still") < pl.col("held").fill_null(0))))[:, 0])


def _usable_target(part: _Part, model: FittedModel) -> _Part:
    """Leave out rows whose outcome is none that the model knows."""
    target = part.frame[model.target]
    if model.task.is_classification:
        good = target.is_in(list(model.classes)).fill_null(value=False)
    else:
        good = target.is_finite().fill_null(value=False)
    return part.at(np.flatnonzero(good.to_numpy()))


def _target_type(model: FittedModel) -> type[pl.String] | type[pl.Float64]:
    return pl.String if model.task.is_classification else pl.Float64


def _identities(frame: pl.DataFrame) -> pl.Series:
    return frame.select(
        pl.col(n).fill_nan(None) if t.is_float() else pl.col(n) for n, t in frame.schema.items()
    ).hash_rows()


def _own_times(frame: pl.DataFrame, time: str | None) -> Moments | None:
    if time is None or time not in frame.columns or not frame[time].dtype.is_temporal():
        return None
    moments = _micros(frame[time])
    filled = moments.fill_null(strategy="forward").fill_null(strategy="backward").fill_null(0)
    return filled.to_numpy()


def _has_times(model: FittedModel) -> bool:
    return any(c.name == model.time and c.kind is Kind.DATETIME for c in model.schema.columns)


def _micros(moments: pl.Series) -> pl.Series:
    """Return moments of any precision as microseconds since 1970."""
    return moments.cast(pl.Datetime("us")).dt.timestamp("us")


def _naive(dtype: pl.DataType) -> pl.DataType:
    """Return a type of moments without its zone: all are in UTC."""
    return pl.Datetime(dtype.time_unit) if isinstance(dtype, pl.Datetime) else dtype


def _before(log: _Part, count: int, width_us: float, volume: float, workspace: Workspace) -> Moments:
    """Return times for rows that have none: in their order, as dense as the log, up to its first row."""
    end = int(log.times[0]) if len(log.times) else int(workspace.context.clock().timestamp() * _SECOND)
    end -= int(workspace.project.data.outcome_delay * _SECOND)
    return end - (np.arange(count, 0, -1) * (width_us / max(volume, 1.0))).astype(np.int64)


def _width_us(project: Project, log: _Part, volume: float) -> float:
    seconds = project.monitoring.window_seconds
    if seconds is not None:
        return seconds * _SECOND
    span = float(np.ptp(log.times)) if len(log.times) > 1 else float(7 * 86_400 * _SECOND)
    return span * volume / max(len(log.times), 1)


def _joined(source: _Part, log: _Part) -> _Part:
    """Return both in order of time."""
    frame = pl.concat([source.frame, log.frame.cast(source.frame.schema, strict=False).select(source.frame.columns)])
    times, known = np.concatenate([source.times, log.times]), np.concatenate([source.known, log.known])
    said = np.concatenate([source.said, log.said])
    return _Part(frame, times, known, said).at(np.argsort(times, kind="stable"))


def _windows(project: Project, times: Moments, *, first: int) -> Moments:
    """Return the number of the window of each row; windows of rows are counted from the first row of the log."""
    size = project.monitoring.window_rows
    if size is not None:
        return (np.arange(len(times)) - first) // size
    moments = pl.from_epoch(pl.Series(times), time_unit="us").dt.replace_time_zone("UTC")
    return window_numbers(moments, project.monitoring)


def _usable(times: Moments, pin: Pin) -> NDArray[np.bool_]:
    usable = np.ones(len(times), dtype=np.bool_)
    for period in pin.excluded:
        begin, end = (int(at.timestamp() * _SECOND) for at in (period.begin, period.end))
        usable &= ~((times >= begin) & (times < end))
    return usable


# ---- the model in office, and those before ----


def _age(pin: Pin) -> int:
    """Return how old a row of the log is (us) when the outcomes of its whole cohort are known."""
    return int(pin.age * _SECOND)


def _answers(scorer: Scorer, problem: Problem, new: Indices) -> Floats:
    """Return what the model itself says of rows that it did not learn from; NaN of all others."""
    width = (len(scorer.model.classes),) if problem.task.is_classification else ()
    answers = np.full((len(problem.matrix), *width), np.nan)
    if new.size:
        answers[new] = scorer.model.predict(problem.matrix[new])
    return answers


@dataclass(frozen=True, slots=True)
class _Past:
    """How versions came to be, on the clock of the rows: `source` is when the last outcome of the source was known."""

    workspace: Workspace
    source: int
    age: int

    def learned_at(self, version: ModelVersion) -> int:
        """Return when the last outcome that a version learned from was known."""
        run = self.workspace.ledger.run(version.run_id)
        pin = pin_of(run) if "logged" in run.data else None
        if pin is None or pin.until is None or pin.rows == 0:
            return self.source
        return max(self.source, int(pin.until.timestamp() * _SECOND) + self.age)

    def making(self, version: ModelVersion) -> tuple[Making, ...]:
        """Return the steps that made a version: learned anew first, then what was done to it."""
        run = self.workspace.ledger.run(version.run_id)
        held = run.data.get("recipe")
        recipe = _ALL if held is None else Recipe.from_dict(held)
        step = Making(recipe, self.learned_at(version))
        if recipe.way is Way.REFIT:
            return (step,)
        before = self.workspace.registry.version(recipe.version or int(run.data["incumbent"]["version"]))
        return self.making(before) if recipe.way is Way.RESTORE else (*self.making(before), step)


def _learned_anew(workspace: Workspace, version: ModelVersion) -> ModelVersion:
    """Return the version whose trees a version has: what it earns was measured on more than the latest rows."""
    run = workspace.ledger.run(version.run_id)
    held, base = run.data.get("recipe"), run.data.get("incumbent")
    if held is None or base is None or Recipe.from_dict(held).way is Way.REFIT:
        return version
    before = workspace.registry.version(Recipe.from_dict(held).version or int(base["version"]))
    return version if before.number >= version.number else _learned_anew(workspace, before)


def _former(workspace: Workspace, version: ModelVersion) -> Sequence[ModelVersion]:
    """Return the latest versions that held the office before, newest first."""
    held = [move.after for move in reversed(workspace.registry.moves()) if move.alias is Alias.CHAMPION]
    numbers = [number for number in dict.fromkeys(held) if number is not None and number != version.number]
    return [workspace.registry.version(number) for number in numbers[:_FORMER]]
