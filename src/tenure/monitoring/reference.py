"""What is normal for one version: windows of its training rows, what the model said of them and what was true.

Built once from the records that the version was made from, and kept: nothing reads the training rows again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column, Kind, Role, Schema, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.metrics import Targets
from tenure.core.modelling import Floats, Leaderboard, Task
from tenure.core.ports import Artifacts, Context
from tenure.core.project import MonitoringSection
from tenure.core.records import Record
from tenure.core.value import Flags, likeliest
from tenure.monitoring.estimation.rows import KnownRows
from tenure.monitoring.inputs import DECISION, PREDICTION, as_read
from tenure.monitoring.layout import Layout, layout_of
from tenure.monitoring.separability import WINDOW, usual_aucs
from tenure.monitoring.sketches import WindowSketch, merged, sketch

REFERENCE_WINDOWS: Final = 104
SAMPLE_ROWS: Final = 20_000
_DRAWN_WINDOWS: Final = 30
_LEAST_DRAWN: Final = 200
_READ: Final = (Role.FEATURE, Role.TIME, Role.GROUP)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reference(Record):
    """What is kept: the layout, digests of the window sketches and of two tables about a sample of the rows.

    `features` holds the sampled rows, `answers` for each of them `window` (the number of its sketch), `target` (code or
    value), and `p_0 ... p_k` (out-of-fold). `natural` says that the windows are stretches of time; where the rows
    have no order in time they were drawn, and show no wobble between windows. `usual` holds how well a classifier
    tells windows of the reference from the others (AUC).
    """

    layout: Layout
    sketches: tuple[str, ...]
    features: str
    answers: str
    natural: bool
    usual: tuple[float | None, ...] = ()
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A reference in memory.

    `merged` is all window `sketches` as one, `window_of` (n,) the number of the sketch of each known row, `read` the
    known rows' watched features as the model reads them.
    """

    digest: str
    layout: Layout
    sketches: tuple[WindowSketch, ...]
    merged: WindowSketch
    known: KnownRows
    read: pl.DataFrame
    window_of: NDArray[np.int64]
    natural: bool
    usual: tuple[float | None, ...] = ()

    @property
    def resting(self) -> frozenset[str]:
        """Return the columns that had one value throughout some window."""
        if not self.natural:
            return frozenset()
        every = ((name, part) for window in self.sketches for name, part in window.columns.items())
        return frozenset(name for name, part in every if part.known and part.low is not None and part.low == part.high)

    @property
    def by_window(self) -> pl.DataFrame:
        """Return the known rows as the model reads them, with the number of their window as column `window`."""
        return self.read.with_columns(pl.Series(WINDOW, self.window_of))


def make_reference(
    ctx: Context, schema: Schema, snapshot: Snapshot, quality: QualityReport, leaderboard: Leaderboard
) -> Normal:
    """Build what is normal for a version from its training rows that were predicted out of fold, and keep it.

    `schema` holds the watched features. Windows are stretches of time as long as those of traffic where the rows have a
    time, blocks in the order of time where windows are counted in rows, and drawn at random where there is no time.
    """
    store, task = ctx.artifacts, ctx.project.project.task
    oof = store.get_table(leaderboard.oof).unique("row", keep="first", maintain_order=True)
    clean = store.get_table(quality.clean)[oof["row"].cast(pl.Int64)]
    windows, natural = cut_reference(clean, snapshot.schema.time, ctx.project.monitoring, rng=ctx.rng(21))
    normal = normal_of(
        clean.select([column.name for column in snapshot.schema.columns if column.role in _READ]),
        _predicted(oof, task),
        _target(oof, task),
        schema=schema,
        windows=windows,
        natural=natural,
        said=Said(task, snapshot.classes, leaderboard.threshold, ctx.project.value.capacity),
        rng=ctx.rng(22),
    )
    kept = _keep(store, normal, made_from=(snapshot.digest, quality.digest, leaderboard.digest))
    return replace(normal, digest=kept)


@dataclass(frozen=True, slots=True)
class Said:
    """How an answer is turned into a prediction, a decision and an act of the owner."""

    task: Task
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    capacity: int | None = None

    @property
    def bar(self) -> float:
        """Return the probability from which the answer is yes."""
        return 0.5 if self.threshold is None else self.threshold

    def columns(self, predicted: Floats) -> list[pl.Series]:
        """Return the prediction, and for binary tasks the decision, as columns; NaN answers give nulls.

        The prediction is the probability of the positive class, the label of the likeliest class, or the value.
        """
        if self.task is Task.REGRESSION:
            return [pl.Series(PREDICTION, predicted, dtype=pl.Float64).fill_nan(None)]
        known = np.asarray(~np.isnan(predicted).any(axis=1))
        if self.task is Task.MULTICLASS:
            names = np.argmax(np.nan_to_num(predicted), axis=1)
            return [_labels(PREDICTION, self.classes, names, known)]
        yes = (predicted[:, -1] >= self.bar).astype(np.int64)
        return [
            pl.Series(PREDICTION, predicted[:, -1], dtype=pl.Float64).fill_nan(None),
            _labels(DECISION, self.classes, yes, known),
        ]

    def acted(self, predicted: Floats) -> Flags | None:
        """Return which rows the owner acts on, None where there is no action to take."""
        if self.task is not Task.BINARY:
            return None
        yes = predicted[:, -1] >= self.bar
        return yes if self.capacity is None else likeliest(yes, predicted[:, -1], most=self.capacity)

    def schema(self, features: Schema) -> Schema:
        """Return the watched features with the columns of `columns`."""
        kind = Kind.CATEGORICAL if self.task is Task.MULTICLASS else Kind.NUMERIC
        said = [Column(PREDICTION, "", kind)]
        if self.task is Task.BINARY:
            said.append(Column(DECISION, "", Kind.CATEGORICAL))
        return Schema((*features.columns, *said))


