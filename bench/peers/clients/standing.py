"""The clients of other systems, each in an environment of its own: Triton's, and MLflow's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from peers.clients.board import Line, Target

_APPS: Final = Path(__file__).resolve().parent / "apps"
_MODEL: Final = "project"
_SECONDS: Final = 120


def triton(target: Target, python: Path) -> list[Line]:
    """Return what Triton's client did and saw: health, metadata, JSON and binary tensors, chosen outputs, refusals."""
    return _lines(target, python, "triton.py", _MODEL)


def mlflow(target: Target, python: Path) -> list[Line]:
    """Return what MLflow's scoring client did and saw: frames, params, lists, holes, refusals."""
    return _lines(target, python, "mlflow_client.py")


def _lines(target: Target, python: Path, script: str, *more: str) -> list[Line]:
    rows = target.folder / f"{script}.json"
    rows.write_text(json.dumps(target.rows))
    address = urlsplit(target.url).netloc
    done = subprocess.run(
        [python, _APPS / script, address, *more, rows], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    lines = [Line(*json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]
    if done.returncode != 0 or not lines:
        lines.append(Line("the script came to its end", done.stderr[-300:], kept=False))
    return lines
