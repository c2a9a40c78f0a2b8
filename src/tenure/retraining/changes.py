"""Find when the model in office began to answer worse or better: the latest sudden change of its losses."""

from __future__ import annotations

from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.retraining.contest import CHUNKS, Contest
from tenure.retraining.making import make

_SURE: Final = 5.0
"""Standard errors: over some fifty places the largest stays below it in all but one of 10,000 calm stretches."""
_FEWEST: Final = 2
_LEAST: Final = 1e-18
_WINDOWS: Final = 12
"""Windows that are looked at."""


def change_of(contest: Contest, now: int) -> int | None:
    """Return the moment from which the model in office answers otherwise than before, in what is new to it."""
    history, incumbent = contest.history, contest.incumbent
    ripe = [at for at in history.ripe(now) if history.known[history.rows_of(at)].min() > incumbent.learned]
    parts = [part for at in ripe[-_WINDOWS:] for part in np.array_split(history.rows_of(at), CHUNKS) if len(part)]
    if not parts:
        return None
    rows = np.concatenate(parts)
    trees = incumbent.as_of(incumbent.learned)
    probe = make(history, trees, contest.prober, most=contest.terms.most_rows)
    losses = history.loss(rows, probe.predict(history.problem.matrix[rows]))
    edges = np.cumsum([len(part) for part in parts])[:-1]
    at = latest_change(np.array([part.mean() for part in np.split(losses, edges)]))
    return None if at is None else int(history.times[parts[at][0]])


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
    losses = losses - losses.mean()
    sums, squares = np.cumsum(losses), np.cumsum(np.square(losses))
    before, after = sums[places - 1] / places, (sums[-1] - sums[places - 1]) / (count - places)
    within = squares[-1] - places * before**2 - (count - places) * after**2
    error = np.sqrt(np.maximum(within, _LEAST) / (count - 2) * (1 / places + 1 / (count - places)))
    size = np.abs(after - before) / error
    best = int(size.argmax())
    return int(places[best]) if size[best] > _SURE else None
