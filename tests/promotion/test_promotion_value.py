"""What deciding by a model is worth, as the gate tells it."""

from __future__ import annotations

import numpy as np

from tenure.core.evidence import Verdict
from tenure.core.project import ValueSection
from tenure.promotion.value import value_finding, worth_of

VALUE = ValueSection(true_positive=40, false_positive=-5, action="call with an offer")


def _world(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 4, rows)
    return rng.random(rows) < probability, probability


def test_expected_and_realised_value_agree_when_probabilities_are_true() -> None:
    is_yes, probability = _world()
    worth = worth_of(is_yes, probability, VALUE, threshold=VALUE.break_even)
    assert worth.low < worth.expected < worth.high
    assert worth.realised > worth.best_without
    assert worth.nothing == 0


def test_a_model_worse_than_acting_on_all_is_a_warning_in_words() -> None:
    is_yes, probability = _world()
    good = value_finding(worth_of(is_yes, probability, VALUE, threshold=VALUE.break_even), VALUE)
    bad = value_finding(worth_of(is_yes, 1 - probability, VALUE, threshold=0.95), VALUE)
    assert good.verdict is Verdict.PASS
    assert bad.verdict is Verdict.WARN
    assert "call with an offer" in bad.says
    assert "per 1,000 decisions" in bad.says
