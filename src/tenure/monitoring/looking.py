"""Look at each window of the log once, and keep what was seen: its rows are not read a second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from tenure.core.data import Schema
from tenure.core.evidence import Finding
from tenure.core.health import Estimate
from tenure.core.modelling import Floats, Task
from tenure.core.ports import Artifacts
from tenure.core.records import plain
from tenure.monitoring.betting import NEEDED
from tenure.monitoring.estimation.rows import KnownRows
from tenure.monitoring.inputs import came_in
from tenure.monitoring.realised import usable
from tenure.monitoring.sketches import WindowSketch
from tenure.monitoring.watching import Looked, Rows, Watch
from tenure.monitoring.windows import SAMPLE_ROWS, TrafficWindow, sampled
from tenure.state.shelf import KeptWindow, Shelf
from tenure.state.times import micros
from tenure.state.traffic import Traffic

ESTIMATED: Final = 26
"""How many of the latest windows get an estimate when they are looked at: it is the slow part."""


@dataclass(frozen=True, slots=True, eq=False)
class LogReader:
    """Reads the rows of one window out of the log.

    `schema` is that of the training rows, `classes` the target's, `version` the one that is watched.
    """

    traffic: Traffic
    schema: Schema
    task: Task
    classes: tuple[str, ...]
    version: int
    rng: Callable[[int], np.random.Generator]

    def rows(self, window: TrafficWindow, columns: Sequence[str]) -> Rows:
        """Return the rows of `window`, at most 50,000 drawn from it, with `columns` as they came."""
        found = self.traffic.with_sent(self._drawn(window))
        return Rows(
            window.start,
            window.end,
            came_in(found, columns),
            self.traffic.features(found, self.schema.columns),
            self._predicted(found),
        )

    def known(self, window: TrafficWindow, columns: Sequence[str]) -> KnownRows:
        """Return the rows of `window` that the version answered and whose outcome is known, with typed `columns`."""
        own = self._drawn(window).filter(pl.col("version") == self.version)
        rows = self.traffic.with_sent(usable(own, task=self.task, classes=self.classes))
        typed = self.traffic.features(rows, [self.schema[name] for name in columns])
        return KnownRows(typed, self._predicted(rows), rows["outcome"].to_numpy())

    def _drawn(self, window: TrafficWindow) -> pl.DataFrame:
        return sampled(window.rows, SAMPLE_ROWS, self.rng(3))

    def _predicted(self, found: pl.DataFrame) -> Floats:
        names = ["value"] if self.task is Task.REGRESSION else [f"p_{code}" for code in range(len(self.classes))]
        if not set(names) <= set(found.columns):
            return np.full((found.height,) if self.task is Task.REGRESSION else (found.height, len(names)), np.nan)
        mine = pl.when(pl.col("version") == self.version).then(pl.col(names).cast(pl.Float64))
        said: Floats = found.select(mine).fill_null(float("nan")).to_numpy()
        return said[:, 0] if self.task is Task.REGRESSION else said


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All windows that were looked at, oldest first, with the rows and faults of the last one."""

    windows: tuple[TrafficWindow, ...]
    looked: tuple[Looked, ...]
    rows: Rows
    faults: tuple[Finding, ...]


def look_at(
    windows: Sequence[TrafficWindow],
    watch: Watch,
    reader: LogReader,
    shelf: Shelf,
    artifacts: Artifacts,
    *,
    key: str,
    estimated: Callable[[TrafficWindow, Rows, Sequence[Looked]], Estimate | None],
) -> Seen | None:
    """Look at the full `windows` (oldest first) that nobody looked at yet; None without any.

    What is kept of a window stands under `key`. A recent one that got rows since is looked at again, but what was
    estimated of it before its outcomes came stays as it was told.
    """
    if not windows:
        return None
    kept = shelf.windows(key)
    recent = {id(window) for window in windows[-ESTIMATED:]}
    natural = len(watch.normal.sketches) if watch.normal.natural else 0
    looked: list[Looked] = []
    rows: Rows | None = None
    faults: tuple[Finding, ...] = ()
    for window in windows:
        known, is_recent = kept.get(micros(window.start)), id(window) in recent
        if known is not None and not (is_recent and window.rows.height > known.rows):
            looked.append(_recalled(known, watch, window, artifacts))
            continue
        rows = reader.rows(window, watch.columns)
        faults = watch.faults(rows)
        learning = natural + len(looked) < NEEDED
        told = estimated(window, rows, looked) if is_recent and known is None else None
        item = watch.look(rows, faults, learning=learning, estimate=told)
        if known is not None:
            item = replace(item, estimate=_estimate(known.facts["estimate"]))
        _keep(item, window, shelf, artifacts, key=key)
        looked.append(item)
    if rows is None or rows.start != windows[-1].start:
        rows = reader.rows(windows[-1], watch.columns)
        faults = watch.faults(rows)
    return Seen(tuple(windows), tuple(looked), rows, faults)


def _keep(item: Looked, window: TrafficWindow, shelf: Shelf, artifacts: Artifacts, *, key: str) -> None:
    facts = {
        "faults": item.faults,
        "broken": item.broken,
        "moved": item.moved,
        "auc": item.auc,
        "estimate": item.estimate,
    }
    shelf.keep_window(
        key,
        window.start,
        window.end,
        rows=window.rows.height,
        sketch=artifacts.put_bytes(item.sketch.to_bytes()),
        facts=plain(facts),
    )


def _recalled(kept: KeptWindow, watch: Watch, window: TrafficWindow, artifacts: Artifacts) -> Looked:
    facts = kept.facts
    return Looked(
        window.start,
        WindowSketch.from_bytes(watch.normal.layout, artifacts.get_bytes(kept.sketch)),
        faults=tuple(facts["faults"]),
        broken=tuple(facts["broken"]),
        moved=tuple(facts["moved"]),
        auc=_number(facts["auc"]),
        estimate=_estimate(facts["estimate"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _estimate(told: dict[str, Any] | None) -> Estimate | None:
    if told is None:
        return None
    numbers = ("value", "low", "high", "raw", "effective_rows")
    return Estimate(**(told | {name: _number(told[name]) for name in numbers}))
