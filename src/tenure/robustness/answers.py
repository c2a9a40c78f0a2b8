"""Compare answers of a model that came by different roads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from tenure.core.modelling import Floats
from tenure.model.scorer import Scored


def answers(scored: Scored) -> Floats:
    """Return what was answered as numbers: probabilities (n, k) or values (n,)."""
    said = scored.probabilities if scored.probabilities is not None else scored.values
    return np.array([np.nan]) if said is None else said


def largest_difference(one: Floats, other: Floats) -> float:
    """Return the largest absolute difference; infinity where a number is not finite or the shapes differ."""
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    return float(np.max(np.abs(one - other), initial=0.0))


def as_json(row: Mapping[str, Any]) -> str:
    """Return a row as a caller would send it: dates as ISO 8601, what is not a number as null."""
    return json.dumps({name: _sendable(value) for name, value in row.items()}, allow_nan=False)


def _sendable(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, Decimal) else value
