"""What became of earlier promises: how much of the gains that were seen lasted, and what earlier versions always gain.

Where regimes come and go faster than outcomes become known, every look sees a gain, and none lasts. Only what came
after earlier looks tells that from a change that stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.retraining import Alternative, Prospect, Recipe, Way
from tenure.retraining.contest import Contest
from tenure.retraining.history import Making
from tenure.retraining.making import make

LOOKS: Final = 24
"""Latest looks whose promises are followed up, and latest windows that tell what earlier versions gain."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Making = tuple[Making, ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """A gain a row that a look saw, the gain that came, and the part of the time it was to last that is known."""

    seen: float
    came: float
    weight: float


@dataclass(frozen=True)
class Record:
    """What became of earlier promises, and the gain a row, at least, of each earlier version over many windows.

    Nothing is believed any more when `looks` promises more have turned around in full than were kept.
    """

    promises: tuple[Promise, ...]
    always: Mapping[int, float]
    looks: float

    @classmethod
    def of(cls, contest: Contest, memory: Sequence[Prospect], now: int) -> Record:
        """Return what is known at a moment: the best alternative of each look is followed up, chosen or not."""
        makings, ripe = _makings(contest, memory), contest.history.ripe(now)
        late = contest.history.place(now) - (ripe[-1] + 1) if ripe else 0
        span = contest.terms.horizon + late
        followed = (_followed(contest, makings, prospect, ripe, span) for prospect in memory[-LOOKS:])
        promises = tuple(one for one in followed if one is not None)
        return cls(promises, _always(contest, ripe[-LOOKS:]), contest.terms.horizon / 2)

    def trust(self, seen: float) -> float:
        """Return the probability that a gain lasts, 0 to 1: 1 unless earlier promises on balance turned around.

        A promise counts by the part of it that came, from -1 to 1. Those smaller than this one count less, by their
        squares, and larger ones no more: a change larger than all before is believed, whatever became of small ones.
        """
        if not self.promises or seen == 0:
            return 1.0
        weight, promised, came = np.array([(one.weight, one.seen, one.came) for one in self.promises]).T
        weight *= np.minimum(promised / abs(seen), 1.0) ** 2
        balance = float(weight @ np.clip(came / promised, -1.0, 1.0))
        return float(np.clip(1.0 + balance / self.looks, 0.0, 1.0))

    def lasts(self, recipe: Recipe, seen: float) -> tuple[float, float]:
        """Return the probability that the gain seen of a recipe lasts, and the gain where it does not.

        That is what an earlier version always gains, and nothing for other recipes.
        """
        always = self.always.get(recipe.version) if recipe.version is not None else None
        return self.trust(seen), min(seen, 0.0) if always is None else always


def _followed(
    contest: Contest, makings: Mapping[int, _Making], prospect: Prospect, ripe: Sequence[int], span: int
) -> Promise | None:
    """Return what came of a look in the `span` windows after it; None where nothing is known of that.

    The span is the horizon and the delay of outcomes: a model that disappoints stays until that is known.
    """
    history, at = contest.history, _moment(prospect.at)
    start, best = history.place(at), _best(prospect)
    later = [place for place in ripe if start <= place < start + span]
    if best is None or best.gain is None or prospect.version not in makings or not later:
        return None
    standing = tuple(step for step in makings[prospect.version] if step.as_of <= at)
    made = _made(makings, standing, best.recipe, at)
    if not standing or made is None or made == standing:
        return None
    rows = np.concatenate([history.rows_of(place) for place in later])
    came = float((_losses(contest, standing, rows) - _losses(contest, made, rows)).mean())
    return Promise(best.gain.value, came, len(later) / span)


def _always(contest: Contest, ripe: Sequence[int]) -> dict[int, float]:
    """Return what each earlier version gains over all late windows that are new to both, less one standard error.

    Windows of one horizon count as one, as neighbours are alike; a gain is not below 0 for being unsure.
    """
    history, incumbent, found = contest.history, contest.incumbent, {}
    for old in contest.former:
        learned = max(old.learned, incumbent.learned)
        places = [at for at in ripe if history.known[history.rows_of(at)].min() > learned]
        if len(places) < max(contest.terms.horizon, 2):
            continue
        rows = np.concatenate([history.rows_of(at) for at in places])
        gains = _losses(contest, incumbent.making, rows) - _losses(contest, old.making, rows)
        edges = np.flatnonzero(np.diff(history.window[rows])) + 1
        means = np.array([part.mean() for part in np.split(gains, edges)])
        error = means.std(ddof=1) / np.sqrt(len(means) / contest.terms.horizon)
        found[old.version] = float(max(means.mean() - error, min(means.mean(), 0.0)))
    return found


def _makings(contest: Contest, memory: Sequence[Prospect]) -> dict[int, _Making]:
    """Return how each version was made, as far as versions at hand and earlier choices tell."""
    makings = {one.version: one.making for one in (*contest.former, contest.incumbent)}
    versions = [*(prospect.version for prospect in memory), contest.incumbent.version]
    for prospect, after in zip(memory, versions[1:], strict=True):
        chosen = prospect.chosen
        if chosen is None or after == prospect.version:
            continue
        if chosen.version is not None and after in makings:
            makings.setdefault(chosen.version, makings[after])
        made = _made(makings, makings.get(prospect.version, ()), chosen, _moment(prospect.at))
        if made is not None:
            makings.setdefault(after, made)
    return makings


def _made(makings: Mapping[int, _Making], standing: _Making, recipe: Recipe, at: int) -> _Making | None:
    """Return the making of what a recipe made of the model in office at a moment; None where it is not known."""
    if recipe.way is Way.REFIT:
        return (Making(recipe, at),)
    if recipe.way is Way.RESTORE:
        return makings.get(recipe.version) if recipe.version is not None else None
    return (*standing, Making(recipe, at)) if standing else None


def _best(prospect: Prospect) -> Alternative | None:
    """Return the alternative with the best forecast, None where it promised nothing.

    Nothing was promised where the lower end of the gain (90 %) is further below 0 than the gain is above, which is to
    be sure of it by about 80 %.
    """
    told = [(one.total.value, one) for one in prospect.alternatives if one.total is not None and not one.dropped]
    best = max(told, key=lambda pair: pair[0], default=(0.0, None))[1]
    if best is None or best.gain is None or best.gain.value <= 0 or best.gain.low < -best.gain.value:
        return None
    return best


def _losses(contest: Contest, making: Sequence[Making], rows: Indices) -> Floats:
    probe = make(contest.history, making, contest.prober, most=contest.terms.most_rows)
    return contest.history.loss(rows, probe.predict(contest.history.problem.matrix[rows]))


def _moment(told: str) -> int:
    return (datetime.fromisoformat(told) - _EPOCH) // timedelta(microseconds=1)
