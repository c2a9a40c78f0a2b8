"""The ladder's state: one version at a time, each step with the offices it moves, or nothing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias
from tenure.state.database import Database, open_database
from tenure.state.ladder import Ladder
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry

BASE = Rung(2, 1, Step.SHADOW, 0.0, "2026-01-01T00:00:00+00:00", "gate", "run", "v2 answers beside v1.")


class KilledError(Exception):
    """The process ended here."""


class Pressed:
    """Counts how often those who watch the offices were called."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


def _offices(registry: Registry) -> dict[str, int | None]:
    holders = {alias.value: registry.holder(alias) for alias in Alias}
    return {alias: None if holder is None else holder.number for alias, holder in holders.items()}


def _with_champion(database: Database, clock: Any, pressed: Pressed | None = None) -> Registry:
    registry = Registry(database, Ledger(database, clock), clock, moved=pressed)
    for model in ("m1", "m2", "m3"):
        registry.register(model, run_id="run", leaderboard="", actor="test")
    registry.move({Alias.CHAMPION: 1}, actor="test", reason="first")
    return registry


@pytest.fixture
def pressed() -> Pressed:
    return Pressed()


@pytest.fixture
def registry(database: Database, clock: Any, pressed: Pressed) -> Registry:
    return _with_champion(database, clock, pressed)


def _step(ladder: Ladder, rung: Rung) -> Rung:
    done = ladder.step(rung, after=ladder.standing(), actor="test")
    assert done is not None
    return done[0]


def test_a_climb_to_the_top_moves_the_offices_and_tells_those_who_watch(registry: Registry, pressed: Pressed) -> None:
    ladder, before = Ladder(registry), pressed.count
    assert ladder.latest() is None
    _step(ladder, BASE)
    assert _offices(registry) == {"champion": 1, "challenger": 2, "previous": None}
    _step(ladder, replace(BASE, step=Step.CANARY, share=0.05))
    _step(ladder, replace(BASE, step=Step.CANARY, share=0.25))
    assert ladder.standing() == ladder.latest()
    _step(ladder, replace(BASE, step=Step.OFFICE, share=1.0))
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}
    assert ladder.standing() is None
    assert pressed.count == before + 4
    assert [rung.share for rung in ladder.rungs()] == [0.0, 0.05, 0.25, 1.0]
    assert registry.ledger.verify() > 0


def test_a_step_that_was_taken_already_changes_nothing(registry: Registry, pressed: Pressed) -> None:
    ladder = Ladder(registry)
    _step(ladder, BASE)
    before = (registry.moves(), registry.ledger.events(), pressed.count)
    assert _step(ladder, replace(BASE, says="again", since="2026-01-02T00:00:00+00:00")) == BASE
    assert (registry.moves(), registry.ledger.events(), pressed.count) == before


def test_a_version_never_climbs_against_a_champion_that_it_was_not_compared_with(registry: Registry) -> None:
    ladder = Ladder(registry)
    _step(ladder, BASE)
    registry.move({Alias.CHAMPION: 3, Alias.PREVIOUS: 1}, actor="ada", reason="by hand")
    rung = _step(ladder, replace(BASE, step=Step.OFFICE, share=1.0))
    assert rung.step is Step.WITHDRAWN
    assert "compared with v1, and v3 is in office" in rung.says
    assert _offices(registry) == {"champion": 3, "challenger": None, "previous": 1}


def test_a_newer_version_takes_the_place_and_the_older_one_is_withdrawn(registry: Registry) -> None:
    ladder = Ladder(registry)
    _step(ladder, BASE)
    _step(ladder, replace(BASE, version=3, decision="other"))
    assert [(rung.version, rung.step) for rung in ladder.rungs()] == [
        (2, Step.SHADOW),
        (2, Step.WITHDRAWN),
        (3, Step.SHADOW),
    ]
    assert _offices(registry)["challenger"] == 3
    assert ladder.taken(2, "gate").step is Step.WITHDRAWN  # type: ignore[union-attr]
    assert ladder.taken(2, "other") is None


