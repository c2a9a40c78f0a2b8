"""A table in order of time as a stream: one matrix, windows, and what is known of the labels at the end of each.

Everything here is settled once for each table, from its first part, and is the same for every policy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from peers.monitors.replay import MOST_ROWS, spread
from peers.streams.encoding import encoded
from peers.streams.worlds import is_world, world
from peers.suite import Entry, catalogue, classes_of
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Problem
from tenure.model.target import encode_target
from tenure.training.probes import QuickProber

WARM: Final = 0.22
"""The share of the rows from which the first model is learned, up to the next start of a window."""
HORIZON: Final = 4
"""Windows over which a retraining must earn its cost."""
COST_SHARE: Final = 0.002
"""What a retraining costs, as a share of the skill over one horizon."""
FEWEST_WINDOWS, MOST_WINDOWS, USUAL_WINDOWS = 40, 130, 80
_FEWEST_ROWS: Final = 50
_LENGTHS: Final = (7, 1, 28)
_DAY: Final = 86_400_000_000
_LEAST: Final = 1e-6
NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Stream:
    """A table in order of time, cut into windows.

    `times` (n,) are int64 microseconds, strictly rising. Window w has the rows from `edges[w]` to `edges[w + 1]`; those
    before window `first` are the warm part, whose labels everybody knows from the start. `months` (n,) tells months
    apart; None where the table's time is no date. `scale` is 1 for classes, else the mean absolute error of a first
    model on rows of the warm part that it did not learn from; losses are in its units. `constant` and `skill` are a
    loss a row: that of a constant, and by how much a first model is better (folds of the warm part, drawn at random).
    """

    name: str
    problem: Problem
    times: NDArray[np.int64]
    edges: NDArray[np.int64]
    first: int
    labels: tuple[str, ...]
    windows_are: str
    months: NDArray[np.int64] | None = None
    scale: float = 1.0
    constant: float = 1.0
    skill: float = 1.0

    @property
    def count(self) -> int:
        """Return how many windows there are, with those of the warm part."""
        return len(self.edges) - 1

    @property
    def judged(self) -> range:
        """Return the windows that are judged."""
        return range(self.first, self.count)

    @property
    def volume(self) -> float:
        """Return the mean number of rows in a judged window."""
        return float(self.edges[-1] - self.edges[self.first]) / len(self.judged)

    @property
    def cost(self) -> float:
        """Return what one retraining costs, in units of loss x rows."""
        return COST_SHARE * self.skill * HORIZON * self.volume

    @cached_property
    def window(self) -> NDArray[np.int64]:
        """Return the window of each row (n,)."""
        return np.repeat(np.arange(self.count), np.diff(self.edges))

    def rows(self, window: int) -> slice:
        """Return the rows of a window."""
        return slice(int(self.edges[window]), int(self.edges[window + 1]))

    def moment(self, window: int) -> int:
        """Return when a window ends: the time of its last row, microseconds."""
        return int(self.times[self.edges[window + 1] - 1])

    def known_through(self, window: int, delay: int) -> int:
        """Return the last window whose labels are known when `window` starts; never less than the warm part."""
        return max(window - 1 - delay, self.first - 1)

    def known(self, delay: int) -> NDArray[np.int64]:
        """Return when the label of each row becomes known (n,): at the end of the window `delay` windows later."""
        moments = np.array([self.moment(w) for w in range(self.count)] + [NEVER] * delay, dtype=np.int64)
        known = moments[self.window + delay]
        warm = self.window < self.first
        known[warm] = np.minimum(known[warm], self.moment(self.first - 1))
        return known

    def losses(self, rows: Indices | slice, answers: Floats) -> Floats:
        """Return the loss of each row (m,): minus log of the probability of what came true, or the absolute error."""
        target = self.problem.target[rows]
        if self.problem.task is Task.REGRESSION:
            return np.abs(target - answers) / self.scale
        given = answers[np.arange(len(target)), target]
        return -np.log(np.clip(given, _LEAST, 1 - _LEAST))

    def errors(self, rows: slice, answers: Floats) -> Floats:
        """Return what a detector of drift is told of each row (m,): wrong or right, or the absolute error."""
        if self.problem.task is Task.REGRESSION:
            return self.losses(rows, answers)
        return (answers.argmax(axis=1) != self.problem.target[rows]).astype(np.float64)

    @cached_property
    def fingerprint(self) -> str:
        """Return what changes when the matrix, the target or the windows do."""
        digest = hashlib.sha256()
        for array in (self.problem.matrix, self.problem.target, self.edges, np.array([self.first])):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def load_stream(name: str, data: Path | None, *, most_rows: int = MOST_ROWS) -> Stream:
    """Return the stream of a planted world, or of a set of the catalogue, by name."""
    if is_world(name):
        entry, table = world(name)
    else:
        if data is None:
            raise SystemExit(f"Say with --data (or TENURE_DATA) where {name} is; it is no planted world.")
        (entry,) = catalogue(data, [name])
        if entry.time is None:
            raise SystemExit(f"{name} has no time column, so it is no stream.")
        table = pl.read_parquet(entry.path)
    return stream_of(entry, table, most_rows=most_rows)


def stream_of(entry: Entry, table: pl.DataFrame, *, most_rows: int = MOST_ROWS) -> Stream:
    """Return a table as a stream: sorted, thinned by chance to `most_rows`, cut into windows, encoded."""
    assert entry.time is not None
    table = table.filter(pl.col(entry.target).is_not_null(), pl.col(entry.time).is_not_null()).drop(entry.withheld)
    table = _timed(table, entry.time).sort(entry.time, maintain_order=True)
    if table.height > most_rows:
        table = table[np.sort(np.random.default_rng(0).choice(table.height, most_rows, replace=False))]
    dated = table.schema[entry.time].is_temporal()
    moments = table[entry.time].cast(pl.Datetime("us")) if dated else pl.Series(np.arange(table.height) * _DAY)
    times = spread(moments.cast(pl.Datetime("us")).alias(entry.time)).dt.timestamp("us").to_numpy().astype(np.int64)
    times = np.maximum.accumulate(times - np.arange(len(times))) + np.arange(len(times))  # strictly rising
    edges, first, words = _windows(times, moments.n_unique() if dated else 0)
    labels = classes_of(entry, table.with_columns(pl.col(entry.target).cast(pl.String))) if _is_class(entry) else ()
    answer = pl.String if labels else pl.Float64
    target = encode_target(table[entry.target].cast(answer), entry.task, labels)
    matrix, names, categorical = encoded(table.drop(entry.target), entry.time if dated else None, int(edges[first]))
    problem = Problem(entry.task, len(labels), matrix, names, categorical, target, seed=0, threads=1, in_time=True)
    months = None
    if dated:
        months = (moments.dt.year().cast(pl.Int64) * 12 + moments.dt.month()).to_numpy()
    stream = Stream(entry.name, problem, times, edges, first, labels, words, months)
    return _measured(stream)


def _is_class(entry: Entry) -> bool:
    return entry.task is not Task.REGRESSION


def _timed(table: pl.DataFrame, time: str) -> pl.DataFrame:
    """Return the table with its time as a date where a text can be read as one."""
    if table.schema[time] != pl.String:
        return table
    read = table[time].str.to_datetime(strict=False, time_unit="us")
    return table if read.null_count() else table.with_columns(read)


# ---- windows ----


def _windows(times: NDArray[np.int64], moments: int) -> tuple[NDArray[np.int64], int, str]:
    """Return the edges of all windows, the first that is judged, and the length of a window in words.

    Natural weeks where that gives 40 to 130 judged windows with rows in them; else days, or four weeks; else windows
    of equally many rows, about 80. `moments` is how many different times the table had; a table that has
    fewer than one a window is cut by rows.
    """
    start = int(WARM * len(times))
    for days in _LENGTHS:
        length = days * _DAY
        edges = np.flatnonzero(np.diff((times - times[0] // _DAY * _DAY) // length, prepend=-1) != 0)
        edges = _full(np.append(edges, len(times)))
        first = int(np.searchsorted(edges, start))
        judged = len(edges) - 1 - first
        span = (times[-1] - times[start]) / length
        if FEWEST_WINDOWS <= judged <= MOST_WINDOWS and judged >= 0.9 * span - 1 and moments >= len(edges) - 1:
            return edges, first, {7: "a week", 1: "a day", 28: "four weeks"}[days]
    size = max(_FEWEST_ROWS, round((len(times) - start) / USUAL_WINDOWS))
    edges = np.unique(np.concatenate([np.arange(start, -1, -size), np.arange(start, len(times), size), [len(times)]]))
    edges = _full(np.union1d(edges, [0]))
    return edges, int(np.searchsorted(edges, start)), f"{size} rows"


def _full(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edges without those that would leave fewer than 20 rows, or less than a quarter, before the next."""
    least = max(20.0, 0.25 * float(np.median(np.diff(edges))))
    kept = [int(edges[0])]
    for edge in edges[1:-1]:
        if edge - kept[-1] >= least:
            kept.append(int(edge))
    if edges[-1] - kept[-1] < least and len(kept) > 1:
        kept.pop()
    return np.array([*kept, int(edges[-1])], dtype=np.int64)


# ---- what the first model is worth ----


def _measured(stream: Stream) -> Stream:
    """Return the stream with its scale, its constant's loss and its skill, from five random folds of the warm part."""
    end = int(stream.edges[stream.first])
    fold = np.random.default_rng(1).integers(0, 5, end)
    target = stream.problem.target[:end]
    if stream.problem.task is Task.REGRESSION:
        answers, plain = np.empty(end), np.full(end, np.median(target))
    else:
        shares = np.bincount(target, minlength=stream.problem.classes) / end
        answers, plain = np.empty((end, len(shares))), np.tile(shares, (end, 1))
    for part in range(5):
        probe = QuickProber().fit(stream.problem, np.flatnonzero(fold != part), None)
        answers[fold == part] = probe.predict(stream.problem.matrix[:end][fold == part])
    everything = slice(0, end)
    if stream.problem.task is Task.REGRESSION:
        stream = replace(stream, scale=float(np.abs(target - answers).mean()) or 1.0)
    constant = float(stream.losses(everything, plain).mean())
    skill = constant - float(stream.losses(everything, answers).mean())
    return replace(stream, constant=constant, skill=max(skill, 0.02 * constant))
