"""A past prediction is rebuilt to the last bit, whoever answered it and however it was asked."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tenure.cli.app import app
from tenure.core.errors import BundleError, RecordMissingError
from tenure.core.lifecycle import Alias, OutcomeRecord, PredictionRecord
from tenure.core.plugins import plugin_names
from tenure.engine.answering import Holder
from tenure.engine.batch.answers import Extras, answer_table
from tenure.engine.runner import run_walk
from tenure.engine.why import why
from tenure.engine.why_words import words
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
from tenure.serving.app import create_app
from tenure.state.tables import PREDICTIONS

HERE = "http://127.0.0.1"
PROJECT = """
[project]
name = "churn"
task = "binary"
[data]
source = "customers.csv"
target = "Churn"
positive = "Yes"
key = "customerID"
[value]
action = "call"
true_positive = 40.0
false_positive = -10.0
[training]
budget = "4s"
trials = 2
families = ["FAMILY"]
[validation]
folds = 2
[robustness]
skip = CHECKS
[serving]
""".replace("CHECKS", json.dumps([*plugin_names("robustness-check")]))
FAMILIES = ["linear", "lightgbm", "prepared", "catboost"]
LEARNED = 600


@dataclass
class Life:
    """A project with a past: versions of different families, each of which answered rows in some ways."""

    folder: Path
    ids: dict[str, list[str]]
    families: list[str]

    def some(self, count: int, seed: int) -> list[str]:
        every = sorted(ident for ids in self.ids.values() for ident in ids)
        return random.Random(seed).sample(every, count)


@pytest.fixture(scope="module")
def life(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Life:
    table = pl.read_parquet(real_data("telco_churn"))
    folder = tmp_path_factory.mktemp("life") / "churn"
    folder.mkdir()
    table[:LEARNED].write_csv(folder / "customers.csv")
    later = table[LEARNED:].drop("Churn")
    families = [*FAMILIES, "mlp"] if importlib.util.find_spec("torch") else FAMILIES
    lived = Life(folder, {}, families)
    chance = random.Random(5)
    for turn, family in enumerate(families, start=1):
        (folder / "tenure.toml").write_text(PROJECT.replace("FAMILY", family))
        with open_workspace(folder) as workspace:
            assert run_walk(workspace).outcome in ("promote", "hold")
            workspace.registry.move({Alias.CHAMPION: turn, Alias.CHALLENGER: None}, actor="test", reason="its turn")
            rows = later[(turn - 1) * 140 : turn * 140].to_dicts()
            lived.ids[f"{family}, server"] = _asked(workspace, [_as_sent(row, chance) for row in rows[:40]])
            lived.ids[f"{family}, many"] = _asked(
                workspace, [_as_sent(row, chance) for row in rows[40:120]], at_once=80
            )
            lived.ids[f"{family}, own ids"] = _asked(
                workspace, [_as_sent(row, chance) for row in rows[120:]], ids=[f"{family}-{at}" for at in range(20)]
            )
        lived.ids[f"{family}, batch"] = _scored(folder, later[turn * 140 + 1000 : turn * 140 + 1050], family)
    (folder / "tenure.toml").write_text(
        f"{PROJECT.replace('FAMILY', family)}canary = 0.4\nshadow = 1.0\nshadow_cpu = 1.0\n"
    )
    with open_workspace(folder) as workspace:
        workspace.registry.move({Alias.CHALLENGER: 2}, actor="test", reason="to be looked at")
        lived.ids["canary"] = _asked(workspace, later[-60:].to_dicts())
    return lived


def _as_sent(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a row as careless clients send it: numbers as text, whole numbers as floats, gaps, other types."""
    return {name: _cell(value, chance) for name, value in row.items()}


def _cell(value: Any, chance: random.Random) -> Any:
    ways: list[Callable[[], Any]] = [
        lambda: value,
        lambda: str(value),
        lambda: float(value) if isinstance(value, int) else value,
        lambda: None,
        lambda: chance.choice([True, False, 0, -0.0, 1e300, 2**70, 5e-324, "", " ", "1e3", "NaN"]),
    ]
    return chance.choices(ways, [12, 2, 2, 1, 1])[0]()


