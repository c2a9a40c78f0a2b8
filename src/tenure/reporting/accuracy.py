"""How close answers come where they are numbers, and how often right where they are one of several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices, Scheme
from tenure.reporting.words import Estimate
from tenure.reporting.worth import wilson

_Z95: Final = 1.959963984540054
_INSIDE: Final = 0.9


@dataclass(frozen=True, slots=True)
class SizeGroup:
    """Cases whose answer lies between `low` and `high`: usual and large error, and how many truths the range held."""

    low: float
    high: float
    rows: int
    usual: float
    large: float
    inside: Estimate


@dataclass(frozen=True, slots=True)
class Closeness:
    """How far numeric answers are off: the usual (median) and large (9 of 10 are nearer) error, and the baseline's.

    `inside` is the share of truths that a 90 % range held when the range was learned from other rows.
    """

    usual: Estimate
    large: Estimate
    baseline_usual: float
    mean_error: Estimate
    baseline_mean_error: float
    inside: Estimate
    offsets: tuple[float, float]
    groups: tuple[SizeGroup, ...]


def closeness(target: Floats, predicted: Floats, baseline: Floats, *, scheme: Scheme) -> Closeness:
    """Return how far the answers are off, overall and by the size of the answer."""
    error = np.abs(target - predicted)
    held = _held(target - predicted, scheme)
    mean, spread = float(error.mean()), float(error.std(ddof=1) / np.sqrt(len(error))) if len(error) > 1 else np.inf
    offsets = np.quantile(target - predicted, [(1 - _INSIDE) / 2, (1 + _INSIDE) / 2])
    order = np.argsort(predicted, kind="stable")
    groups = tuple(
        SizeGroup(
            float(predicted[part].min()),
            float(predicted[part].max()),
            len(part),
            float(np.median(error[part])),
            float(np.quantile(error[part], _INSIDE)),
            wilson(int(held[part].sum()), len(part)),
        )
        for part in np.array_split(order, int(np.clip(len(order) // 20, 1, 5)))
    )
    return Closeness(
        usual=quantile_with_interval(error, 0.5),
        large=quantile_with_interval(error, _INSIDE),
        baseline_usual=float(np.median(np.abs(target - baseline))),
        mean_error=Estimate(mean, mean - _Z95 * spread, mean + _Z95 * spread),
        baseline_mean_error=float(np.mean(np.abs(target - baseline))),
        inside=wilson(int(held.sum()), len(held)),
        offsets=(float(offsets[0]), float(offsets[1])),
        groups=groups,
    )


def quantile_with_interval(values: Floats, share: float) -> Estimate:
    """Return a quantile with its 95 % interval from order statistics (binomial, normal approximation)."""
    ordered = np.sort(values)
    n = len(ordered)
    half = _Z95 * np.sqrt(n * share * (1 - share))
    low, high = (int(np.clip(round(n * share + side * half), 0, n - 1)) for side in (-1, 1))
    return Estimate(float(np.quantile(ordered, share)), float(ordered[low]), float(ordered[high]))


def _held(residual: Floats, scheme: Scheme) -> Indices:
    """Say for each row whether a 90 % range learned from the other half (or, in time, the earlier half) held it."""
    n = len(residual)
    half = np.arange(n) % 2 if scheme is Scheme.CROSS else (np.arange(n) >= n // 2).astype(np.int64)
    held = np.zeros(n, dtype=np.int64)
    for side in (0, 1):
        learn, judge = residual[half != side], half == side
        if len(learn):
            low, high = np.quantile(learn, [(1 - _INSIDE) / 2, (1 + _INSIDE) / 2])
            held[judge] = (residual[judge] >= low) & (residual[judge] <= high)
    return held


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How often one class is recognised, and what it is most often taken for."""

    name: str
    rows: int
    right: Estimate
    taken_for: str | None
    taken_share: float


def class_results(target: Indices, predicted: Floats, classes: tuple[str, ...]) -> tuple[ClassResult, ...]:
    """Return the result of every class that occurs, best recognised first."""
    table = confusion(target, predicted)
    found = []
    for code, name in enumerate(classes):
        rows = int(table[code].sum())
        if rows == 0:
            continue
        wrong = table[code].copy()
        wrong[code] = 0
        other = int(wrong.argmax())
        found.append(
            ClassResult(
                name,
                rows,
                wilson(int(table[code, code]), rows),
                classes[other] if wrong[other] else None,
                float(wrong[other]) / rows,
            )
        )
    return tuple(sorted(found, key=lambda r: (-r.right.value, r.name)))


def confusion(target: Indices, predicted: Floats) -> Indices:
    """Return how often each class (row) was answered as each class (column): (k, k) counts."""
    k = predicted.shape[1]
    cells = target * k + predicted.argmax(axis=1)
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def most_confused(table: Indices, count: int) -> Indices:
    """Return the codes of the `count` classes that take part in most mix-ups, in class order."""
    wrong = table - np.diag(np.diag(table))
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    codes: Indices = np.sort(np.argsort(-involved, kind="stable")[:count])
    return codes
