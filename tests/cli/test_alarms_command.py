"""`tenure alarms` as a person and a program use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from small_worlds import SMALL_PROJECT
from tenure.cli.app import app
from tenure.core.alarms import Manners, Severity, Sighting, Symptom
from tenure.engine.alerts.look import alarms_of
from tenure.engine.workspace import open_workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project with a page and a notice that are open."""
    (tmp_path / "tenure.toml").write_text(SMALL_PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "ann")
    page = Symptom("age", Severity.PAGE, "'age' is empty in 40% of rows.", "Ask who delivers 'age'.", "2026-01-08")
    moved = Symptom("plan", Severity.NOTICE, "'plan' moved.")
    with open_workspace(tmp_path) as workspace:
        alarms_of(workspace).observe(
            [Sighting("drift", "", 1, "w1", (moved,)), Sighting("feed", "The rows are broken.", None, "w1", (page,))],
            version=1,
            health=lambda: "d1",
            manners=Manners(notices=False, repeat_us=10**12, cool_us=10**12),
            actor="watch",
        )
    return tmp_path


def _called(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["alarms", *words], env={"NO_COLOR": "1"})
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    return done


def _json(*words: str, code: int = 0) -> Any:
    document = json.loads(_called(*words, "--json", code=code).stdout)
    assert (document["command"], document["exit_code"]) == ("alarms", code)
    return document["result"]


def _states(*words: str) -> list[tuple[str, str, str]]:
    return [(one["id"], one["severity"], one["status"]) for one in _json(*words)["alarms"]]


def test_a_person_sees_what_is_open_pages_first_and_how_to_take_it() -> None:
    shown = _called().stdout.splitlines()
    assert shown[0].split() == ["alarm", "for", "state", "since", "what"]
    assert shown[1].split(maxsplit=4) == [
        *("A2", "page", "open", "2026-01-08", "The rows are broken. 'age' is empty in 40% of rows."),
    ]
    assert shown[2].startswith("A1")
    assert shown[-2:] == ["A2: Ask who delivers 'age'.", 'Take it: tenure alarms ack A2 --why "..."']


def test_an_alarm_is_taken_put_off_ended_and_all_of_it_taken_back() -> None:
    assert _states() == [("A2", "page", "open"), ("A1", "notice", "open")]
    assert _json("ack", "A2", "--why", "I ask the CRM team")["alarm"]["status"] == "acknowledged"
    assert "acknowledged by ann" in _called().stdout
    snoozed = _json("snooze", "a2", "--for", "3d")["alarm"]
    assert (snoozed["status"], snoozed["who"]) == ("snoozed", "ann")
    assert "snoozed until" in _called().stdout
    assert _json("resolve", "A2", "--why", "a test feed")["alarm"]["ended"] is not None
    assert _states() == [("A1", "notice", "open")]
    assert _states("--all") == [("A1", "notice", "open"), ("A2", "page", "resolved")]
    assert _json("reopen", "A2")["alarm"]["status"] == "open"
    history = CliRunner().invoke(app, ["history", "--json"]).stdout
    for why in ("I ask the CRM team", "a test feed"):
        assert why in history


def test_where_nothing_is_open_it_says_so() -> None:
    for name in ("A1", "A2"):
        _called("resolve", name, "--why", "x")
    assert _called().stdout == "No alarm is open. Ended ones: tenure alarms --all\n"
    assert "A1" in _called("--all").stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["ack", "A9", "--why", "x"], "alarm-missing"),
        (["reopen", "A1"], "alarm-state"),
        (["ack", "A1", "--why", " "], "config-invalid"),
        (["snooze", "A1", "--for", "soon"], "config-invalid"),
        (["snooze", "A1", "--for", "9999w"], "config-invalid"),
        (["snooze", "A1", "--for", "0d"], "config-invalid"),
        (["test"], "config-invalid"),
        (["ack", "A1"], "usage"),
        (["--project", ".", "ack", "A1", "--why", "x"], "usage"),
        (["cure", "A1"], "usage"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(words: list[str], error: str) -> None:
    assert json.loads(_called(*words, "--json", code=2).stdout)["result"]["error"]["code"] == error
    assert _states() == [("A2", "page", "open"), ("A1", "notice", "open")]


def test_a_try_says_what_each_way_answered(home: Path) -> None:
    (home / "tenure.toml").write_text(
        f'{SMALL_PROJECT}\n[alerts]\nwebhook = ["http://localhost:9/x", "${{NOT_SET}}"]\n'
    )
    ways = _json("test", code=75)["ways"]
    assert [(way["channel"], way["to"], way["sent"]) for way in ways] == [
        ("webhook", "http://localhost/...", False),
        ("webhook", "${NOT_SET}", False),
    ]
    assert ways[0]["said"] == "Connection refused"
    assert ways[1]["said"] == "The environment variable NOT_SET is not set."
    assert "not sent" in _called("test", code=75).stdout