def _asked(
    workspace: Workspace, rows: list[dict[str, Any]], *, at_once: int = 1, ids: list[str] | None = None
) -> list[str]:
    given = []
    with TestClient(create_app(workspace), base_url=HERE) as client:
        for start in range(0, len(rows), at_once):
            body: dict[str, Any] = {"rows": rows[start : start + at_once]}
            if ids is not None:
                body["ids"] = ids[start : start + at_once]
            done = client.post("/predict", content=json.dumps(body), headers={"Content-Type": "application/json"})
            assert done.status_code == 200, done.text
            given += [one["id"] for one in done.json()["predictions"]]
    return given


def _scored(folder: Path, rows: pl.DataFrame, name: str) -> list[str]:
    rows.write_parquet(folder / f"{name}.parquet")
    words = ["predict", str(folder / f"{name}.parquet"), "--log", "--ids", "--project", str(folder)]
    done = CliRunner().invoke(app, [*words, "--out", str(folder / f"{name}.out.parquet"), "-q"])
    assert done.exit_code == 0, done.output
    return pl.read_parquet(folder / f"{name}.out.parquet")["id"].to_list()


@pytest.fixture
def workspace(life: Life) -> Iterator[Workspace]:
    with open_workspace(life.folder) as opened:
        yield opened


def test_a_hundred_random_past_predictions_of_all_versions_are_rebuilt_to_the_last_bit(
    life: Life, workspace: Workspace
) -> None:
    told = [why(workspace, ident) for ident in life.some(100, seed=1)]
    assert [one.problem for one in told] == [None] * 100
    assert {one.record.version for one in told} == set(range(1, len(life.families) + 1))
    for one in told:
        last = one.rebuilt.corrections[-1].said
        assert last == one.rebuilt.again.probabilities == one.record.probabilities
        assert one.standing.run is not None
        assert one.standing.move is not None
        assert one.standing.move.after == one.record.version


def test_contributions_add_up_to_the_members_raw_score(life: Life, workspace: Workspace) -> None:
    told = why(workspace, life.ids["lightgbm, server"][0]).rebuilt
    total = told.base + math.fsum(one.effect for one in told.contributions)
    raw = [math.log(m.said[1] / m.said[0]) * m.weight for m in told.members]
    temperature = workspace.scorer(workspace.registry.version(2)).model.temperature
    assert total == pytest.approx(math.fsum(raw) / temperature)


def test_a_canary_is_told_from_the_champion_and_shadows_stand_beside(life: Life, workspace: Workspace) -> None:
    told = [why(workspace, ident) for ident in life.ids["canary"]]
    by_canary = [one for one in told if one.record.route == "canary"]
    by_champion = [one for one in told if one.record.route is None]
    assert by_canary
    assert {(one.record.version, one.standing.office) for one in by_canary} == {(2, Alias.CHALLENGER)}
    assert {(one.record.version, one.standing.office) for one in by_champion} == {(len(life.families), Alias.CHAMPION)}
    beside = [shadow for one in by_champion for shadow in one.beside]
    assert beside
    assert {(one.shadow.version, one.refused, one.differences) for one in beside} == {(2, "", ())}


def test_a_changed_log_is_found_and_said_with_a_code(life: Life, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    shutil.copytree(life.folder, folder)
    ident = life.ids["linear, server"][3]
    with open_workspace(folder) as workspace:
        high = workspace.traffic.prediction(ident).probabilities
        moved = json.dumps([high[0], math.nextafter(high[1], 1.0)])
        with workspace.database.begin() as connection:
            connection.execute(update(PREDICTIONS).where(PREDICTIONS.c.id == ident).values(probabilities=moved))
        told = why(workspace, ident)
    assert [one.what for one in told.rebuilt.differences] == ["probability of Yes"]
    done = CliRunner().invoke(app, ["why", ident, "--json", "--project", str(folder)])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["result"]["error"]["code"], said["result"]["equal"]) == (1, "answer-differs", False)


