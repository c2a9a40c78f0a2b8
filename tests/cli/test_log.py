"""`tenure log` as a person and a program use it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from tenure.cli.app import app
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.engine.workspace import open_workspace

runner = CliRunner()


def call(*words: str, code: int = 0) -> dict[str, Any]:
    done = runner.invoke(app, ["log", *words, "--json"])
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["command"] == "log"
    return document


def read(*words: str) -> str:
    done = runner.invoke(app, ["log", *words], env={"NO_COLOR": "1"})
    assert done.exit_code == 0, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    return done.stdout


@pytest.fixture
def home(office: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project whose log holds an old prediction with an outcome, one of today, and an outcome that waits."""
    monkeypatch.chdir(office)
    today = datetime.now(UTC).isoformat()
    old = "2020-02-03T00:00:00+00:00"
    with open_workspace(office) as workspace:
        workspace.traffic.log_predictions(
            [
                PredictionRecord("old", 1, old, old, {"age": 31}, "yes", (0.25, 0.75)),
                PredictionRecord("new", 1, today, today, {"age": 32}, "yes", (0.25, 0.75), quarantined=True),
            ]
        )
        workspace.traffic.record_outcomes([OutcomeRecord("no", today, "old"), OutcomeRecord("no", today, "nobody")])
    return office


def test_status_counts_what_is_there(home: Path) -> None:
    told = call("status")["result"]
    assert (told["predictions"], told["outcomes"], told["waiting_outcomes"], told["quarantined"]) == (2, 1, 1, 1)
    assert told["oldest"] == "2020-02-03T00:00:00+00:00"
    assert told["months"][0] == {"month": "2020-02", "predictions": 1, "quarantined": 0, "size_bytes": None}
    assert "2020-02" in read("status")


def test_status_of_an_empty_log_says_nothing_yet(office: Path) -> None:
    assert call("status", "--project", str(office))["result"]["oldest"] is None
    assert "nothing yet" in read("status", "--project", str(office))


def test_export_writes_what_was_said_within_bounds(home: Path) -> None:
    done = call("export", "--out", "log.csv", "--until", "2021-01-01")
    assert (done["result"]["predictions"], done["artifacts"]) == (1, ["log.csv"])
    assert pl.read_csv("log.csv").row(0, named=True)["outcome"] == "no"
    assert "2 predictions written" in read("export", "--out", "log.parquet")
    assert pl.read_parquet("log.parquet")["id"].to_list() == ["old", "new"]


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--out", "log.xlsx"),
        ("export", "--out", "log.csv", "--since", "yesterday"),
        ("prune",),
        ("prune", "--keep", "for ever"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_way_out(home: Path, words: tuple[str, ...]) -> None:
    refused = call(*words, code=2)["result"]["error"]
    assert refused["code"] == "config-invalid"
    assert refused["hint"]
    assert call("status")["result"]["predictions"] == 2


def test_prune_lets_go_of_old_months_and_the_ledger_says_so(home: Path) -> None:
    due = call("prune", "--keep", "400d", "--dry-run")["result"]
    assert (due["dry_run"], due["predictions"]) == (True, 1)
    assert "would go" in read("prune", "--keep", "400d", "--dry-run")
    done = call("prune", "--keep", "400d", "--archive", "archive")
    assert done["artifacts"] == ["archive/predictions-2020-02.parquet"]
    assert pl.read_parquet(done["artifacts"][0])["id"].to_list() == ["old"]
    left = call("status")["result"]
    assert (left["predictions"], left["outcomes"], left["waiting_outcomes"]) == (1, 0, 1)
    with open_workspace(home) as workspace:
        assert [event.actor for event in workspace.ledger.events(kind="log-pruned")] == ["user"]
    assert "nothing goes" in read("prune", "--keep", "400d")


def test_prune_takes_the_policy_of_the_project(home: Path) -> None:
    with Path("tenure.toml").open("a") as file:
        file.write('\n[state]\nkeep = "400d"\n')
    assert call("status")["result"]["keep_seconds"] == 400 * 86_400
    assert call("prune")["result"]["predictions"] == 1
