"""The files that others start tenure with: they can be read, run commands that exist, and let it do little else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tenure.cli.app import app

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def parsed(words: list[str]) -> dict[str, Any]:
    """Read the words of a command as the command line does, and return what it would be called with."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, words[0])
    assert command is not None, words
    given: dict[str, Any] = command.make_context(words[0], words[1:]).params
    return given


def lines(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on this machine")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/tenure/bin/tenure", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_that_exists_on_the_one_folder_it_may_write(unit: Path) -> None:
    said = lines(unit)
    program, *words = said["ExecStart"][0].split()
    assert program == "/opt/tenure/bin/tenure"
    assert words[0] in unit.name
    (folder,) = said["ReadWritePaths"]
    assert parsed(words)["project"] == Path(folder)
    assert said["ProtectSystem"] == ["strict"]


def test_all_units_are_hardened_alike() -> None:
    parts = {unit.read_text().partition("# What it may not do.")[2] for unit in UNITS}
    assert len(UNITS) == 3
    assert len(parts) == 1


def test_the_container_starts_a_command_that_exists() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    (command,) = re.findall(r"^CMD (\[.*\])$", text, re.M)
    assert parsed(json.loads(command))["host"] == "0.0.0.0"
    assert re.findall(r"^USER (\w+)$", text, re.M) == ["tenure"]


def test_the_composition_keeps_secrets_outside_and_the_port_at_home() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())["services"]
    assert set(services) == {"state", "tenure"}
    ours = services["tenure"]
    assert parsed(ours["command"])["host"] == "0.0.0.0"
    assert all(port.startswith("127.0.0.1:") for port in ours["ports"])
    assert (ours["read_only"], ours["cap_drop"]) == (True, ["ALL"])
    secrets = [value for one in services.values() for name, value in one["environment"].items() if "_DB" not in name]
    assert [value for value in secrets if value != "tenure" and not value.startswith("${")] == []
    assert (DEPLOY / "container" / ours["build"]["context"] / ours["build"]["dockerfile"]).is_file()
