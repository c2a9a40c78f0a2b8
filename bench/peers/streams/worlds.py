"""Six planted worlds in order of time, a week a window: what changes in each is known, and so is what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from peers.suite import Entry
from tenure.core.modelling import Task
from tenure.testing.named import NAMES, named_business

WORLDS: Final = ("sudden", "gradual", "recurring", "moving_inputs", "base_rate", "quiet")
"""The relation breaks; turns slowly; comes and goes; only columns move; only the share of yes moves; nothing does."""
WEEKS: Final = 78
HISTORY: Final = 22
ROWS_A_WEEK: Final = 400


def is_world(name: str) -> bool:
    """Say whether a stream is a planted world: `sudden`, or `sudden-3` for another seed."""
    base, _, seed = name.partition("-")
    return base in NAMES and (not seed or seed.isdigit())


def world(name: str) -> tuple[Entry, pl.DataFrame]:
    """Return a planted world as an entry of a catalogue, and its table.

    Its outcomes come without errors and, here, at once: how late they are is a matter of the replay.
    """
    base, _, seed = name.partition("-")
    business = named_business(
        base, task=Task.BINARY, seed=int(seed or 0), weekly_rows=ROWS_A_WEEK, history=HISTORY, weeks=WEEKS
    )
    batch = business.batch(business.start, business.end)
    table = batch.frame.with_columns(pl.Series(business.target, batch.outcome.astype(int)))
    return Entry(name, Path(), business.target, Task.BINARY, "seen_at", "1", ("customer",)), table
