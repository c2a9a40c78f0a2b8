"""Permits: what takes a model back is never held up by hours or budgets, and the promised moment is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenure.core.operations import OperationsSection
from tenure.engine.permission import HELD_EVENT, may, tell_once, walks_since
from tenure.engine.permits import MONTH, Act, Answer, Facts, Spent, permit
from tenure.engine.runner import run_walk
from tenure.engine.workspace import open_workspace
from tenure.state.freezes import Freeze, freeze, freeze_of, unfreeze

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

spans = st.sampled_from([None, "22:00-06:00", "09:00-17:30", "00:00-23:59"])
days = st.lists(st.sampled_from(["saturday", "sunday", "2026-03-10", "2026-03-08/2026-03-20"]), max_size=3)
operations = st.builds(
    OperationsSection,
    autonomy=st.sampled_from(["observe", "propose", "auto"]),
    retrains_per_month=st.none() | st.integers(0, 4),
    compute_per_month=st.none() | st.floats(1, 1000),
    quiet_hours=spans,
    quiet_days=days,
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)
walks = st.lists(
    st.builds(Spent, st.integers(0, 60 * 24).map(lambda h: NOW - timedelta(hours=h)), st.floats(0, 600)), max_size=6
).map(tuple)
freezes = st.none() | st.builds(
    Freeze,
    since=st.just(NOW - timedelta(days=1)),
    who=st.just("ann"),
    until=st.none() | st.integers(-20, 900).map(lambda hours: NOW + timedelta(hours=hours)),
    everything=st.booleans(),
)
facts = st.builds(Facts, st.sampled_from(Act), freezes, walks, st.booleans())


@given(operations, facts)
def test_a_rollback_waits_for_nothing_but_a_freeze_of_everything(policy: OperationsSection, known: Facts) -> None:
    assume(known.act in (Act.ROLL_BACK, Act.WITHDRAW))
    given_ = permit(policy, NOW, known)
    frozen = known.freeze is not None and (known.freeze.until is None or known.freeze.until > NOW)
    if not (frozen and known.freeze is not None and known.freeze.everything):
        assert given_.answer is not Answer.WAIT
        if policy.autonomy == "auto" or known.approved or known.act is Act.WITHDRAW:
            assert given_.given


@given(operations, facts, st.floats(0, 1))
def test_what_waits_may_go_at_the_promised_moment_and_not_before(
    policy: OperationsSection, known: Facts, share: float
) -> None:
    answer = permit(policy, NOW, known)
    if answer.answer is Answer.WAIT and answer.start is not None:
        assert answer.start > NOW
        assert permit(policy, answer.start, known).answer is not Answer.WAIT
        between = NOW + (answer.start - NOW) * share * 0.999
        assert permit(policy, between, known).answer is Answer.WAIT
    elif answer.answer is not Answer.WAIT:
        assert answer.start is None


@given(operations, facts)
def test_no_budget_is_ever_overdrawn_by_itself(policy: OperationsSection, known: Facts) -> None:
    assume(known.act is Act.RETRAIN and not known.approved)
    if permit(policy, NOW, known).given:
        lately = [walk for walk in known.walks if walk.at > NOW - MONTH]
        assert policy.retrains_per_month is None or len(lately) < policy.retrains_per_month
        assert policy.compute_per_month is None or sum(walk.seconds for walk in lately) < policy.compute_per_month


@given(operations, facts)
def test_nothing_goes_by_itself_where_people_decide(policy: OperationsSection, known: Facts) -> None:
    assume(policy.autonomy != "auto" and not known.approved and known.act is not Act.WITHDRAW)
    assert not permit(policy, NOW, known).given


def test_a_budget_of_nothing_knows_no_moment() -> None:
    held = permit(OperationsSection(autonomy="auto", retrains_per_month=0), NOW, Facts(Act.RETRAIN))
    assert (held.answer, held.rule, held.start) == (Answer.WAIT, "retrains_per_month", None)


def test_the_words_name_the_rule_and_the_moment() -> None:
    policy = OperationsSection(autonomy="auto", quiet_hours="09:00-17:30", time_zone="Europe/Berlin")
    held = permit(policy, NOW, Facts(Act.RETRAIN))
    assert held.says == "It is a quiet time. Not before 2026-03-10 17:30 (Europe/Berlin)."
    frozen = Facts(Act.RETRAIN, Freeze(NOW, "ann", why="year's end."))
    assert permit(policy, NOW, frozen).says == "Frozen by ann since 2026-03-10: year's end."


def test_the_latest_word_on_freezing_counts_and_its_end_is_kept(office: Path) -> None:
    with open_workspace(office) as workspace:
        ledger, now = workspace.ledger, workspace.context.clock()
        assert freeze_of(ledger, now) is None
        freeze(ledger, actor="ann", until=now + timedelta(days=2), everything=True, why="year's end")
        found = freeze_of(ledger, now)
        assert found is not None
        assert (found.who, found.everything, found.why) == ("ann", True, "year's end")
        assert may(workspace, Act.WITHDRAW).rule == "freeze"
        assert freeze_of(ledger, now + timedelta(days=2)) is None
        unfreeze(ledger, actor="ann", why="")
        assert freeze_of(ledger, now) is None
        assert may(workspace, Act.WITHDRAW).given


@pytest.mark.parametrize("actor", ["watch", "user"])
def test_only_the_watchers_own_trainings_are_counted(office: Path, actor: str) -> None:
    text = (office / "tenure.toml").read_text().replace('budget = "6s"', 'budget = "5s"')
    (office / "tenure.toml").write_text(f'{text}\n[operations]\nautonomy = "auto"\nretrains_per_month = 1\n')
    with open_workspace(office, actor=actor) as workspace:
        assert may(workspace, Act.RETRAIN).given
        for _ in range(2):  # the second walk finds nothing new, and trains nothing
            run_walk(workspace)
        spent = walks_since(workspace, workspace.context.clock() - MONTH)
        held = may(workspace, Act.RETRAIN)
        assert len(spent) == (actor == "watch")
        assert held.given == (actor == "user")
        if spent:
            assert 0.5 < spent[0].seconds < 60
            assert may(workspace, Act.RETRAIN, approved=True).given
            assert [tell_once(workspace, held) for _ in range(3)] == [True, False, False]
            assert len(workspace.ledger.events(kind=HELD_EVENT)) == 1
