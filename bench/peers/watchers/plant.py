"""A small project whose walks take seconds, and the causes that are planted in it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
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
from tenure.engine.answering import Holder
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
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
learn_from_log = false
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


def make_project(folder: Path, *, url: str | None) -> Path:
    """Make a project with a version in office, which acts by itself, and return its folder."""
    (folder / "data").mkdir(parents=True)
    _world(900, seed=7, name="first").write_csv(folder / "data" / "first.csv")
    checks = ", ".join(f'"{name}"' for name in plugin_names("robustness-check"))
    state = "" if url is None else f'[state]\nurl = "{url}"'
    (folder / "tenure.toml").write_text(_PROJECT.format(checks=checks, state=state, window=_WINDOW))
    with open_workspace(folder) as workspace:
        walk = run_walk(workspace)
        if walk.outcome != "promote":
            raise SystemExit(f"the first walk came to {walk.outcome}: {walk.reason}")
    return folder


def plant(workspace: Workspace, cause: Cause, turn: int, clock: FileClock) -> Planted:
    """Plant a cause after some good days; what is needed to answer it (new rows) is there before it can be noticed.

    A window of rows takes a day, and the clock goes on with them: alarms depend on how many windows a year has.
    """
    _answer(workspace, workspace.champion(), clock, right=True, turn=turn, rows=1_000)
    good = workspace.champion()
    if cause is Cause.BAD_RELEASE:
        bad = _forced(workspace, good, turn)
        _answer(workspace, bad, clock, right=False, turn=turn)
        return Planted(cause, bad.number, good.number)
    if cause is Cause.HARM:
        new = _world(300, seed=100 + turn, name=f"t{turn}-")
        new.write_csv(workspace.folder / "data" / f"turn-{turn}.csv")
        _answer(workspace, good, clock, right=False, turn=turn)
        return Planted(cause, good.number, good.number)
    _answer(workspace, good, clock, right=True, turn=turn, broken="spend")
    return Planted(cause, good.number, good.number)


def _world(rows: int, *, seed: int, name: str) -> pl.DataFrame:
    frame = clean_world(rows=rows, seed=seed).frame
    return frame.with_columns(customer=pl.concat_str(pl.lit(name), pl.col("customer").cast(pl.String)))


def _forced(workspace: Workspace, good: ModelVersion, turn: int) -> ModelVersion:
    """Put the model in office into office again under another number, as if somebody had released it."""
    model = workspace.scorer(good).model
    with tempfile.TemporaryDirectory() as place:
        sample = pl.read_csv(workspace.folder / "data" / "first.csv")
        write_bundle(replace(model, threshold=0.3 + 0.001 * turn), Path(place), sample=sample)
        bundle = workspace.context.artifacts.put_tree(Path(place))
    bad = workspace.registry.register(bundle, run_id=good.run_id, leaderboard=good.leaderboard, actor="planter")
    workspace.registry.move(
        {Alias.CHAMPION: bad.number, Alias.PREVIOUS: good.number}, actor="planter", reason="forced through"
    )
    return bad


def _answer(
    workspace: Workspace,
    version: ModelVersion,
    clock: FileClock,
    *,
    right: bool,
    turn: int,
    rows: int = _ROWS,
    broken: str = "",
) -> None:
    name = f"turn{turn}-{broken or ('right' if right else 'wrong')}-"
    frame = _world(rows, seed=1_000 + turn, name=name).drop("left")
    if broken:
        frame = frame.with_columns(pl.lit(None).cast(frame[broken].dtype).alias(broken))
    sent = frame.to_dicts()
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
    outcomes = _outcomes([one.probabilities[1] for one in said], right=right, turn=turn)
    workspace.traffic.log_predictions(records)
    workspace.traffic.record_outcomes(
        [OutcomeRecord(*each) for each in zip(outcomes, (when.isoformat() for when in at), ids, strict=True)]
    )


def _outcomes(chances: Sequence[float], *, right: bool, turn: int) -> list[str]:
    """Return outcomes as the chances say, or as their opposites say."""
    drawn = np.random.default_rng(turn).random(len(chances))
    return ["yes" if (draw < chance) == right else "no" for draw, chance in zip(drawn, chances, strict=True)]
