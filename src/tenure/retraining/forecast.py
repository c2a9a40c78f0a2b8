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
INFLATE = True
FUTURE = True
LONE = 0.5
AHEAD = 0


@dataclass(frozen=True, eq=False)
class Forecast:
    """One recipe's mean gain a row (90 %), what it gains over the horizon less its cost, and P(that is above 0)."""

    recipe: Recipe
    gain: Span
    total: Span
    probability: float


def forecast(entries: Sequence[Entry], weights: Floats, terms: Terms, windows: float) -> list[Forecast]:
    """Return the forecast of each recipe that ran, the best first. `weights` is how much each block counts.

    Blocks are drawn with replacement, and chunks within them (two-stage bootstrap). How much the best of many looks
    better than it is, is what choosing anew in every resample gains over the full sample (Efron 1983); it is taken off.
    """
    run = [entry for entry in entries if any(part is not None for part in entry.gains)]
    if not run:
        return []
    cells = _cells(run)
    rng = np.random.default_rng(terms.seed)
    weights = np.repeat(weights[: cells.shape[1] // CHUNKS], CHUNKS)
    means = _means(cells, weights[None, :])[0]
    draws = _means(cells, weights * _counts(len(weights), rng))
    apart, blocks = _spread(run, means)
    shaken = np.sqrt(blocks / np.maximum(blocks - 1.0, 0.5)) if INFLATE else 1.0
    draws = means + shaken * np.where(np.isfinite(draws), draws - means, 0.0)
    if FUTURE:
        draws = draws + apart / np.sqrt(AHEAD or max(windows, 1.0)) * rng.normal(size=(_RESAMPLES, 1))
    scale = terms.volume * windows
    costs = np.array([terms.cost if entry.recipe.is_retraining else terms.correction_cost for entry in run])
    totals, point = draws * scale - costs, means * scale - costs
    alive = np.array([not entry.dropped for entry in run])
    best = int(np.where(alive, point, -np.inf).argmax())
    picked = np.where(alive, totals, -np.inf).argmax(axis=1)
    optimism = max(float(np.mean(totals[np.arange(len(totals)), picked] - point[picked])), 0.0)
    told = []
    for at in np.argsort(-np.where(alive, point, point - np.ptp(point) - 1.0), kind="stable"):
        ahead = totals[:, at] - (optimism if at == best else 0.0)
        total = _span(ahead, float(point[at]) - (optimism if at == best else 0.0))
        told.append(Forecast(run[at].recipe, _span(draws[:, at], float(means[at])), total, float(np.mean(ahead > 0))))
    return told


def _spread(entries: Sequence[Entry], means: Floats) -> tuple[Floats, Floats]:
    """Return how much the mean gain of a block lies around a recipe's mean, and its number of blocks, (recipes,)."""
    apart, counted = np.empty(len(entries)), np.empty(len(entries))
    for at, entry in enumerate(entries):
        told = np.array([np.nanmean(part) for part in entry.gains if part is not None])
        counted[at] = len(told)
        apart[at] = told.std(ddof=1) if len(told) > 1 else LONE * abs(means[at])
    return apart, counted


def _cells(entries: Sequence[Entry]) -> Floats:
    """Return gains as (recipes, blocks x chunks), NaN where a recipe did not run."""
    blocks = max(len(entry.gains) for entry in entries)
    cells = np.full((len(entries), blocks, CHUNKS), np.nan)
    for row, entry in zip(cells, entries, strict=True):
        for at, gains in enumerate(entry.gains):
            if gains is not None:
                row[at] = gains
    return cells.reshape(len(entries), -1)


def _counts(cells: int, rng: np.random.Generator) -> Floats:
    """Return how often each cell is drawn in each resample, (resamples, cells)."""
    blocks = cells // CHUNKS
    of_block = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=_RESAMPLES)
    of_chunk = rng.multinomial(CHUNKS, np.full(CHUNKS, 1 / CHUNKS), size=(_RESAMPLES, blocks))
    return (of_block[:, :, None] * of_chunk).reshape(_RESAMPLES, cells).astype(np.float64)


def _means(cells: Floats, weights: Floats) -> Floats:
    """Return weighted mean gains, (weightings, recipes); NaN where nothing with a weight ran."""
    there = np.isfinite(cells)
    total = weights @ there.T.astype(np.float64)
    means: Floats = weights @ np.where(there, cells, 0.0).T / np.where(total > 0, total, np.nan)
    return means


def _span(draws: Floats, value: float) -> Span:
    low, high = np.nanquantile(draws, [0.05, 0.95])
    return Span(float(value), float(low), float(high))
