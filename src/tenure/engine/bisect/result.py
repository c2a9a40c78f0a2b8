"""What a search for the break of a metric found, and how several looks at once are paid for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

from tenure.core.health import Span
from tenure.core.metrics import Metric, Targets
from tenure.core.modelling import Floats, Score
from tenure.core.uncertainty import Clusters, paired_gain

_Z95: Final = 1.959963984540054
_BORNE: Final = 0.02
"""A loss of up to this share of the skill is no break."""


class By(StrEnum):
    """Along what is searched."""

    VERSION = "version"
    BATCH = "batch"
    WINDOW = "window"


class Lean(StrEnum):
    """On which side of the break something lies."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Tried:
    """One version, batch or window: its score, and how much better it is than what it was held against (paired).

    The interval of `gain` is so wide that all of a search hold together (95 %).
    """

    name: str
    lean: Lean
    score: Score | None = None
    gain: Span | None = None
    rows: int = 0
    says: str = ""


@dataclass(frozen=True, slots=True)
class Bisected:
    """Where a metric broke.

    `found` names the first bad one, None where nothing broke or nobody can tell; it lies between `earliest` and
    `latest`. `compared` says on which rows and against what. `unknown` says what could not be looked at.
    """

    by: By
    metric: str
    found: str | None
    says: str
    compared: str
    tried: tuple[Tried, ...] = ()
    earliest: str | None = None
    latest: str | None = None
    unknown: tuple[str, ...] = ()


def gain_among(
    metric: Metric, target: Targets, new: Floats, old: Floats, *, looks: int, clusters: Clusters | None = None
) -> Span:
    """Return how much better `new` is than `old` on the same rows, as one of `looks` comparisons (Bonferroni)."""
    gain, low, high = paired_gain(metric, target, new, old, clusters=clusters)
    return among(Span(gain, low, high), looks)


def among(span: Span, looks: int) -> Span:
    """Return a 95 % interval widened, so that `looks` of them hold together."""
    wider = NormalDist().inv_cdf(1.0 - 0.025 / max(looks, 1)) / _Z95
    return Span(span.value, *(span.value + wider * (end - span.value) for end in (span.low, span.high)))


def lean_of(gain: Span, *, skill: float) -> Lean:
    """Say whether a paired gain tells of a break: bad beyond doubt, good within what is borne, or neither."""
    if gain.high < 0.0:
        return Lean.BAD
    return Lean.GOOD if gain.low > -_BORNE * max(skill, 0.0) or gain.low >= 0.0 else Lean.OPEN
