"""Ask Evidently and NannyML, each in an environment of its own, about windows of rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from peers.campaign import BENCH
from peers.monitors.worlds import Rows, World

MONITORS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    # Evidently 0.7 does not start with pandas 3.
    "evidently": (("evidently", "pandas<3", "pyarrow"),),
    "nannyml": (("nannyml", "pyarrow"),),
}
"""What is installed into each environment, step by step."""
PEERS: Final = tuple(MONITORS)
_CHUNKS: Final = 10


def python_of(peers: Path, system: str) -> Path:
    """Return the interpreter of a peer's environment."""
    python = peers.resolve() / system / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there. Run: python bench/monitoring.py setup --peers {peers}")
    return python


def told(rows: Rows, world: World) -> pl.DataFrame:
    """Return rows as the peers get them: the columns and, beside them, the prediction."""
    return rows.features.with_columns(world.predictions(rows.said))


def ask(
    system: str,
    peers: Path,
    reference: pl.DataFrame,
    cases: Mapping[str, pl.DataFrame],
    draws: NDArray[np.int64],
    *,
    seconds: float,
) -> dict[str, dict[str, Any]]:
    """Return, for each case that was done in time, `columns`, `alarmed` (names, a list for each window), `seconds`.

    `draws` (windows, size) says which rows of a case make up each window. NannyML takes its thresholds from chunks of
    the reference as large as a window: a reference with fewer than ten of them is drawn from, with replacement.
    """
    if system == "nannyml" and reference.height < _CHUNKS * draws.shape[1]:
        reference = reference[np.random.default_rng(3).integers(0, reference.height, _CHUNKS * draws.shape[1])]
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        reference.write_parquet(folder / "reference.parquet")
        np.save(folder / "draws.npy", draws)
        for at, rows in enumerate(cases.values()):
            rows.write_parquet(folder / f"{at}.parquet")
        order = {
            "reference": str(folder / "reference.parquet"),
            "draws": str(folder / "draws.npy"),
            "cases": [{"name": name, "rows": str(folder / f"{at}.parquet")} for at, name in enumerate(cases)],
            "seconds": seconds,
            "out": str(folder / "out.jsonl"),
        }
        (folder / "order.json").write_text(json.dumps(order))
        call([python_of(peers, system), "-m", f"peers.monitors.{system}_drift", folder / "order.json"])
        answers = map(json.loads, (folder / "out.jsonl").read_text().splitlines())
        return {answer.pop("case"): answer for answer in answers}


def call(command: list[Any]) -> str:
    """Run a command in the folder of the benchmarks and return what it printed; nothing of it stays behind."""
    process = subprocess.Popen(
        command, cwd=BENCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        stdout, stderr = process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        print(stderr, file=sys.stderr)
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return stdout
