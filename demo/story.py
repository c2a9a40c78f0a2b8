"""The months of the demo: real customers, dealt out over time, with a price rise planted in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
START = date(2026, 1, 1)
HISTORY_ROWS, QUIET_ROWS, CHANGED_ROWS = 1_800, 400, 700


@dataclass(frozen=True)
class Month:
    """The customers of one month: what is known when they are scored, and what came true."""

    name: str
    first_day: date
    rows: pl.DataFrame
    changed: bool

    @property
    def questions(self) -> pl.DataFrame:
        """Return the rows without their outcome."""
        return self.rows.drop("Churn")


def tell(seed: int = 1) -> tuple[pl.DataFrame, list[Month]]:
    """Return half a year of labelled history and the seven months that follow it; prices rise with the third."""
    rng = np.random.default_rng(seed)
    customers = pl.read_parquet(HERE / "telco_churn.parquet")
    customers = customers[rng.permutation(customers.height)]
    history = _dated(customers[:HISTORY_ROWS], START - timedelta(days=181), 181, rng)
    months, at, day = [], HISTORY_ROWS, START
    for number in range(7):
        changed = number >= 2
        size = CHANGED_ROWS if changed else QUIET_ROWS
        rows = _dated(customers[at : at + size], day, 28, rng)
        months.append(Month(f"month {number + 1}", day, _prices_rise(rows, rng) if changed else rows, changed))
        at, day = at + size, day + timedelta(days=30)
    return history, months


def _dated(rows: pl.DataFrame, first: date, days: int, rng: np.random.Generator) -> pl.DataFrame:
    offsets = np.sort(rng.integers(0, days, rows.height))
    return rows.with_columns(seen_on=pl.Series([first + timedelta(days=int(d)) for d in offsets]))


def _prices_rise(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Raise fibre prices by a third; long-standing fibre customers now leave, new ones are tied by a gift."""
    fibre = (rows["InternetService"] == "Fiber optic").to_numpy()
    loyal = (rows["tenure"] >= 24).to_numpy()
    draw = rng.random(rows.height)
    left = (rows["Churn"] == "Yes").to_numpy()
    left = np.where(fibre & loyal & (draw < 0.65), True, left)
    left = np.where(fibre & ~loyal & (draw < 0.65), False, left)
    price = rows["MonthlyCharges"].to_numpy()
    return rows.with_columns(
        MonthlyCharges=pl.Series(np.where(fibre, np.round(price * 1.33, 2), price)),
        Churn=pl.Series(np.where(left, "Yes", "No")),
    )
