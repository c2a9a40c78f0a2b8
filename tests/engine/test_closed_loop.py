"""Businesses with a planted truth, flown through the real project: what was noticed, done and left alone.

Answers of the model in office go into the real log, outcomes come when they are known, and the watcher looks at the end
of each week, with leave to act.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from tenure.core.evidence import Verdict
from tenure.core.health import Health
from tenure.core.ladder import Step
from tenure.core.lifecycle import Alias
from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.core.simulation import Deed
from tenure.engine.simulation.coming import Coming, VirtualClock
from tenure.engine.simulation.flight import Aloft, Flight, Hooks, fly, take_off
from tenure.engine.simulation.policies import FlightPolicy
from tenure.engine.watch import Look, look_and_act
from tenure.engine.workspace import Workspace, open_workspace
from tenure.monitoring.rules import RULES
from tenure.state.exclusions import Exclusions
from tenure.testing.businesses import KEY, KNOWN, TIME, Batch, Business
from tenure.testing.faults import BrokenFeed, LateOutcomes, NoTraffic, WrongLabels
from tenure.testing.named import OPENING, project_text
from tenure.testing.planted import Act, ConceptChange, Event, InputsMove, Sign, micros_of
from tenure.testing.walks import small_walk
from tenure.testing.worlds import World

WEEK: Final = timedelta(weeks=1)
ROWS: Final = 400
CHECKS: Final = {
    Sign.SCORE: {"realised-score", "realised-value", "estimated-score"},
    Sign.INPUTS: {"psi", "drift"},
    Sign.RATE: {"psi", "realised-score"},
    Sign.FEED: set(RULES),
    Sign.OUTCOMES: {"outcome-freshness", "outcome-values"},
    Sign.TRAFFIC: {"traffic-freshness", "volume"},
}
DEEDS: Final = {
    Act.RETRAIN: Deed.RETRAIN,
    Act.RECALIBRATE: Deed.CORRECTION,
    Act.RESTORE: Deed.CORRECTION,
    Act.ROLL_BACK: Deed.ROLLBACK,
    Act.ESCALATE: Deed.ESCALATION,
}
LIGHT: Final = """
[promotion]
shadow_rows = 100
canary_shares = [0.25]
canary_rows = 30
"""


def business(name: str, weeks: int, *events: Event) -> Business:
    """Return a shop of which the model in office learned ten weeks; those weeks are the same for all."""
    return Business(name, OPENING - 10 * WEEK, OPENING, OPENING + weeks * WEEK, weekly_rows=ROWS, events=events)


def during(first: int, last: int) -> dict[str, Any]:
    """Return the time from the start of the window `first` to the end of the window `last`."""
    return {"start": OPENING + first * WEEK, "end": OPENING + (last + 1) * WEEK}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the project with its first model, once."""
    folder = tmp_path_factory.mktemp("opened") / "shop"
    (folder / "rows").mkdir(parents=True)
    shop = business("shop", 1)
    shop.history().write_parquet(folder / "rows" / "000000.parquet")
    (folder / "tenure.toml").write_text(project_text(shop, source="rows/*.parquet", more=LIGHT))
    with open_workspace(folder, clock=VirtualClock(OPENING)) as workspace:
        take_off(workspace)
    return folder


@dataclass
class Log:
    """What became of a business, window by window; a look is None where none was taken."""

    shop: Business
    flight: Flight
    looks: list[Look | None] = field(default_factory=list)

    def seen(self, first: int, last: int) -> set[str]:
        """Return the checks that warned or failed in these windows."""
        looks = [look for look in self.looks[first : last + 1] if look is not None]
        loud = (Verdict.WARN, Verdict.FAIL)
        return {finding.check for look in looks for finding in look.health.findings if finding.verdict in loud}

    def deeds(self, first: int = 0, last: int = 99) -> list[Deed]:
        return [act.deed for act in self.flight.acts if first <= act.window <= last]

    def skill(self, windows: Iterable[int]) -> float:
        """Return how well the answers ranked what came true, on the average of windows."""
        flown = [self.flight.windows[at].said for at in windows]
        return float(np.mean([METRICS["roc_auc"](said.target, said.predicted) for said in flown]))


@pytest.fixture
def flown(opened: Path, tmp_path: Path) -> Callable[..., Log]:
    """Return a function that flies a business and tells what became of it; looks are taken after windows `looking`."""

    def flown(shop: Business, *, looking: Container[int], before: Callable[[Aloft], None] = lambda aloft: None) -> Log:
        folder = tmp_path / shop.name
        shutil.copytree(opened, folder)
        batches = {batch.start: batch for batch in shop.windows()}
        looks: list[Look | None] = []

        def act(workspace: Workspace) -> Look | None:
            return look_and_act(workspace) if len(looks) in looking else None

        def react(aloft: Aloft, window: Coming, said: Any) -> Coming:
            return coming(batches[window.start].acted_on(said.said_yes))

        hooks = Hooks(before=before, react=react, after=lambda aloft, look: looks.append(look))
        flight = fly(folder, map(coming, batches.values()), FlightPolicy("watched", act=act), hooks=hooks)
        return Log(shop, flight, looks)

    return flown


def coming(batch: Batch) -> Coming:
    """Return a batch as a flight takes it."""
    told = batch.table().with_columns(pl.col(TIME, KNOWN).dt.replace_time_zone("UTC"))
    return Coming(
        batch.start,
        batch.end,
        batch.frame,
        event_at=told[TIME].to_list(),
        outcome=told["left"].to_list(),
        known_at=told[KNOWN].to_list(),
        ids=batch.keys,
    )


