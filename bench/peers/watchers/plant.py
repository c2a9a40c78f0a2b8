"""A small project whose walks take seconds, and the causes that are planted in it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from peers.watchers.process import FileClock
from tenure.core.lifecycle import Alias, ModelVersion, OutcomeRecord
from tenure.core.plugins import plugin_names
from tenure.core.ports import Member
from tenure.engine.answering import Holder
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
from tenure.model.members.linear import LinearMember
from tenure.testing.worlds import clean_world

_ROWS: Final = 600
_WINDOW: Final = 200
_PROJECT: Final = """
[project]
name = "watched"
task = "binary"
[data]
source = "data/*.csv"
target = "left"
positive = "yes"
key = "customer"
[training]
budget = "3s"
trials = 1
families = ["linear"]
[validation]
folds = 2
[robustness]
skip = [{checks}]
[monitoring]
window = "{window} rows"
[promotion]
steps = []
[operations]
autonomy = "auto"
learn_from_log = {learns}
{state}
"""


class Cause(StrEnum):
    """What is planted."""

    BAD_RELEASE = "bad release"
    HARM = "harm"
    FEED = "broken feed"


@dataclass(frozen=True)
class Planted:
    """One planted cause: the version that did badly, and the one that was in office before."""

    cause: Cause
    version: int
    good: int


def make_project(folder: Path, *, url: str | None = None, learns: bool = True) -> Path:
    """Make a project with a version in office, which acts by itself, and return its folder.

    With `learns`, the rows of the log whose outcomes are known are there for retraining.
    """
    (folder / "data").mkdir(parents=True)
    _world(900, seed=7, name="first").write_csv(folder / "data" / "first.csv")
    checks = ", ".join(f'"{name}"' for name in plugin_names("robustness-check"))
    state = "" if url is None else f'[state]\nurl = "{url}"'
    (folder / "tenure.toml").write_text(
        _PROJECT.format(checks=checks, state=state, window=_WINDOW, learns=str(learns).lower())
    )
    with open_workspace(folder) as workspace:
        walk = run_walk(workspace)
        if walk.outcome != "promote":
            raise SystemExit(f"the first walk came to {walk.outcome}: {walk.reason}")
    return folder


def plant(workspace: Workspace, cause: Cause, turn: int, clock: FileClock) -> Planted:
    """Plant a cause after some good days.

    A window of rows takes a day, and the clock goes on with them: alarms depend on how many windows a year has.
    """
    good = workspace.champion()
    _answer(workspace, good, clock, turn=turn, truth=good, rows=1_000)
    if cause is Cause.BAD_RELEASE:
        bad = _forced(workspace, good, turn)
        _answer(workspace, bad, clock, turn=turn, truth=good)
        return Planted(cause, bad.number, good.number)
    if cause is Cause.HARM:
        _answer(workspace, good, clock, turn=turn, truth=good, turned=True)
        return Planted(cause, good.number, good.number)
    _answer(workspace, good, clock, turn=turn, truth=good, broken="spend")
    return Planted(cause, good.number, good.number)


def _world(rows: int, *, seed: int, name: str) -> pl.DataFrame:
    frame = clean_world(rows=rows, seed=seed).frame
    return frame.with_columns(customer=pl.concat_str(pl.lit(name), pl.col("customer").cast(pl.String)))


def _forced(workspace: Workspace, good: ModelVersion, turn: int) -> ModelVersion:
    """Put a model into office that says the opposite of the one there, as if somebody had released it."""
    model = workspace.scorer(good).model
    members = tuple(replace(part, member=_opposite(part.member)) for part in model.members)
    with tempfile.TemporaryDirectory() as place:
        sample = pl.read_csv(workspace.folder / "data" / "first.csv")
        write_bundle(replace(model, members=members, threshold=0.3 + 0.001 * turn), Path(place), sample=sample)
        bundle = workspace.context.artifacts.put_tree(Path(place))
    bad = workspace.registry.register(bundle, run_id=good.run_id, leaderboard=good.leaderboard, actor="planter")
    workspace.registry.move(
        {Alias.CHAMPION: bad.number, Alias.PREVIOUS: good.number}, actor="planter", reason="forced through"
    )
    return bad


def _opposite(member: Member) -> LinearMember:
    if not isinstance(member, LinearMember):
        raise TypeError(f"a linear model was asked for, and here is {member.kind}")
    return LinearMember(member.task, member.design, -member.coefficients, -member.intercept)


def _answer(
    workspace: Workspace,
    version: ModelVersion,
    clock: FileClock,
    *,
    turn: int,
    truth: ModelVersion,
    turned: bool = False,
    rows: int = _ROWS,
    broken: str = "",
) -> None:
    """Log answers of a version; what comes true is as another version says, or `turned` round."""
    name = f"turn{turn}-{rows}-{version.label}-"
    frame = _world(rows, seed=1_000 + turn, name=name).drop("left")
    sent = [row | dict.fromkeys([broken] if broken else []) for row in frame.to_dicts()]
    holder = Holder(version, workspace.scorer(version), workspace.project)
    said = holder.answers(sent)
    step = timedelta(days=1) / _WINDOW
    clock.advance((rows * step).total_seconds())
    first = workspace.context.clock() - rows * step
    at = [first + number * step for number in range(1, rows + 1)]
    ids = [f"{name}{number}" for number in range(rows)]
    records = [
        holder.record(ident, when, row, one, key=None)
        for ident, when, row, one in zip(ids, at, sent, said, strict=True)
    ]
    chances = workspace.scorer(truth).raw(frame)[:, 1]
    drawn = np.random.default_rng(turn).random(rows) < (1.0 - chances if turned else chances)
    outcomes = ["yes" if each else "no" for each in drawn.tolist()]
    workspace.traffic.log_predictions(records)
    workspace.traffic.record_outcomes(
        [OutcomeRecord(*each) for each in zip(outcomes, (when.isoformat() for when in at), ids, strict=True)]
    )