def test_a_model_that_is_gone_and_a_prediction_that_was_pruned_are_said_clearly(life: Life, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    shutil.copytree(life.folder, folder)
    ident = life.ids["lightgbm, server"][0]
    with open_workspace(folder) as workspace:
        member = next(workspace.context.artifacts.get_tree(workspace.registry.version(2).model).rglob("*.txt"))
        member.write_text(member.read_text().replace("tree", "tee", 1))
        with pytest.raises(BundleError, match=r"v2 cannot be read") as caught:
            why(workspace, ident)
        assert "backup" in caught.value.hint
        shutil.rmtree(workspace.context.artifacts.get_tree(workspace.registry.version(1).model))
        with pytest.raises(BundleError, match=r"v1 cannot be read.*not in the store"):
            why(workspace, life.ids["linear, server"][0])
        with pytest.raises(RecordMissingError) as unknown:
            why(workspace, "nobody")
        assert "pruned" not in unknown.value.message
        workspace.traffic.prune(0.0, workspace.context.clock() + timedelta(days=70))
        with pytest.raises(RecordMissingError, match="pruned"):
            why(workspace, ident)


def test_an_owner_reads_what_was_said_why_and_what_it_made(life: Life, workspace: Workspace) -> None:
    asked = [why(workspace, ident) for ident in life.ids["lightgbm, batch"]]
    called = next(one for one in asked if one.decision == "call")
    left = next(one for one in asked if one.decision == "none")
    known = workspace.context.clock().isoformat()
    workspace.traffic.record_outcomes([OutcomeRecord("No", known, one.record.id) for one in (called, left)])
    told = why(workspace, called.record.id)
    said = " ".join(words(told))
    assert f"v2 said about {told.record.key}" in said
    assert "of 100 have Churn = Yes" in said
    assert "so: call." in said
    assert "What spoke for Churn = Yes:" in said
    assert "The decision made −EUR 10; not to act would have made EUR 0." in said
    assert "v2 was in office since" in said
    assert "the same to the last bit" in said
    other = why(workspace, left.record.id)
    assert other.made is not None
    assert (other.made.money, other.made.otherwise) == (0.0, -10.0)


def test_the_command_shows_both_and_ends_well(life: Life) -> None:
    ident = life.ids["prepared, server"][0]
    done = CliRunner().invoke(app, ["why", ident, "--project", str(life.folder)])
    assert done.exit_code == 0, done.output
    for part in ("same to the last bit", "was sent", "what the model read", "member", "threshold", "snapshot"):
        assert part in done.output
    assert CliRunner().invoke(app, ["why", "nobody", "--project", str(life.folder)]).exit_code == 2


def test_a_version_that_no_walk_made_is_rebuilt_too(life: Life, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    shutil.copytree(life.folder, folder)
    with open_workspace(folder) as workspace:
        model = workspace.scorer(workspace.registry.version(1)).model
        rows = pl.read_csv(folder / "customers.csv")
        write_bundle(replace(model, threshold=0.3), tmp_path / "brought", sample=rows)
        bundle = workspace.context.artifacts.put_tree(tmp_path / "brought")
        version = workspace.registry.register(bundle, run_id="elsewhere", leaderboard="", actor="test")
        scorer = workspace.scorer(version)
        found = answer_table(version, scorer, rows[:1], Extras(), at=workspace.context.clock(), log=True, ids=["x"])
        workspace.traffic.log_predictions(found.records)
        told = why(workspace, "x")
    assert told.problem is None
    assert (told.standing.move, told.standing.run, told.standing.decision) == (None, None, None)
    assert "did not hold an office then" in " ".join(words(told))


CELLS = [
    timedelta(hours=5, microseconds=3),
    Decimal("0.10"),
    Decimal("7.00"),
    2**63,
    -(2**100),
    1.0,
    0.1 + 0.2,
    math.inf,
    math.nan,
    b"\x00\xff",
    True,
    pl.Series([0.1], dtype=pl.Float32).to_numpy()[0],
    pl.Series([3], dtype=pl.Int16).to_numpy()[0],
    pl.Series([True]).to_numpy()[0],
]


@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("column", ["tenure", "Contract", "SeniorCitizen"])
def test_what_a_program_hands_over_is_logged_so_that_it_reads_the_same(
    workspace: Workspace, cell: object, column: str
) -> None:
    version = workspace.registry.version(2)
    holder = Holder(version, workspace.scorer(version), workspace.project)
    row = pl.read_csv(workspace.folder / "customers.csv").row(3, named=True) | {column: cell}
    [said] = holder.answers([row])
    ident = f"{column}-{cell!r}"
    record: PredictionRecord = holder.record(ident, workspace.context.clock(), row, said, key=None)
    workspace.traffic.log_predictions([record])
    assert why(workspace, ident).problem is None
