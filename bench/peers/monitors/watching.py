"""What the two questions, false alarms and power, need of a monitor: a look at one window after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from peers.monitors.worlds import Rows, World, world_of
from peers.suite import Entry
from tenure.core.evidence import Finding
from tenure.monitoring.alarm import REALISED_SCORE

PAGE: Final = "page"
DATASET: Final = "dataset"
COLUMN: Final = "column"
OURS: Final = "tenure"
READINGS: Final = {OURS: (PAGE,), "evidently": (DATASET, COLUMN), "nannyml": (COLUMN,)}
"""What counts as an alarm: ours pages; Evidently says dataset drift, or drift of any column; NannyML alerts any."""


class Watch(Protocol):
    """A monitor that has seen some windows."""

    def look(self, window: Rows) -> Sequence[str]:
        """Judge the next window and return the causes for which somebody is paged."""

    def fork(self) -> Watch:
        """Return a monitor that has seen the same and goes its own way from here."""


Start = Callable[[World, int], Watch]
"""Makes a monitor of a world for windows of so many rows that come each day."""


@dataclass(frozen=True)
class Plan:
    """What a campaign runs: systems on sets with windows of some sizes.

    `reference` says against which rows windows are held: the `kept` ones, from which windows are drawn too, so that
    nothing at all drifts; or those `learned`, which differ from them as two halves of a finite table do.
    """

    entries: Sequence[Entry]
    sizes: Sequence[int]
    systems: Sequence[str]
    out: Path
    work: Path
    peers: Path | None = None
    start: Start | None = None
    years: int = 1
    windows: int = 365
    peer_windows: int = 30
    quiet: int = 20
    seconds: float = 600.0
    shifts: Sequence[str] = field(default=())
    reference: str = "kept"

    def world(self, entry: Entry) -> World:
        """Return the world of a set with the reference that the plan asks for."""
        world = world_of(entry, self.work / "worlds")
        return world.same() if self.reference == "kept" else world


def onsets(causes: Iterable[Iterable[str]]) -> int:
    """Return how often a cause began: it counts again only after a window without it."""
    count, before = 0, set[str]()
    for now in map(set, causes):
        count += len(now - before)
        before = now
    return count


def cause_of(finding: Finding) -> str:
    """Return the check with its column; the windows that a realised score is about are no cause of their own."""
    about = finding.subject if finding.check != REALISED_SCORE else None
    return f"{finding.check}: {about}" if about else finding.check


def readings(columns: Sequence[str], alarmed: Sequence[Sequence[str]], system: str) -> dict[str, list[bool]]:
    """Return, for each reading of a peer's answer, whether each window is alarmed."""
    said = {
        COLUMN: [bool(names) for names in alarmed],
        DATASET: [2 * len(names) >= len(columns) for names in alarmed],
    }
    return {reading: said[reading] for reading in READINGS[system]}


def drawn(rows: Rows, draws: np.ndarray) -> Iterable[Rows]:
    """Yield the windows of a body of rows."""
    return (rows.take(at) for at in draws)
