"""Learn how long outcomes take, say when a window's outcomes are final, and weigh those that came early.

The delay curve is Kaplan and Meier's (1958) over ages: a row without an outcome has only been waited for so long.
Delays by outcome are known only for rows whose outcome came, which is truncation from the right: the same product,
run backwards in time (Lagakos, Barraj and De Gruttola 1988). A row that came early is weighted by one over its chance
to be known by now (inverse probability of censoring, Robins and Rotnitzky 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, logit

from tenure.core.modelling import Floats
from tenure.monitoring.realised import Answered, moments_of

LEAST_OUTCOMES: Final = 30
MATURE: Final = 0.95
LEAST_MATURED: Final = 0.5
"""Of the outcomes that ever come, in a window whose outcomes count as final."""
HIGHEST_WEIGHT: Final = 20.0
_SETTLED: Final = 0.975
_POINTS: Final = 1_000
_LONG_GAP: Final = 3.0
_LEAST_OF_SPAN: Final = 0.02
_MOST_OUTAGES: Final = 5
_VALUE_GROUPS: Final = 5
_MOST_ROWS: Final = 100_000
_TILT_ROWS: Final = 20_000
_LEAST_TILTED: Final = 100
_NEWTON_STEPS: Final = 12
_GOLDEN: Final = 0.6180339887498949
_EDGE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class DelayCurve:
    """The share of rows whose outcome is known by an age, in seconds.

    `share` (k,) is the curve after the ages `ages` (k,), both ascending; before the first it is 0. `settled` says that
    it was watched for twice as long as it still rose: its last value is then the share of outcomes that ever come.
    `rows` and `outcomes` count what it was learned from. `until` (seconds since 1970) is the last moment at which
    outcomes were seen to come: where the feed has stopped, waiting after it tells nothing.
    """

    ages: Floats
    share: Floats
    settled: bool
    rows: int
    outcomes: int
    until: float

    @property
    def ceiling(self) -> float:
        """Return the share of rows whose outcome ever comes; 1 until the curve has settled below it."""
        return float(self.share[-1]) if self.settled and self.share.size else 1.0

    @property
    def mature_age(self) -> float | None:
        """Return the age at which 95 % of the outcomes that ever come are known; None while nobody can tell."""
        if self.outcomes < LEAST_OUTCOMES:
            return None
        there = np.flatnonzero(self.share >= MATURE * self.ceiling)
        return float(self.ages[there[0]]) if there.size else None

    def share_known(self, ages: Floats) -> Floats:
        """Return the share of rows whose outcome is known by each of `ages` (seconds, any shape)."""
        return _steps(self.ages, self.share, ages)


def delay_curve(event_at: pl.Series, known_at: pl.Series, now: datetime) -> DelayCurve:
    """Return the delay curve of predictions about `event_at` (Datetime) whose outcome came at `known_at`, or null.

    An outcome known before its event has the age 0; rows about the future say nothing. A stretch in which no outcomes
    came at all, where they usually do, is not taken for patience: rows that waited when it began are followed no
    further, and rows that began in it are left out.
    """
    event, known, present = moments_of(event_at), moments_of(known_at), now.astimezone(UTC).timestamp()
    known = np.minimum(known, present)
    outages = _outages(known, present)
    until = outages[-1][0] if outages and outages[-1][1] >= present else present
    kept = np.isfinite(event) & (event <= until)
    for begin, end in outages:
        kept &= ~((event >= begin) & (event < end))
    event, known = event[kept], known[kept]
    last = np.full(event.size, until)
    for begin, _ in reversed(outages):
        last = np.where(event < begin, begin, last)
    followed = np.maximum(last - event, 0.0)
    came = known <= last  # NaN, not known, is never smaller
    delay = np.where(came, np.maximum(known - event, 0.0), np.inf)
    if event.size == 0:
        return DelayCurve(np.zeros(0), np.zeros(0), settled=False, rows=0, outcomes=0, until=until)
    enough = min(event.size, max(LEAST_OUTCOMES, event.size // 100))
    reach = float(np.partition(followed, event.size - enough)[event.size - enough])
    ages, share = _kaplan_meier(np.minimum(delay, reach), np.minimum(followed, reach), delay <= reach)
    half_way, end = _steps(ages, share, np.array([reach / 2, reach]))
    settled = bool(end > 0 and half_way >= _SETTLED * end)
    return DelayCurve(*_thinned(ages, share), settled, event.size, int((delay <= reach).sum()), until)


def log_end(event_at: pl.Series, known_at: pl.Series, now: datetime) -> datetime:
    """Return how far the log goes: where old months are brought in late, the clock of the machine tells no ages."""
    lasts: list[datetime] = [event_at.max(), known_at.max()]  # type: ignore[list-item]  # polars types a sum-up as any cell
    return min([now, max((last for last in lasts if last is not None), default=now)])


def _kaplan_meier(delay: Floats, followed: Floats, came: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the ages at which outcomes came, and the share known from then on."""
    left = np.where(came, delay, followed)
    age, place = np.unique(left, return_inverse=True)
    gone = np.bincount(place)
    events = np.bincount(place, weights=came)
    waiting = left.size - np.concatenate([[0], np.cumsum(gone)[:-1]])
    share: Floats = 1.0 - np.cumprod(1.0 - events / waiting)
    return age[events > 0], share[events > 0]


