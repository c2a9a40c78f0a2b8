"""Correct answers without touching the model: a slope and offsets, learned from few rows whose outcomes are known.

Probabilities: softmax(slope * log p + offsets), for two classes Platt's scaling (Platt 1999) of the log-odds; values:
slope * value + offset. Corrections of corrections are corrections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

_TINY: Final = 1e-6
"""Probabilities are kept so far from 0 and 1, or one sure answer that was wrong would decide the slope."""
_STEPS: Final = 50
_NEAR: Final = 1e-8
_PULL: Final = 2.0
"""Weight, in rows, of the wish to leave answers as they are: few rows move little."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What corrects answers: probabilities have one offset a class, values one."""

    slope: float
    offsets: tuple[float, ...]

    def apply(self, answers: Floats) -> Floats:
        """Return corrected probabilities (n, k) or values (n,)."""
        if answers.ndim == 1:
            return self.slope * answers + self.offsets[0]
        return _softmax(self.slope * _logs(answers) + np.asarray(self.offsets))


def fit_correction(
    target: NDArray[Any], answers: Floats, *, weight: Floats | None = None, level_only: bool = False
) -> Correction:
    """Return the correction that fits what came true best: log-loss for probabilities, squares for values.

    `target` are class codes or values (n,), `answers` probabilities (n, k) or values (n,), `weight` (n,) how much each
    row counts. `level_only` keeps the slope at 1: the shares of classes, or the mean, moved, and nothing else.
    """
    counts = np.ones(len(target)) if weight is None else weight
    if answers.ndim == 1:
        return _line(np.asarray(target, dtype=np.float64), answers, counts, level_only=level_only)
    return _scaling(np.asarray(target, dtype=np.int64), answers, counts, level_only=level_only)


def _line(target: Floats, answers: Floats, counts: Floats, *, level_only: bool) -> Correction:
    center, level = np.average(answers, weights=counts), np.average(target, weights=counts)
    pull = counts.sum() / (counts.sum() + _PULL)
    spread = np.average(np.square(answers - center), weights=counts)
    if level_only or spread <= 0:
        return Correction(1.0, (float(pull * (level - center)),))
    shared = np.average((answers - center) * (target - level), weights=counts)
    slope = 1.0 + pull * (float(shared / spread) - 1.0)
    return Correction(slope, (float(center + pull * (level - center) - slope * center),))


def _scaling(target: NDArray[np.int64], answers: Floats, counts: Floats, *, level_only: bool) -> Correction:
    """Minimise the log-loss by Newton's steps over the slope and the offsets of all classes but the first."""
    logs, classes = _logs(answers), answers.shape[1]
    truth = np.zeros_like(logs)
    truth[np.arange(len(target)), target] = 1.0
    at = np.concatenate([[1.0], np.zeros(classes - 1)])
    home = at.copy()
    for _ in range(_STEPS):
        said = _softmax(at[0] * logs + np.append(0.0, at[1:]))
        # Columns of the Jacobian of the scores: the slope's, and one for each offset.
        mean = (said * logs).sum(axis=1)
        gradient = np.empty(classes)
        gradient[0] = ((said - truth) * logs * counts[:, None]).sum()
        gradient[1:] = ((said - truth) * counts[:, None]).sum(axis=0)[1:]
        curve = np.empty((classes, classes))
        curve[0, 0] = (counts * ((said * logs**2).sum(axis=1) - mean**2)).sum()
        curve[0, 1:] = curve[1:, 0] = (counts[:, None] * said * (logs - mean[:, None])).sum(axis=0)[1:]
        curve[1:, 1:] = np.diag((counts[:, None] * said).sum(axis=0)[1:]) - (said * counts[:, None]).T[1:] @ said[:, 1:]
        gradient += _PULL * (at - home)
        curve += _PULL * np.eye(classes)
        step = np.linalg.solve(curve[1:, 1:], gradient[1:]) if level_only else np.linalg.solve(curve, gradient)
        if level_only:
            step = np.append(0.0, step)
        at = at - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < _NEAR:
            break
    return Correction(float(at[0]), (0.0, *at[1:].tolist()))


def _logs(probabilities: Floats) -> Floats:
    logs: Floats = np.log(np.clip(probabilities, _TINY, 1.0))
    return logs


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares
