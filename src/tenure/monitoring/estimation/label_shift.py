"""Tell a change of the class shares alone from any other change, and follow it.

Prior by expectation-maximisation (Saerens, Latinne and Decaestecker 2002). It is believed only where it explains the
shift of the scores: the reference's scores, weighted to the new shares, are then the window's but for chance. Rows
that change in another way fail that test: none of 373 windows passed, of real tables in time order or with rows drawn
by their features.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

_STEPS: Final = 100
_MOVED: Final = 2.0
"""Scores have moved where the Kolmogorov-Smirnov distance times the root of the rows exceeds this (p < .001),"""
_EXPLAINED: Final = 0.9
"""and are explained where it stays below this (p > .35) or below the distance that is too small to matter."""
_SMALL: Final = 0.02


def shifted_prior(stated: Floats, truth: NDArray[Any], new: Floats) -> float | None:
    """Return the new share of the positive class if that alone explains how scores moved; else None.

    `stated` (n,) and `truth` (n, 0 or 1) are of known rows, `new` (m,) the stated chances of the window.
    """
    prior = float(np.mean(truth))
    if not 0.0 < prior < 1.0 or len(new) == 0:
        return None
    before = _distance(stated, np.ones(len(stated)), new)
    rows = len(stated) * len(new) / (len(stated) + len(new))  # both sides err by chance
    if before <= _MOVED / np.sqrt(rows):
        return None
    share = _new_share(new, prior)
    if not 0.0 < share < 1.0:
        return None
    after = _distance(stated, np.where(truth == 1, share / prior, (1.0 - share) / (1.0 - prior)), new)
    is_explained = after < max(_SMALL, _EXPLAINED / np.sqrt(rows)) and after < before / 3.0
    return share if is_explained else None


def with_prior(chance: Floats, prior: float, share: float) -> Floats:
    """Return chances (n,) learned where the positive class had `prior`, for where it has `share`."""
    yes, no = chance * (share / prior), (1.0 - chance) * ((1.0 - share) / (1.0 - prior))
    shifted: Floats = yes / (yes + no)
    return shifted


def _new_share(new: Floats, prior: float) -> float:
    share = prior
    for _ in range(_STEPS):
        if not 0.0 < share < 1.0:
            break
        share = float(with_prior(new, prior, share).mean())
    return share


def _distance(known: Floats, weight: Floats, new: Floats) -> float:
    """Return the largest distance between the two distributions (Kolmogorov-Smirnov), the first one weighted."""
    order = np.argsort(known, kind="stable")
    upto = np.append(0.0, np.cumsum(weight[order]) / weight.sum())
    at = np.unique(np.concatenate([known, new]))
    of_known = upto[np.searchsorted(known[order], at, side="right")]
    of_new = np.searchsorted(np.sort(new), at, side="right") / len(new)
    return float(np.abs(of_known - of_new).max())
