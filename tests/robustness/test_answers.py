"""Answers are compared strictly, and rows travel as JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from tenure.model.scorer import Scored
from tenure.robustness.answers import answers, as_json, largest_difference


def test_a_number_that_is_not_finite_is_an_infinite_difference() -> None:
    assert largest_difference(np.array([1.0]), np.array([np.nan])) == np.inf
    assert largest_difference(np.array([1.0]), np.array([1.0, 2.0])) == np.inf
    assert largest_difference(np.array([1.0, 5.0]), np.array([1.5, 5.0])) == 0.5
    assert largest_difference(np.empty((0, 2)), np.empty((0, 2))) == 0.0


def test_no_answer_is_no_number() -> None:
    assert np.isnan(answers(Scored())).all()
    assert answers(Scored(values=np.array([2.0]))).tolist() == [2.0]


def test_every_kind_of_cell_travels() -> None:
    row = {
        "a": float("nan"),
        "b": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "c": date(2026, 1, 1),
        "d": time(1, 2),
        "e": timedelta(seconds=90),
        "f": Decimal("1.5"),
        "g": "word",
        "h": None,
        "i": True,
    }
    assert json.loads(as_json(row)) == {
        "a": None,
        "b": "2026-01-01T12:00:00+00:00",
        "c": "2026-01-01",
        "d": "01:02:00",
        "e": 90.0,
        "f": 1.5,
        "g": "word",
        "h": None,
        "i": True,
    }