def _steps(ages: Floats, share: Floats, at: Floats) -> Floats:
    """Return a step function: `share` from each of `ages` on, 0 before the first."""
    heights: Floats = np.concatenate([[0.0], share])
    return heights[np.searchsorted(ages, at, side="right")]


def _thinned(ages: Floats, share: Floats) -> tuple[Floats, Floats]:
    if ages.size <= _POINTS:
        return ages, share
    levels = np.linspace(share[0], share[-1], _POINTS)
    at = np.unique(np.append(np.searchsorted(share, levels), ages.size - 1).clip(max=ages.size - 1))
    return ages[at], share[at]


def _outages(known: Floats, now: float) -> list[tuple[float, float]]:
    """Return the longest stretches without any outcome that usual gaps do not explain, in order of time.

    A gap is usual where a fifth of the time passes in gaps at least as long: so weekends are no outage.
    """
    came = np.sort(known[np.isfinite(known)])
    if came.size < LEAST_OUTCOMES:
        return []
    ends = np.append(came[1:], now)
    gaps, span = ends - came, now - came[0]
    order = np.argsort(gaps)
    found = []
    for rank in range(gaps.size - 1, max(gaps.size - 1 - _MOST_OUTAGES, 0), -1):
        at = order[rank]
        if gaps[at] <= max(_LONG_GAP * usual_gap(gaps[order[:rank]]), _LEAST_OF_SPAN * span):
            break
        found.append((float(came[at]), float(ends[at])))
    return sorted(found)


def usual_gap(gaps: Floats) -> float:
    """Return the length of the gap that four fifths of all moments lie in at most (gaps in seconds)."""
    lengths = np.sort(gaps)
    passed = np.cumsum(lengths)
    return float(lengths[np.searchsorted(passed, 0.8 * passed[-1])]) if lengths.size else 0.0


def final_age(curve: DelayCurve, *, outcome_delay: float) -> float | None:
    """Return the age (seconds) from which outcomes count as final: the owner's word, or else what was learned."""
    return outcome_delay if outcome_delay > 0 else curve.mature_age


def is_ripe(*, matured: float, age: float, curve: DelayCurve, outcome_delay: float) -> bool:
    """Say whether the outcomes of a full window can be taken as final.

    `matured` is the share of its rows whose outcome is known, `age` how long ago its last row was (seconds),
    `outcome_delay` the owner's word on how long outcomes take, 0 where none was given. Outcomes that come early are
    seldom typical, so a window waits for the late ones. Where the age was learned, and much less came than ever
    does, the rest may have been lost: such a window is not judged.
    """
    if matured >= MATURE:
        return True
    final = final_age(curve, outcome_delay=outcome_delay)
    if final is None or age < final:
        return False
    return outcome_delay > 0 or matured >= LEAST_MATURED * curve.ceiling


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeDelays:
    """How long outcomes of each kind take, of those that come: classes, or fifths of the values between `edges`.

    `curves` holds ages and shares for each kind, `tilts` (kinds, 3) how intercept, prediction and its square move the
    log odds of being known by an age; predictions are taken less `centre` and over `scale`.
    """

    curves: tuple[tuple[Floats, Floats], ...]
    edges: Floats
    tilts: Floats
    centre: float
    scale: float
    until: float


