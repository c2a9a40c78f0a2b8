"""The recipes that compete, and the rows and weights that each one learns from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.retraining import Recipe, Way
from tenure.retraining.history import History

ALL: Final = Recipe("all")
_WEIGHTED: Final = tuple(Recipe(f"half-life 1/{part}", half_life=1 / part) for part in (2, 4, 8))
_RECENT: Final = tuple(Recipe(f"last 1/{part}", share=1 / part) for part in (2, 4, 8, 16, 32))
RECALIBRATE: Final = Recipe("recalibrate", Way.RECALIBRATE)
LEVEL: Final = Recipe("level", Way.RECALIBRATE, mix=1.0)
CONTINUE: Final = Recipe("continue", Way.CONTINUE)
LEAVES: Final = (Recipe("leaves .9", Way.LEAVES, mix=0.9), Recipe("leaves .5", Way.LEAVES, mix=0.5))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FEWEST_ROWS: Final = 100
"""With fewer rows than this no recipe is tried."""


def since(moment: int) -> Recipe:
    """Return the recipe that learns from rows from a moment (microseconds) on."""
    told = (_EPOCH + timedelta(microseconds=moment)).isoformat()
    return Recipe("since the change", since=told)


def moment_of(recipe: Recipe) -> int | None:
    """Return the moment (microseconds) before which nothing is learned from, None where there is no such moment."""
    if recipe.since is None:
        return None
    return (datetime.fromisoformat(recipe.since) - _EPOCH) // timedelta(microseconds=1)


def refits() -> tuple[Recipe, ...]:
    """Return the recipes that learn anew."""
    return (ALL, *_WEIGHTED, *_RECENT)


def usual() -> tuple[Recipe, ...]:
    """Return the recipes that always compete."""
    return (*refits(), RECALIBRATE, LEVEL)


def learned_rows(
    history: History, recipe: Recipe, as_of: int, *, until: int | None = None, most: int = 50_000
) -> tuple[Indices, Floats | None]:
    """Return the rows that a recipe learns from, ascending, and their weights (mean 1), None for equal ones.

    Only usable rows whose outcomes were known at `as_of`, and that happened before `until` where given. More than
    `most` are thinned evenly.
    """
    allowed = history.usable & (history.known <= as_of)
    if until is not None:
        allowed &= history.times < until
    rows = np.flatnonzero(allowed)
    start = moment_of(recipe)
    if start is not None:
        rows = rows[history.times[rows] >= start]
    if recipe.share < 1:
        rows = rows[len(rows) - int(np.ceil(recipe.share * len(rows))) :]
    age = np.arange(len(rows))[::-1] / max(len(rows), 1)
    if len(rows) > most:
        kept = np.linspace(0, len(rows) - 1, most).astype(np.int64)
        rows, age = rows[kept], age[kept]
    if recipe.half_life is None or not rows.size:
        return rows, None
    weight = np.exp2(-age / recipe.half_life)
    return rows, weight / weight.mean()
