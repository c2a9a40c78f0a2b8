from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.core.errors import RecordMissingError
from tenure.core.lifecycle import Alias, AliasMove, ModelVersion
from tenure.state.database import Database
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry


@pytest.fixture
def ledger(database: Database, clock) -> Ledger:
    return Ledger(database, clock)


@pytest.fixture
def registry(database: Database, ledger: Ledger, clock) -> Registry:
    return Registry(database, ledger, clock)


def register(registry: Registry, model: str) -> ModelVersion:
    return registry.register(model, run_id="r1", leaderboard="board", actor="ada")


def test_versions_count_from_one_and_a_model_keeps_its_number(registry: Registry, ledger: Ledger) -> None:
    first, second = register(registry, "m1"), register(registry, "m2")
    assert (first.label, second.label) == ("v1", "v2")
    assert registry.register("m1", run_id="r9", leaderboard="x", actor="bob", note="again") == first
    assert registry.versions() == [first, second]
    assert registry.version(2) == second
    assert [event.kind for event in ledger.events()] == ["version-registered"] * 2


def test_unknown_version_says_which_there_are(registry: Registry) -> None:
    with pytest.raises(RecordMissingError) as caught:
        registry.version(1)
    assert "tenure run" in caught.value.hint
    register(registry, "m1")
    with pytest.raises(RecordMissingError) as caught:
        registry.version(4)
    assert "v1 to v1" in caught.value.hint


def test_offices_move_together_with_one_event(registry: Registry, ledger: Ledger) -> None:
    first, second = register(registry, "m1"), register(registry, "m2")
    assert registry.holder(Alias.CHAMPION) is None
    registry.move({Alias.CHAMPION: 1}, actor="ada", reason="first")
    moved = registry.move(
        {Alias.CHAMPION: 2, Alias.PREVIOUS: 1, Alias.CHALLENGER: None},
        actor="ada",
        reason="better",
        cause="decision",
        run_id="r2",
    )
    at = "2026-01-01T00:00:00+00:00"
    assert moved == (
        AliasMove(Alias.CHAMPION, 1, 2, at, "ada", "better", "decision"),
        AliasMove(Alias.PREVIOUS, None, 1, at, "ada", "better", "decision"),
    )
    assert registry.holder(Alias.CHAMPION) == second
    assert registry.holder(Alias.PREVIOUS) == first
    assert registry.moves()[1:] == list(moved)
    (event,) = ledger.events(run_id="r2")
    assert event.inputs == ("decision",)
    assert event.data["moves"] == {"champion": {"before": 1, "after": 2}, "previous": {"before": None, "after": 1}}
    registry.move({Alias.PREVIOUS: None}, actor="ada", reason="gone")
    assert registry.holder(Alias.PREVIOUS) is None


def test_move_to_an_unknown_version_moves_nothing(registry: Registry, ledger: Ledger) -> None:
    register(registry, "m1")
    with pytest.raises(RecordMissingError):
        registry.move({Alias.CHAMPION: 1, Alias.CHALLENGER: 5}, actor="ada", reason="")
    assert registry.moves() == []
    assert len(ledger.events()) == 1


def test_move_provided_that_another_holds_the_office_moves_nothing(registry: Registry, ledger: Ledger) -> None:
    register(registry, "m1"), register(registry, "m2")
    assert registry.move({Alias.CHAMPION: 1}, actor="ada", reason="", provided={Alias.CHAMPION: None})
    before = (registry.moves(), len(ledger.events()))
    for holder in (None, 2):
        provided = {Alias.CHAMPION: holder}
        assert registry.move({Alias.CHAMPION: 2}, actor="ada", reason="", provided=provided) is None
    assert (registry.moves(), len(ledger.events())) == before


def test_move_that_changes_nothing_leaves_no_trace(registry: Registry, ledger: Ledger) -> None:
    register(registry, "m1")
    registry.move({Alias.CHAMPION: 1}, actor="ada", reason="first")
    before = ledger.verify()
    assert registry.move({Alias.CHAMPION: 1, Alias.PREVIOUS: None}, actor="ada", reason="again") == ()
    assert ledger.verify() == before


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.dictionaries(st.sampled_from(list(Alias)), st.none() | st.integers(1, 3), min_size=1), max_size=6)
)
def test_history_replays_to_the_present_holders(
    registry: Registry, ledger: Ledger, steps: list[dict[Alias, int | None]]
) -> None:
    for model in ("m1", "m2", "m3"):
        register(registry, model)
    for step in steps:
        registry.move(step, actor="ada", reason="moved")
    by_moves: dict[Alias, int | None] = {}
    for move in registry.moves():
        assert by_moves.get(move.alias) == move.before
        by_moves[move.alias] = move.after
    by_events: dict[str, int | None] = {}
    for event in ledger.events(kind="aliases-moved"):
        by_events |= {alias: change["after"] for alias, change in event.data["moves"].items()}
    for alias in Alias:
        holder = registry.holder(alias)
        number = holder.number if holder else None
        assert by_moves.get(alias) == number == by_events.get(str(alias))
    ledger.verify()


def test_threads_that_register_at_once_get_numbers_without_gaps(registry: Registry) -> None:
    def work(worker: int) -> None:
        for model in range(5):
            register(registry, f"m{worker}-{model}")
            register(registry, "shared")

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [version.number for version in registry.versions()] == list(range(1, 22))
