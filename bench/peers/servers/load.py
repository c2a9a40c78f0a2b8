"""Put load on a server with wrk, and read what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

_SCRIPT: Final = Path(__file__).resolve().parent / "load.lua"
_MARK: Final = "FIGURES "
_TIMEOUT_SECONDS: Final = 20
_ERRORS: Final = ("refused", "connect", "read", "write", "timeout")


def wrk_program() -> str:
    """Return where wrk is."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("The load comes from wrk, which is not on PATH. Install it: apt-get install wrk")
    return found


def put_load(url: str, bodies: Path, *, connections: int, seconds: int) -> dict[str, Any]:
    """Send the bodies of a file in turn, and return requests, seconds, percentiles, errors by kind, and `error`.

    Each connection sends its next request when it has its answer. `refused` counts answers with a status of 400 and
    more; where anything went wrong, `error` says what.
    """
    words = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{_TIMEOUT_SECONDS}s", "-s", str(_SCRIPT)]
    patience = seconds + 3 * _TIMEOUT_SECONDS
    done = subprocess.run(
        [wrk_program(), *words, url, "--", str(bodies)], capture_output=True, text=True, timeout=patience, check=False
    )
    return figures_of(done.stdout, done.stderr)


def figures_of(said: str, complained: str = "") -> dict[str, Any]:
    """Return the figures in what wrk printed."""
    for line in said.splitlines():
        if line.startswith(_MARK):
            figures: dict[str, Any] = json.loads(line.removeprefix(_MARK))
            wrong = [f"{figures[kind]:,} {kind}" for kind in _ERRORS if figures[kind]]
            if not figures["requests"]:
                wrong.append("no answer")
            return figures | {"error": ", ".join(wrong)}
    return {"error": f"wrk said: {(said + complained).strip()[-300:]}"}