def outcome_delays(answers: Answered, curve: DelayCurve) -> OutcomeDelays | None:
    """Return how delays depend on outcome and prediction, from all rows whose outcome is known.

    None where the answers have no times, or nobody can tell yet how long outcomes take. Kinds with fewer than 30
    outcomes take the delays of all. Of many rows, every so many-th is used.
    """
    if answers.event_at is None or answers.known_at is None or curve.mature_age is None:
        return None
    used = np.flatnonzero(answers.event_at <= curve.until)
    used = used[:: max(used.size // _MOST_ROWS, 1)]
    event, known = answers.event_at[used], answers.known_at[used]
    waited = curve.until - event
    delay = np.clip(known - event, 0.0, waited)
    target, said = answers.target[used], _said(answers.predicted[used])
    is_value = answers.predicted.ndim == 1
    edges = np.quantile(target, np.arange(1, _VALUE_GROUPS) / _VALUE_GROUPS) if is_value else np.zeros(0)
    kind = _kind(target, edges)
    count = _VALUE_GROUPS if is_value else answers.predicted.shape[1]
    everybody = _backwards(delay, waited)
    curves = tuple(
        _backwards(delay[kind == k], waited[kind == k]) if (kind == k).sum() >= LEAST_OUTCOMES else everybody
        for k in range(count)
    )
    centre, scale = float(np.mean(said)), float(np.std(said)) or 1.0
    old = waited >= curve.mature_age
    tilts = [
        _tilt(delay[at], (said[at] - centre) / scale, c) for k, c in enumerate(curves) for at in [old & (kind == k)]
    ]
    return OutcomeDelays(curves, edges, np.array(tilts), centre, scale, curve.until)


def _said(predicted: Floats) -> Floats:
    """Return one number for each prediction: the value, the log odds of yes, or of the likeliest class."""
    if predicted.ndim == 1:
        return predicted
    chance = predicted[:, 1] if predicted.shape[1] == 2 else predicted.max(axis=1)
    odds: Floats = logit(np.clip(chance, _EDGE, 1 - _EDGE))
    return odds


def _kind(target: NDArray[np.generic], edges: Floats) -> NDArray[np.int64]:
    kind = np.searchsorted(edges, target, side="right") if edges.size else target
    return np.asarray(kind, dtype=np.int64)


def _backwards(delay: Floats, waited: Floats) -> tuple[Floats, Floats]:
    """Return ages and the share of outcomes known from then on, among those known by the longest wait of 30 rows."""
    if delay.size == 0:
        return np.zeros(0), np.zeros(0)
    enough = min(delay.size, LEAST_OUTCOMES)
    reach = float(np.partition(waited, delay.size - enough)[delay.size - enough])
    seen = delay <= reach
    delay, waited = delay[seen], waited[seen]
    age, counts = np.unique(delay, return_counts=True)
    at_risk = np.cumsum(counts) - np.searchsorted(np.sort(waited), age, side="left")
    stay = 1.0 - counts / at_risk
    later = np.append(np.cumprod(stay[::-1])[::-1][1:], 1.0)
    return age, later


def _tilt(delay: Floats, said: Floats, curve: tuple[Floats, Floats]) -> Floats:
    """Fit a small logistic model: known by an age (one for each row, spread evenly) on that age's share and `said`."""
    weight = np.zeros(3)
    ages, shares = curve
    if delay.size < _LEAST_TILTED or ages.size == 0:
        return weight
    step = max(delay.size // _TILT_ROWS, 1)
    delay, said = delay[::step], said[::step]
    spread = (np.arange(delay.size) * _GOLDEN % 1.0) * 0.9 + 0.05
    at = np.searchsorted(shares, spread).clip(max=ages.size - 1)
    known, offset = delay <= ages[at], logit(np.clip(shares[at], _EDGE, 1 - _EDGE))
    design = _design(said)
    for _ in range(_NEWTON_STEPS):
        chance = expit(offset + design @ weight)
        bend = design.T @ (design * (chance * (1 - chance))[:, None]) + np.eye(3)
        weight = weight + np.clip(np.linalg.solve(bend, design.T @ (known - chance) - weight), -1.0, 1.0)
    return weight


def _design(said: Floats) -> Floats:
    bounded = np.clip(said, -3.0, 3.0)
    return np.column_stack([np.ones(said.size), bounded, bounded**2])


def weights_of(delays: OutcomeDelays, answers: Answered) -> Floats:
    """Return how many rows each early outcome stands for: one over its chance to be known by now, at most 20, (n,).

    Raises:
        ValueError: the answers have no times.
    """
    if answers.event_at is None:
        raise ValueError("answers without times have no age")
    age = np.maximum(delays.until - answers.event_at, 0.0)
    kind = _kind(answers.target, delays.edges)
    design = _design((_said(answers.predicted) - delays.centre) / delays.scale)
    chance = np.ones(len(answers))
    for k, (ages, shares) in enumerate(delays.curves):
        at = kind == k
        share = _steps(ages, shares, age[at])
        tilted = expit(logit(np.clip(share, _EDGE, 1 - _EDGE)) + design[at] @ delays.tilts[k])
        chance[at] = np.where(share >= 1.0, 1.0, tilted)
    weights: Floats = 1.0 / np.maximum(chance, 1.0 / HIGHEST_WEIGHT)
    return weights
