"""Six planted worlds in order of time, a week a window: what changes in each is known, and so is what does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from peers.suite import Entry
from tenure.core.modelling import Floats, Task

WORLDS: Final = ("sudden", "gradual", "seasonal", "covariates", "prior", "still")
"""The relation breaks twice; turns slowly; comes and goes with the season; only columns move; only the share of yes
moves; nothing changes at all."""
WEEKS: Final = 100
ROWS_A_WEEK: Final = 300
_START: Final = datetime(2023, 1, 2)  # noqa: DTZ001 - tables hold times without a zone
_BREAKS: Final = (0.42, 0.7)
_SEASON: Final = 26


def world(name: str, *, seed: int = 0, weeks: int = WEEKS, rows: int = ROWS_A_WEEK) -> tuple[Entry, pl.DataFrame]:
    """Return a planted world as an entry of a catalogue, and its table."""
    rng = np.random.default_rng((WORLDS.index(name), seed))
    n = weeks * rows
    week = np.arange(n) // rows
    age = week / weeks
    columns = {f"x{at}": rng.normal(size=n) for at in range(6)}
    kind, region = rng.integers(0, 4, n), rng.integers(0, 3, n)
    if name == "covariates":
        columns["x0"] = columns["x0"] + 2.5 * np.clip((age - 0.3) / 0.3, 0, 1)
        columns["x3"] = columns["x3"] * (1 + 1.0 * (age > 0.6))
    old, new = _score(columns, kind, region), _turned(columns, kind, region)
    score = old + _share(name, age, week) * (new - old)
    if name == "prior":
        score = score + 1.6 * np.sin(2 * np.pi * age * 1.5) * (age > 0.25)
    yes = rng.random(n) < 1 / (1 + np.exp(-score))
    table = pl.DataFrame(
        {
            "at": [_START + timedelta(weeks=int(w), minutes=float(m)) for w, m in zip(week, _minutes(n, rows), strict=True)],
            **{key: np.round(values, 4) for key, values in columns.items()},
            "kind": np.array(["basic", "plus", "max", "trial"])[kind],
            "region": np.array(["north", "south", "west"])[region],
            "left": np.where(yes, "yes", "no"),
        }
    )
    label = name if not seed else f"{name}-{seed}"
    return Entry(label, Path(), "left", Task.BINARY, "at", "yes", ()), table


def _minutes(n: int, rows: int) -> Floats:
    return (np.arange(n) % rows) * (7 * 24 * 60 / rows)


def _share(name: str, age: Floats, week: Floats) -> Floats:
    """Return how much of the new relation holds, for each row."""
    if name == "sudden":
        first, second = _BREAKS
        return np.where(age < first, 0.0, np.where(age < second, 1.0, 0.35))
    if name == "gradual":
        return np.clip((age - 0.3) / 0.6, 0, 1)
    if name == "seasonal":
        return (np.sin(2 * np.pi * week / _SEASON) > 0).astype(np.float64) * 0.8
    return np.zeros(len(age))


def _score(x: dict[str, Floats], kind: Floats, region: Floats) -> Floats:
    plan = np.array([0.8, -0.4, -0.9, 0.6])[kind]
    return 1.1 * x["x0"] - 0.9 * x["x1"] + 0.7 * x["x2"] * (region == 1) + plan + 0.5 * np.tanh(2 * x["x3"]) - 0.4


def _turned(x: dict[str, Floats], kind: Floats, region: Floats) -> Floats:
    plan = np.array([-0.5, 0.7, -0.2, 0.4])[kind]
    return -0.3 * x["x0"] - 0.9 * x["x1"] + 1.0 * x["x4"] + 0.6 * x["x2"] * (region == 2) + plan - 0.2
