"""A peer in an environment of its own, asked over its standard input: one JSON line a question, one an answer.

`serve` runs in the peer's environment: no tenure and no polars here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ENVIRONMENTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "river": (("river", "numpy"),),
    # Evidently 0.7 does not start with pandas 3.
    "evidently": (("evidently", "pandas<3", "pyarrow"),),
}
"""What is installed into each environment, step by step."""
_BENCH: Final = Path(__file__).resolve().parent.parent.parent


class MissingError(Exception):
    """A peer's environment is not there."""


class Child:
    """A module that runs in the environment of a peer for as long as it is asked."""

    def __init__(self, peers: Path | None, name: str, module: str, *words: str) -> None:
        python = None if peers is None else peers.resolve() / name / "bin" / "python"
        if python is None or not python.exists():
            raise MissingError(f"{name} is not installed; `bench/autonomy.py setup --peers FOLDER` does it")
        self._process = subprocess.Popen(
            [python, "-m", f"peers.streams.{module}", *words],
            cwd=_BENCH,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """Return the answer to a question.

        Raises:
            RuntimeError: the peer died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"A peer ended with {self._process.wait()}; what it said stands above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the peer end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(answer: Callable[..., dict[str, Any]]) -> None:
    """Answer questions until there are no more; `seconds` of CPU are added to each answer."""
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        started = time.process_time()
        told = answer(**json.loads(line))
        out.write(json.dumps({**told, "seconds": time.process_time() - started}) + "\n")
        out.flush()
