"""Does one measured column carry a suspicious share of all that can be known?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.model.probe import affordable_rounds, probe_matrix, quick_booster
from tenure.quality.evidence import QualityEvidence, skill_of

_ROWS: Final = 10_000
_SECONDS: Final = 1.0
_COLUMNS: Final = 400
_FEWEST_VALUES: Final = 100
_TIMES_THE_SECOND: Final = 3.0
_LEAST_STRENGTH: Final = 0.6
_LEAST_ALONE: Final = {True: 0.78, False: 0.6}
"""AUC or R2 that the column must have alone: one honest strong column among weak ones is common, and no leak."""


class Dominance:
    """Measures the share of a quick probe's skill that is lost without its strongest column.

    Only columns that measure something (numbers with more than 100 values) and know much alone are judged: a code with
    few values names a place, a product or an hour, and is known beforehand. The loss must be three times the second's.
    """

    name: ClassVar[str] = "dominance"
    rank: ClassVar[int] = 45
    threshold: ClassVar[Threshold] = Threshold(warn=0.2)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement about the strongest column."""
        columns = evidence.columns[:_COLUMNS]
        if len(columns) < 2:
            yield Measurement(self.name, 0.0, skipped="There are fewer than two columns to compare.")
            return
        probe = _Probe(evidence, columns)
        base = probe.skill(without=None)
        if not math.isnan(base) and evidence.strength(base) < _LEAST_STRENGTH:
            yield Measurement(self.name, 0.0, skipped="A quick probe finds little to know, so nothing dominates.")
            return
        first, second = probe.strongest()
        losses = [probe.lost(name, base) for name in (first, second)]
        if any(math.isnan(loss) for loss in losses):
            yield Measurement(self.name, 0.0, skipped="There was no time for it.")
            return
        stands_out = losses[0] >= _TIMES_THE_SECOND * max(losses[1], 0.0) and _may_leak(evidence, first)
        says = (
            f"Without {first!r} a quick model loses {100 * max(losses[0], 0.0):.2g} % of its skill, "
            f"without the second column, {second!r}, {100 * max(losses[1], 0.0):.2g} %."
        )
        if stands_out and losses[0] > self.threshold.warn:
            says += " Is it known before the outcome?"
        yield Measurement(
            self.name,
            max(losses[0], 0.0) if stands_out else 0.0,
            subject=first,
            says=says,
            hint=f"Set data.columns.{first}.available to 'after' or to 'at_prediction'.",
            evidence={"suspects": [first], "lost": losses[0], "second": second, "second_lost": losses[1]},
        )


def _may_leak(evidence: QualityEvidence, name: str) -> bool:
    column = evidence.schema[name]
    if column.kind is not Kind.NUMERIC or np.unique(evidence.numbers(column)).size <= _FEWEST_VALUES:
        return False
    return evidence.skill(column) >= _LEAST_ALONE[evidence.task.is_classification]


class _Probe:
    """Quick boosters on a sample, with and without columns."""

    def __init__(self, evidence: QualityEvidence, columns: tuple[Column, ...]) -> None:
        rows = min(evidence.frame.height, _ROWS)
        chosen = np.sort(evidence.rng.permutation(evidence.frame.height)[:rows])
        self._evidence = evidence
        self._matrix, sources = probe_matrix(evidence.frame[chosen], evidence.schema, columns)
        self._sources = np.array(sources)
        self._target = evidence.target[chosen]
        self._names = [column.name for column in columns]
        self._rounds = affordable_rounds(
            _SECONDS,
            rows=rows,
            features=self._matrix.shape[1],
            classes=len(evidence.classes),
            fits=7,
            most=60,
        )
        self._held = chosen % 3 == evidence.rng.integers(3)

    def skill(self, *, without: str | None) -> float:
        """Return the skill on held-out rows; NaN where the time is up."""
        if self._evidence.deadline.passed:
            return float("nan")
        kept = self._matrix[:, self._sources != without] if without else self._matrix
        return skill_of(self._evidence.task, self._target[self._held], self._predict(kept))

    def _predict(self, matrix: Floats) -> Floats:
        evidence, learn = self._evidence, ~self._held
        booster = quick_booster(
            matrix[learn], self._target[learn], evidence.task, len(evidence.classes), rounds=self._rounds
        )
        return booster.predict(matrix[self._held])

    def strongest(self) -> tuple[str, str]:
        """Return the two features with the highest total gain."""
        evidence = self._evidence
        booster = quick_booster(self._matrix, self._target, evidence.task, len(evidence.classes), rounds=self._rounds)
        gains = booster.gains()
        total = {name: float(gains[self._sources == name].sum()) for name in self._names}
        first, second, *_ = sorted(total, key=lambda name: -total[name])
        return first, second

    def lost(self, name: str, base: float) -> float:
        """Return the share of the skill above chance that is lost without a column."""
        chance = 0.5 if self._evidence.task.is_classification else 0.0
        return (base - self.skill(without=name)) / (base - chance)
