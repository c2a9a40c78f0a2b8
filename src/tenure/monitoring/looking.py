"""Look at each window of the log once, and keep what was seen: its rows are not read a second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
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

LOOKED_AT: Final = 26


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
        found = self._found(window)
        return Rows(
            window.start,
            window.end,
            came_in(found, columns),
            self.traffic.features(found, self.schema.columns),
            self._predicted(found),
        )

    def known(self, window: TrafficWindow, columns: Sequence[str]) -> KnownRows:
        """Return the rows of `window` that the version answered and whose outcome is known, with typed `columns`."""
        own = self._found(window).filter(pl.col("version") == self.version)
        rows = usable(own, task=self.task, classes=self.classes)
        typed = self.traffic.features(rows, [self.schema[name] for name in columns])
        return KnownRows(typed, self._predicted(rows), rows["outcome"].to_numpy())

    def _found(self, window: TrafficWindow) -> pl.DataFrame:
        first, last = window.rows["event_at"][0], window.rows["event_at"][-1]
        found = self.traffic.joined(since=first, until=last + timedelta(microseconds=1))
        found = found.join(window.rows.select("id"), on="id", how="semi", maintain_order="left")
        return sampled(found, SAMPLE_ROWS, self.rng(3))

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
    estimated: Callable[[TrafficWindow, Rows, Sequence[Looked]], Estimate | None],
) -> Seen | None:
    """Look at the full `windows` (oldest first) that nobody looked at yet, the latest 26 at most; None without any."""
    if not windows:
        return None
    kept = shelf.windows(watch.normal.digest)
    recent = {id(window) for window in windows[-LOOKED_AT:]}
    natural = len(watch.normal.sketches) if watch.normal.natural else 0
    looked: list[Looked] = []
    chosen: list[TrafficWindow] = []
    rows: Rows | None = None
    faults: tuple[Finding, ...] = ()
    for window in windows:
        known = kept.get(micros(window.start))
        is_last = window is windows[-1]
        if known is not None and known.rows == window.rows.height:
            item = _recalled(known, watch, window, artifacts)
        elif id(window) in recent:
            rows = reader.rows(window, watch.columns)
            faults = watch.faults(rows)
            learning = natural + len(looked) < NEEDED
            item = watch.look(rows, faults, learning=learning, estimate=estimated(window, rows, looked))
            _keep(item, window, watch, shelf, artifacts)
        else:
            continue
        if is_last and (rows is None or rows.start != window.start):
            rows = reader.rows(window, watch.columns)
            faults = watch.faults(rows)
        looked.append(item)
        chosen.append(window)
    assert rows is not None  # the last window was read in any case
    return Seen(tuple(chosen), tuple(looked), rows, faults)


def _keep(item: Looked, window: TrafficWindow, watch: Watch, shelf: Shelf, artifacts: Artifacts) -> None:
    facts = {
        "faults": item.faults,
        "broken": item.broken,
        "moved": item.moved,
        "auc": item.auc,
        "estimate": item.estimate,
    }
    shelf.keep_window(
        watch.normal.digest,
        window.start,
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
        estimate=None if facts["estimate"] is None else _estimate(facts["estimate"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _estimate(told: dict[str, Any]) -> Estimate:
    numbers = ("value", "low", "high", "raw", "effective_rows")
    return Estimate(**(told | {name: _number(told[name]) for name in numbers}))
