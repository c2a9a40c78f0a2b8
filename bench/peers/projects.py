"""A project with a quick model in office, for what is measured on a running server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

DEMO = Path(__file__).resolve().parents[2] / "demo" / "telco_churn.parquet"


def quick_project(
    place: Path, *, state: str | None = None, serving: str = "", budget: str = "15s"
) -> tuple[Path, list[dict[str, Any]]]:
    """Make a project of the demo's table in `place`, train and promote its v1; return its folder and 500 rows to ask.

    `state` is the URL of the state database, `serving` the body of the section `[serving]`.
    """
    folder = place / "project"
    folder.mkdir()
    _tenure(folder, "init", str(DEMO), "--target", "Churn", "-q")
    file = folder / "tenure.toml"
    sections = file.read_text()
    if state is not None:
        sections = sections.replace("\n[state]\n", f'\n[state]\nurl = "{state}"\n')
    file.write_text(sections.replace("\n[serving]\n", f"\n[serving]\n{serving}\n"))
    _tenure(folder, "run", "--budget", budget, "-q")
    rows = pl.read_parquet(DEMO).head(500).drop("Churn").to_dicts()
    return folder, rows


def _tenure(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "tenure", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
