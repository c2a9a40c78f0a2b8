"""Make the environments of the peers, and find their interpreters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ENVIRONMENTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    # torch first and by itself: else the resolver takes a build for graphics cards, or a version AutoGluon refuses.
    "ag": (("torch==2.13.0",), ("torch==2.13.0", "autogluon.tabular[all]", "pandas", "pyarrow")),
    "flaml": (("flaml[automl]", "catboost", "xgboost", "lightgbm", "pandas", "pyarrow"),),
    "gbm": (("catboost", "lightgbm", "scikit-learn", "pandas", "pyarrow"),),
}
"""What is installed into each environment, step by step."""
_MODEL: Final = ("lightgbm==4.7.0", "scikit-learn==1.9.1", "pandas==3.1.1")  # one pickled pipeline for all of them
SERVERS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "fastapi": (("fastapi", "uvicorn[standard]", "pyarrow", *_MODEL),),  # pyarrow: it fits the model
    # 3.18.0 asks for a companion package that is not there.
    "mlflow": (("mlflow>=3.17,<3.18", *_MODEL),),
    "litserve": (("litserve", *_MODEL),),
    "bentoml": (("bentoml", *_MODEL),),
}
"""The same for the environments of `serving.py`."""
CLIENTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "triton": (("tritonclient[http]", "numpy"),),
    "mlflow-client": (("mlflow-skinny>=3.17,<3.18", "pandas"),),
    "schemathesis": (("schemathesis>=4.32,<5",),),
}
"""The same for the environments of `clients.py`."""
_HOME: Final = {"autogluon": "ag", "flaml": "flaml", "lightgbm": "gbm", "catboost": "gbm"}


def make_environments(peers: Path, environments: Mapping[str, Sequence[Sequence[str]]] = ENVIRONMENTS) -> None:
    """Make what is missing below `peers`; two gigabytes and some minutes for AutoGluon."""
    for name, steps in environments.items():
        folder = peers / name
        if (folder / "made").exists():
            print(f"{name}: stands", flush=True)
            continue
        print(f"{name}: installing {', '.join(steps[-1])}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for packages in steps:
            subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "made").touch()


def python_of(peers: Path | None, module: str) -> Path:
    """Return the interpreter of the environment that a system's module needs."""
    if peers is None:
        raise SystemExit("Say with --peers where the environments of the peers are; `automl.py setup` makes them.")
    python = peers.resolve() / _HOME[module] / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there. Run: python bench/automl.py setup --peers {peers}")
    return python
