"""What a peer is asked for, and what it gives back, as files. Runs in its environment: no tenure, no polars."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Frames = Iterator[pd.DataFrame]
Judge = Callable[[pd.DataFrame, Frames, int], Iterator[list[str]]]
"""Takes the reference, the windows and their size; yields for each window the columns that are alarmed."""


@dataclass(frozen=True)
class Case:
    """One body of rows from which windows are cut: `rows` (Parquet) holds some or all columns of the reference."""

    name: str
    rows: str


def read(path: str | Path) -> pd.DataFrame:
    """Return a table as a user would have it: numbers as they are, text as Python strings."""
    return pd.read_parquet(path)


def answer(judge: Judge, about: dict[str, Any], order_file: Path) -> None:
    """Read an order, judge every case, and write one JSON line a case.

    No case starts after `seconds` of the order, and none goes on after twice that.
    """
    warnings.filterwarnings("ignore")
    order = json.loads(order_file.read_text())
    reference = read(order["reference"])
    draws = np.load(order["draws"])
    started = time.perf_counter()
    with Path(order["out"]).open("w") as out:
        for case in (Case(**told) for told in order["cases"]):
            if time.perf_counter() - started > order["seconds"]:
                break
            rows = read(case.rows)
            began = time.perf_counter()
            windows = (rows.iloc[at].reset_index(drop=True) for at in draws)
            alarmed = []
            for columns in judge(reference[list(rows.columns)], windows, draws.shape[1]):
                alarmed.append(columns)
                if time.perf_counter() - started > 2 * order["seconds"]:
                    break
            seconds = time.perf_counter() - began
            told = {"case": case.name, "columns": list(rows.columns), "alarmed": alarmed, "seconds": seconds, **about}
            out.write(json.dumps(told) + "\n")
            out.flush()


def keep_to_yourself() -> None:
    """Switch off what would report the use of a library to anybody; call it before the library is imported."""
    os.environ.update(DO_NOT_TRACK="1", NML_DISABLE_USAGE_LOGGING="true")
