"""`tenure token`: a secret is printed once, and stands nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from small_worlds import SMALL_PROJECT
from tenure.cli.app import app
from tenure.state.tokens import hash_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tenure.toml").write_text(SMALL_PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _called(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["token", *words], env={"NO_COLOR": "1"})
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    return done


def _json(*words: str, code: int = 0) -> Any:
    document = json.loads(_called(*words, "--json", code=code).stdout)
    assert document["command"] == "token"
    return document["result"]


def test_a_token_is_added_listed_and_revoked() -> None:
    added = _json("add", "shop", "--role", "predict", "--role", "outcomes", "--expires", "90d")
    assert added["secret"].startswith("tnr_")
    assert added["token"]["roles"] == ["predict", "outcomes"]
    assert [(one["name"], one["state"]) for one in _json("list")["tokens"]] == [("shop", "live")]
    assert _json("revoke", "shop")["token"]["state"] == "revoked"
    listed = _json("list")["tokens"]
    assert [(one["name"], one["state"]) for one in listed] == [("shop", "revoked")]
    assert listed[0]["last4"] == added["secret"][-4:]


def test_people_read_the_secret_on_a_line_of_its_own_and_what_it_may_do() -> None:
    secret, told = _called("add", "shop", "--role", "read").stdout.splitlines()
    assert secret.startswith("tnr_")
    assert told == "shop may do read until it is revoked. The secret is not shown again."
    shown = _called("list").stdout
    assert secret not in shown
    assert f"...{secret[-4:]}" in shown
    assert _called("revoke", "shop").stdout == "shop may do nothing any more.\n"


def test_no_secret_is_in_the_project_or_in_what_later_commands_say(home: Path) -> None:
    secret = _json("add", "shop", "--role", "admin")["secret"]
    later = [_called("list"), _called("list", "--json"), _called("revoke", "shop", "--json")]
    later.append(CliRunner().invoke(app, ["history", "--json"]))
    said = "".join(done.stdout + done.stderr for done in later)
    files = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"shop" in files
    assert hash_of(secret.encode()).encode() in files
    assert secret[4:-4] not in said
    assert secret[4:-4].encode() not in files
    assert hash_of(secret.encode()) not in said


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["add", "shop", "--role", "read", "--expires", "soon"], 2, "config-invalid"),
        (["add", "shop", "--role", "read", "--expires", "99999999999999w"], 2, "config-invalid"),
        (["add", "shop", "--role", "read", "--expires", "0d"], 2, "config-invalid"),
        (["add", "web shop", "--role", "read"], 2, "config-invalid"),
        (["revoke", "nobody"], 2, "record-missing"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(words: list[str], code: int, error: str) -> None:
    assert _json(*words, code=code)["error"]["code"] == error
    assert _json("list")["tokens"] == []


@pytest.mark.parametrize("words", [["add", "shop"], ["add", "shop", "--role", "king"], ["remove", "shop"], ["add"]])
def test_a_fault_in_the_words_is_one_document(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["token", *words, "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["result"]["error"]["code"] == "usage"
