"""Choose an ensemble again where the best one would take too long for a row: members that cost least for what they
tell, then fewer folds (methods.md 9, point 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.training.ensemble import Pool, choose_within
from tenure.training.race import BASELINE, Race
from tenure.training.track import Entrant

Choice = Callable[[Pool], Floats]

_FOLDS_ARE_WORTH: Final = 0.03
"""Of the gain over the baseline: what the members of more folds are thought to bring beyond what can be measured."""


def choose_folds(race: Race, entrants: Sequence[Entrant]) -> tuple[Choice, int]:
    """Return how to choose weights within the limit, and the members of how many folds are to serve.

    All folds, unless fewer leave room for candidates that are clearly better.
    """
    pool = race.pool(entrants)
    floor = float(pool.losses()[_floor(entrants)])
    best = floor - pool.loss(_within(race, entrants, 1, pool))
    for folds in range(len(race.course.choosing), 1, -1):
        weights = _within(race, entrants, folds, pool)
        chosen = [entrant for entrant, weight in zip(entrants, weights, strict=True) if weight > 0]
        is_enough = floor - pool.loss(weights) >= (1.0 - _FOLDS_ARE_WORTH) * best > 0
        if is_enough and race.row_times.affords(chosen, race.course, folds):
            return partial(_within, race, entrants, folds), folds
    return partial(_within, race, entrants, 1), 1


def choose_mixture(race: Race, entrants: Sequence[Entrant], pool: Pool) -> Floats:
    """Return weights within the limit for entrants that learn once more from all rows.

    In time order the room that is left goes to the next best, and weights are drawn to equal ones, as without a limit.
    """
    weights = _within(race, entrants, None, pool)
    if not race.course.in_time:
        return weights
    kept = [int(at) for at in np.flatnonzero(weights)]
    order = [int(at) for at in np.argsort(pool.losses(), kind="stable")]
    for at in [_floor(entrants), *order]:
        if at not in kept and race.row_times.affords([entrants[i] for i in (*kept, at)], race.course):
            kept.append(at)
    kept.sort()
    mixed = np.zeros(len(entrants))
    mixed[kept] = race.mixture([entrants[at] for at in kept], replace(pool, answers=pool.answers[kept]))
    return mixed


def _within(race: Race, entrants: Sequence[Entrant], folds: int | None, pool: Pool) -> Floats:
    """Return the weights of the best mixture that stays within the limit.

    Where nothing does that is better than the baseline, whoever comes next to it: the limit keeps head-room.
    """
    times = [race.row_times.served(entrant, race.course, folds) for entrant in entrants]
    costs = np.array([time.microseconds for time in times])
    weights = choose_within(pool, costs, lambda chosen: race.limit.affords(*(times[at] for at in chosen)))
    floor = _floor(entrants)
    if weights is not None and weights[floor] < 1.0:
        return weights
    losses = pool.losses()
    better = np.flatnonzero(losses < losses[floor])
    cheapest = better[np.argmin(costs[better])] if len(better) else floor
    return np.where(np.arange(len(entrants)) == cheapest, 1.0, 0.0)


def _floor(entrants: Sequence[Entrant]) -> int:
    return next(at for at, entrant in enumerate(entrants) if entrant.family.name == BASELINE)
