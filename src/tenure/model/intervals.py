"""Intervals around answers, and curves that correct probabilities: small tables that were measured out of fold.

Each looks an answer up by itself. What is for one row is plain Python: the same arithmetic as for a table, bit for bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np

from tenure.core.modelling import Floats, Indices


@dataclass(frozen=True)
class ValueInterval:
    """What to add to a value for the ends of its 90 % interval, by bins of the value.

    `edges` (b - 1) divide the bins, `low` and `high` (b) are what is added; a value on an edge is in the upper bin.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def constant(cls, low: float, high: float) -> Self:
        """Return the interval that adds the same everywhere."""
        return cls((), (float(low),), (float(high),))

    @classmethod
    def from_data(cls, data: Mapping[str, Any] | Sequence[float]) -> Self:
        """Read an interval from a bundle: three lists, or the one pair that older bundles hold."""
        if isinstance(data, Mapping):
            return cls(_floats(data["edges"]), _floats(data["low"]), _floats(data["high"]))
        low, high = data
        return cls.constant(low, high)

    def around(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the low and the high ends (n,) for values (n,)."""
        edges, low, high = self._arrays
        at: Indices = np.searchsorted(edges, values, side="right")
        return values + low[at], values + high[at]

    def around_one(self, value: float) -> tuple[float, float]:
        """Return the low and the high end for one value."""
        at = bisect_right(self.edges, value)
        return value + self.low[at], value + self.high[at]

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.edges), np.array(self.low), np.array(self.high)


@dataclass(frozen=True)
class ProbabilityInterval:
    """Between what the probability of the positive class lies, by bins of the stated probability.

    The ends are a Venn-Abers pair (Vovk and Petej 2014), widened to hold the stated probability itself.
    `edges` (b - 1) divide the bins, `low` and `high` (b) are the ends.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read an interval from a bundle."""
        return cls(_floats(data["edges"]), _floats(data["low"]), _floats(data["high"]))

    def around(self, probability: Floats) -> tuple[Floats, Floats]:
        """Return the low and the high ends (n,) for probabilities (n,)."""
        edges, low, high = self._arrays
        at: Indices = np.searchsorted(edges, probability, side="right")
        return np.minimum(low[at], probability), np.maximum(high[at], probability)

    def around_one(self, probability: float) -> tuple[float, float]:
        """Return the low and the high end for one probability."""
        at = bisect_right(self.edges, probability)
        low, high = self.low[at], self.high[at]
        return low if low <= probability else probability, high if high >= probability else probability

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.edges), np.array(self.low), np.array(self.high)


@dataclass(frozen=True)
class ProbabilityCurve:
    """A rising curve from the members' probability of the positive class to the one that came true.

    `at` (k, rising) and `value` (k) are its knots; between them it is straight.
    """

    at: tuple[float, ...]
    value: tuple[float, ...]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read a curve from a bundle."""
        return cls(_floats(data["at"]), _floats(data["value"]))

    def __call__(self, probabilities: Floats) -> Floats:
        """Return corrected probabilities (n, 2)."""
        at, value, slope = self._arrays
        stated = np.maximum(probabilities[:, 1], at[0])
        knot: Indices = np.searchsorted(at, stated, side="right") - 1
        positive = slope[knot] * (stated - at[knot]) + value[knot]
        return np.column_stack([1.0 - positive, positive])

    def of_one(self, probability: float) -> float:
        """Return one corrected probability of the positive class."""
        stated = self.at[0] if probability < self.at[0] else probability
        knot = bisect_right(self.at, stated) - 1
        return self._slopes[knot] * (stated - self.at[knot]) + self.value[knot]

    @cached_property
    def _slopes(self) -> tuple[float, ...]:
        """Return how steep the curve is after each knot; flat after the last one, and where two knots are one."""
        knots = pairwise(zip(self.at, self.value, strict=True))
        return (*((v - u) / (b - a) if b > a else 0.0 for (a, u), (b, v) in knots), 0.0)

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.at), np.array(self.value), np.array(self._slopes)


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
