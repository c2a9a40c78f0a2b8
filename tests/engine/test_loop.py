"""What the loop chooses: never an act when observing, never a retraining on doubt, never the same act twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import Verb
from tenure.core.modelling import Score
from tenure.core.retraining import Prospect, Recipe
from tenure.engine.loop import PROSPECT, choose
from tenure.engine.policy import Policy, Situation
from tenure.monitoring.alarm import REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.rules import RULES, VOLUME

AUTO, PROPOSE, OBSERVE = Policy("auto"), Policy("propose"), Policy("observe")


def finding(check: str, verdict: Verdict, subject: str | None = None, **evidence: object) -> Finding:
    return Finding(
        check, verdict, Measurement(check, 1.0, subject=subject, says=f"{check} says so.", evidence=evidence)
    )


def window(number: int, version: int, auc: float, **more: object) -> WindowHealth:
    score = Score("roc_auc", auc, auc - 0.05, auc + 0.05, 400)
    day = f"2026-01-{number + 1:02d}"
    return WindowHealth(day, day, 400, 1.0, versions=(version,), realised=score, **more)


def report(*findings: Finding, windows: tuple[WindowHealth, ...] = (), version: int = 2) -> HealthReport:
    status = Health.ILL if any(f.verdict.blocks for f in findings) else Health.HEALTHY
    expected = Score("roc_auc", 0.8, 0.78, 0.82, 2_000)
    return HealthReport(findings, version, status, "A headline.", expected, windows)


HARM = finding(REALISED_SCORE, Verdict.FAIL, "the latest window", since="w5")
ILL = report(HARM, windows=tuple(window(i, 2, 0.6) for i in range(8)))
HERE = Situation(champion=2)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WARN, Verdict.SKIPPED])
def test_health_without_harm_is_kept(verdict: Verdict) -> None:
    action = choose(report(finding("psi", verdict, "age"), finding(VOLUME, verdict)), AUTO, HERE)
    assert action.verb is Verb.KEEP
    assert action.proposal is None
    assert action.reason == "A headline."


def test_harm_in_office_is_answered_with_a_retraining() -> None:
    action = choose(ILL, AUTO, HERE)
    assert action.verb is Verb.RETRAIN
    assert action.cause is not None
    assert action.cause.check == REALISED_SCORE
    assert action.cause.measurement.evidence["version"] == 2
    assert action.made_from == (ILL.digest,)
    assert not action.carried_out
    assert choose(ILL, PROPOSE, HERE).proposal == "tenure approve"


PROVEN = finding("harm", Verdict.FAIL, "v2 against v1", since="w7")


def test_proof_that_the_version_before_did_better_rolls_back() -> None:
    for health in (report(), ILL, report(finding("missing-values", Verdict.FAIL, "age"))):
        assert choose(health, AUTO, replace(HERE, harm=PROVEN)).verb is Verb.ROLL_BACK
    assert choose(ILL, PROPOSE, replace(HERE, harm=PROVEN)).proposal == "tenure approve"
    done = replace(choose(ILL, AUTO, replace(HERE, harm=PROVEN)), carried_out=True)
    assert choose(ILL, AUTO, replace(HERE, harm=PROVEN, past=(done,))).verb is Verb.ESCALATE


def prospect(chosen: Recipe | None, *, since: str = "w7", probability: float = 0.9) -> Prospect:
    return Prospect(
        2, "now", "matured window", chosen, probability, 0.8, (), (since,), 400, "EUR", 1.0, 4, 100.0, "It would pay."
    )


RECENT = Recipe("latest half", share=0.5)


def test_a_new_model_that_would_pay_is_made_from_what_the_probes_chose() -> None:
    for health in (report(), ILL):
        action = choose(health, AUTO, replace(HERE, prospect=prospect(RECENT)))
        assert (action.verb, action.recipe) == (Verb.RETRAIN, RECENT)
        assert action.cause is not None
        assert action.cause.check == PROSPECT


def test_harm_is_told_where_it_could_not_be_asked_what_would_do_better() -> None:
    told = choose(ILL, AUTO, replace(HERE, unasked="The source cannot be read."))
    assert told.verb is Verb.ESCALATE
    assert "The source cannot be read." in told.reason


def test_harm_that_no_probe_can_mend_is_told_to_a_person_once() -> None:
    told = choose(ILL, AUTO, replace(HERE, prospect=prospect(None, probability=0.1)))
    assert told.verb is Verb.ESCALATE
    assert "no way of learning" in told.reason
    again = replace(HERE, prospect=prospect(None, since="w8"), past=(told,))
    assert choose(ILL, AUTO, again).verb is Verb.KEEP


def test_one_prospect_is_acted_on_once_and_the_next_one_anew() -> None:
    done = replace(choose(report(), AUTO, replace(HERE, prospect=prospect(RECENT))), carried_out=True)
    again = replace(HERE, prospect=prospect(RECENT), past=(done,), new_rows=True)
    assert choose(report(), AUTO, again).verb is Verb.KEEP
    assert choose(report(), AUTO, replace(again, prospect=prospect(RECENT, since="w8"))).verb is Verb.RETRAIN


def test_each_block_asks_once_whether_to_replace_a_version() -> None:
    for policy in (PROPOSE, OBSERVE):
        asked = choose(report(), policy, replace(HERE, prospect=prospect(RECENT)))
        assert asked.proposal == "tenure approve"
        again = replace(HERE, prospect=prospect(RECENT), past=(asked,))
        assert choose(report(), policy, again).verb is Verb.KEEP
        later = replace(HERE, prospect=prospect(RECENT, since="w8"), past=(asked,))
        assert choose(report(), policy, later).verb is asked.verb


def test_where_nobody_lets_a_remedy_go_up_people_are_told() -> None:
    climbing = replace(HERE, climbing="v3 is on the ladder.", prospect=prospect(None))
    assert choose(ILL, AUTO, climbing).verb is Verb.KEEP
    assert choose(ILL, OBSERVE, climbing).verb is Verb.ESCALATE
    assert choose(report(finding("own-test", Verdict.FAIL)), AUTO, climbing).verb is Verb.ESCALATE


def test_nothing_is_retrained_while_a_version_climbs_or_after_vain_attempts() -> None:
    would_pay = replace(HERE, prospect=prospect(RECENT))
    assert choose(report(), AUTO, replace(would_pay, climbing="v3 is on the ladder.")).verb is Verb.KEEP
    assert choose(report(), AUTO, replace(would_pay, resting="Two attempts failed.")).verb is Verb.KEEP
    assert choose(ILL, AUTO, replace(would_pay, resting="Two attempts failed.")).verb is Verb.ESCALATE


def test_faults_are_escalated_and_never_trained_on() -> None:
    fault = finding("missing-values", Verdict.FAIL, "age", since="w1")
    assert choose(report(fault, HARM), AUTO, HERE).verb is Verb.ESCALATE
    spoilt = report(HARM, windows=(*(window(i, 2, 0.6) for i in range(7)), window(7, 2, 0.6, faults=("x: y",))))
    action = choose(spoilt, AUTO, HERE)
    assert action.verb is Verb.ESCALATE
    assert "broken" in action.reason


def test_a_retraining_that_can_change_nothing_is_escalated() -> None:
    vain = choose(ILL, AUTO, replace(HERE, walked_in_vain="hold: the gain may be nothing"))
    assert vain.verb is Verb.ESCALATE
    assert "the gain may be nothing" in vain.reason
    assert choose(ILL, AUTO, replace(HERE, walked_in_vain="run 1 saw the same rows")).verb is Verb.ESCALATE


def test_a_retraining_that_did_not_help_is_tried_again_on_new_rows_only() -> None:
    done = replace(choose(ILL, AUTO, HERE), carried_out=True)
    assert choose(ILL, AUTO, replace(HERE, past=(done,), new_rows=True)).verb is Verb.RETRAIN
    assert choose(ILL, AUTO, replace(HERE, past=(done,), new_rows=False)).verb is Verb.ESCALATE


def test_new_rows_do_not_repeat_a_proposal() -> None:
    first = choose(ILL, PROPOSE, HERE)
    assert choose(ILL, PROPOSE, replace(HERE, past=(first,), new_rows=True)).verb is Verb.KEEP


def test_a_proposal_waits_for_a_person() -> None:
    first = choose(ILL, PROPOSE, HERE)
    again = choose(ILL, PROPOSE, replace(HERE, past=(first,)))
    assert again.verb is Verb.KEEP
    assert "proposed" in again.reason


def test_what_was_done_and_did_not_help_is_escalated_once() -> None:
    done = replace(choose(ILL, AUTO, HERE), carried_out=True)
    told = choose(ILL, AUTO, replace(HERE, past=(done,)))
    assert told.verb is Verb.ESCALATE
    assert "did not help" in told.reason
    assert choose(ILL, AUTO, replace(HERE, past=(done, told))).verb is Verb.KEEP


def test_a_new_illness_of_a_new_champion_is_answered_anew() -> None:
    done = replace(choose(ILL, AUTO, HERE), carried_out=True)
    windows = tuple(window(i, 3, 0.6) for i in range(8))
    assert (
        choose(report(HARM, windows=windows, version=3), AUTO, Situation(3, new_rows=True, past=(done,))).verb
        is Verb.RETRAIN
    )
    later = report(finding(REALISED_SCORE, Verdict.FAIL, since="w40"), windows=ILL.windows)
    assert choose(later, AUTO, replace(HERE, past=(done,))).verb is Verb.RETRAIN


def test_observing_tells_what_a_person_should_do() -> None:
    action = choose(ILL, OBSERVE, HERE)
    assert action.verb is Verb.ESCALATE
    assert action.proposal == "tenure approve"
    assert choose(ILL, OBSERVE, replace(HERE, past=(action,))).verb is Verb.KEEP


# ---- properties ----

verdicts = st.sampled_from(list(Verdict))
checks = st.sampled_from([REALISED_SCORE, REALISED_VALUE, VOLUME, "psi", "own-test", *RULES])
any_finding = st.builds(
    finding,
    checks,
    verdicts,
    st.sampled_from([None, "age", PREDICTION]),
    since=st.sampled_from(["w1", "w2"]),
    importance=st.sampled_from([0.0, 0.3]),
)
any_window = st.builds(
    window,
    st.integers(0, 20),
    st.sampled_from([1, 2]),
    st.floats(0.5, 0.9),
    drifted=st.sampled_from([(), ("age",)]),
    faults=st.sampled_from([(), ("missing-values: age",)]),
)
any_report = st.builds(
    lambda findings, windows: report(*findings, windows=tuple(windows)),
    st.lists(any_finding, max_size=6),
    st.lists(any_window, max_size=8),
)
any_situation = st.builds(
    Situation,
    champion=st.just(2),
    prospect=st.sampled_from([None, prospect(None), prospect(RECENT), prospect(RECENT, since="w8")]),
    climbing=st.sampled_from(["", "v3 is on the ladder."]),
    resting=st.sampled_from(["", "Two attempts failed."]),
    new_rows=st.sampled_from([None, False, True]),
    walked_in_vain=st.sampled_from([None, "up to date"]),
)
any_policy = st.sampled_from([AUTO, PROPOSE, OBSERVE])


@given(any_report, any_situation)
def test_observing_never_acts(health: HealthReport, situation: Situation) -> None:
    assert choose(health, OBSERVE, situation).verb in (Verb.KEEP, Verb.ESCALATE)


@given(any_report, any_policy, any_situation)
def test_doubtful_evidence_never_leads_to_an_act(health: HealthReport, policy: Policy, situation: Situation) -> None:
    doubtful = any(
        f.verdict is Verdict.ERROR or (f.verdict is Verdict.FAIL and f.check in RULES) for f in health.findings
    )
    if doubtful:
        assert choose(health, policy, situation).verb is Verb.ESCALATE


@given(any_report, any_policy, any_situation)
def test_only_auto_leaves_an_act_without_a_proposal(health: HealthReport, policy: Policy, situation: Situation) -> None:
    action = choose(health, policy, situation)
    acts = action.verb in (Verb.RETRAIN, Verb.ROLL_BACK)
    assert (action.proposal is None) == (action.verb is Verb.KEEP or (acts and policy is AUTO))
    assert action.reason
    assert not action.carried_out


@settings(max_examples=200)
@given(any_report, any_policy, any_situation, st.booleans())
def test_the_same_cause_never_gets_the_same_act_twice(
    health: HealthReport, policy: Policy, situation: Situation, carried_out: bool
) -> None:
    seen: list[Verb] = []
    for _ in range(6):
        action = choose(health, policy, situation)
        if action.verb is not Verb.KEEP:
            assert action.verb not in seen
            seen.append(action.verb)
        does = carried_out and policy is AUTO and action.verb in (Verb.RETRAIN, Verb.ROLL_BACK)
        situation = replace(situation, past=(*situation.past, replace(action, carried_out=does)))
    assert choose(health, policy, situation).verb is Verb.KEEP


@given(any_report, any_policy, any_situation)
def test_choosing_is_pure(health: HealthReport, policy: Policy, situation: Situation) -> None:
    before = health.digest
    assert choose(health, policy, situation).digest == choose(health, policy, situation).digest
    assert health.digest == before
