"""A project with a champion, a challenger of known quality, and traffic under a clock that is set by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from small_worlds import small_world
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias, OutcomeRecord
from tenure.core.modelling import Leaderboard
from tenure.engine.answering import Holder
from tenure.engine.ladder import climb
from tenure.engine.routing import routing_of
from tenure.engine.workspace import Workspace
from tenure.model.bundle import write_bundle
from tenure.model.fitted import FittedModel, tempered
from tenure.state.ladder import Ladder
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry

FASTER = """
[promotion]
shadow_rows = 150
canary_rows = 150
"""


def with_clock(workspace: Workspace, clock: Callable[[], Any]) -> Workspace:
    """Return the workspace with another clock everywhere."""
    ledger = Ledger(workspace.database, clock)
    registry = Registry(workspace.database, ledger, clock, moved=workspace.stamp.press)
    return replace(workspace, context=replace(workspace.context, clock=clock), ledger=ledger, registry=registry)


def sharper(by: float) -> Callable[[FittedModel], FittedModel]:
    """Return what makes a model as much surer of itself: harmful far from 1, and it decides as before."""
    return lambda model: replace(model, temperature=model.temperature / by)


def silent(model: FittedModel) -> FittedModel:
    """Return a model that says nearly the same of every row."""
    return replace(model, temperature=1_000.0)


def registered(
    workspace: Workspace, folder: Path, change: Callable[[FittedModel], FittedModel], *, honest: bool, recipe: str = ""
) -> int:
    """Register the champion's model, changed; `honest` says that its leaderboard promises what it will say.

    `recipe` is what the leaderboard says that it was made from.
    """
    champion = workspace.champion()
    model = workspace.scorer(champion).model
    changed = change(model)
    write_bundle(changed, folder, sample=small_world(50, seed=3).drop("left"))
    artifacts = workspace.context.artifacts
    board = replace(artifacts.get_record(Leaderboard, champion.leaderboard), recipe=recipe)
    if honest:
        oof = artifacts.get_table(board.oof)
        chances = tempered(oof.select("p_0", "p_1").to_numpy().copy(), changed.temperature / model.temperature)
        board = replace(board, oof=artifacts.put_table(oof.with_columns(p_0=chances[:, 0], p_1=chances[:, 1])))
    bundle = artifacts.put_tree(folder)
    version = workspace.registry.register(bundle, run_id="r2", leaderboard=artifacts.put_record(board), actor="test")
    return version.number


def on_the_ladder(workspace: Workspace, version: int) -> Rung:
    """Put a version on the first step."""
    rung = Rung(
        version,
        workspace.champion().number,
        Step.SHADOW,
        0.0,
        workspace.context.clock().isoformat(),
        "the gate's decision",
        "r2",
        f"v{version} answers beside v{workspace.champion().number}.",
    )
    done = Ladder(workspace.registry).step(rung, after=None, actor="test")
    assert done is not None
    return done[0]


@dataclass
class Business:
    """Sends rows to whoever answers by the step of the ladder, as the server does, and what came true of them."""

    workspace: Workspace
    clock: Any
    seconds: float = 60.0
    shadows: bool = True
    _numbers: Any = field(default_factory=itertools.count)
    waiting: list[tuple[Any, OutcomeRecord]] = field(default_factory=list)

    def rows(
        self,
        count: int,
        *,
        seed: int = 1,
        delay: float = 0.0,
        change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    ) -> None:
        """Answer some rows, one every `seconds`; outcomes are told `delay` seconds after each."""
        frame = small_world(count, seed=seed)
        truth = frame["left"].to_list()
        sent = frame.drop("left") if change is None else change(frame.drop("left"))
        workspace, registry = self.workspace, self.workspace.registry
        champion, challenger = workspace.champion(), registry.holder(Alias.CHALLENGER)
        routing = routing_of(
            workspace.project.serving,
            champion=champion.number,
            challenger=None if challenger is None else challenger.number,
            rung=Ladder(registry).latest(),
        )
        holders: list[Any] = [
            None if version is None else Holder(version, workspace.scorer(version), workspace.project)
            for version in (champion, challenger)
        ]
        records, shadows = [], []
        sent_rows = sent.to_dicts()
        said: list[Any] = [None if holder is None else holder.answers(sent_rows) for holder in holders]
        for place, (row, left) in enumerate(zip(sent_rows, truth, strict=True)):
            self.clock.advance(self.seconds)
            ident, now = f"p{next(self._numbers):06d}", self.clock()
            key = f"{row['customer']}-{seed}"
            side = int(holders[1] is not None and routing.is_canary(key, ident))
            records.append(holders[side].record(ident, now, row, said[side][place], key=key))
            if routing.shadow and holders[1] is not None and self.shadows:
                shadows.append(holders[1].shadowed(ident, int(now.timestamp() * 1e6), said[1][place]))
            known = now + timedelta(seconds=delay)
            self.waiting.append((known, OutcomeRecord(left, known.isoformat(), prediction_id=ident)))
        workspace.traffic.log_predictions(records)
        workspace.traffic.take_in(shadows)
        self.tell()

    def tell(self) -> None:
        """Tell the outcomes that are due."""
        due = [outcome for known, outcome in self.waiting if known <= self.clock()]
        self.waiting = [(known, outcome) for known, outcome in self.waiting if known > self.clock()]
        if due:
            self.workspace.traffic.record_outcomes(due)

    def climb_on(self, windows: int, *, rows: int = 200, delay: float = 0.0) -> list[Rung]:
        """Answer window after window and look after each; return the steps that were taken."""
        taken: list[Rung] = []
        for number in range(windows):
            self.rows(rows, seed=100 + number, delay=delay)
            taken += climb(self.workspace)
        return taken
