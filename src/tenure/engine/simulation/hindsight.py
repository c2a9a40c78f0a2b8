"""What every model that was made in some flight would have said to all rows that came after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Task
from tenure.core.value import Flags
from tenure.engine.simulation.desk import aligned
from tenure.engine.simulation.flight import Flight
from tenure.engine.simulation.gauge import Answers
from tenure.engine.workspace import open_workspace
from tenure.model.scorer import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What one model says to all rows from row `first` on, the first that came after it was made."""

    first: int
    predicted: Floats
    said_yes: Flags | None


class Hindsight:
    """Scores each model once, in one batch, on all rows of the first `count` windows that came after it."""

    def __init__(self, flights: Sequence[Flight], count: int) -> None:
        windows = [flown.window for flown in flights[0].windows[:count]]
        self._starts = [window.start for window in windows]
        self._ends = np.cumsum([window.rows.height for window in windows]).tolist()
        self._rows = pl.concat([window.rows for window in windows], how="vertical_relaxed")
        self.models: dict[str, Course] = {}
        self.versions: list[dict[int, str]] = []
        """The models (bundle digests) of each flight by version."""
        for flight in flights:
            self.versions.append(self._scored(flight))

    def _scored(self, flight: Flight) -> dict[int, str]:
        found: dict[int, str] = {}
        with open_workspace(flight.folder, project=flight.project) as workspace:
            for version in workspace.registry.versions():
                born = datetime.fromisoformat(version.created_at)
                first = self._begin(sum(start < born for start in self._starts))
                known = self.models.get(version.model)
                if known is None or first < known.first:
                    self.models[version.model] = self._course(workspace.scorer(version), first, flight)
                found[version.number] = version.model
        return found

    def _course(self, scorer: Scorer, first: int, flight: Flight) -> Course:
        rows = self._rows[first:]
        if rows.is_empty():
            width = () if flight.task is Task.REGRESSION else (len(flight.classes),)
            yes = np.zeros(0, dtype=np.bool_) if flight.task is Task.BINARY else None
            return Course(first, np.zeros((0, *width)), yes)
        scored = scorer.score(rows)
        if scored.values is not None:
            return Course(first, scored.values, None)
        assert scored.probabilities is not None  # a model answers with values or with probabilities
        assert scored.labels is not None
        predicted = aligned(scored.probabilities, scorer.model.classes, flight.classes)
        is_yes = np.array([label == flight.classes[-1] for label in scored.labels], dtype=np.bool_)
        return Course(first, predicted, is_yes if flight.task is Task.BINARY else None)

    def _begin(self, window: int) -> int:
        return int(self._ends[window - 1]) if window else 0

    def answers(self, model: str, target: NDArray[Any], window: int) -> Answers | None:
        """Return what a model says in a window; None where the window came before it."""
        course = self.models[model]
        begin, end = self._begin(window) - course.first, int(self._ends[window]) - course.first
        if begin < 0:
            return None
        yes = None if course.said_yes is None else course.said_yes[begin:end]
        return Answers(target, course.predicted[begin:end], yes)
