"""Registering, moving offices, and rolling back, on a real registry and real bundles."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.core.errors import BundleError, NoPreviousError, RecordMissingError
from tenure.core.ladder import Step
from tenure.core.lifecycle import Alias, GateDecision, Outcome
from tenure.core.modelling import Leaderboard
from tenure.core.ports import Context
from tenure.core.records import canonical
from tenure.release.climbing import rise, withdraw
from tenure.release.stage import release, rollback
from tenure.state.database import Database, open_database
from tenure.state.ladder import Ladder
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry
from tenure.testing.walks import SmallWalk, small_walk
from tenure.testing.worlds import clean_world

PROJECT = """
[project]
name = "churn"
task = "binary"

[data]
source = "none"
target = "left"
"""


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    return make_context(PROJECT)


@pytest.fixture
def database(ctx: Context) -> Iterator[Database]:
    opened = open_database(None, ctx.folder / ".tenure")
    yield opened
    opened.close()


@pytest.fixture
def registry(database: Database, ctx: Context) -> Registry:
    return Registry(database, Ledger(database, ctx.clock), ctx.clock)


def _walk(ctx: Context, seed: int) -> SmallWalk:
    return small_walk(clean_world(rows=200, seed=seed), ctx.artifacts, rounds=3)


def _says(
    outcome: Outcome, leaderboard: Leaderboard, *, same_model: bool = False, incumbent: int | None = None
) -> GateDecision:
    return GateDecision(
        outcome, f"because {outcome}", model=leaderboard.model, same_model=same_model, incumbent=incumbent
    )


def _offices(registry: Registry) -> dict[str, int | None]:
    holders = {alias.value: registry.holder(alias) for alias in Alias}
    return {alias: holder.number if holder else None for alias, holder in holders.items()}


def _promote(ctx: Context, registry: Registry, seed: int):
    leaderboard = _walk(ctx, seed).leaderboard
    decision = _says(Outcome.PROMOTE, leaderboard, incumbent=_offices(registry)["champion"])
    return release(ctx, decision, leaderboard, registry, f"run-{seed}")


def _damage(ctx: Context, model: str) -> Path:
    file = ctx.artifacts.get_tree(model) / "rows.json"
    file.chmod(0o644)
    file.write_text(file.read_text().replace("0.", "1.", 1))
    return file


def test_a_promotion_gives_the_office_and_keeps_the_last_holder(ctx: Context, registry: Registry) -> None:
    first = _promote(ctx, registry, 1)
    assert (first.version, first.rollback_to) == (1, None)
    second = _promote(ctx, registry, 2)
    assert (second.version, second.rollback_to) == (2, 1)
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}
    assert {move.alias for move in second.moves} == {Alias.CHAMPION, Alias.PREVIOUS}
    assert all(move.cause == second.made_from[0] for move in second.moves)


def test_the_leaderboard_of_a_version_can_be_read_again(ctx: Context, registry: Registry) -> None:
    walk = _walk(ctx, 1)
    release(ctx, _says(Outcome.PROMOTE, walk.leaderboard), walk.leaderboard, registry, "run")
    version = registry.version(1)
    assert ctx.artifacts.get_record(Leaderboard, version.leaderboard).digest == walk.leaderboard.digest


def test_a_held_candidate_becomes_challenger_and_nothing_else(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    walk = _walk(ctx, 2)
    held = release(ctx, _says(Outcome.HOLD, walk.leaderboard), walk.leaderboard, registry, "run")
    assert held.version == 2
    assert _offices(registry) == {"champion": 1, "challenger": 2, "previous": None}
    _promote(ctx, registry, 3)
    assert _offices(registry) == {"champion": 3, "challenger": None, "previous": 1}


def test_a_rejected_candidate_changes_nothing(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    walk = _walk(ctx, 2)
    rejected = release(ctx, _says(Outcome.REJECT, walk.leaderboard), walk.leaderboard, registry, "run")
    assert rejected.version is None
    assert rejected.moves == ()
    assert len(registry.versions()) == 1


def test_the_model_already_in_office_changes_nothing(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    walk = _walk(ctx, 1)
    same = release(ctx, _says(Outcome.HOLD, walk.leaderboard, same_model=True), walk.leaderboard, registry, "run")
    assert same.version == 1
    assert same.moves == ()
    assert _offices(registry) == {"champion": 1, "challenger": None, "previous": None}


def test_a_promotion_that_is_carried_out_twice_leaves_the_last_holder_where_it_was(
    ctx: Context, registry: Registry
) -> None:
    _promote(ctx, registry, 1)
    leaderboard = _walk(ctx, 2).leaderboard
    decision = _says(Outcome.PROMOTE, leaderboard, incumbent=1)
    assert release(ctx, decision, leaderboard, registry, "run-2").outcome is Outcome.PROMOTE
    again = release(ctx, decision, leaderboard, registry, "run-2")
    assert again.outcome is Outcome.PROMOTE
    assert again.moves == ()
    assert again.rollback_to == 1
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}


@pytest.mark.parametrize("seen", [None, 1])
def test_a_candidate_never_follows_a_champion_that_it_was_not_compared_with(
    ctx: Context, registry: Registry, seen: int | None
) -> None:
    _promote(ctx, registry, 1)
    _promote(ctx, registry, 2)
    leaderboard = _walk(ctx, 3).leaderboard
    held = release(ctx, _says(Outcome.PROMOTE, leaderboard, incumbent=seen), leaderboard, registry, "run")
    assert held.outcome is Outcome.HOLD
    assert "office changed meanwhile" in held.reason
    assert _offices(registry) == {"champion": 2, "challenger": 3, "previous": 1}


def _climbing(ctx: Context, registry: Registry, seed: int):
    leaderboard = _walk(ctx, seed).leaderboard
    decision = _says(Outcome.PROMOTE, leaderboard, incumbent=_offices(registry)["champion"])
    return release(ctx, decision, leaderboard, registry, f"run-{seed}", ladder=True)


def test_a_promotion_goes_on_the_ladder_and_the_champion_stays(ctx: Context, registry: Registry) -> None:
    assert _climbing(ctx, registry, 1).outcome is Outcome.PROMOTE  # an empty office has nobody to climb against
    second = _climbing(ctx, registry, 2)
    assert (second.outcome, second.version) == (Outcome.LADDER, 2)
    assert "v2 answers beside v1" in second.reason
    assert _offices(registry) == {"champion": 1, "challenger": 2, "previous": None}
    again = _climbing(ctx, registry, 2)
    assert (again.outcome, again.version, again.reason) == (Outcome.LADDER, 2, second.reason)
    assert len(Ladder(registry).rungs()) == 1


def test_a_project_without_steps_promotes_at_once(make_context: Callable[..., Context], registry: Registry) -> None:
    ctx = make_context(PROJECT + "[promotion]\nsteps = []\n")
    _climbing(ctx, registry, 1)
    assert _climbing(ctx, registry, 2).outcome is Outcome.PROMOTE
    assert Ladder(registry).latest() is None


def test_a_release_that_is_carried_out_again_finds_what_became_of_its_version(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    _climbing(ctx, registry, 2)
    ladder = Ladder(registry)
    rung = ladder.standing()
    assert rung is not None
    top = rise(ctx, registry, rung, (Step.OFFICE, 1.0), evidence=())
    assert top is not None
    leaderboard = _walk(ctx, 2).leaderboard
    decision = _says(Outcome.PROMOTE, leaderboard, incumbent=1)
    assert release(ctx, decision, leaderboard, registry, "run-2", ladder=True).outcome is Outcome.PROMOTE
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}


def test_what_was_withdrawn_after_the_same_decision_does_not_come_back(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    _climbing(ctx, registry, 2)
    rung = Ladder(registry).standing()
    assert rung is not None
    assert withdraw(ctx, registry, rung, because="it did harm.") is not None
    again = _climbing(ctx, registry, 2)
    assert again.outcome is Outcome.REJECT
    assert "it did harm" in again.reason
    assert _offices(registry) == {"champion": 1, "challenger": None, "previous": None}


def test_a_held_candidate_does_not_push_another_off_the_ladder(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    _climbing(ctx, registry, 2)
    walk = _walk(ctx, 3)
    held = release(ctx, _says(Outcome.HOLD, walk.leaderboard), walk.leaderboard, registry, "run")
    assert (held.outcome, held.version, held.moves) == (Outcome.HOLD, 3, ())
    assert _offices(registry)["challenger"] == 2


def test_a_damaged_model_does_not_reach_the_top(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    _damage(ctx, _climbing(ctx, registry, 2).model)
    rung = Ladder(registry).standing()
    assert rung is not None
    with pytest.raises(BundleError):
        rise(ctx, registry, rung, (Step.OFFICE, 1.0), evidence=())
    assert _offices(registry) == {"champion": 1, "challenger": 2, "previous": None}
    assert Ladder(registry).standing() == rung


def _forged(ctx: Context, model: str, folder: Path) -> str:
    """Store a whole bundle whose files are as its manifest says, but whose model answers its rows differently."""
    shutil.copytree(ctx.artifacts.get_tree(model), folder, copy_function=shutil.copy)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    rows, manifest = folder / "rows.json", folder / "MANIFEST.json"
    stored = json.loads(rows.read_text())
    stored["answers"][0] = [0.0 for _ in stored["answers"][0]]
    rows.write_bytes(canonical(stored))
    listed = json.loads(manifest.read_text())
    listed["files"]["rows.json"] = hashlib.sha256(rows.read_bytes()).hexdigest()
    manifest.write_bytes(canonical(listed))
    return ctx.artifacts.put_tree(folder)


def test_a_model_that_does_not_reproduce_its_rows_never_takes_office(
    ctx: Context, registry: Registry, tmp_path: Path
) -> None:
    walk = _walk(ctx, 1)
    forged = replace(walk.leaderboard, model=_forged(ctx, walk.leaderboard.model, tmp_path / "forged"))
    with pytest.raises(BundleError, match="stored answer"):
        release(ctx, _says(Outcome.PROMOTE, forged), forged, registry, "run")
    assert registry.versions() == []


def test_a_damaged_bundle_never_takes_office(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    walk = _walk(ctx, 2)
    _damage(ctx, walk.leaderboard.model)
    with pytest.raises(BundleError):
        release(ctx, _says(Outcome.PROMOTE, walk.leaderboard), walk.leaderboard, registry, "run")
    assert _offices(registry) == {"champion": 1, "challenger": None, "previous": None}
    assert len(registry.versions()) == 1


def test_a_rollback_restores_the_last_holder_and_can_be_undone(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    _promote(ctx, registry, 2)
    back = rollback(ctx, registry, to=None, reason="errors rose", cause="a-finding")
    assert back.version == 1
    assert back.reason == "Rolled back from v2 to v1: errors rose"
    assert back.made_from == ("a-finding",)
    assert _offices(registry) == {"champion": 1, "challenger": None, "previous": 2}
    rollback(ctx, registry, to=None, reason="it was the data", cause=None)
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}


def test_a_rollback_to_a_named_version(ctx: Context, registry: Registry) -> None:
    for seed in (1, 2, 3):
        _promote(ctx, registry, seed)
    rollback(ctx, registry, to=1, reason="asked for", cause=None)
    assert _offices(registry) == {"champion": 1, "challenger": None, "previous": 3}


def test_a_challenger_that_takes_office_by_rollback_is_no_challenger_any_more(ctx: Context, registry: Registry) -> None:
    _promote(ctx, registry, 1)
    walk = _walk(ctx, 2)
    release(ctx, _says(Outcome.HOLD, walk.leaderboard), walk.leaderboard, registry, "run")
    rollback(ctx, registry, to=2, reason="asked for", cause=None)
    assert _offices(registry) == {"champion": 2, "challenger": None, "previous": 1}


def test_a_rollback_to_a_damaged_bundle_leaves_everything_as_it_was(ctx: Context, registry: Registry) -> None:
    first = _promote(ctx, registry, 1)
    _promote(ctx, registry, 2)
    _damage(ctx, first.model)
    before = registry.moves()
    with pytest.raises(BundleError):
        rollback(ctx, registry, to=None, reason="errors rose", cause=None)
    assert registry.moves() == before


def test_there_may_be_nothing_to_go_back_to(ctx: Context, registry: Registry) -> None:
    with pytest.raises(NoPreviousError):
        rollback(ctx, registry, to=None, reason="asked for", cause=None)
    _promote(ctx, registry, 1)
    with pytest.raises(NoPreviousError):
        rollback(ctx, registry, to=None, reason="asked for", cause=None)
    with pytest.raises(NoPreviousError, match="already holds"):
        rollback(ctx, registry, to=1, reason="asked for", cause=None)
    with pytest.raises(RecordMissingError):
        rollback(ctx, registry, to=9, reason="asked for", cause=None)


@pytest.fixture
def three(ctx: Context) -> list[SmallWalk]:
    return [_walk(ctx, seed) for seed in range(3)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["promote", "hold", "back", "again"]), min_size=1, max_size=8))
def test_whatever_happens_champion_and_previous_differ(ctx: Context, three: list[SmallWalk], acts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = open_database(None, Path(folder))
        registry = Registry(opened, Ledger(opened, ctx.clock), ctx.clock)
        seed = 0
        for act in acts:
            seed += act != "again"
            leaderboard = three[seed % 3].leaderboard
            if act == "hold":
                release(ctx, _says(Outcome.HOLD, leaderboard), leaderboard, registry, "run")
            elif act != "back":
                decision = _says(Outcome.PROMOTE, leaderboard, incumbent=_offices(registry)["champion"])
                release(ctx, decision, leaderboard, registry, "run")
            elif _offices(registry)["previous"] is not None:
                rollback(ctx, registry, to=None, reason="asked for", cause=None)
            offices = _offices(registry)
            assert offices["champion"] is None or offices["champion"] != offices["previous"]
            assert offices["previous"] is None or offices["champion"] is not None
        opened.close()
