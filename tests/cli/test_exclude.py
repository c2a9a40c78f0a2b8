"""`tenure exclude`: stretches of time are added with a reason, shown, and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from small_worlds import SMALL_PROJECT
from tenure.cli.app import app


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tenure.toml").write_text(SMALL_PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _called(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["exclude", *words], env={"NO_COLOR": "1"})
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    return done


def _json(*words: str, code: int = 0) -> Any:
    document = json.loads(_called(*words, "--json", code=code).stdout)
    assert document["command"] == "exclude"
    return document["result"]


def test_a_stretch_is_added_listed_and_taken_back() -> None:
    assert _called("list").stdout == "Nothing is excluded.\n"
    added = _json("add", "2026-03-02", "2026-03-09", "--why", "labels were poisoned")["exclusion"]
    assert (added["begin"], added["end"]) == ("2026-03-02T00:00:00+00:00", "2026-03-09T00:00:00+00:00")
    assert (added["by"], added["why"]) == ("person", "labels were poisoned")
    assert _json("list")["exclusions"] == [added]
    shown = _called("list").stdout
    assert "2026-03-02" in shown
    assert "labels were poisoned" in shown
    undone = _json("undo", str(added["number"]), "--why", "they were right")["exclusion"]
    assert undone["undone"] == "they were right"
    assert _json("list")["exclusions"] == []
    assert _json("list", "--all")["exclusions"] == [undone]
    assert "Taken back: they were right" in " ".join(_called("list", "--all").stdout.split())


def test_a_dry_run_changes_nothing() -> None:
    assert (
        "would be learned from no more" in _called("add", "2026-03-02", "2026-03-09", "--why", "x", "--dry-run").stdout
    )
    assert _json("list")["exclusions"] == []
    number = str(_json("add", "2026-03-02T06:00", "2026-03-02T12:00", "--why", "x")["exclusion"]["number"])
    assert "could be learned from again" in _called("undo", number, "--why", "y", "--dry-run").stdout
    assert len(_json("list")["exclusions"]) == 1


def test_what_cannot_be_is_refused() -> None:
    assert "is not a moment" in _called("add", "soon", "2026-03-09", "--why", "x", code=2).stderr
    assert "is empty" in _called("add", "2026-03-09", "2026-03-02", "--why", "x", code=2).stderr
    assert _json("undo", "99", "--why", "x", code=2)["error"]["code"]
