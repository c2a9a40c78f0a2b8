"""`tenure ladder`, and what `tenure status` says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from climbs import Business, on_the_ladder, registered, sharper, with_clock
from tenure.cli.app import app
from tenure.core.lifecycle import Alias
from tenure.engine.workspace import open_workspace


def _asked(office: Path, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*words, "--json", "--project", str(office)])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)["result"]


def _told(office: Path, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--project", str(office)], env={"COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    return done.output


def _champion(office: Path) -> int | None:
    with open_workspace(office) as workspace:
        return workspace.champion().number


@pytest.fixture
def climbing(office: Path, clock: Any, tmp_path: Path) -> Path:
    """Return a project whose v2 has answered 30 requests beside v1."""
    with open_workspace(office) as opened:
        workspace = with_clock(opened, clock)
        on_the_ladder(workspace, registered(workspace, tmp_path / "second", sharper(1.05), honest=True))
        Business(workspace, clock).rows(30)
    return office


def test_it_says_where_a_version_stands_what_it_showed_and_what_comes_next(climbing: Path) -> None:
    said = _told(climbing, "ladder")
    assert "v2 has answered 30 requests beside v1 since Thursday, 1 January 2026, 00:00 UTC, for the log only." in said
    assert "Next: 5% of the keys in earnest, after 1,000 rows and one window" in said
    assert "v2 and v1 decide" in said
    result = _asked(climbing, "ladder")
    assert result["standing"]["version"] == 2
    assert {finding["check"] for finding in result["evidence"]} >= {"rows", "time", "failed answers", "disagreement"}
    assert "v2 has answered 30 requests" in _told(climbing, "status")
    assert "v2 has answered 30 requests" in _asked(climbing, "status")["ladder"]


def test_a_person_takes_a_version_off(climbing: Path) -> None:
    assert _asked(climbing, "ladder", "withdraw", "--dry-run")["would_be"] == "withdrawn"
    after = _asked(climbing, "ladder", "withdraw", "--reason", "the feed was broken")["after"]
    assert after["says"] == "v2 is withdrawn: the feed was broken."
    assert _champion(climbing) == 1
    assert "No version is on the ladder" in _told(climbing, "ladder")
    assert _asked(climbing, "status")["challenger"] is None
    assert "the feed was broken" in _told(climbing, "history")


def test_a_person_puts_a_version_in_office_at_once(climbing: Path) -> None:
    assert _asked(climbing, "ladder", "promote", "--dry-run")["would_be"] == "office"
    assert _champion(climbing) == 1
    assert "tenure rollback --to v1" in _told(climbing, "ladder", "promote")
    assert _champion(climbing) == 2


def test_a_version_is_not_promoted_over_a_champion_that_it_was_not_compared_with(climbing: Path) -> None:
    with open_workspace(climbing) as workspace:
        model = workspace.context.artifacts.put_tree(climbing / "data")
        third = workspace.registry.register(model, run_id="r3", leaderboard="", actor="test")
        workspace.registry.move({Alias.CHAMPION: third.number}, actor="test", reason="by hand")
    assert _asked(climbing, "ladder", "promote", code=4)["after"]["step"] == "withdrawn"
    assert _champion(climbing) == 3


@pytest.mark.parametrize("words", [["withdraw"], ["promote"], ["withdraw", "--dry-run"]])
def test_where_nobody_climbs_there_is_nothing_to_do(office: Path, words: list[str]) -> None:
    assert "No version is on the ladder" in _asked(office, "ladder", *words, code=2)["error"]["message"]
