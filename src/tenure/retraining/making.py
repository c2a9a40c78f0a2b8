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

    Corrections go when trees are learned or grown: they belonged to the ones before.

    Raises:
        ValueError: no step makes a model to start from.
    """
    probe: Probe | None = None
    trees: Probe | None = None
    learned = -(2**63)
    for step in making:
        recipe, last = step.recipe, until if step is making[-1] else None
        if recipe.way is Way.RECALIBRATE:
            if probe is None:
                raise ValueError("a correction needs a model to start from")
            rows = correction_rows(history, learned, step.as_of, until=last, most=most)
            probe = _corrected(history, probe, recipe, rows)
            continue
        rows, weight = learned_rows(history, recipe, step.as_of, until=last, most=most)
        if recipe.way is Way.CONTINUE:
            rows, weight = rows[history.known[rows] > learned], None
        if len(rows) or recipe.way is Way.REFIT:
            base = None if recipe.way is Way.REFIT else trees
            probe = trees = prober.fit(history.problem, rows, weight, way=recipe.way, base=base, mix=recipe.mix)
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
    newest: Indices = np.unique(history.window[rows])[-CORRECTION_WINDOWS:]
    latest: Indices = rows[history.window[rows] >= newest[0]][-most:]
    return latest


def _corrected(history: History, probe: Probe, recipe: Recipe, rows: Indices) -> Probe:
    """Return a probe with its answers corrected by what came true of rows; as it is where there are none."""
    if len(rows) == 0:
        return probe
    correction = fit_correction(
        history.problem.target[rows], probe.predict(history.problem.matrix[rows]), level_only=recipe.mix is not None
    )
    return Corrected(probe, correction)
