"""A tiny folder of data sets with a catalogue, and the benchmarks made importable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))

CATALOG = """
[[dataset]]
name = "leavers"
file = "leavers.parquet"
task = "binary"
target = "left"
positive = "no"
id_columns = ["key"]
leakage = ["refund"]

[[dataset]]
name = "sales"
task = "regression"
target = "sold"
time = "day"
"""


@pytest.fixture
def suite_folder(tmp_path: Path) -> Path:
    """Return a folder with a binary set without order and a regression set in time, the latter stored unsorted."""
    return fill(tmp_path)


@pytest.fixture(scope="session")
def make_suite() -> Callable[[Path], Path]:
    """Return a function that puts the same sets into a folder."""
    return fill


def fill(folder: Path) -> Path:
    """Put the sets and their catalogue into a folder."""
    rng = np.random.default_rng(3)
    n = 320
    strong = rng.normal(size=n)
    left = strong + rng.normal(size=n) > 0
    leavers = pl.DataFrame(
        {
            "key": [f"k{at}" for at in range(n)],
            "strong": strong,
            "plan": pl.Series(rng.choice(["basic", "plus"], n)).cast(pl.Categorical),
            "visits": pl.Series([None if at % 9 == 0 else at % 5 for at in range(n)], dtype=pl.Int64),
            "member": rng.random(n) < 0.5,
            "joined": [date(2024, 1, 1) + timedelta(days=at % 50) for at in range(n)],
            "refund": left.astype(float),
            "left": np.where(left, "yes", "no"),
        }
    )
    day = rng.permutation(n)
    sales = pl.DataFrame(
        {
            "day": [date(2024, 1, 1) + timedelta(days=int(at)) for at in day],
            "number": day.astype(float),
            "price": rng.random(n),
            "sold": 3 * rng.random(n) + 0.01 * day,
        }
    )
    leavers.write_parquet(folder / "leavers.parquet")
    sales.write_parquet(folder / "sales.parquet")
    (folder / "catalog.toml").write_text(CATALOG)
    return folder
