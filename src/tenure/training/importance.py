"""Measure which source columns the model needs, on rows its members never saw.

Shuffle one column at a time and see what is lost (Breiman 2001). Where there are too many columns for the time left,
the mean size of each column's contribution to the score stands in: it takes one look for all columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Importance
from tenure.core.ports import Deadline

_MOST_ROWS: Final = 2_000
_FEWEST_ROWS: Final = 40
_EXPLAINED_ROWS: Final = 16
_SAFE_SHARE: Final = 0.6
"""Of the time left, for what was timed on few rows only."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows to measure on, in random order, and what can be asked about them.

    `matrix` is encoded, `sources` names the source column of each of its columns. `loss` gives the mean loss of a
    matrix for the first so many rows; `contributions` gives the size (n, d) of each number's part in the score.
    """

    matrix: Floats
    sources: Sequence[str]
    loss: Callable[[Floats], float]
    contributions: Callable[[Floats], Floats]


def measure_importance(judged: Judged, *, rng: np.random.Generator, deadline: Deadline) -> tuple[Importance, ...]:
    """Return each source column's share of what all columns give, the largest first; all 0 where none gives any."""
    if not judged.sources:
        return ()
    lost = _losses_by_shuffling(judged, rng, deadline)
    if lost is None:
        lost = _by_source(judged, judged.contributions(judged.matrix[:_EXPLAINED_ROWS]).mean(axis=0))
    total = sum(lost.values())
    ranked = sorted(lost, key=lambda name: -lost[name])
    return tuple(Importance(name, lost[name] / total if total > 0 else 0.0) for name in ranked)


def _losses_by_shuffling(judged: Judged, rng: np.random.Generator, deadline: Deadline) -> dict[str, float] | None:
    """Return how much shuffling each source adds to the loss; None where the time does not suffice for all of them."""
    of_source = np.array(judged.sources, dtype=object)
    names = list(dict.fromkeys(judged.sources))
    before, few = deadline.now, min(_FEWEST_ROWS, len(judged.matrix))
    judged.loss(judged.matrix[:few])
    seconds_per_row = max((deadline.now - before) / few, 1e-9)
    affordable = _SAFE_SHARE * deadline.left / (seconds_per_row * (len(names) + 1))
    if affordable < few:
        return None
    known = judged.matrix[: int(min(affordable, _MOST_ROWS))]
    whole = judged.loss(known)
    order = rng.permutation(len(known))
    lost: dict[str, float] = {}
    for name in names:
        if deadline.passed:
            return None
        columns = np.flatnonzero(of_source == name)
        shuffled = known.copy()
        shuffled[:, columns] = known[order][:, columns]
        lost[name] = max(judged.loss(shuffled) - whole, 0.0)
    return lost


def _by_source(judged: Judged, sizes: Floats) -> dict[str, float]:
    totals = dict.fromkeys(judged.sources, 0.0)
    for name, size in zip(judged.sources, sizes, strict=True):
        totals[name] += float(size)
    return totals
