"""`tenure up` as real processes: what is killed comes back, and what is stopped leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Up:
    """A `tenure up` process and what it wrote."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenure", "up", "--project", str(folder), *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        """Return the process of each child, by the command that it runs."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = {int(pid): command_of(pid) for pid in listed}
        return {line[4]: pid for pid, line in words.items() if line[1:3] == ["-m", "tenure.cli.child"]}


def command_of(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:  # it has just ended
        return []


@pytest.fixture
def up(office: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*options: str) -> Up:
        started.append(Up(office, *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def eventually(met: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_what_is_killed_comes_back_on_its_port_and_a_stop_ends_all(up: Callable[..., Up]) -> None:
    run = up("--port", "0", "--workers", "1")
    eventually(lambda: "up: Overview: " in run.said and "watcher: " in run.said)
    url = re.findall(r"up: Overview: (\S+)/ ", run.said)[0]
    before = run.children()
    assert sorted(before) == ["serve", "watch"]
    with urllib.request.urlopen(f"{url}/", timeout=20) as reply:
        assert "v1 is in office since" in reply.read().decode()

    for command in ("watch", "serve"):
        os.kill(before[command], signal.SIGKILL)
    eventually(lambda: run.said.count("was ended by signal 9; it starts again in 1 s.") == 2)
    eventually(lambda: set(run.children()) == {"serve", "watch"} and answers(url))
    after = run.children()
    assert not set(after.values()) & set(before.values())

    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(timeout=60) == 0
    assert not [pid for pid in after.values() if lives(pid)]


def test_a_child_ends_with_its_parent_however_that_went(office: Path) -> None:
    life, held = os.pipe()
    command = [sys.executable, "-m", "tenure.cli.child", str(life), "watch", "--project", str(office)]
    with subprocess.Popen(command, pass_fds=(life,), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stderr is not None
        child.stderr.readline()  # it has looked
        os.close(held)
        assert child.wait(timeout=60) == 0
    os.close(life)


def test_a_server_that_refuses_is_not_started_again(office: Path, up: Callable[..., Up]) -> None:
    run = up("--host", "203.0.113.1", "--port", "0")
    assert run.process.wait(timeout=60) == 2
    assert "server: error [config-invalid]: 203.0.113.1 can be reached from other machines" in run.said
    assert "error [config-invalid]: The server cannot run." in run.said
    assert "starts again" not in run.said
