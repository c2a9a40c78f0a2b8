"""`tenure predict` over a real small project: forms, options, what it says, how it ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from small_worlds import small_world
from tenure.cli.app import app
from tenure.engine.batch.run import LOGGED_ROWS

runner = CliRunner()


@pytest.fixture(autouse=True)
def _at_home(office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(office)
    small_world(120, seed=3).write_csv("rows.csv")


def _predict(*words: str, code: int = 0) -> dict[str, Any]:
    done = runner.invoke(app, ["predict", *words, "--json"])
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_reasons_and_action_are_written_on_request() -> None:
    shown = _predict("rows.csv", "--reasons", "2", "--action", "--no-log")["result"]
    written = _predict("rows.csv", "--reasons", "2", "--action", "--no-log", "--out", "scored.jsonl")["result"]
    assert shown["columns"] == written["columns"]
    assert {"action", "reason_1", "reason_2_value", "reason_2_contribution"} <= set(shown["columns"])
    assert {row["action"] for row in shown["predictions"]} == {"act", "none"}
    assert shown["predictions"] == pl.read_ndjson("scored.jsonl").to_dicts()


def test_rows_go_into_a_folder_and_into_a_table() -> None:
    folder = _predict("rows.csv", "--out", "scored/", "--chunk-rows", "50", "--no-log")
    assert folder["artifacts"] == ["scored/"]
    assert [path.name for path in sorted(Path("scored").iterdir())] == [f"part-{n:06d}.parquet" for n in range(3)]
    table = _predict("rows.csv", "--out", "sqlite:///scores.db", "--table", "scores", "--no-log")["result"]
    assert (table["rows"], table["resumed_rows"]) == (120, 0)
    base = sqlite3.connect("scores.db")
    found = base.execute("SELECT customer, probability FROM scores ORDER BY input_row").fetchall()
    base.close()
    assert found == pl.read_parquet("scored/*.parquet").select("customer", "probability").rows()


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--out", "sqlite:///scores.db"], "--table"),
        (["--out", "scored.csv", "--table", "scores"], "--out"),
        (["--table", "scores"], "--out"),
        (["--out", "scored.xlsx"], "--out"),
        (["--out", "sqlite:///scores.db", "--table", "x" * 41], "--table"),
        (["--out", "${SCORES_URL}", "--table", "scores"], "--out"),
    ],
)
def test_an_output_that_cannot_be_is_refused(words: list[str], where: str) -> None:
    error = _predict("rows.csv", *words, code=2)["result"]["error"]
    assert error["where"] == where
    assert error["hint"]


def test_a_small_table_is_logged_and_a_large_one_only_on_request() -> None:
    assert _predict("rows.csv", "--out", "scored.csv")["result"]["logged"] is True
    many = small_world(1_000)
    pl.concat([many] * (LOGGED_ROWS // 1_000) + [many[:1]]).write_parquet("many.parquet")
    told = _predict("many.parquet", "--out", "scored.parquet")
    assert told["result"]["logged"] is False
    assert "--log" in told["warnings"][0]
    assert not _predict("many.parquet", "--out", "scored.parquet", "--no-log")["warnings"]


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on() -> None:
    small_world(40_000, seed=5).write_csv("many.csv")
    words = ["predict", "many.csv", "--chunk-rows", "100", "--no-log", "--out", "scored.csv"]
    process = subprocess.Popen([sys.executable, "-m", "tenure", *words], stderr=subprocess.PIPE, text=True)
    parts = Path("scored.csv.parts") / "parts"
    while process.poll() is None and len(list(parts.glob("part-*"))) < 5:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert "scored.csv.parts" in told
    assert "the same command goes on" in told
    result = _predict(*words[1:])["result"]
    assert 0 < result["resumed_rows"] < result["rows"] == pl.read_csv("scored.csv").height
