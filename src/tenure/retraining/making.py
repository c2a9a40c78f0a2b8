"""Make quick models after their recipes, each from what was known at its moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Probe, Prober
from tenure.core.retraining import Recipe, Way
from tenure.model.correction import Correction, fit_correction
from tenure.retraining.history import History, Making
from tenure.retraining.recipes import learned_rows

CORRECTION_WINDOWS = 2
"""Answers are corrected by the latest windows only: what they need lately."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A probe whose answers are corrected."""

    probe: Probe
    correction: Correction

    def predict(self, matrix: Floats) -> Floats:
        """Return corrected probabilities (n, k) or values (n,)."""
        return self.correction.apply(self.probe.predict(matrix))


def make(
    history: History, making: Sequence[Making], prober: Prober, *, until: int | None = None, most: int = 50_000
) -> Probe:
    """Return what a making gives, step by step. `until` holds for the last step: rows before that time only.

    Raises:
        ValueError: the first step does not learn anew.
    """
    probe: Probe | None = None
    learned = -(2**63)
    for step in making:
        last = until if step is making[-1] else None
        way = step.recipe.way
        if way is Way.REFIT:
            probe = prober.fit(history.problem, *learned_rows(history, step.recipe, step.as_of, until=last, most=most))
        elif probe is None:
            raise ValueError(f"{way} needs a model to start from")
        elif way is Way.RECALIBRATE:
            rows = correction_rows(history, learned, step.as_of, until=last, most=most)
            probe = corrected(history, probe, step.recipe, rows)
        else:
            rows, weight = learned_rows(history, step.recipe, step.as_of, until=last, most=most)
            if way is Way.CONTINUE:
                rows, weight = rows[history.known[rows] > learned], None
            if len(rows):
                base = probe.probe if isinstance(probe, Corrected) else probe
                probe = prober.fit(history.problem, rows, weight, way=way, base=base, mix=step.recipe.mix)
        if way is not Way.RECALIBRATE:
            learned = step.as_of
    if probe is None:
        raise ValueError("a making has at least one step")
    return probe


def correction_rows(
    history: History, learned: int, as_of: int, *, until: int | None = None, most: int = 50_000
) -> Indices:
    """Return the rows that a correction learns from: of the latest windows, and new to the model."""
    rows = np.flatnonzero(history.usable & (history.known <= as_of) & (history.known > learned))
    if until is not None:
        rows = rows[history.times[rows] < until]
    if len(rows) == 0:
        return rows
    newest = np.unique(history.window[rows])[-CORRECTION_WINDOWS:]
    rows = rows[history.window[rows] >= newest[0]]
    return rows[-most:]


def corrected(history: History, probe: Probe, recipe: Recipe, rows: Indices) -> Probe:
    """Return a probe with its answers corrected by what came true of rows; as it is where there are none."""
    if len(rows) == 0:
        return probe
    correction = fit_correction(
        history.problem.target[rows], probe.predict(history.problem.matrix[rows]), level_only=recipe.mix is not None
    )
    return Corrected(probe, correction)
