"""What acting on a yes/no model is worth: of 100 flagged, of 100 found, and money per 1,000 decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.core.project import ValueSection
from tenure.core.uncertainty import Clusters, mean_with_interval
from tenure.core.value import PER, Flags, by_everybody, by_nobody, realised
from tenure.reporting.words import Estimate

_Z95: Final = 1.959963984540054
_Z80: Final = 1.2815515655446004
_CURVE_ROWS: Final = 50_000
_NEAR_BEST: Final = 0.02
_TENTHS: Final = tuple(range(10, 101, 10))
_RARE: Final = 0.08
_RARE_LASTS: Final = (1, 2, 5, 10, 20, 30, 50, 100)
_LEAST_GROUP: Final = 5


@dataclass(frozen=True, slots=True)
class Reach:
    """Who is acted on, and how often that is right.

    `cut` is the lowest score acted on (the threshold, where capacity does not end it earlier). `flagged` is the share
    of all cases acted on, `hit` the share of those that are a yes (None when nobody is flagged), `found` the share of
    every yes that is reached, `base` the share of yes among all cases.
    """

    cut: float
    flagged: float
    flagged_rows: int
    hit: Estimate | None
    found: Estimate
    base: float


@dataclass(frozen=True, slots=True)
class Worth:
    """Money per 1,000 decisions of acting by the model, on nobody, and on everybody, on the same rows."""

    model: Estimate
    nobody: Estimate
    everybody: Estimate
    over_nobody: Estimate
    over_everybody: Estimate

    @property
    def best_simple(self) -> str:
        """Return the better of the two policies that need no model: "nobody" or "everybody"."""
        return "nobody" if self.nobody.value >= self.everybody.value else "everybody"

    @property
    def over_simple(self) -> Estimate:
        """Return the gain over the better policy that needs no model."""
        return self.over_nobody if self.best_simple == "nobody" else self.over_everybody


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Acting on the top share of the ranked cases, for shares from 0 to 1.

    `found` is the share of every yes reached; `worth`, `low`, `high` are money per 1,000 decisions with an 80 % band
    (pointwise), and `cut` the score of the last case reached.
    """

    share: Floats
    cut: Floats
    found: Floats
    worth: Floats
    low: Floats
    high: Floats

    def plateau(self) -> tuple[float, float]:
        """Return the shares between which the worth stays within 2 % of the best."""
        best = float(self.worth.max())
        near = np.flatnonzero(self.worth >= best - _NEAR_BEST * abs(best))
        peak = int(np.argmax(self.worth))
        left, right = peak, peak
        while left - 1 in near:
            left -= 1
        while right + 1 in near:
            right += 1
        return float(self.share[left]), float(self.share[right])


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """Cases of neighbouring rank (of 100, the highest score is 1): their scores, and how many are a yes."""

    first: int
    last: int
    low: float
    high: float
    rows: int
    yes: Estimate


def wilson(hits: int, rows: int) -> Estimate:
    """Return a share with its 95 % interval (Wilson 1927); without rows everything from 0 to 1 is possible."""
    if rows == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    share = hits / rows
    centre = (share + _Z95**2 / (2 * rows)) / (1 + _Z95**2 / rows)
    half = _Z95 * np.sqrt(share * (1 - share) / rows + _Z95**2 / (4 * rows**2)) / (1 + _Z95**2 / rows)
    # Rounding may leave an end on the wrong side of a share of 0 or 1.
    return Estimate(share, float(min(max(centre - half, 0.0), share)), float(max(min(centre + half, 1.0), share)))


def reach(yes: Flags, score: Floats, acted: Flags, *, threshold: float, clusters: Clusters | None = None) -> Reach:
    """Return how many are acted on, how many of those are a yes, and how many of every yes that reaches."""
    flagged = int(acted.sum())
    cut = (
        max(threshold, float(score[acted].min()))
        if flagged < int((score >= threshold).sum()) and flagged
        else threshold
    )
    hit = _ratio(yes, acted, clusters) if flagged else None
    return Reach(cut, float(acted.mean()), flagged, hit, _ratio(acted, yes, clusters), float(yes.mean()))


