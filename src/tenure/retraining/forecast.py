"""Forecast what a recipe gains over the horizon, and how sure that is once the choice among all is counted in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.health import Span
from tenure.core.modelling import Floats
from tenure.core.retraining import Recipe
from tenure.retraining.contest import CHUNKS, Entry
from tenure.retraining.history import Terms
from tenure.retraining.memory import Prior

_RESAMPLES: Final = 1_000
WIDE: Final = 1.4
"""How much less sure a model learned anew is than its probes: it is another one, of other rows. Corrections and
earlier versions are what was judged."""
WORTH: Final = 4.0
"""Blocks that the scatter of earlier looks counts for."""
LONE: Final = 0.5
"""How far the gain of another block may lie from that of the only one there is, as a share of it."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """One recipe's mean gain a row (90 %), what it gains over the horizon less its cost, and P(that is above 0)."""

    recipe: Recipe
    gain: Span
    total: Span
    probability: float


def forecast(
    entries: Sequence[Entry],
    weights: Floats,
    terms: Terms,
    windows: float,
    expected: Mapping[str, Prior] | None = None,
) -> list[Forecast]:
    """Return the forecast of each recipe that ran, the best first; those that left the contest come last.

    `weights` is how much each block counts, `windows` for how many windows the gain will be had. Blocks are drawn with
    replacement, and chunks within them (two-stage bootstrap, widened for few blocks); the mean of the windows to come
    lies around that as blocks do around theirs. How much the best of many looks better than it is, is what choosing
    anew in every resample gains over the full sample (Efron 1983); it is taken off.
    """
    run = [entry for entry in entries if any(part is not None for part in entry.gains)]
    if not run:
        return []
    means, sampled, unsure = _drawn(run, weights, terms, expected or {})
    costs = np.array([terms.cost if entry.recipe.is_retraining else terms.correction_cost for entry in run])
    scale = terms.volume * windows
    point = means * scale - costs
    alive = np.array([not entry.dropped for entry in run])
    best = int(np.where(alive, point, -np.inf).argmax())
    picked = np.where(alive, point + scale * sampled, -np.inf).argmax(axis=1)
    optimism = max(scale * float(np.mean(sampled[np.arange(len(sampled)), picked])), 0.0)
    told = []
    for at in np.lexsort((-point, ~alive)):
        less = optimism if at == best else 0.0
        ahead = point[at] - less + scale * unsure[:, at]
        gain, total = _span(means[at] + unsure[:, at], means[at]), _span(ahead, point[at] - less)
        told.append(Forecast(run[at].recipe, gain, total, float(np.mean(ahead > 0))))
    return told


def _drawn(
    entries: Sequence[Entry], weights: Floats, terms: Terms, expected: Mapping[str, Prior]
) -> tuple[Floats, Floats, Floats]:
    """Return each recipe's mean gain, (recipes,), and how it may be off: by its sample, and over the horizon.

    Both are draws of (resamples, recipes). The second adds how windows to come lie around the mean, and that nobody
    knows how far with so few blocks (Student's t).
    """
    rng = np.random.default_rng(terms.seed)
    cells = _cells(entries)
    weights = np.repeat(weights[: cells.shape[1] // CHUNKS], CHUNKS)
    means = _means(cells, weights[None, :])[0]
    drawn = _means(cells, weights * _counts(len(weights), rng)) - means
    apart, blocks = _spread(entries, means)
    widened = np.sqrt(blocks / np.maximum(blocks - 1.0, 0.5)) * np.where(np.isfinite(drawn), drawn, 0.0)
    freedom = blocks.copy()
    for at, entry in enumerate(entries):
        prior = expected.get(entry.recipe.name)
        if prior is None:
            continue
        own = float(np.square(widened[:, at]).mean()) + (float(apart[at] ** 2) if blocks[at] == 1 else 0.0)
        share = prior.variance / (prior.variance + own) if own > 0 else 1.0
        means[at] = share * means[at] + (1 - share) * prior.mean
        widened[:, at] *= np.sqrt(share)
        apart[at] = np.sqrt((blocks[at] * apart[at] ** 2 + WORTH * prior.scatter) / (blocks[at] + WORTH))
        freedom[at] += WORTH
    to_come = apart / np.sqrt(terms.horizon) * rng.normal(size=(_RESAMPLES, 1))
    heavier = np.sqrt(freedom / rng.chisquare(freedom, size=(_RESAMPLES, len(entries))))
    anew = np.array([WIDE if entry.recipe.is_retraining else 1.0 for entry in entries])
    return means, widened, anew * heavier * (widened + to_come)


def _spread(entries: Sequence[Entry], means: Floats) -> tuple[Floats, Floats]:
    """Return how far the mean gains of blocks lie apart, and the number of blocks, both (recipes,)."""
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
    low, high = np.quantile(draws, [0.05, 0.95])
    return Span(float(value), float(low), float(high))
