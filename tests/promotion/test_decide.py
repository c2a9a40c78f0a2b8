"""The rule of the gate, by properties."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.evidence import SEVERITY, Finding, Measurement, Verdict
from tenure.core.lifecycle import Comparison, Outcome
from tenure.core.modelling import Score
from tenure.promotion.decide import decide

_NUMBER = st.floats(-1, 1, allow_nan=False)
_VERDICTS = st.sampled_from(list(Verdict))


def _finding(verdict: Verdict) -> Finding:
    return Finding("check", verdict, Measurement("m", 1.0, says=f"something {verdict.value}"))


def _comparison(gain: float, low: float, high: float, *, against: str = "v1") -> Comparison:
    score = Score("roc_auc", 0.8, 0.7, 0.9, 500)
    return Comparison("roc_auc", against, score, score, gain, low, high, 500)


comparisons = st.tuples(_NUMBER, _NUMBER, _NUMBER).map(
    lambda ends: _comparison(sorted(ends)[1], sorted(ends)[0], sorted(ends)[2])
)


@given(st.lists(_VERDICTS, max_size=6), comparisons, st.data())
def test_a_worse_finding_never_turns_a_refusal_into_a_promotion(
    verdicts: list[Verdict], comparison: Comparison, data: st.DataObject
) -> None:
    before = decide([_finding(v) for v in verdicts], comparison, min_gain=0.0)
    worse = list(verdicts)
    if worse:
        at = data.draw(st.integers(0, len(worse) - 1))
        worse[at] = data.draw(st.sampled_from([v for v in Verdict if SEVERITY[v] >= SEVERITY[worse[at]]]))
    else:
        worse = [data.draw(_VERDICTS)]
    after = decide([_finding(v) for v in worse], comparison, min_gain=0.0)
    if before.outcome is not Outcome.PROMOTE:
        assert after.outcome is not Outcome.PROMOTE
    if before.outcome is Outcome.REJECT:
        assert after.outcome is Outcome.REJECT


@given(comparisons, st.floats(0, 1))
def test_a_smaller_gain_or_a_higher_bar_never_helps(comparison: Comparison, less: float) -> None:
    lower = _comparison(comparison.gain - less, comparison.low - less, comparison.high - less)
    first = decide([], comparison, min_gain=0.0).outcome
    if first is not Outcome.PROMOTE:
        assert decide([], lower, min_gain=0.0).outcome is not Outcome.PROMOTE
        assert decide([], comparison, min_gain=less).outcome is not Outcome.PROMOTE


@given(st.sampled_from([Verdict.FAIL, Verdict.ERROR]), comparisons)
def test_a_blocking_finding_rejects_however_large_the_gain(verdict: Verdict, comparison: Comparison) -> None:
    decision = decide([_finding(Verdict.PASS), _finding(verdict)], comparison, min_gain=0.0)
    assert decision.outcome is Outcome.REJECT
    assert [f.verdict for f in decision.because] == [verdict]
    assert verdict.value in decision.reason


def test_a_tie_keeps_the_champion() -> None:
    assert decide([], _comparison(0.0, 0.0, 0.0), min_gain=0.0).outcome is Outcome.HOLD
    assert decide([], _comparison(0.01, 0.0, 0.02), min_gain=0.0).outcome is Outcome.HOLD


def test_a_gain_that_is_not_a_number_never_promotes() -> None:
    for ends in [(math.nan, math.nan, math.nan), (0.1, math.nan, 0.2), (math.nan, -math.inf, math.inf)]:
        decision = decide([], _comparison(*ends), min_gain=0.0)
        assert decision.outcome is Outcome.HOLD
        assert "could not be measured" in decision.reason


def test_a_clear_gain_with_warnings_only_promotes_and_names_the_gain() -> None:
    findings = [_finding(Verdict.WARN), _finding(Verdict.SKIPPED), _finding(Verdict.PASS)]
    decision = decide(findings, _comparison(0.05, 0.02, 0.08), min_gain=0.01)
    assert decision.outcome is Outcome.PROMOTE
    assert "0.02" in decision.reason
    assert "v1" in decision.reason


def test_the_model_in_office_is_held_and_says_so() -> None:
    decision = decide([], None, min_gain=0.0, same_model=True)
    assert decision.outcome is Outcome.HOLD
    assert decision.same_model
    assert "already holds the office" in decision.reason


def test_no_comparison_holds_with_the_reason_given() -> None:
    decision = decide([], None, min_gain=0.0, why_not="Only 12 rows can be compared.")
    assert decision.outcome is Outcome.HOLD
    assert "12 rows" in decision.reason


def test_a_worse_candidate_is_told_so() -> None:
    decision = decide([], _comparison(-0.05, -0.08, -0.02), min_gain=0.0)
    assert decision.outcome is Outcome.HOLD
    assert decision.reason.startswith("Worse than the champion v1")


def test_a_candidate_that_past_blocks_spoke_for_need_only_be_better_and_not_much_worse() -> None:
    likely = _comparison(0.02, -0.01, 0.05)
    assert decide([], likely, min_gain=0.0).outcome is Outcome.HOLD
    assert decide([], likely, min_gain=0.0, margin=0.02).outcome is Outcome.PROMOTE
    assert decide([], likely, min_gain=0.0, margin=0.005).outcome is Outcome.HOLD
    assert decide([], likely, min_gain=0.03, margin=0.02).outcome is Outcome.HOLD
    assert decide([], _comparison(-0.001, -0.01, 0.05), min_gain=0.0, margin=0.02).outcome is Outcome.HOLD
    assert decide([_finding(Verdict.FAIL)], likely, min_gain=0.0, margin=0.02).outcome is Outcome.REJECT
