"""Call a running `tenure serve` from Python; the standard library is all it needs.

>>> from tenure.client import Client
>>> with Client("http://127.0.0.1:8000") as client:                    # doctest: +SKIP
...     answers = client.predict([{"tenure": 2, "Contract": "Month-to-month"}])
...     client.outcome(id=answers[0].id, outcome="No")
"""

from __future__ import annotations

from tenure.client.answers import (
    Explanation,
    Explanations,
    FieldProblem,
    Health,
    Outcome,
    OutcomeCounts,
    Prediction,
    Predictions,
    Reason,
    Violation,
)
from tenure.client.calls import Client
from tenure.client.failures import NoAnswerError, ProblemError

__all__ = [
    "Client",
    "Explanation",
    "Explanations",
    "FieldProblem",
    "Health",
    "NoAnswerError",
    "Outcome",
    "OutcomeCounts",
    "Prediction",
    "Predictions",
    "ProblemError",
    "Reason",
    "Violation",
]
