"""What a system is told and what it gives back, in words that every system's environment understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROW_CALLS: Final = 200
"""One-row calls that are timed."""


@dataclass(frozen=True)
class Job:
    """What a system is told.

    `learn` and `kept` are Parquet files; `ordered` says that the rows of `learn` stand in order of time, oldest first.
    `without` names a part of ours to switch off, `options` are further arguments of our estimator.
    """

    system: str
    task: str
    metric: str
    target: str
    ordered: bool
    budget: float
    cores: int
    seed: int
    learn: str
    kept: str
    folder: str
    without: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Path:
        """Return the folder for the system's files."""
        return Path(self.folder) / "model"

    def write(self) -> Path:
        """Write the job into its folder and return the file, for `python -m peers.worker`."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a job from its file."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Fitted:
    """A fitted system: how it is asked and saved, and what it says of itself.

    `predict` gives probabilities (n, k) in the order of `classes`, or values (n,). `stated` is the score it claims and
    the ends of its interval, where it has one. `ready` makes it ready for service and returns further figures, given
    some rows and the saved folder.
    """

    predict: Callable[[pd.DataFrame], NDArray[Any]]
    save: Callable[[Path], None]
    version: str
    classes: list[str] = field(default_factory=list)
    stated: tuple[float | None, float | None, float | None] = (None, None, None)
    notes: dict[str, Any] = field(default_factory=dict)
    ready: Callable[[pd.DataFrame, Path], dict[str, float]] = lambda rows, folder: {}


def read_rows(path: str, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and target; texts are Python strings with NaN for missing, whatever the version of pandas."""
    table = pd.read_parquet(path)
    texts = {}
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            column = table[name].astype(object)
            texts[name] = column.where(column.notna(), np.nan)
    table = table.assign(**texts)
    return table.drop(columns=[target]), table[target]


def single_rows(frame: pd.DataFrame, count: int) -> list[pd.DataFrame]:
    """Return tables of one row each, from the start again where the rows do not suffice."""
    return [frame.iloc[[at % len(frame)]] for at in range(count)]
