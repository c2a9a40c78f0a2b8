"""What was planted is found where it was planted, and where nothing was planted nothing is found."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from small_worlds import small_world
from tenure.cli.app import app
from tenure.core.errors import ConfigError
from tenure.core.lifecycle import Alias, ModelVersion, OutcomeRecord
from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.engine.answering import Holder
from tenure.engine.bisect.batches import BATCHES, Material, by_batch, search
from tenure.engine.bisect.result import Lean
from tenure.engine.bisect.versions import by_version
from tenure.engine.bisect.windows import by_window, change_of
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
from tenure.model.fitted import WeightedMember
from tenure.model.members.constant import ConstantMember

AUC, RMSE = METRICS["roc_auc"], METRICS["rmse"]
ROWS = 4_000


def material(*, flipped: int | None, seed: int, task: Task = Task.BINARY, part: slice = slice(None)) -> Material:
    """Return rows in eight batches, of which one has its answers turned round, or the `part` of it."""
    rng = np.random.default_rng((40, seed))
    matrix = rng.normal(size=(ROWS, 5))
    score = 1.5 * matrix[:, 0] - matrix[:, 1] + 0.5 * matrix[:, 2] ** 2
    batch = np.arange(ROWS) * BATCHES // ROWS
    target = (rng.random(ROWS) < 1 / (1 + np.exp(-score))).astype(np.int64) if task is Task.BINARY else score
    if flipped is not None:
        rows = np.flatnonzero(batch == flipped)[part]
        target[rows] = 1 - target[rows] if task is Task.BINARY else -target[rows]
    held = rng.permutation(np.arange(ROWS) % 5 == 0)
    return Material(matrix, target, task, 2, batch, held, tuple(f"batch {at + 1}" for at in range(BATCHES)))


@pytest.mark.parametrize("flipped", [0, 3, 7])
def test_the_batch_whose_labels_were_flipped_is_found(flipped: int) -> None:
    found = search(material(flipped=flipped, seed=flipped), AUC)
    assert found.found == f"batch {flipped + 1}"
    assert [at for at, one in enumerate(found.tried) if one.lean is Lean.BAD] == [flipped]
    worst = found.tried[flipped].gain
    assert worst is not None
    assert worst.high < -0.3


def test_the_part_of_a_batch_is_named() -> None:
    found = search(material(flipped=3, seed=5, part=slice(250, None)), AUC)
    assert found.found == "batch 4"
    assert "They lie from 50% to 100% of it." in found.says


def test_a_batch_of_wrong_amounts_is_found_too() -> None:
    assert search(material(flipped=5, seed=1, task=Task.REGRESSION), RMSE).found == "batch 6"


@pytest.mark.parametrize("seed", range(4))
def test_no_batch_is_blamed_where_none_is_at_fault(seed: int) -> None:
    found = search(material(flipped=None, seed=seed), AUC)
    assert found.found is None
    assert found.says.startswith("No batch broke it")


def test_rows_outside_of_the_ends_are_not_searched() -> None:
    found = search(material(flipped=3, seed=3), AUC, first=4)
    assert found.found is None
    assert [one.name for one in found.tried] == [f"batch {at}" for at in range(5, 9)]


def test_a_change_of_level_is_found_and_its_interval_holds_it() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(200):
        at, errors = int(rng.integers(4, 26)), rng.uniform(0.008, 0.02, 30)
        levels = 0.84 - 0.05 * (np.arange(30) >= at) + errors * rng.normal(size=30)
        change = change_of(levels, errors)
        assert change.is_sure
        assert change.by.low < -0.05 < change.by.high or abs(change.by.value + 0.05) < 0.03
        held += change.earliest <= at <= change.latest
    assert held >= 180


def test_chance_is_seldom_taken_for_a_change() -> None:
    rng = np.random.default_rng(4)
    wrong = sum(change_of(0.84 + 0.015 * rng.normal(size=25), np.full(25, 0.015)).is_sure for _ in range(400))
    assert wrong <= 0.08 * 400


# ---- real projects ----


def version_of(workspace: Workspace, place: Path, name: str, *, ruined: bool, threshold: float) -> ModelVersion:
    """Register a copy of the model in office, or one that knows nothing."""
    first = workspace.registry.version(1)
    model = replace(workspace.scorer(first).model, threshold=threshold)
    if ruined:
        model = replace(model, members=(WeightedMember("nothing", 1.0, ConstantMember(Task.BINARY, [0.5, 0.5])),))
    write_bundle(model, place / name, sample=pl.read_csv(workspace.folder / "data" / "first.csv"))
    bundle = workspace.context.artifacts.put_tree(place / name)
    return workspace.registry.register(bundle, run_id=first.run_id, leaderboard=first.leaderboard, actor="test")


def answer(workspace: Workspace, version: ModelVersion, rows: int, *, seed: int, start: datetime) -> None:
    """Log answers of a version to rows of the world it learned, a minute apart, with what came true."""
    frame = small_world(rows, seed=seed)
    holder = Holder(version, workspace.scorer(version), workspace.project)
    sent = frame.drop("left").to_dicts()
    at = [start + timedelta(minutes=number) for number in range(rows)]
    ids = [f"{seed}-{number}" for number in range(rows)]
    workspace.traffic.log_predictions(
        [holder.record(*each, key=None) for each in zip(ids, at, sent, holder.answers(sent), strict=True)]
    )
    known = [OutcomeRecord(*each) for each in zip(frame["left"], (when.isoformat() for when in at), ids, strict=True)]
    workspace.traffic.record_outcomes(known)


@pytest.fixture
def life(office: Path, tmp_path: Path) -> Path:
    """Return a project whose third of four versions knows nothing, and took office in the middle of the log."""
    with open_workspace(office) as workspace:
        thresholds = [(2, False), (3, True), (4, True)]
        made = [version_of(workspace, tmp_path, f"v{n}", ruined=bad, threshold=0.1 * n + 0.05) for n, bad in thresholds]
        start = datetime.now(UTC) + timedelta(hours=1)
        answer(workspace, workspace.champion(), 1_600, seed=21, start=start)
        workspace.registry.move({Alias.CHAMPION: 3, Alias.PREVIOUS: 1}, actor="test", reason="forced through")
        answer(workspace, made[1], 1_400, seed=22, start=start + timedelta(minutes=1_600))
    return office


def test_the_version_that_broke_it_is_found_on_logged_rows(life: Path) -> None:
    with open_workspace(life) as workspace:
        found = by_version(workspace)
        assert (found.found, found.earliest) == ("v3", "v3")
        assert [one.lean for one in found.tried] == [Lean.GOOD, Lean.BAD, Lean.BAD]
        assert "logged rows" in found.compared
        assert {one.rows for one in found.tried} == {3_000}
        assert by_version(workspace, good="v3", bad="v4").found is None
        assert by_version(workspace, "brier", bad="v2").says == "No version after v1 is worse beyond doubt."
        with pytest.raises(ConfigError, match="not before"):
            by_version(workspace, good="v3", bad="v2")


def test_the_window_in_which_it_broke_is_found_with_its_interval(life: Path) -> None:
    with open_workspace(life) as workspace:
        found = by_window(workspace)
        starts = [one.name for one in found.tried]
        assert found.found == starts[8]
        assert found.earliest is not None
        assert starts.index(found.earliest) <= 8 <= starts.index(found.latest or "")
        early = by_window(workspace, bad=starts[7])
        assert early.found is None
        assert early.says.startswith(("No window stands out", "ranking quality (AUC) did not break"))


def test_without_log_versions_are_compared_as_the_gate_would(office: Path) -> None:
    rows = small_world(900, seed=8).with_columns(customer=pl.concat_str(pl.lit("n"), "customer"))
    rows.write_csv(office / "data" / "second.csv")
    with open_workspace(office) as workspace:
        run_walk(workspace)
        found = by_version(workspace)
        assert found.found is None
        assert "had learned from" in found.compared
        assert found.tried[0].rows > 100
        assert by_window(workspace).says.startswith("It cannot be told: 0 windows")


def test_the_batch_that_spoilt_the_newest_version_is_found_in_a_project(office: Path) -> None:
    good = pl.concat([small_world(400, seed=30 + at).with_columns(batch=pl.lit(at)) for at in range(8)])
    flipped = pl.when(pl.col("left") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    spoilt = good.with_columns(
        left=pl.when(pl.col("batch") == 4).then(flipped).otherwise("left"),
        customer=pl.concat_str(pl.lit("x"), pl.int_range(pl.len()).cast(pl.String)),
    )
    spoilt.drop("batch").write_csv(office / "data" / "first.csv")
    with open_workspace(office, budget_seconds=4.0) as workspace:
        walk = run_walk(workspace)
        if walk.version != 2:  # a candidate that the gate turned away is no version
            board = walk.records["leaderboard"]
            workspace.registry.register(board.model, run_id=walk.run_id, leaderboard=board.digest, actor="test")
        found = by_batch(workspace)
    assert found.found is not None
    assert found.found.startswith("batch 5 (rows 1,601 to 2,000")
    done = CliRunner().invoke(app, ["bisect", "--by", "batch", "--json", "-q", "--project", str(office)])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["result"]["bisect"][0]["found"]) == (5, found.found)


def test_a_sound_project_has_nothing_to_find(office: Path) -> None:
    done = CliRunner().invoke(app, ["bisect", "-q", "--project", str(office)])
    assert done.exit_code == 0, done.output
    for says in ("There are not two versions", "It cannot be told", "No batch broke it"):
        assert says in done.output
    assert CliRunner().invoke(app, ["bisect", "--good", "v1", "-q", "--project", str(office)]).exit_code == 2
