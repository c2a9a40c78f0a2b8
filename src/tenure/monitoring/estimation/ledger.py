"""What past estimates got wrong: taken off the next one, and put into its interval.

The value goes from the last known level of the metric, a smooth of what came true, by the estimate's own change
against its level over the same windows; how much of such changes came true is learned (a ridge slope that starts from
all of it).
The interval joins chance in the window, the size of past errors (before there are any: a quarter of the skill, growing
with every window that waits for outcomes) and an adaptive factor: each miss of a told interval widens the next ones,
each hit narrows them a little, so that nine of ten hold in the long run whatever happens (Gibbs and Candes 2021;
Angelopoulos, Candes and Tibshirani 2023). Nothing told is ever told again with hindsight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tenure.core.health import Audit, Estimate
from tenure.core.modelling import Floats, Score
from tenure.monitoring.estimation.estimator import Z90

ENOUGH: Final = 8
"""With this many audited windows the ledger speaks even where the known rows cannot."""
_Z95: Final = 1.959963984540054
_FORGET_LEVEL: Final = 0.5
"""The level counts a window half as much as the one after it,"""
_FORGET: Final = 0.9
"""and errors nine tenths."""
_PRIOR_WINDOWS: Final = 4.0
_PRIOR: Final = 0.25
"""Standard deviation of the error of a first estimate, as a share of the skill."""
_GROWTH: Final = 0.3
"""How much its square grows with each window that waits for outcomes."""
_DOUBT: Final = 0.5
"""How much of the square of a change that the estimate tells counts as its possible error."""
_SLOPE_PRIOR: Final = 0.4
_STEP: Final = 0.25
_MOST: Final = float(np.log(4.0))
_MISSES: Final = 0.1


@dataclass(frozen=True, slots=True)
class PastEstimate:
    """What was told of a window that starts at `start`, as told then, and what came true; None while unknown."""

    start: str
    estimate: Estimate
    realised: Score | None = None


def audited(estimate: Estimate, past: Sequence[PastEstimate], *, skill: float, still: float) -> Estimate:
    """Return the estimate less what past ones got wrong, with the 90 % interval that they earned.

    `past` are the windows before, oldest first, with those whose outcomes are not known yet. `skill` is how far the
    model was ahead of the baseline at release, `still` the metric promised then, both in units of the metric. What is
    refused for want of known rows is told all the same once eight past estimates were audited.
    """
    ledger = _Ledger.of(past)
    if estimate.raw is None or (estimate.refused is not None and len(ledger) < ENOUGH):
        return replace(estimate, audited=len(ledger))
    chance = _chance_squared(estimate, ledger)
    # A model that was hardly ahead of the baseline errs by more than a share of that.
    skill = max(skill, 2.0 * float(np.sqrt(chance)))
    waiting = _waiting(past)
    came, foretold = _changes(ledger, still, waiting)
    level, usual = _levels(ledger, still)[-1]
    change = estimate.raw - usual
    value = level + _slope(ledger, came, foretold, skill) * change
    late = max(waiting - len(ledger), 0)
    # Where nothing was told, the error is what following the estimator would have been.
    error = np.where(np.isfinite(ledger.told), ledger.real - ledger.told, came - foretold)
    model = _error_squared(ledger, error, skill) * (1.0 + _GROWTH * late) + _DOUBT * change**2
    half = Z90 * float(np.sqrt(model + chance)) * _factor(ledger)
    is_told = estimate.value is not None or estimate.refused is not None
    return replace(
        estimate,
        value=value if is_told else None,
        low=value - half,
        high=value + half,
        audited=len(ledger),
        refused=None,
    )


def audit_of(past: Sequence[PastEstimate], *, still: float) -> Audit:
    """Return how past estimates did, against saying each time that the metric is `still` what was promised."""
    ledger = _Ledger.of(past)
    told = np.isfinite(ledger.told)
    if not told.any():
        return Audit()
    return Audit(
        windows=int(told.sum()),
        held=int(ledger.held[told].sum()),
        error=float(np.abs(ledger.real - ledger.told)[told].mean()),
        still=float(np.abs(ledger.real - still)[told].mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ledger:
    """The audited windows, oldest first: what the estimator said, what was told (NaN where refused), what came true.

    `held` says whether the told interval held it; `noise` is the standard error of what came true.
    """

    raw: Floats
    told: Floats
    held: Floats
    real: Floats
    noise: Floats

    @classmethod
    def of(cls, past: Sequence[PastEstimate]) -> _Ledger:
        known = [
            (one.estimate, one.realised)
            for one in past
            if one.realised is not None and one.estimate.raw is not None and np.isfinite(one.realised.value)
        ]
        rows = [
            (
                estimate.raw,
                _middle(estimate),
                float(
                    estimate.low is not None
                    and estimate.high is not None
                    and estimate.low <= realised.value <= estimate.high
                ),
                realised.value,
                (realised.high - realised.low) / (2.0 * _Z95),
            )
            for estimate, realised in known
        ]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 5).T)

    def __len__(self) -> int:
        return len(self.real)

    @property
    def weight(self) -> Floats:
        """Return how much each window's error counts."""
        return _fading(len(self), _FORGET)


