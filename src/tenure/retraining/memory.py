"""What earlier prospects tell of gains to expect: how fast models decayed here, and what corrections were worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.core.retraining import Prospect, Recipe
from tenure.retraining.contest import Contest

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FORGET: Final = 0.95
"""A look counts so much less than the one after it."""
FEWEST: Final = 4
"""Looks that a prior needs."""
STILL: Final = 4.0
"""Weight of the wish for no decay at all, in squared windows of age."""
OWN: Final = 0.5
"""Share of the scatter around the pooled decay that is taken for a lasting difference of the present one."""


@dataclass(frozen=True, slots=True)
class Prior:
    """The gain of a recipe as earlier looks let expect it: its mean and variance, and the variance of single blocks."""

    mean: float
    variance: float
    scatter: float


def priors(
    contest: Contest, memory: Sequence[Prospect], now: int, *, before: int, since: int | None
) -> dict[str, Prior]:
    """Return priors by the name of the recipe, from blocks before the moment `before` and after the change `since`.

    Gains of what is learned anew grow in proportion to the age of the model in office, those of corrections do not.
    """
    age = max(contest.history.place(now) - contest.history.place(contest.incumbent.learned), 1)
    seen = [look for look in _looks(contest, memory) if look.start < before and (since is None or look.start > since)]
    told: dict[str, list[tuple[float, float, float]]] = {}
    for back, look in enumerate(reversed(seen)):
        for recipe, gain in look.gains:
            at = float(look.age) if recipe.is_retraining else 1.0
            told.setdefault(recipe.name, []).append((FORGET**back, at, gain))
    is_learned = {recipe.name: recipe.is_retraining for look in seen for recipe, _ in look.gains}
    return {
        name: _prior(np.array(points), float(age) if is_learned[name] else 1.0)
        for name, points in told.items()
        if len(points) >= FEWEST
    }


@dataclass(frozen=True, slots=True)
class _Look:
    """The newest whole block of one prospect: when it began, how old the model in office was, and the gains on it."""

    start: int
    age: int
    gains: tuple[tuple[Recipe, float], ...]


def _looks(contest: Contest, memory: Sequence[Prospect]) -> list[_Look]:
    looks: dict[int, _Look] = {}
    learned: int | None = None
    version: int | None = None
    for prospect in memory:
        at = _moment(prospect.at)
        if prospect.version != version:
            learned, version = learned if learned is not None else at, prospect.version
        block = 1 if len(prospect.starts) > 1 and prospect.starts[0] > prospect.starts[1] else 0
        gains = tuple(
            (one.recipe, gain)
            for one in prospect.alternatives
            if len(one.gains) > block and (gain := one.gains[block]) is not None
        )
        age = max(contest.history.place(at) - contest.history.place(learned or at), 1)
        if prospect.starts:
            start = _moment(prospect.starts[block])
            looks.setdefault(start, _Look(start, age, gains))
        if prospect.chosen is not None and prospect.chosen.is_retraining:
            learned = at
    return list(looks.values())


def _prior(points: Floats, age: float) -> Prior:
    """Return the prior at an age: a line through nothing, fitted to (weight, age, gain) with a wish for none."""
    weight, ages, gains = points.T
    held = float((weight * ages**2).sum()) + STILL
    slope = float((weight * ages * gains).sum()) / held
    scatter = float((weight * (gains - slope * ages) ** 2).sum() / weight.sum())
    return Prior(slope * age, scatter * (age**2 / held + OWN), scatter)


def _moment(told: str) -> int:
    return (datetime.fromisoformat(told) - _EPOCH) // timedelta(microseconds=1)