def heeds(log: Log, event: Event) -> list[str]:
    """Return what was wrongly not noticed, not done or not left alone of an event and of its outcomes a week later."""
    first, last = ((moment - OPENING) // WEEK for moment in (event.start, event.end))
    expects, seen, deeds = event.expects, log.seen(first, last), log.deeds(first, last)
    signs = set().union(*(CHECKS[sign] for sign in expects.notice))
    remedies = {DEEDS[act] for act in expects.do if act in DEEDS}
    wrong = []
    if signs and not signs & seen:
        wrong.append(f"{event}: none of {sorted(signs)} among {sorted(seen)}")
    if remedies and not remedies & set(deeds):
        wrong.append(f"{event}: none of {sorted(remedies)} among {deeds}")
    return wrong + [f"{event}: {act.value}" for act in expects.leave if DEEDS[act] in deeds]


def test_what_is_no_fault_of_the_model_is_told_from_a_model_that_got_worse(flown: Callable[..., Log]) -> None:
    poison = (
        BrokenFeed(**during(3, 3)),
        BrokenFeed(**during(3, 3), column="visits", how="zeros"),
        WrongLabels(**during(3, 3)),
    )
    events = (
        InputsMove(**during(2, 2), column="noise"),
        *poison,
        LateOutcomes(**during(5, 6), how="held"),
        NoTraffic(**during(7, 7)),
    )
    log = flown(business("left-alone", 9, *events), looking=range(1, 9))
    assert [wrong for event in events for wrong in heeds(log, event)] == []
    assert log.deeds(0, 2) == []
    assert not {Deed.RETRAIN, Deed.ROLLBACK, Deed.CORRECTION} & set(log.deeds())
    assert [reign.version for reign in log.flight.reigns] == [1]
    status = {at: look.health.status for at, look in enumerate(log.looks) if look is not None}
    assert [status[at] for at in (1, 3, 8)] == [Health.HEALTHY, Health.ILL, Health.CHANGED]
    with open_workspace(log.flight.folder) as workspace:
        excluded = [
            (one.period.begin, one.period.end) for one in Exclusions(workspace.database, workspace.ledger).active()
        ]
    assert excluded == [(poison[0].start, poison[0].end)]


def test_a_watcher_that_was_away_catches_up_with_a_change_by_the_ladder(flown: Callable[..., Log]) -> None:
    """It sleeps for twelve weeks, and again while the new version answers a share of the keys."""
    change = ConceptChange(**during(2, 50))
    log = flown(business("sudden", 20, change), looking={14, 15, 18, 19})
    assert heeds(log, change) == []
    assert log.deeds(0, 13) == []
    assert log.deeds().count(Deed.RETRAIN) == 1
    assert log.deeds().count(Deed.PROMOTION) == 1
    assert Deed.ROLLBACK not in log.deeds()
    seen = log.looks[14]
    assert seen is not None
    assert seen.action.recipe is not None
    assert seen.action.recipe.since is not None
    assert abs(datetime.fromisoformat(seen.action.recipe.since) - change.start) <= WEEK
    rungs = [rung.step for look in log.looks if look is not None for rung in look.rungs]
    assert rungs == [Step.CANARY, Step.OFFICE]
    assert [window.champion for window in log.flight.windows[-2:]] == [2, 2]
    assert log.skill(range(0, 2)) > 0.75
    assert log.skill(range(2, 15)) < 0.5
    assert log.skill([19]) > 0.7


def test_a_bad_release_that_was_forced_through_is_rolled_back_and_nothing_is_lost(flown: Callable[..., Log]) -> None:
    def force(aloft: Aloft) -> None:
        if aloft.number == 2:
            put_in_office(aloft.workspace, upside_down(shop))

    shop = business("forced", 6)
    log = flown(shop, looking=range(2, 6), before=force)
    assert [window.champion for window in log.flight.windows] == [1, 1, 2, 1, 1, 1]
    assert log.deeds().count(Deed.ROLLBACK) == 1
    assert Deed.RETRAIN not in log.deeds(0, 4)  # harm is undone, not learned from; later, more rows may pay
    assert log.skill([2, 3]) < 0.5
    assert log.skill([4, 5]) > 0.7
    with open_workspace(log.flight.folder) as workspace:
        logged = workspace.traffic.joined(features=False)
    expected = {key: 2 if at in (2, 3) else 1 for at, batch in enumerate(shop.windows()) for key in batch.keys}
    assert logged.height == len(expected)
    assert dict(logged.select("id", "version").iter_rows()) == expected


def upside_down(shop: Business) -> World:
    """Return what a shop learned from with every outcome turned round."""
    history = shop.history()
    turned = history.with_columns(left=pl.when(pl.col("left") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes")))
    batch = shop.batch(shop.start, shop.opening)
    truth = 1 - batch.truth[batch.known <= micros_of(shop.opening)]
    return World(turned, Task.BINARY, "left", truth, ("no", "yes"), key=KEY, time=TIME)


def put_in_office(workspace: Workspace, world: World) -> None:
    """Do what nobody should: release a model past the gate."""
    board = small_walk(world, workspace.context.artifacts).leaderboard
    good = workspace.champion()
    kept = workspace.context.artifacts.put_record(board)
    bad = workspace.registry.register(board.model, run_id=good.run_id, leaderboard=kept, actor="somebody")
    workspace.registry.move(
        {Alias.CHAMPION: bad.number, Alias.PREVIOUS: good.number}, actor="somebody", reason="it was urgent"
    )
