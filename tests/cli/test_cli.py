"""Every command over a real small project: what people read, what programs read, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from tenure.cli.app import COMMANDS, app

runner = CliRunner()


def call(*words: str, code: int = 0) -> dict[str, Any]:
    """Run a command with --json and return the whole document."""
    done = runner.invoke(app, [*words, "--json"])
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    document: dict[str, Any] = json.loads(done.stdout)
    assert set(document) == {"schema_version", "command", "status", "exit_code", "result", "warnings", "artifacts"}
    assert document["exit_code"] == code
    assert document["command"] == words[0]
    return document


def read(*words: str, code: int = 0) -> str:
    """Run a command for people and return what it printed."""
    done = runner.invoke(app, list(words), env={"NO_COLOR": "1"})
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    return done.stdout


@pytest.fixture
def home(office: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(office)
    return office


def test_two_commands_bring_a_model_into_office(
    churn_frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    churn_frame.write_csv("customers.csv")
    written = call("init", "customers.csv", "--target", "left", "--positive", "yes")
    assert written["artifacts"] == [str(tmp_path / "tenure.toml")]
    planned = call("plan")["result"]["stages"]
    walked = call("run", "--budget", "6s")["result"]
    assert [s["stage"] for s in planned] == [s["stage"] for s in walked["stages"]]
    assert walked["outcome"] == "promote"
    assert walked["version"] == "v1"
    assert walked["score"]["low"] < walked["score"]["value"] < walked["score"]["high"]


def test_a_run_says_what_a_limit_for_one_row_cost(home: Path) -> None:
    text = (home / "tenure.toml").read_text()
    assert "[serving]" not in text
    (home / "tenure.toml").write_text(text + "\n[serving]\nmax_latency_ms = 0.001\n")
    done = runner.invoke(app, ["run", "--budget", "3s"], env={"NO_COLOR": "1"})
    assert " are aimed at, so it serves " in " ".join(done.stdout.split())
    assert "pruned to answer a row in time" in " ".join(done.stdout.split())


def test_init_does_not_overwrite(home: Path) -> None:
    before = (home / "tenure.toml").read_text()
    refused = call("init", "data/first.csv", "--target", "left", "--out", ".", code=2)
    assert refused["result"]["error"]["code"] == "project-exists"
    assert (home / "tenure.toml").read_text() == before


def test_init_with_dry_run_writes_nothing(
    churn_frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    churn_frame.write_csv("customers.csv")
    assert "[project]" in read("init", "customers.csv", "--target", "left", "--dry-run")
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]


def test_a_second_run_on_the_same_rows_does_nothing(home: Path) -> None:
    again = call("run")["result"]
    assert again["outcome"] == "up-to-date"
    assert call("history", "--versions")["result"]["versions"][-1]["number"] == 1


def test_a_dry_run_is_the_plan(home: Path) -> None:
    assert call("run", "--dry-run")["result"]["stages"] == call("plan")["result"]["stages"]


def test_status_names_the_champion_and_its_score(home: Path) -> None:
    champion = call("status")["result"]["champion"]
    assert champion["version"] == "v1"
    assert champion["score"]["metric"] == "roc_auc"
    assert "v1" in read("status")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_predict_writes_key_prediction_probability_and_version(home: Path, suffix: str) -> None:
    call("predict", "data/first.csv", "--out", f"scored.{suffix}", "--no-log")
    reader = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[suffix]
    scored = reader(home / f"scored.{suffix}")
    sure = ["probability_low", "probability_high"]
    assert scored.columns == ["customer", "prediction", "probability", *sure, "version"]
    assert scored["customer"].to_list() == pl.read_csv("data/first.csv")["customer"].to_list()
    assert scored["probability"].is_between(0, 1).all()
    assert set(scored["version"]) == {"v1"}


def test_predict_on_a_changed_schema_says_which_column_is_missing(home: Path) -> None:
    pl.read_csv("data/first.csv").drop("strong").write_csv("less.csv")
    error = call("predict", "less.csv", "--out", "scored.csv", code=3)["result"]["error"]
    assert error["code"] == "schema-changed"
    assert "strong" in error["message"]
    assert not Path("scored.csv").exists()


def test_what_could_not_be_written_is_not_in_the_log(home: Path) -> None:
    Path("file").write_text("in the way")
    error = call("predict", "data/first.csv", "--out", "file/scored.csv", code=2)["result"]["error"]
    assert error["code"] == "folder-read-only"
    assert call("status")["result"]["predictions"] == 0


def test_predictions_on_stdout_are_the_data_as_they_are(home: Path) -> None:
    rows = pl.read_csv("data/first.csv").head(3).with_columns(customer=pl.Series([":cat:1", "a\tb", "c"]))
    rows.write_csv("few.csv")
    printed = read("predict", "few.csv", "--no-log", "--quiet")
    assert pl.read_csv(printed.encode())["customer"].to_list() == [":cat:1", "a\tb", "c"]


@pytest.mark.parametrize("words", [["init", "x"], ["predict"], ["frobnicate"]])
def test_a_fault_in_the_words_is_one_document_too(words: list[str]) -> None:
    done = runner.invoke(app, [*words, "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["result"]["error"]["code"] == "usage"


def test_predictions_and_outcomes_meet_in_the_health_report(home: Path) -> None:
    call("predict", "data/first.csv", "--out", "scored.csv")
    pl.read_csv("data/first.csv").select("customer", "left").write_csv("came-true.csv")
    assert call("outcomes", "came-true.csv")["result"]["counts"]["joined"] == 900
    assert call("outcomes", "came-true.csv")["result"]["counts"]["repeated"] == 900
    health = call("monitor")["result"]["health"]
    assert health["windows"]
    assert all(window["realised"] is not None for window in health["windows"])
    assert (home / "reports" / "health.html").exists()
    assert call("watch", "--once")["result"]["action"]["verb"] == "keep"
    assert call("status")["result"]["last_health"]["status"] == health["status"]


def test_a_prediction_is_explained_by_its_features(home: Path) -> None:
    call("predict", "data/first.csv", "--out", "scored.csv", "--ids")
    one = pl.read_csv("scored.csv").row(0, named=True)
    told = call("explain", one["id"])["result"]["prediction"]
    assert {c["feature"] for c in told["contributions"]} >= {"strong", "plan"}
    assert told["record"]["probabilities"][-1] == pytest.approx(one["probability"])


def test_a_version_is_explained_by_its_decision(home: Path) -> None:
    told = call("explain")["result"]
    assert told["decision"]["outcome"] == "promote"
    assert told["decision"]["comparison"]["against"] == "baseline"
    assert "because" in read("explain", "v1")
    assert call("explain", "v9", code=2)["result"]["error"]["code"] == "record-missing"


def test_the_ledger_is_whole_and_shown(home: Path) -> None:
    told = call("history", "--verify")["result"]
    assert told["verified_events"] >= len(told["events"])
    assert {"training", "promotion", "release"} <= {event["stage"] for event in told["events"]}


def test_rollback_without_a_previous_version_says_so(home: Path) -> None:
    assert call("rollback", code=2)["result"]["error"]["code"] == "no-previous"


def test_rollback_moves_the_office_and_can_be_undone(home: Path) -> None:
    more = pl.read_csv("data/first.csv").head(250).with_columns(customer=pl.concat_str(pl.lit("n"), "customer"))
    more.write_csv("data/second.csv")
    held = call("run", "--budget", "5s", code=4)["result"]
    assert held["outcome"] == "hold"  # copies of known rows: a tie keeps the champion
    call("rollback", "--to", "v2", "--reason", "try the challenger")
    assert call("status")["result"]["champion"]["version"] == "v2"
    assert call("rollback", "--dry-run")["result"]["would_move"] == {"champion": "v1"}
    call("rollback")
    assert call("status")["result"]["champion"]["version"] == "v1"
    moves = [m for m in call("history", "--versions")["result"]["moves"] if m["alias"] == "champion"]
    assert [m["after"] for m in moves] == [1, 2, 1]
    assert moves[1]["reason"] == "try the challenger"


def test_a_lost_report_is_written_again(home: Path) -> None:
    page = home / "reports" / "dossier.html"
    before = page.read_bytes()
    page.unlink()
    assert str(page) in call("report")["artifacts"]
    assert page.read_bytes() == before


def test_an_error_is_told_to_people_with_where_and_next(tmp_path: Path) -> None:
    done = runner.invoke(app, ["run", "--project", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert "error [project-missing]" in done.stderr
    assert "where:" in done.stderr
    assert "next:" in done.stderr
    assert done.stdout == ""


def test_a_budget_that_is_no_duration_is_refused(home: Path) -> None:
    assert call("run", "--budget", "soon", code=2)["result"]["error"]["code"] == "config-invalid"


def test_the_help_page_lists_every_command_with_its_own_first_line() -> None:
    text = " ".join(runner.invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout.split())
    for name, (_, line) in COMMANDS.items():
        assert name in text
        assert line in text
        own = " ".join(runner.invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout.split())
        assert line.rstrip(".") in own
