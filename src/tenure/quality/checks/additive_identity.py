"""Is the target a sum, difference or product of columns?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.quality.evidence import QualityEvidence

_ROWS: Final = 5_000
_MOST_PARTS: Final = 12
_EXACT: Final = 1 - 1e-6


class AdditiveIdentity:
    """Measures the share of the target's variance that a weighted sum of few columns explains: 1 is an identity.

    Columns are chosen one by one (orthogonal matching pursuit) and dropped again where not needed; then the same on
    logarithms, which finds products and ratios.
    """

    name: ClassVar[str] = "additive_identity"
    rank: ClassVar[int] = 22
    threshold: ClassVar[Threshold] = Threshold(warn=_EXACT)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement: the identity and its columns, or the best sum where there is none."""
        columns = [c for c in evidence.columns if c.kind in (Kind.NUMERIC, Kind.BOOLEAN)]
        if evidence.task.is_classification or not columns:
            yield Measurement(self.name, 0.0, skipped="Only a number can be a sum of numbers.")
            return
        matrix = np.nan_to_num(np.column_stack([evidence.numbers(c) for c in columns])[:_ROWS])
        target = evidence.target[:_ROWS]
        positive = np.all(matrix > 0, axis=0)
        ways = [("sum", matrix, target, np.arange(len(columns)))]
        if np.all(target > 0) and positive.any():
            ways.append(("product", np.log(matrix[:, positive]), np.log(target), np.flatnonzero(positive)))
        best = 0.0
        for way, numbers, answer, where in ways:
            chosen, explained = _pursue(numbers, answer)
            best = max(best, explained)
            if explained > _EXACT:
                names = [columns[int(where[i])].name for i in chosen]
                yield self._found(way, names, explained)
                return
        yield Measurement(
            self.name, best, says=f"The target is no sum or product of columns (the best explains {100 * best:.3g} %)."
        )

    def _found(self, way: str, names: list[str], explained: float) -> Measurement:
        listed = " and ".join(repr(name) for name in names)
        return Measurement(
            self.name,
            explained,
            subject=" + ".join(names) if way == "sum" else " x ".join(names),
            says=f"The target is exactly a {way} of {listed}: whoever knows them knows the answer.",
            hint="Set data.columns.NAME.available = 'at_prediction' for those that are truly known before.",
            evidence={"leaks": names, "because": f"gives the target exactly, as part of a {way} ({listed})"},
        )


def _pursue(matrix: Floats, target: Floats) -> tuple[list[int], float]:
    """Return the columns of the sparsest sum found, and the share of the target's variance that it explains."""
    spread = matrix.std(axis=0)
    usable = spread > 0
    scaled = np.where(usable, (matrix - matrix.mean(axis=0)) / np.where(usable, spread, 1.0), 0.0)
    centred = target - target.mean()
    total = float(centred @ centred)
    if total == 0:
        return [], 0.0
    chosen: list[int] = []
    explained, residual = 0.0, centred
    while len(chosen) < min(_MOST_PARTS, int(usable.sum())) and explained <= _EXACT:
        pull = np.abs(scaled.T @ residual)
        pull[chosen] = -1.0
        chosen.append(int(np.argmax(pull)))
        residual = _rest(scaled[:, chosen], centred)
        explained = 1 - float(residual @ residual) / total
    for part in list(chosen) if explained > _EXACT else []:
        fewer = [c for c in chosen if c != part]
        left = _rest(scaled[:, fewer], centred)
        if fewer and 1 - float(left @ left) / total > _EXACT:
            chosen = fewer
    return sorted(chosen), explained


def _rest(parts: Floats, target: Floats) -> Floats:
    weights = np.linalg.lstsq(parts, target, rcond=None)[0]
    rest: Floats = target - parts @ weights
    return rest
