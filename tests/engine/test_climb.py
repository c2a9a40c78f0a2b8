"""The climb from the gate to the office, and the ways down, on traffic with planted truths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from climbs import FASTER, Business, on_the_ladder, registered, sharper, silent, with_clock
from tenure.core.evidence import Verdict
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias
from tenure.engine.ladder import climb
from tenure.engine.routing import falls_within
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.exclusions import Exclusions, Period
from tenure.state.ladder import Ladder

Open = Callable[..., Business]


@pytest.fixture
def business(office: Path, clock: Any) -> Iterator[Open]:
    opened: list[Workspace] = []

    def make(more: str = FASTER, *, shadows: bool = True) -> Business:
        file = office / "tenure.toml"
        file.write_text(file.read_text() + more)
        opened.append(open_workspace(office, actor="watch"))
        return Business(with_clock(opened[-1], clock), clock, shadows=shadows)

    yield make
    for workspace in opened:
        workspace.close()


def _places(rungs: list[Rung]) -> list[tuple[Step, float]]:
    return [(rung.step, rung.share) for rung in rungs]


def _verdicts(rung: Rung) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in rung.evidence}


def _offices(workspace: Workspace) -> tuple[int | None, ...]:
    holders = [workspace.registry.holder(alias) for alias in (Alias.CHAMPION, Alias.CHALLENGER, Alias.PREVIOUS)]
    return tuple(None if holder is None else holder.number for holder in holders)


def test_a_version_as_good_as_the_champion_climbs_to_the_office_by_what_it_shows(
    business: Open, tmp_path: Path
) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True)
    on_the_ladder(world.workspace, version)
    assert climb(world.workspace) == ()
    world.rows(100)
    assert climb(world.workspace) == ()
    taken = world.climb_on(4)
    assert _places(taken) == [(Step.CANARY, 0.05), (Step.CANARY, 0.25), (Step.OFFICE, 1.0)]
    assert _offices(world.workspace) == (version, None, 1)
    for rung in taken:
        assert set(_verdicts(rung).values()) <= {Verdict.PASS, Verdict.WARN}
        assert {"rows", "failed answers", "row time", "collapse", "answers moved", "disagreement", "harm"} <= set(
            _verdicts(rung)
        )
    in_earnest = [
        next(f for f in rung.evidence if f.check == "rows").measurement.evidence["in_earnest"] for rung in taken
    ]
    assert 0 == in_earnest[0] < in_earnest[1] < in_earnest[2]
    assert climb(world.workspace) == ()
    assert world.workspace.ledger.verify() > 0


def test_a_version_that_is_better_beyond_chance_need_not_wait_for_all_its_rows(business: Open, tmp_path: Path) -> None:
    world = business(FASTER.replace("150", "100000"))
    workspace = world.workspace
    worse = registered(workspace, tmp_path / "worse", sharper(6.0), honest=True)
    workspace.registry.move({Alias.CHAMPION: worse}, actor="test", reason="the world moved")
    better = registered(workspace, tmp_path / "better", sharper(1 / 6.3), honest=True)
    on_the_ladder(workspace, better)
    taken = world.climb_on(4)
    assert _places(taken) == [(Step.CANARY, 0.05), (Step.CANARY, 0.25), (Step.OFFICE, 1.0)]
    assert all("better than v2 beyond chance" in rung.says for rung in taken)


def test_rows_of_times_that_nothing_is_learned_from_tell_nothing(business: Open, tmp_path: Path) -> None:
    world = business()
    workspace = world.workspace
    on_the_ladder(workspace, registered(workspace, tmp_path / "second", sharper(6.0), honest=True))
    begin = world.clock()
    world.rows(250)
    broken = Period.between(begin, world.clock() + timedelta(seconds=1))
    Exclusions(workspace.database, workspace.ledger).add(broken, cause="a broken feed", actor="ada")
    assert climb(workspace) == ()
    Exclusions(workspace.database, workspace.ledger).undo(
        Exclusions(workspace.database, workspace.ledger).active()[0].number, reason="it was whole", actor="ada"
    )
    assert climb(workspace)[0].step is Step.WITHDRAWN


def test_looking_again_at_the_same_changes_nothing(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    world.rows(250)
    assert len(climb(world.workspace)) == 1
    before = len(world.workspace.ledger.events())
    for _ in range(3):
        assert climb(world.workspace) == ()
    assert len(world.workspace.ledger.events()) == before


def test_a_harmful_version_is_withdrawn_once_outcomes_tell_and_the_champion_stays(
    business: Open, tmp_path: Path
) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(6.0), honest=True)
    on_the_ladder(world.workspace, version)
    slow = 220 * world.seconds
    taken = world.climb_on(4, delay=slow)
    assert [rung.step for rung in taken] == [Step.CANARY, Step.WITHDRAWN]
    assert _verdicts(taken[1])["harm"] is Verdict.FAIL
    assert "loses" in taken[1].says
    assert _offices(world.workspace) == (1, None, None)
    assert climb(world.workspace) == ()


def test_answers_that_are_not_those_that_were_promised_end_the_climb_in_the_shadow(
    business: Open, tmp_path: Path
) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(6.0), honest=False))
    world.rows(250, delay=1e6)
    (rung,) = climb(world.workspace)
    assert rung.step is Step.WITHDRAWN
    assert _verdicts(rung)["answers moved"] is Verdict.FAIL


@pytest.mark.parametrize(("by", "check"), [(6.0, "answers moved"), (0.2, "collapse")])
def test_a_version_that_was_made_for_a_changed_world_is_held_against_what_it_says_of_that(
    business: Open, tmp_path: Path, by: float, check: str
) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(by), honest=False, recipe="newest rows")
    on_the_ladder(world.workspace, version)
    world.rows(250, delay=1e6)
    (rung,) = climb(world.workspace)
    assert rung.step is Step.CANARY
    assert _verdicts(rung)[check] is not Verdict.FAIL


def test_a_version_for_a_changed_world_that_says_nothing_at_all_is_withdrawn(business: Open, tmp_path: Path) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", silent, honest=False, recipe="newest rows")
    on_the_ladder(world.workspace, version)
    world.rows(250, delay=1e6)
    (rung,) = climb(world.workspace)
    assert rung.step is Step.WITHDRAWN
    assert _verdicts(rung)["collapse"] is Verdict.FAIL


def test_answers_that_moved_count_no_more_where_outcomes_speak_for_them(business: Open, tmp_path: Path) -> None:
    world = business()
    workspace = world.workspace
    worse = registered(workspace, tmp_path / "worse", sharper(1 / 20), honest=True)
    workspace.registry.move({Alias.CHAMPION: worse}, actor="test", reason="the world moved")
    on_the_ladder(workspace, registered(workspace, tmp_path / "better", sharper(19.0), honest=False))
    world.rows(250)
    (rung,) = climb(workspace)
    assert rung.step is Step.CANARY
    assert _verdicts(rung)["answers moved"] is Verdict.WARN


def test_answers_that_all_became_alike_end_the_climb(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", silent, honest=False))
    world.rows(250, delay=1e6)
    (rung,) = climb(world.workspace)
    assert rung.step is Step.WITHDRAWN
    assert _verdicts(rung)["collapse"] is Verdict.FAIL


def test_rows_that_are_all_alike_are_no_fault_of_the_version(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    alike = {"strong": pl.lit(0.1), "plan": pl.lit("plus"), "noise": pl.lit(0.0)}
    world.rows(250, delay=1e6, change=lambda frame: frame.with_columns(**alike))
    (rung,) = climb(world.workspace)
    assert rung.step is Step.CANARY
    assert {_verdicts(rung)[check] for check in ("collapse", "answers moved")} == {Verdict.WARN}


def test_a_version_that_answered_nothing_to_a_row_is_withdrawn_at_once(business: Open, tmp_path: Path) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True)
    on_the_ladder(world.workspace, version)
    world.rows(20)
    world.shadows = False
    world.rows(1)
    ident = world.workspace.traffic.joined()["id"][-1]
    empty = {"prediction_id": ident, "version": version, "at_us": 0, "prediction": "no", "value": None}
    world.workspace.traffic.take_in([empty | {"probabilities": [None, None], "low": None, "high": None}])
    (rung,) = climb(world.workspace)
    assert rung.step is Step.WITHDRAWN
    assert _verdicts(rung)["failed answers"] is Verdict.FAIL
    assert "gives no answer to 1 of 21 rows" in rung.says


def test_rows_that_the_shadow_left_out_are_asked_for_afterwards(business: Open, tmp_path: Path) -> None:
    world = business(shadows=False)
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    (rung,) = world.climb_on(1)
    assert rung.step is Step.CANARY
    assert next(f for f in rung.evidence if f.check == "rows").measurement.evidence["in_shadow"] == 0


def test_a_step_waits_for_its_rows_and_then_does_with_what_there_is(business: Open, tmp_path: Path) -> None:
    world = business(FASTER.replace("150", "100000"))
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    taken = world.climb_on(9)
    assert _places(taken) == [(Step.CANARY, 0.05), (Step.CANARY, 0.25)]
    assert "nothing speaks against it" in taken[0].says


def test_nobody_rises_from_the_canary_who_answered_nothing_in_earnest(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    assert _places(world.climb_on(1)) == [(Step.CANARY, 0.05)]
    names = [f"k{number}" for number in range(100)]
    others = next(name for name in names if not falls_within(0.05, f"{name}-1"))
    its_own = next(name for name in names if falls_within(0.05, f"{name}-1"))
    world.rows(300, change=lambda frame: frame.with_columns(customer=pl.lit(others)))
    assert climb(world.workspace) == ()
    world.rows(20, change=lambda frame: frame.with_columns(customer=pl.lit(its_own)))
    assert _places(list(climb(world.workspace))) == [(Step.CANARY, 0.25)]


def test_where_hardly_any_rows_come_a_version_is_withdrawn(business: Open, tmp_path: Path) -> None:
    world = business("\n[promotion]\npatience = 2\n".replace("[promotion]", "[promotion]"))
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    workspace = world.workspace
    project = workspace.project
    weekly = project.model_copy(update={"monitoring": project.monitoring.model_copy(update={"window": "7d"})})
    workspace = replace(workspace, context=replace(workspace.context, project=weekly))
    world.rows(50)
    assert climb(workspace) == ()
    world.clock.advance(timedelta(days=15).total_seconds())
    (rung,) = climb(workspace)
    assert rung.step is Step.WITHDRAWN
    assert "too few" in rung.says


def test_where_outcomes_take_long_the_climb_does_not_wait_for_them(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    workspace = world.workspace
    project = workspace.project
    late = project.model_copy(update={"data": project.data.model_copy(update={"outcome_delay": 1e9})})
    world.workspace = replace(workspace, context=replace(workspace.context, project=late))
    taken = world.climb_on(3, delay=1e9)
    assert _places(taken) == [(Step.CANARY, 0.05), (Step.CANARY, 0.25), (Step.OFFICE, 1.0)]


def test_a_version_that_is_kept_from_going_up_still_comes_down(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True))
    world.rows(250)
    assert climb(world.workspace, may_rise=False) == ()
    world.workspace.registry.move({Alias.CHAMPION: None}, actor="ada", reason="by hand")
    (rung,) = climb(world.workspace, may_rise=False)
    assert rung.step is Step.WITHDRAWN
    assert "compared with v1" in rung.says


def test_where_everything_is_frozen_nobody_is_taken_off_either(business: Open, tmp_path: Path) -> None:
    world = business()
    on_the_ladder(world.workspace, registered(world.workspace, tmp_path / "second", sharper(6.0), honest=True))
    world.rows(250)
    assert climb(world.workspace, may_rise=False, may_withdraw=False) == ()
    assert _offices(world.workspace) == (1, 2, None)
    (rung,) = climb(world.workspace, may_rise=False)
    assert rung.step is Step.WITHDRAWN
    assert _verdicts(rung)["harm"] is Verdict.FAIL


def test_a_version_that_a_person_put_in_office_has_arrived(business: Open, tmp_path: Path) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True)
    on_the_ladder(world.workspace, version)
    world.workspace.registry.move({Alias.CHAMPION: version, Alias.PREVIOUS: 1}, actor="ada", reason="by hand")
    (rung,) = climb(world.workspace)
    assert rung.step is Step.OFFICE
    assert _offices(world.workspace) == (version, None, 1)


def test_a_damaged_model_is_withdrawn(business: Open, tmp_path: Path) -> None:
    world = business()
    version = registered(world.workspace, tmp_path / "second", sharper(1.05), honest=True)
    on_the_ladder(world.workspace, version)
    for path in world.workspace.context.artifacts.get_tree(world.workspace.registry.version(version).model).rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    (rung,) = climb(world.workspace)
    assert rung.step is Step.WITHDRAWN
    assert Ladder(world.workspace.registry).standing() is None