def _middle(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return float("nan")
    return estimate.value if estimate.value is not None else (estimate.low + estimate.high) / 2.0


def _waiting(past: Sequence[PastEstimate]) -> int:
    """Return for how many windows before this one the outcomes are not known."""
    known = [at for at, one in enumerate(past) if one.realised is not None]
    return len(past) - 1 - known[-1] if known else len(past)


def _levels(ledger: _Ledger, still: float) -> list[tuple[float, float]]:
    """Return the levels after 0, 1, ... audited windows: of what came true, and of what the estimator said.

    Before there are any, both are the promise, which then counts as much as one window.
    """
    levels, count = [(still, still)], 1.0
    for real, raw in zip(ledger.real, ledger.raw, strict=True):
        count = 1.0 + _FORGET_LEVEL * count
        level, usual = levels[-1]
        levels.append((level + (float(real) - level) / count, usual + (float(raw) - usual) / count))
    return levels


def _changes(ledger: _Ledger, still: float, waiting: int) -> tuple[Floats, Floats]:
    """Return how far each audited window lay from the levels known when it came: what came true, and what was said."""
    levels = np.array(_levels(ledger, still)).reshape(-1, 2)
    known = np.maximum(np.arange(len(ledger)) - waiting, 0)
    return ledger.real - levels[known, 0], ledger.raw - levels[known, 1]


def _slope(ledger: _Ledger, came: Floats, foretold: Floats, skill: float) -> float:
    """Return how much of a change that the estimator tells comes true, 0 to 1."""
    prior = _SLOPE_PRIOR * _error_squared(ledger, came - foretold, skill)
    over = prior + float(np.sum(ledger.weight * foretold * foretold))
    return min(max((prior + float(np.sum(ledger.weight * foretold * came))) / over, 0.0), 1.0) if over > 0 else 1.0


def _error_squared(ledger: _Ledger, error: Floats, skill: float) -> float:
    """Return the mean square of past errors beyond chance, after a prior that fades."""
    beyond = np.maximum(np.square(error) - np.square(_finite(ledger.noise)), 0.0)
    prior = _PRIOR_WINDOWS * _FORGET ** len(ledger)
    over = prior + float(ledger.weight.sum())
    return (prior * (_PRIOR * skill) ** 2 + float(np.sum(ledger.weight * beyond))) / over


def _chance_squared(estimate: Estimate, ledger: _Ledger) -> float:
    """Return the variance by chance of the metric in the window; of past ones where the estimator did not tell."""
    if estimate.low is not None and estimate.high is not None:
        return ((estimate.high - estimate.low) / (2.0 * Z90)) ** 2
    return float(np.median(np.square(_finite(ledger.noise))))


def _factor(ledger: _Ledger) -> float:
    """Return how much wider intervals must be than they would be by size of errors, from past hits and misses."""
    logarithm = 0.0
    for told, held in zip(np.isfinite(ledger.told), ledger.held, strict=True):
        if told:
            missed = 1.0 - float(held)
            logarithm = min(max(logarithm + _STEP * (missed - _MISSES), -_MOST), _MOST)
    return float(np.exp(logarithm))


def _fading(windows: int, keep: float) -> Floats:
    weights: Floats = keep ** np.arange(windows - 1, -1, -1, dtype=np.float64)
    return weights


def _finite(noise: Floats) -> Floats:
    return np.where(np.isfinite(noise), noise, 0.0)