def _ratio(inside: Flags, among: Flags, clusters: Clusters | None) -> Estimate:
    """Return the share of `among` that is `inside`; linearised over clusters where rows belong together."""
    if clusters is None:
        return wilson(int((inside & among).sum()), int(among.sum()))
    share = float(inside[among].mean()) if among.any() else float("nan")
    pull = among * (inside - share) / max(float(among.mean()), 1e-12)
    _, low, high = mean_with_interval(pull, clusters=clusters)
    return Estimate(share, max(share + low, 0.0), min(share + high, 1.0))


def worth_of(
    yes: Flags, acted: Flags, value: ValueSection, *, room: float | None = None, clusters: Clusters | None = None
) -> Worth:
    """Return what acting on `acted` is worth per 1,000 decisions, against nobody and everybody.

    Where capacity leaves room for a share of the cases only, everybody means that share picked blindly.
    """
    model, nobody = realised(yes, acted, value), by_nobody(yes, value)
    everybody = by_everybody(yes, value, share=room)

    def per_thousand(rows: Floats) -> Estimate:
        return Estimate(*mean_with_interval(rows, clusters=clusters)).times(PER)

    return Worth(
        per_thousand(model),
        per_thousand(nobody),
        per_thousand(everybody),
        per_thousand(model - nobody),
        per_thousand(model - everybody),
    )


def curve_of(yes: Flags, score: Floats, value: ValueSection, *, clusters: Clusters | None = None) -> Curve:
    """Return found cases and money for acting on the top 0, 2, ... 100 % of the ranked cases."""
    step = max(len(score) // _CURVE_ROWS, 1)
    yes, score = yes[::step], score[::step]
    clusters = clusters[::step] if clusters is not None else None
    order = np.argsort(-score, kind="stable")
    place = np.empty(len(score), dtype=np.int64)
    place[order] = np.arange(len(score))
    shares = np.linspace(0.0, 1.0, 51)
    tops = np.round(shares * len(score)).astype(np.int64)
    hits = np.concatenate([[0], np.cumsum(yes[order])])
    money = [mean_with_interval(realised(yes, place < top, value), clusters=clusters) for top in tops]
    worth, low, _ = (np.array(part) * PER for part in zip(*money, strict=True))
    half = (worth - low) * _Z80 / _Z95
    cuts = score[order][np.maximum(tops - 1, 0)]
    return Curve(shares, cuts, hits[tops] / max(int(yes.sum()), 1), worth, worth - half, worth + half)


def ranked_groups(yes: Flags, score: Floats) -> tuple[RankedGroup, ...]:
    """Return the cases in tenths by score, highest first; finer at the top where a yes is rare.

    Fewer groups when there are fewer than 100 rows, so that none is empty.
    """
    lasts = _RARE_LASTS if yes.mean() < _RARE else _TENTHS
    order = np.argsort(-score, kind="stable")
    groups, first, start = [], 1, 0
    for last in lasts:
        end = round(len(order) * last / 100)
        part = order[start:end]
        if len(part) >= _LEAST_GROUP or (last == 100 and len(part)):
            share = wilson(int(yes[part].sum()), len(part))
            groups.append(
                RankedGroup(first, last, float(score[part].min()), float(score[part].max()), len(part), share)
            )
            first, start = last + 1, end
    return tuple(groups)


def near_cut(yes: Flags, score: Floats, cut: float) -> tuple[float, float]:
    """Return mean score and share of yes of the cases nearest to `cut` in rank: 5 % of all, 30 at least."""
    order = np.argsort(score, kind="stable")
    width = min(max(len(score) // 20, 30), len(score))
    start = int(np.clip(np.searchsorted(score[order], cut) - width // 2, 0, len(score) - width))
    near = order[start : start + width]
    return float(score[near].mean()), float(yes[near].mean())


def reliability(yes: Flags, score: Floats) -> tuple[tuple[float, Estimate, int], ...]:
    """Return stated chance, what came true with its interval, and rows, in up to ten bins of equal size."""
    groups = int(np.clip(len(score) // 50, 1, 10))
    order = np.argsort(score, kind="stable")
    return tuple(
        (float(score[part].mean()), wilson(int(yes[part].sum()), len(part)), len(part))
        for part in np.array_split(order, groups)
    )
