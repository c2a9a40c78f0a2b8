"""A real `tenure serve` for the session, and servers that do as a test says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client_servers import Script, ScriptedServer, Served

from tenure.client import Client

TOKEN = "right-token-0123456789"


@pytest.fixture(scope="session")
def served(_office: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "churn"
    shutil.copytree(_office, folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tenure", "serve", "--port", "0", "--project", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TENURE_TOKEN": TOKEN, "NO_COLOR": "1"},
    )
    assert process.stderr is not None
    try:
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        yield Served(url, TOKEN, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token, timeout=30) as connected:
        yield connected


@pytest.fixture
def scripted() -> Iterator[Callable[[Script], ScriptedServer]]:
    """Return a function that starts a server with a script."""
    started: list[ScriptedServer] = []

    def start(script: Script) -> ScriptedServer:
        started.append(ScriptedServer(script))
        return started[-1]

    yield start
    for server in started:
        server.close()
