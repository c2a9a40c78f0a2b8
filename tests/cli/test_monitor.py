"""What `tenure monitor` prints: of a rich year made by hand, and of a real small project."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from health_years import LEARNING, RICH
from small_worlds import small_world
from tenure.cli.app import app
from tenure.cli.monitor import health_shows
from tenure.core.health import Health, HealthReport
from tenure.core.project import parse_project

PROJECT = parse_project(
    '[project]\nname = "churn"\ntask = "binary"\n[data]\nsource = "x.parquet"\ntarget = "left"\npositive = "yes"\n'
    '[value]\naction = "call"\ncurrency = "EUR"\ntrue_positive = 60.0\nfalse_positive = -20.0\n'
)
runner = CliRunner()


def printed(report: HealthReport, *, money: bool = True) -> str:
    """Return what a person reads, as words with single spaces, from a terminal wide enough not to break lines."""
    out = io.StringIO()
    console = Console(file=out, width=600, highlight=False)
    for shown in health_shows(report, PROJECT if money else None):
        console.print(shown, markup=False)
    return " ".join(out.getvalue().split())


def test_the_headline_comes_first_then_money_then_what_changed_then_the_dial_then_windows() -> None:
    words = printed(RICH)
    parts = ("ill: The model is worse", "Value: From", "what changed", "Alarm: You asked for", "window from")
    places = [words.index(part) for part in parts]
    assert places == sorted(places)
    assert places[0] == 0


def test_every_change_has_its_price_and_what_to_do() -> None:
    words = printed(RICH)
    assert "It costs about 5 % of the skill (3 to 7 %), about EUR 120 per 1,000 decisions (EUR 80 to 160)" in words
    assert "It costs at most 0.4 % of the skill: harmless. Nothing needs doing." in words
    assert "Its price is not known: no reference row has these levels." in words


def test_windows_show_the_estimate_beside_what_came_true_and_mark_young_ones() -> None:
    words = printed(RICH)
    estimate, realised = RICH.windows[-2].estimated, RICH.windows[-2].realised
    assert estimate is not None
    assert realised is not None
    assert f"20%* {estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f}) {realised.value:.4f}" in words
    assert "refused" in words
    assert words.endswith("* outcomes are still coming in")


def test_a_report_without_money_labels_or_changes_is_told_too() -> None:
    assert printed(HealthReport(status=Health.LEARNING, headline="Too early."), money=False) == "learning: Too early."
    learning = printed(replace(RICH, alarms=LEARNING, windows=(), changes=(), findings=()))
    assert "still learning: it knows 5 of the 8 windows it needs" in learning
    assert "EUR" not in printed(RICH, money=False)


@pytest.fixture
def busy(office: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(office)
    assert runner.invoke(app, ["predict", "data/first.csv", "--out", "scored.csv"]).exit_code == 0
    pl.read_csv("data/first.csv").select("customer", "left").write_csv("came-true.csv")
    assert runner.invoke(app, ["outcomes", "came-true.csv"]).exit_code == 0
    return office


def test_the_page_goes_where_it_is_asked_to(busy: Path) -> None:
    done = runner.invoke(app, ["monitor", "--out", "pages/mine.html", "--json", "--quiet"])
    document = json.loads(done.stdout)
    assert document["artifacts"] == ["pages/mine.html"]
    assert (busy / "pages" / "mine.html").read_text().startswith("<!doctype html>")
    assert not (busy / "reports" / "health.html").exists()
    assert set(document["result"]) == {"health", "worth", "page"}
    assert document["exit_code"] == done.exit_code


def test_calibrate_says_what_the_dial_means_and_leaves_the_rest_out(busy: Path) -> None:
    text = " ".join(runner.invoke(app, ["monitor", "--calibrate", "--quiet"], env={"NO_COLOR": "1"}).stdout.split())
    assert "drift alarm" in text
    assert "window from" not in text
    assert (busy / "reports" / "health.html").exists()


def test_a_file_of_rows_is_held_against_the_training_rows(office: Path, tmp_path: Path) -> None:
    frame = small_world(2_000, seed=11).drop("left")
    numeric = next(name for name, kind in frame.schema.items() if kind.is_numeric())
    moved = frame.with_columns(pl.col(numeric) + 3 * pl.col(numeric).std())
    for rows, expected in ((frame, set()), (moved, {numeric})):
        rows.write_parquet(tmp_path / "rows.parquet")
        done = CliRunner().invoke(
            app, ["monitor", "--rows", str(tmp_path / "rows.parquet"), "--json", "--project", str(office)]
        )
        assert done.exit_code == 0
        told = json.loads(done.stdout)["result"]
        assert told["rows"] == 2_000
        found = {f["measurement"]["subject"] for f in told["findings"] if f["verdict"] == "warn"}
        assert found == expected


def test_a_file_that_is_not_there_or_is_no_table_is_refused(office: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    for name, code in (("gone.parquet", "source-missing"), ("bad.parquet", "data-unreadable")):
        done = CliRunner().invoke(app, ["monitor", "--rows", str(tmp_path / name), "--json", "--project", str(office)])
        assert done.exit_code != 0
        assert json.loads(done.stdout)["result"]["error"]["code"] == code
