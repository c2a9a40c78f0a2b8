"""Find when the model in office began to answer worse or better: the latest sudden change of its losses."""

from __future__ import annotations

from typing import Final

import numpy as np

from tenure.core.modelling import Floats

_SURE: Final = 5.0
"""Standard errors; the largest over some fifty places stays below that in all but about one of 10,000 calm stretches."""
_FEWEST: Final = 2


def latest_change(losses: Floats) -> int | None:
    """Return the place in a series of mean losses from which they lie elsewhere than before; None where nowhere.

    The split with the largest two-sample t; then what follows it is searched again, for the latest such place.
    """
    found = None
    start = 0
    while True:
        at = _split(losses[start:])
        if at is None:
            return found
        start = found = start + at


def _split(losses: Floats) -> int | None:
    count = len(losses)
    places = np.arange(_FEWEST, count - _FEWEST + 1)
    if len(places) == 0 or count < 3 * _FEWEST:
        return None
    sums, squares = np.cumsum(losses), np.cumsum(np.square(losses))
    before, after = sums[places - 1] / places, (sums[-1] - sums[places - 1]) / (count - places)
    within = squares[-1] - places * before**2 - (count - places) * after**2
    error = np.sqrt(np.maximum(within, 1e-300) / (count - 2) * (1 / places + 1 / (count - places)))
    size = np.abs(after - before) / error
    best = int(size.argmax())
    return int(places[best]) if size[best] > _SURE else None
