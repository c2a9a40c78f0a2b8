"""Which numbers stand for 'missing' or 'never'?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.quality.evidence import QualityEvidence

_KNOWN: Final = (-1.0, -9.0, *(sign * (10.0**digits - 1) for digits in range(2, 8) for sign in (1, -1)))


class SentinelValues:
    """Measures the share of a number such as 999 or -1 that lies outside all others; a note, never a warning."""

    name: ClassVar[str] = "sentinel_values"
    rank: ClassVar[int] = 16
    threshold: ClassVar[Threshold] = Threshold(warn=1.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each column with such a number, or one for all when there is none."""
        found = 0
        for column in evidence.in_time():
            if column.kind is not Kind.NUMERIC:
                continue
            values = evidence.numbers(column)
            values = values[~np.isnan(values)]
            for number in _KNOWN:
                share = float(np.mean(values == number)) if values.size else 0.0
                rest = values[values != number] if share >= 0.01 else values[:0]
                if not _stands_apart(number, rest):
                    continue
                found += 1
                yield Measurement(
                    self.name,
                    share,
                    subject=column.name,
                    says=f"{column.name!r} is {number:g} in {100 * share:.3g} % of rows, far from all other values; "
                    "it probably stands for 'none'.",
                    hint="Trees can tell it apart; write it as empty if a person or a linear model reads it.",
                    evidence={"value": number},
                )
        yield from evidence.cut_short(self.name)
        if not found and not evidence.deadline.passed:
            yield Measurement(self.name, 0.0, says="No number looks like a stand-in for 'missing'.")


def _stands_apart(number: float, rest: Floats) -> bool:
    """Say whether the number is beyond all others by their whole width, or the only negative one."""
    if rest.size < 20:
        return False
    low, high = np.quantile(rest, (0.001, 0.999))
    if number < 0 <= rest.min():
        return True
    return bool(number > high + (high - low) or number < low - (high - low))
