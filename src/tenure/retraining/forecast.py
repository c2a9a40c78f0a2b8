"""Forecast what a recipe gains over the horizon, and how sure that is once the choice among all is counted in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.health import Span
from tenure.core.modelling import Floats
from tenure.core.retraining import Recipe
from tenure.retraining.contest import CHUNKS, Entry
from tenure.retraining.history import Terms

_RESAMPLES: Final = 1_000


@dataclass(frozen=True, eq=False)
class Forecast:
    """One recipe's mean gain a row (90 %), what it gains over the horizon less its cost, and P(that is above 0)."""

    recipe: Recipe
    gain: Span
    total: Span
    probability: float


def forecast(entries: Sequence[Entry], terms: Terms, windows: float, seed: int) -> list[Forecast]:
    """Return the forecast of each recipe that ran, the best first.

    Blocks are drawn with replacement, and chunks within them (two-stage bootstrap). How much the best of many looks
    better than it is, is what choosing anew in every resample gains over the full sample (Efron 1983); it is taken off.
    """
    run = [entry for entry in entries if any(part is not None for part in entry.gains)]
    if not run:
        return []
    table = _table(run)
    draws = _draws(table, np.random.default_rng(seed))
    means = _means(table)
    costs = np.array([terms.cost if e.recipe.is_retraining else terms.correction_cost for e in run])
    scale = terms.volume * windows
    totals, point = draws * scale - costs, means * scale - costs
    eligible = np.array([not entry.dropped for entry in run])
    worth = np.where(eligible, point, -np.inf)
    picked = np.where(eligible & np.isfinite(totals), totals, -np.inf).argmax(axis=1)
    optimism = max(float(np.nanmean(totals[np.arange(len(totals)), picked] - point[picked])), 0.0)
    told = []
    for at in np.argsort(-worth, kind="stable"):
        less = optimism if at == int(worth.argmax()) else 0.0
        probability = float(np.mean(totals[:, at] - less > 0))
        told.append(Forecast(run[at].recipe, _span(draws[:, at], means[at]), _span(totals[:, at] - less, point[at] - less), probability))
    return told


def _table(entries: Sequence[Entry]) -> Floats:
    """Return gains as (recipes, blocks, chunks), NaN where a recipe did not run."""
    blocks = max(len(entry.gains) for entry in entries)
    table = np.full((len(entries), blocks, CHUNKS), np.nan)
    for row, entry in zip(table, entries, strict=True):
        for at, gains in enumerate(entry.gains):
            if gains is not None:
                row[at, : len(gains)] = gains
    return table


def _means(table: Floats) -> Floats:
    counted, told = _sums(table)
    means: Floats = told.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return means


def _sums(table: Floats) -> tuple[Floats, Floats]:
    """Return how many chunks of each block ran, and the sum of their gains, both (recipes, blocks)."""
    return np.isfinite(table).sum(axis=2).astype(np.float64), np.nansum(table, axis=2)


def _draws(table: Floats, rng: np.random.Generator) -> Floats:
    """Return resampled mean gains, (resamples, recipes); NaN where no block of a recipe was drawn."""
    recipes, blocks, chunks = table.shape
    draws = np.empty((_RESAMPLES, recipes))
    for at in range(_RESAMPLES):
        block = rng.integers(0, blocks, blocks)
        chunk = rng.integers(0, chunks, (blocks, chunks))
        counted, told = _sums(table[:, block[:, None], chunk])
        draws[at] = told.sum(axis=1) / np.where(counted.sum(axis=1) > 0, counted.sum(axis=1), np.nan)
    return draws


def _span(draws: Floats, value: float) -> Span:
    low, high = np.nanquantile(draws, [0.05, 0.95])
    return Span(float(value), float(low), float(high))
