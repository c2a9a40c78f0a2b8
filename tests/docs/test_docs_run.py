"""Every code block of README and docs is run: shell, Python, TOML, JSON, and SQL on the state of `churn/`.

A page's blocks run in order in one folder that holds `customers.csv`. A page that says
`<!-- starts with a project in churn/ -->` finds a project there that was already run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from tenure.core.project import parse_project

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
PREPARED = "<!-- starts with a project in churn/ -->"
KINDS = {"sh", "python", "toml", "json", "sql", "text"}


def _shell(code: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _python(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def customers(real_data: Callable[[str], Path]) -> pl.DataFrame:
    return pl.read_parquet(real_data("telco_churn"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, customers: pl.DataFrame) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    customers[:2500].write_csv(folder / "customers.csv")
    _shell(
        "tenure init customers.csv --target Churn --positive Yes --out churn\n"
        "tenure run --project churn --budget 8s --quiet",
        folder,
    )
    return folder


@pytest.fixture
def workplace(tmp_path: Path, customers: pl.DataFrame) -> Iterator[Path]:
    customers[:2500].write_csv(tmp_path / "customers.csv")
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def _blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_code_block_of_the_page_runs(page: Path, workplace: Path, request: pytest.FixtureRequest) -> None:
    if PREPARED in page.read_text():
        shutil.copytree(request.getfixturevalue("prepared"), workplace, dirs_exist_ok=True)
    for kind, code in _blocks(page):
        assert kind in KINDS, f"a block of kind {kind!r} would not be run"
        if kind == "sh" and re.search(r"^make ", code, re.M):
            targets = set(re.findall(r"^make (\w+)", code, re.M))
            assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)
        elif kind == "sh":
            _shell(code, workplace)
        elif kind == "python":
            _python(code, workplace)
        elif kind == "toml":
            if "[project]\n" in code:
                parse_project(code)
            else:
                tomllib.loads(code)
        elif kind == "json":
            json.loads(code)
        elif kind == "sql":
            with closing(sqlite3.connect(f"file:{workplace}/churn/.tenure/state.db?mode=ro", uri=True)) as state:
                state.execute(code).fetchall()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
