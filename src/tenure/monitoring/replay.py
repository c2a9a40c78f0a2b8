"""Measure how often the drift detector alarms on this project when nothing changes, by replaying its own windows."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import chdtri

from tenure.core.health import Span
from tenure.core.modelling import Indices
from tenure.monitoring.betting import Stakes, Windows, alarmed, run

_WINDOWS: Final = 12_000
_CELLS: Final = 1_500_000
_LONGEST: Final = 366
_WORLDS: Final = (10, 200)


def measured_rate(
    known: Windows, stakes: Stakes, *, windows_per_year: float, rng: np.random.Generator
) -> tuple[Span, int]:
    """Return the alarms a year (95 %, Garwood 1936) in quiet worlds made of `known` windows, and windows replayed.

    Each world draws blocks of consecutive windows, first as many as are known, to learn from, then a year (at most
    366 windows) to watch. `known` has the axes (windows, summaries). Blocks keep what neighbours have in common and
    whole windows what columns have in common; what the known windows never did cannot be replayed.
    """
    count, summaries = known.values.shape
    steps = int(min(max(round(windows_per_year), 12), _LONGEST))
    worlds = int(np.clip(min(_WINDOWS // steps, _CELLS // (steps * max(summaries, 1))), *_WORLDS))
    block = max(round(count**0.5), 2)
    base, live = (_drawn(count, worlds, length, block, rng) for length in (count, steps))
    level = run(_at(known, base), _at(known, live), stakes)
    on = alarmed(level)
    alarms = int(on[:, 0].sum() + (on[:, 1:] & ~on[:, :-1]).sum())
    years = worlds * steps / windows_per_year
    return _poisson(alarms, years), worlds * steps


def _drawn(count: int, worlds: int, length: int, block: int, rng: np.random.Generator) -> Indices:
    starts = rng.integers(0, count, (worlds, -(-length // block)))
    at = (starts[..., None] + np.arange(block)) % count
    drawn: Indices = at.reshape(worlds, -1)[:, :length]
    return drawn


def _at(known: Windows, drawn: Indices) -> Windows:
    return Windows(known.values[drawn], known.variances[drawn])


def _poisson(events: int, years: float) -> Span:
    low = chdtri(2 * events, 0.975) / 2 if events else 0.0
    return Span(events / years, float(low) / years, float(chdtri(2 * events + 2, 0.025)) / 2 / years)