def _labels(name: str, classes: Sequence[str], codes: NDArray[np.int64], known: NDArray[np.bool_]) -> pl.Series:
    labels = pl.Series(name, classes, dtype=pl.String)[codes]
    return pl.select(pl.when(pl.lit(pl.Series(known))).then(labels)).to_series().alias(name)


def normal_of(
    rows: pl.DataFrame,
    predicted: Floats,
    target: Targets,
    *,
    schema: Schema,
    windows: Sequence[Part],
    natural: bool,
    said: Said,
    rng: np.random.Generator,
) -> Normal:
    """Return what is normal where `rows` with out-of-fold answers and known targets fall into `windows`."""
    read = as_read(rows, schema).with_columns(said.columns(predicted))
    layout = layout_of(read, said.schema(schema))
    window_of = np.full(rows.height, -1, dtype=np.int64)
    for number, part in enumerate(windows):
        window_of[part.rows] = number
    at = np.flatnonzero(window_of >= 0)
    if at.size > SAMPLE_ROWS:
        at = np.sort(rng.choice(at, SAMPLE_ROWS, replace=False))
    known = KnownRows(rows[at], predicted[at], target[at], said.acted(predicted[at]))
    sketches = tuple(sketch(read[part.rows], layout, start=part.start, end=part.end) for part in windows)
    inputs = read[at].drop([column.name for column in said.schema(Schema(())).columns])
    normal = Normal("", layout, sketches, merged(sketches, layout), known, inputs, window_of[at], natural)
    return replace(normal, usual=usual_aucs(normal.by_window, rng=rng) if natural else ())


def _keep(store: Artifacts, normal: Normal, *, made_from: tuple[str, ...]) -> str:
    known = normal.known
    predicted = known.predicted if known.predicted.ndim == 2 else known.predicted[:, None]
    answers = pl.DataFrame({"target": known.target, "window": normal.window_of}).with_columns(
        [pl.Series(f"p_{code}", predicted[:, code]) for code in range(predicted.shape[1])]
    )
    record = Reference(
        normal.layout,
        tuple(store.put_bytes(part.to_bytes()) for part in normal.sketches),
        store.put_table(known.features),
        store.put_table(answers),
        normal.natural,
        normal.usual,
        made_from,
    )
    return store.put_record(record)


def load_reference(store: Artifacts, digest: str, said: Said, schema: Schema) -> Normal:
    """Read what was kept; the owner's acts are decided anew, as the project file may have changed."""
    kept = store.get_record(Reference, digest)
    answers = store.get_table(kept.answers)
    predicted = _predicted(answers, said.task)
    known = KnownRows(store.get_table(kept.features), predicted, _target(answers, said.task), said.acted(predicted))
    sketches = tuple(WindowSketch.from_bytes(kept.layout, store.get_bytes(part)) for part in kept.sketches)
    return Normal(
        digest,
        kept.layout,
        sketches,
        merged(sketches, kept.layout),
        known,
        as_read(known.features, schema),
        answers["window"].to_numpy(),
        kept.natural,
        kept.usual,
    )


def _target(table: pl.DataFrame, task: Task) -> Targets:
    return table["target"].cast(pl.Float64 if task is Task.REGRESSION else pl.Int64).to_numpy()


def _predicted(table: pl.DataFrame, task: Task) -> Floats:
    columns = sorted((c for c in table.columns if c.startswith("p_")), key=lambda name: int(name.removeprefix("p_")))
    predicted: Floats = table.select(columns).to_numpy().astype(np.float64)
    return predicted[:, 0] if task is Task.REGRESSION else predicted


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One window of the reference: when, and the positions of its rows."""

    start: datetime
    end: datetime
    rows: NDArray[np.int64]


def cut_reference(
    clean: pl.DataFrame, time: str | None, monitoring: MonitoringSection, *, rng: np.random.Generator
) -> tuple[list[Part], bool]:
    """Return the windows of the training rows, oldest first, and whether they are natural."""
    moments = None if time is None else _moments(clean[time])
    if moments is not None:
        parts = _in_time(moments, monitoring)
        if len(parts) > 1:
            return parts[-REFERENCE_WINDOWS:], True
    order = rng.permutation(clean.height)
    count = int(np.clip(clean.height // _LEAST_DRAWN, 1, _DRAWN_WINDOWS))
    return [Part(_EPOCH, _EPOCH, np.sort(at)) for at in np.array_split(order, count)], False


def _moments(column: pl.Series) -> NDArray[np.int64] | None:
    """Return microseconds since 1970, or None where the column holds no moments."""
    if not column.dtype.is_temporal() or column.null_count():
        return None
    return column.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()


def _in_time(moments: NDArray[np.int64], monitoring: MonitoringSection) -> list[Part]:
    order = np.argsort(moments, kind="stable")
    if monitoring.window_rows is not None:
        size = monitoring.window_rows
        blocks = [order[at : at + size] for at in range(0, order.size - size + 1, size)]
    else:
        assert monitoring.window_seconds is not None  # a window is counted in rows or in time
        number = (moments[order] - moments[order[0]]) // int(monitoring.window_seconds * 1e6)
        blocks = np.split(order, np.flatnonzero(np.diff(number)) + 1)
        blocks = [block for block in blocks if block.size >= monitoring.least_rows]
    return [Part(_at(moments[block[0]]), _at(moments[block[-1]]), np.sort(block)) for block in blocks]


def _at(micros: np.int64) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))
