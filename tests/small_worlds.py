"""A small table with a planted truth, and the project that learns it: for tests of whole walks."""

from __future__ import annotations

import numpy as np
import polars as pl

SMALL_PROJECT = """
[project]
name = "churn"
task = "binary"
[data]
source = "data/*.csv"
target = "left"
positive = "yes"
key = "customer"
[value]
true_positive = 40.0
false_positive = -10.0
[training]
budget = "6s"
[monitoring]
window = "200 rows"
"""


def small_world(n: int = 600, seed: int = 7) -> pl.DataFrame:
    """Return rows of a small binary world: a strong number, a category, noise, gaps, a key."""
    rng = np.random.default_rng(seed)
    strong = rng.normal(size=n)
    plan = rng.choice(["basic", "plus", "max"], size=n, p=[0.5, 0.3, 0.2])
    logit = 1.5 * strong + np.where(plan == "basic", 0.8, -0.5)
    left = rng.random(n) < 1 / (1 + np.exp(-logit))
    noise = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    return pl.DataFrame(
        {
            "customer": [f"c{i:04d}" for i in range(n)],
            "strong": strong,
            "plan": plan,
            "noise": pl.Series(noise).fill_nan(None),
            "left": np.where(left, "yes", "no"),
        }
    )
