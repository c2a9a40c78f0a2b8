"""Who is in office after a run, in words."""

from __future__ import annotations

import pytest

from tenure.core.lifecycle import Comparison, GateDecision, Outcome, Release
from tenure.core.modelling import Score
from tenure.reporting.office import office_of

SCORE = Score("roc_auc", 0.8, 0.7, 0.9, 500)
PASSED = GateDecision(
    Outcome.PROMOTE,
    "Better.",
    comparison=Comparison("roc_auc", "v6", SCORE, SCORE, 0.01, 0.001, 0.02, 500),
    incumbent=6,
)


@pytest.mark.parametrize(
    ("outcome", "chip", "said"),
    [
        (Outcome.PROMOTE, "In office", "Model v7 is in office"),
        (Outcome.LADDER, "On trial", "Model v6 stays in office while v7 is tried on live traffic"),
        (Outcome.REJECT, "Nothing changed", "Model v6 stays in office: v7 was tried on live traffic before"),
        (Outcome.HOLD, "Nothing changed", "another took office while it was made"),
    ],
)
def test_a_version_that_passed_the_gate_is_told_of_by_what_became_of_it(outcome: Outcome, chip: str, said: str) -> None:
    office = office_of(PASSED, Release(7, outcome, rollback_to=6))
    assert office.chip == chip
    assert said in office.says
    assert office.arrived is (outcome is Outcome.PROMOTE)
    assert not office.alarm
