"""The servers: how each is started, where it is asked, and where its answers stand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

APPS: Final = Path(__file__).resolve().parent / "apps"
FIRST: Final = "tenure"
"""The one that all others are compared with."""
OURS: Final[dict[str, dict[str, str | int]]] = {
    FIRST: {},
    "tenure-2": {"workers": 2},
    "tenure-written": {"log": "written"},
    "tenure-async": {"log": "async"},
}
"""Our variants, with what stands in `[serving]` of their project files."""
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Kind:
    """A kind of server. `command` gets the bin folder of its environment, the model's folder, workers and port.

    `one` and `many` are the routes for one row and for a table, `form` is how the bodies are written, and `read` takes
    the probabilities out of an answer. `package` is the one whose version is told, in the environment `home`.
    """

    home: str
    package: str
    command: Callable[[Path, Path, int, int], list[str | Path]]
    read: Callable[[Any], list[float]] = lambda answer: answer["probabilities"]
    one: str = "/predict"
    many: str = "/predict"
    form: str = "cells"


def _uvicorn(app: str, *more: str) -> Callable[[Path, Path, int, int], list[str | Path]]:
    def command(programs: Path, model: Path, workers: int, port: int) -> list[str | Path]:
        words = [app, "--host", LOOPBACK, "--port", str(port), "--workers", str(workers), *more]
        return [programs / "uvicorn", *words, "--log-level", "warning", "--no-access-log"]

    return command


def _mlflow(programs: Path, model: Path, workers: int, port: int) -> list[str | Path]:
    words = ["--env-manager", "local", "--host", LOOPBACK, "--port", str(port), "--workers", str(workers)]
    return [programs / "mlflow", "models", "serve", "--model-uri", model / "mlflow", *words]


def _bentoml(programs: Path, model: Path, workers: int, port: int) -> list[str | Path]:
    return [programs / "bentoml", "serve", "with_bentoml:Predictor", "--host", LOOPBACK, "--port", str(port)]


def _litserve(programs: Path, model: Path, workers: int, port: int) -> list[str | Path]:
    return [programs / "python", "with_litserve.py", str(port)]


def _tenure(programs: Path, model: Path, workers: int, port: int) -> list[str | Path]:
    words = ["serve", "--project", model, "--host", LOOPBACK, "--port", str(port)]
    return [sys.executable, "-m", "tenure", *words]


_TENURE: Final = Kind(
    home="",
    package="tenure",
    command=_tenure,
    read=lambda answer: [each["probability"] for each in answer["predictions"]],
    form="rows",
)
_PEERS: Final = {
    "mlflow": Kind(
        home="mlflow",
        package="mlflow",
        command=_mlflow,
        read=lambda answer: [both[1] for both in answer["predictions"]],
        one="/invocations",
        many="/invocations",
        form="mlflow",
    ),
    "bentoml": Kind("bentoml", "bentoml", _bentoml, read=lambda answer: answer, many="/table"),
    "litserve": Kind("litserve", "litserve", _litserve),
    "fastapi-pandas": Kind("fastapi", "fastapi", _uvicorn("with_pandas:app")),
    "fastapi-array": Kind("fastapi", "fastapi", _uvicorn("with_array:app")),
    "fastapi-array-plain": Kind("fastapi", "fastapi", _uvicorn("with_array:app", "--loop", "asyncio", "--http", "h11")),
}
"""Uvicorn takes uvloop and httptools where they are installed, as `uvicorn[standard]` does; `-plain` goes without."""


@dataclass(frozen=True)
class Server:
    """A server as it is measured: a kind with a number of workers; for ours with what stands in `[serving]`."""

    name: str
    kind: Kind
    workers: int = 1
    serving: Mapping[str, str | int] | None = None

    @property
    def is_ours(self) -> bool:
        """Say whether it is one of ours."""
        return self.serving is not None


def server_named(name: str) -> Server:
    """Return a variant of ours, or a peer; `-2` behind a peer's name gives it two workers."""
    if name in OURS:
        return Server(name, _TENURE, serving=OURS[name])
    base, _, workers = name.rpartition("-")
    if base in _PEERS and workers.isdigit() and int(workers) > 0:
        return Server(name, _PEERS[base], int(workers))
    if name not in _PEERS:
        raise SystemExit(f"There is no server {name}. There are: {', '.join([*OURS, *_PEERS])}; PEER-N for N workers.")
    return Server(name, _PEERS[name])


USUAL: Final = (*OURS, "mlflow", "bentoml", "litserve", "fastapi-pandas", "fastapi-array-plain", "fastapi-array")
