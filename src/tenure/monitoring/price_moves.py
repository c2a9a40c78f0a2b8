"""Move reference rows the way a window moved: the instrument reading of a drift.

A number keeps its rank and takes the value that the window has at that rank; a category changes only as often as the
levels' shares force it to. Both move the least mass that turns one distribution into the other, so rows that need not
change stay as they are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Floats

_SURE: Final = 2.5
"""How many standard errors a level's share must change before rows are moved to or from it."""


def moved_like(reference: pl.Series, window: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Return the values of `reference` moved as `window` moved; the same length and dtype.

    Numbers are empty where NaN or null; what is no float, such as a moment, is rounded to what its dtype can hold.
    """
    if reference.dtype == pl.String:
        return _moved_levels(reference, window.cast(pl.String), rng)
    moved = pl.Series(reference.name, _moved_numbers(_floats(reference), _floats(window), rng))
    if reference.dtype.is_float() or reference.dtype.is_decimal():
        return moved.cast(reference.dtype, strict=False)
    # A moment is cast by way of the whole number that stands for it, which keeps its zone.
    whole = moved.fill_nan(None).round().cast(reference.to_physical().dtype, strict=False)
    return whole.cast(reference.dtype)


def _floats(values: pl.Series) -> Floats:
    return values.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().copy()


def _moved_numbers(known: Floats, came: Floats, rng: np.random.Generator) -> Floats:
    """Return `known` with the window's share of empty cells and, of the rest, the window's quantiles."""
    moved = known.copy()
    values = np.sort(came[np.isfinite(came)])
    if values.size == 0:
        return np.full_like(known, np.nan) if came.size else moved
    full = np.flatnonzero(np.isfinite(known))
    if full.size:
        moved[full] = _at_rank(values, _ranks(known[full], rng))
    empty = np.flatnonzero(~np.isfinite(known))
    change = _sure_change(empty.size, known.size, came.size - values.size, came.size)
    if change > 0:
        moved[rng.permutation(full)[: round(change * known.size)]] = np.nan
    elif change < 0:
        filled = rng.permutation(empty)[: round(-change * known.size)]
        moved[filled] = rng.choice(values, filled.size)
    return moved


def _ranks(values: Floats, rng: np.random.Generator) -> Floats:
    """Return the rank of each value in (0, 1); equal values share their stretch of ranks at random."""
    order = np.lexsort((rng.random(values.size), values))
    ranks = np.empty(values.size)
    ranks[order] = (np.arange(values.size) + 0.5) / values.size
    return ranks


def _at_rank(ordered: Floats, ranks: Floats) -> Floats:
    """Return the values at `ranks`: between neighbours that differ by interpolation, inside a tie the tied value."""
    place = ranks * ordered.size - 0.5
    low = np.clip(np.floor(place).astype(np.int64), 0, ordered.size - 1)
    nearest = np.clip(np.rint(place).astype(np.int64), 0, ordered.size - 1)
    high = np.minimum(low + 1, ordered.size - 1)
    share = np.clip(place - low, 0, 1)
    between = ordered[low] * (1 - share) + ordered[high] * share  # a difference may be too large for a float
    is_grid = np.unique(ordered).size < ordered.size / 4
    return ordered[nearest] if is_grid else between


def _sure_change(hits: int, rows: int, now_hits: int, now_rows: int) -> float:
    """Return by how much a share changed, 0 where chance explains it."""
    before, now = hits / max(rows, 1), now_hits / max(now_rows, 1)
    pooled = (hits + now_hits + 0.5) / (rows + now_rows + 1)
    error = np.sqrt(pooled * (1 - pooled) * (1 / max(rows, 1) + 1 / max(now_rows, 1)))
    return now - before if abs(now - before) > _SURE * error else 0.0


def _moved_levels(known: pl.Series, came: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Return `known` with as few cells changed as the window's shares of levels ask for; empty is a level."""
    lost, gained = _flows(known, came)
    if not lost or not gained:
        return known
    cells = np.array(known.to_list(), dtype=object)
    leaving = [
        rng.permutation(np.flatnonzero(cells == level))[: round(share * cells.size)] for level, share in lost.items()
    ]
    places = rng.permutation(np.concatenate(leaving))
    ends = np.rint(np.cumsum(list(gained.values())) / sum(gained.values()) * places.size).astype(np.int64)
    for level, part in zip(gained, np.split(places, ends[:-1]), strict=True):
        cells[part] = level
    return pl.Series(known.name, cells.tolist(), dtype=pl.String)


def _flows(known: pl.Series, came: pl.Series) -> tuple[dict[str | None, float], dict[str | None, float]]:
    """Return how much share levels lost, and gained, beyond chance; both add up to the same mass.

    Levels never seen before are taken as one: a column of names always brings new ones, about as many as it has
    names that stand once (Good 1953).
    """
    before = dict(known.value_counts().iter_rows())
    now = dict(came.value_counts().iter_rows())
    n, m = len(known), len(came)
    if n == 0 or m == 0:
        return {}, {}
    change = {level: _sure_change(before[level], n, now.get(level, 0), m) for level in before}
    unseen = {level: count for level, count in now.items() if level not in before}
    once = sum(count == 1 for count in before.values())
    fresh = max(_sure_change(once, n, sum(unseen.values()), m), 0.0) if unseen else 0.0
    change |= {level: fresh * count / sum(unseen.values()) for level, count in unseen.items()}
    still = {level: before[level] / n for level in before if change[level] == 0}
    lost = {level: -share for level, share in change.items() if share < 0}
    gained = {level: share for level, share in change.items() if share > 0}
    mass = max(sum(lost.values()), sum(gained.values()))
    return _filled_up(lost, mass, still), _filled_up(gained, mass, still)


def _filled_up(flow: dict[str | None, float], mass: float, still: dict[str | None, float]) -> dict[str | None, float]:
    """Return the flow with what lacks to `mass` taken from the levels that each moved too little to tell."""
    lack, whole = mass - sum(flow.values()), sum(still.values())
    if lack <= 0 or whole <= 0:
        return flow
    return flow | {level: lack * share / whole for level, share in still.items()}
