"""Ask whether a new model would pay, and learned from what: the whole decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from tenure.core.ports import Deadline, Prober
from tenure.core.retraining import Alternative, Prospect, Recipe, Way
from tenure.retraining.changes import change_of
from tenure.retraining.contest import Block, Contest, Entry, blocks_of, compete
from tenure.retraining.forecast import Forecast, forecast
from tenure.retraining.history import History, Incumbent, Terms
from tenure.retraining.memory import priors
from tenure.retraining.recipes import moment_of, since, usual
from tenure.retraining.words import told_in_words

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_HORIZON: Final = 0.5


def consider(
    history: History,
    incumbent: Incumbent,
    terms: Terms,
    prober: Prober,
    *,
    now: int,
    trigger: str,
    change: int | None = None,
    memory: Sequence[Prospect] = (),
    former: Sequence[Incumbent] = (),
    recipes: Sequence[Recipe] | None = None,
    deadline: Deadline | None = None,
    threads: int = 1,
) -> Prospect:
    """Return what recipes promise against the model in office, and the one to follow, if any.

    `now` is the moment (microseconds) whose knowledge is used. `change` is when something is known to have changed;
    `memory` holds earlier prospects of this project, oldest first; `former` are earlier versions that may be brought
    back. `recipes` (all usual ones by default) compete, besides those of the change and of former versions.
    """
    contest = Contest(history, incumbent, tuple(former), prober, terms)
    changed = _latest(change, change_of(contest, now), *_noted(memory))
    entrants = list(usual() if recipes is None else recipes)
    entrants += [] if changed is None else [since(changed)]
    entrants += [Recipe(f"restore v{old.version}", Way.RESTORE, version=old.version) for old in former]
    blocks = blocks_of(contest, now, since=changed)
    entries = compete(contest, entrants, blocks, deadline=deadline, threads=threads)
    first = min((int(history.times[block.rows[0]]) for block in blocks), default=now)
    expected = priors(contest, memory, now, before=first, since=changed)
    told = forecast(entries, np.array([block.weight for block in blocks]), terms, _windows(contest, now), expected)
    return _prospect(contest, entries, blocks, told, now=now, trigger=trigger)


def _windows(contest: Contest, now: int) -> float:
    """Return for how many windows a gain is counted: the horizon, but half the age of the model in office at most.

    A model is replaced after about as long as the last one, and what is gained until then grows from nothing.
    """
    age = contest.history.place(now) - contest.history.place(contest.incumbent.learned)
    return min(float(contest.terms.horizon), max(age / 2, _LEAST_HORIZON))


def _noted(memory: Sequence[Prospect]) -> list[int | None]:
    """Return the moment of a change that the last prospect knew of."""
    return [moment_of(one.recipe) for prospect in memory[-1:] for one in prospect.alternatives]


def _latest(*moments: int | None) -> int | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _prospect(
    contest: Contest,
    entries: Sequence[Entry],
    blocks: Sequence[Block],
    told: Sequence[Forecast],
    *,
    now: int,
    trigger: str,
) -> Prospect:
    terms = contest.terms
    best = told[0] if told else None
    chosen = best.recipe if best is not None and best.probability >= terms.bar else None
    by_name = {one.recipe.name: one for one in told}
    return Prospect(
        version=contest.incumbent.version,
        at=_iso(now),
        trigger=trigger,
        chosen=chosen,
        probability=best.probability if best else 0.0,
        bar=terms.bar,
        alternatives=tuple(_alternative(entry, by_name.get(entry.recipe.name)) for entry in entries),
        starts=tuple(_iso(int(contest.history.times[block.rows[0]])) for block in blocks),
        rows=len(np.unique(np.concatenate([block.rows for block in blocks]))) if blocks else 0,
        unit=terms.unit,
        cost=terms.cost,
        horizon=terms.horizon,
        volume=terms.volume,
        says=told_in_words(best, chosen, terms, len(blocks)),
        seconds=sum(entry.seconds for entry in entries),
    )


def _alternative(entry: Entry, told: Forecast | None) -> Alternative:
    gains = tuple(None if part is None else float(np.nanmean(part)) for part in entry.gains)
    return Alternative(
        entry.recipe,
        gains,
        gain=told.gain if told else None,
        total=told.total if told else None,
        probability=told.probability if told else 0.0,
        seconds=entry.seconds,
        dropped=entry.dropped,
    )


def _iso(moment: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment)).isoformat()
