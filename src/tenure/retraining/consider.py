"""Ask whether a new model would pay, learned from what: the whole decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from tenure.core.ports import Deadline, Prober
from tenure.core.retraining import Alternative, Prospect, Recipe, Way
from tenure.retraining.contest import Entry, blocks_of, change_of, compete
from tenure.retraining.forecast import Forecast, forecast
from tenure.retraining.history import History, Incumbent, Terms
from tenure.retraining.recipes import LEVEL, RECALIBRATE, moment_of, refits, since

CHANGE = True
DAYS = 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    deadline: Deadline | None = None,
    recipes: Sequence[Recipe] | None = None,
) -> Prospect:
    """Return what recipes promise against the model in office, and the one to follow, if any."""
    blocks = blocks_of(history, incumbent, terms, now)
    contest = list(recipes) if recipes is not None else [*refits(), RECALIBRATE, LEVEL]
    found = change_of(history, incumbent, prober, terms, now) if CHANGE else None
    change = max((at for at in (change, found, *_earlier_changes(memory)) if at is not None), default=None)
    if change is not None:
        contest.append(since(change))
        blocks = [block for block in blocks if (block.until or block.cut) > change]
    contest += [Recipe(f"restore v{old.version}", Way.RESTORE, version=old.version) for old in former]
    entries = compete(history, incumbent, contest, blocks, prober, terms, former=former, deadline=deadline)
    age = history.place(now) - history.place(incumbent.learned)
    weights = np.array([block.weight for block in blocks])
    told = forecast(entries, weights, terms, min(terms.horizon, max(age / 2, 0.5)))
    best = told[0] if told else None
    chosen = best.recipe if best is not None and best.probability >= terms.bar else None
    by_name = {one.recipe.name: one for one in told}
    return Prospect(
        version=incumbent.version,
        at=_iso(now),
        trigger=trigger,
        chosen=chosen,
        probability=best.probability if best else 0.0,
        bar=terms.bar,
        alternatives=tuple(_alternative(entry, by_name.get(entry.recipe.name)) for entry in entries),
        starts=tuple(_iso(int(history.times[block.rows[0]])) for block in blocks),
        rows=sum(len(block.rows) for block in blocks),
        unit=terms.unit,
        cost=terms.cost,
        horizon=terms.horizon,
        volume=terms.volume,
        says="",
    )


def _earlier_changes(memory: Sequence[Prospect]) -> list[int]:
    """Return the moments of sudden changes that were noted before."""
    told = [moment_of(one.recipe) for prospect in memory[-1:] for one in prospect.alternatives]
    return [moment for moment in told if moment is not None]


def _alternative(entry: Entry, told: Forecast | None) -> Alternative:
    gains = tuple(None if part is None else float(np.nanmean(part)) for part in entry.gains)
    if told is None:
        return Alternative(entry.recipe, gains, seconds=entry.seconds, dropped=entry.dropped)
    return Alternative(
        entry.recipe, gains, told.gain, told.total, told.probability, seconds=entry.seconds, dropped=entry.dropped
    )


def _iso(moment: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment)).isoformat()
