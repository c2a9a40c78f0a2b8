"""Is the target there twice, under another name?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.quality.evidence import QualityEvidence

_SUPPORT: Final = 5


class TargetCopy:
    """Measures how exactly a column's value fixes the target, beyond always naming the commonest class.

    Classes: purity over values seen at least five times. Numbers: squared correlation with the target, or with its
    ranks, or the share of its variance between values seen at least five times.
    """

    name: ClassVar[str] = "target_copy"
    rank: ClassVar[int] = 20
    threshold: ClassVar[Threshold] = Threshold(warn=0.999)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each copy, or one for the closest column when there is none."""
        nearest, most, found = "", 0.0, 0
        for column in evidence.in_time():
            if column.kind is Kind.TEXT:
                continue
            value = _exactness(evidence, column)
            if value > self.threshold.warn:
                found += 1
                yield Measurement(
                    self.name,
                    value,
                    subject=column.name,
                    says=f"{column.name!r} is the target under another name: its value fixes the target.",
                    hint=f"If it is truly known before, set data.columns.{column.name}.available = 'at_prediction'.",
                    evidence={"leaks": [column.name], "because": "is a copy of the target"},
                )
            elif value > most:
                nearest, most = column.name, value
        yield from evidence.cut_short(self.name)
        if not found and not evidence.deadline.passed:
            says = f"No column is a copy of the target; {nearest!r} comes closest ({most:.2g} of 1)."
            yield Measurement(self.name, most, says=says if nearest else "No column is a copy of the target.")


def _exactness(evidence: QualityEvidence, column: Column) -> float:
    values = evidence.numbers(column)
    given = ~np.isnan(values)
    if given.sum() < 20 or given.mean() < 0.5:
        return 0.0
    _, codes, counts = np.unique(values[given], return_inverse=True, return_counts=True)
    supported = counts[codes] >= _SUPPORT
    target = evidence.target[given]
    by_value = 0.0
    if supported.mean() >= 0.5:
        by_value = _fixed(codes[supported], target[supported], len(evidence.classes))
    if evidence.task.is_classification or column.kind is not Kind.NUMERIC:
        return by_value
    ranks = _squared_correlation(_ranks(values[given]), _ranks(target))
    return max(by_value, ranks, _squared_correlation(values[given], target))


def _fixed(codes: NDArray[np.int64], target: NDArray[np.float64], classes: int) -> float:
    """Return the share of what is uncertain about the target that goes away once the code is known."""
    if classes:
        counts = np.zeros((int(codes.max()) + 1, classes))
        np.add.at(counts, (codes, target.astype(np.int64)), 1)
        purity, usual = counts.max(axis=1).sum() / len(codes), counts.sum(axis=0).max() / len(codes)
        return float((purity - usual) / (1 - usual)) if usual < 1 else 0.0
    centred = target - target.mean()
    sums, count = np.bincount(codes, weights=centred), np.maximum(np.bincount(codes), 1)
    spread = float(np.sum(centred**2))
    return float(np.sum(sums**2 / count)) / spread if spread > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    _, ranks = np.unique(values, return_inverse=True)
    return ranks.astype(np.float64)


def _squared_correlation(one: Floats, other: Floats) -> float:
    if np.std(one) == 0 or np.std(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1] ** 2)