def test_what_was_decided_on_a_step_that_is_gone_is_not_done(registry: Registry) -> None:
    ladder = Ladder(registry)
    first = _step(ladder, BASE)
    second = _step(ladder, replace(BASE, step=Step.CANARY, share=0.05))
    assert ladder.step(replace(BASE, step=Step.WITHDRAWN), after=first, actor="test") is None
    assert ladder.step(replace(BASE, version=3), after=None, actor="test") is None
    assert ladder.latest() == second


def test_evidence_is_kept_and_what_cannot_be_measured_hinders_no_step(registry: Registry) -> None:
    ladder = Ladder(registry)
    finding = Finding("harm", Verdict.ERROR, Measurement("e", float("nan"), evidence={"rows": 3}))
    _step(ladder, replace(BASE, evidence=(finding,)))
    kept = ladder.standing()
    assert kept is not None
    assert kept.evidence[0].measurement.evidence == {"rows": 3}
    assert _step(ladder, replace(BASE, step=Step.WITHDRAWN)).step is Step.WITHDRAWN
    assert _offices(registry)["challenger"] is None


def test_a_challenger_that_came_by_another_way_keeps_its_place(registry: Registry) -> None:
    ladder = Ladder(registry)
    _step(ladder, BASE)
    registry.move({Alias.CHALLENGER: 3}, actor="ada", reason="by hand")
    _step(ladder, replace(BASE, step=Step.WITHDRAWN))
    assert _offices(registry)["challenger"] == 3


def test_where_a_person_moved_the_office_meanwhile_the_one_before_stays_the_one_before(registry: Registry) -> None:
    ladder = Ladder(registry)
    _step(ladder, BASE)
    registry.move({Alias.CHAMPION: 3, Alias.PREVIOUS: 1}, actor="ada", reason="by hand")
    registry.move({Alias.CHAMPION: 2, Alias.PREVIOUS: 3}, actor="ada", reason="by hand")
    assert _step(ladder, replace(BASE, step=Step.OFFICE, share=1.0)).step is Step.OFFICE
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 3}


class _Dying(Ledger):
    """A ledger whose process is killed before its nth event from now on."""

    left = -1

    def append(self, *args: Any, **more: Any) -> Any:
        if self.left == 0:
            raise KilledError
        self.left -= 1
        return super().append(*args, **more)


@pytest.mark.parametrize("events", [0, 1, 2])
def test_a_process_that_is_killed_within_a_step_leaves_all_of_it_or_nothing(
    database: Database, clock: Any, pressed: Pressed, events: int
) -> None:
    registry = _with_champion(database, clock)
    _step(Ladder(registry), replace(BASE, step=Step.CANARY, share=0.25))
    before = (_offices(registry), Ladder(registry).latest(), len(registry.ledger.events()))
    dying = _Dying(database, clock)
    dying.left = events
    top = replace(BASE, step=Step.OFFICE, share=1.0)
    try:
        _step(Ladder(Registry(database, dying, clock, moved=pressed)), top)
    except KilledError:
        assert (_offices(registry), Ladder(registry).latest(), len(registry.ledger.events())) == before
        assert pressed.count == 0
    else:
        assert events == 2
    _step(Ladder(registry), top)  # the next look goes on
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}
    assert [rung.step for rung in Ladder(registry).rungs()] == [Step.CANARY, Step.OFFICE]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.tuples(st.sampled_from([2, 3]), st.sampled_from([*Step, "by hand"]), st.sampled_from([0.05, 0.25])),
        max_size=8,
    )
)
def test_whatever_happens_the_offices_follow_the_ladder(tmp_path_factory: Any, clock: Any, acts: list[Any]) -> None:
    database = open_database(None, tmp_path_factory.mktemp("state"))
    registry = _with_champion(database, clock)
    ladder = Ladder(registry)
    for version, act, share in acts:
        champion = _offices(registry)["champion"]
        if act == "by hand":
            registry.move({Alias.CHAMPION: version, Alias.PREVIOUS: champion}, actor="ada", reason="by hand")
            continue
        rung = _step(ladder, replace(BASE, version=version, step=act, share=share))
        offices = _offices(registry)
        if rung.step is Step.OFFICE:
            assert offices["champion"] == rung.version
            assert offices["challenger"] is None
        else:
            assert offices["champion"] == champion
            assert (offices["challenger"] == rung.version) is (rung.step is not Step.WITHDRAWN)
    database.close()
