"""The queries that join the log, and their rows as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Select, select

from tenure.state.tables import OUTCOMES, PREDICTIONS

MOMENT: Final = pl.Datetime("us", "UTC")
# In the order of `joined_query`.
FIXED: Final[dict[str, pl.DataType]] = {
    "id": pl.String(),
    "version": pl.Int64(),
    "at": MOMENT,
    "event_at": MOMENT,
    "key": pl.String(),
    "prediction": pl.String(),
    "probabilities": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "outcome": pl.String(),
    "known_at": MOMENT,
}
SENT: Final[dict[str, pl.DataType]] = {"features": pl.String()}
SHADOW: Final[dict[str, pl.DataType]] = {
    "prediction": pl.String(),
    "probabilities": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
}


def latest_events() -> Select[Any]:
    """Return the query for when predictions that count were about, latest first."""
    return select(PREDICTIONS.c.event_us).where(~PREDICTIONS.c.quarantined).order_by(PREDICTIONS.c.event_us.desc())


def joined_query() -> Select[Any]:
    """Return the query for predictions, ordered by event, each with the outcome that counts."""
    # Looked up for each prediction in an index: to rank all outcomes takes longer than to read a few windows.
    one = OUTCOMES.alias()
    counts = (
        select(one.c.seq)
        .where(one.c.joined_id == PREDICTIONS.c.id)
        .order_by(one.c.latest_us.desc(), one.c.seq.desc())
        .limit(1)
    )
    said = [PREDICTIONS.c[name] for name in ("id", "version", "at_us", "event_us", "key", "prediction")]
    numbers = [PREDICTIONS.c[name] for name in ("probabilities", "value", "low", "high")]
    return (
        select(*said, *numbers, OUTCOMES.c.value, OUTCOMES.c.known_us)
        .outerjoin_from(PREDICTIONS, OUTCOMES, OUTCOMES.c.seq == counts.correlate(PREDICTIONS).scalar_subquery())
        .order_by(PREDICTIONS.c.event_us, PREDICTIONS.c.seq)
    )


def frame_of(rows: Sequence[Any], kinds: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return rows of a query as a table of `kinds`; moments come as microseconds since 1970."""
    stored = {name: pl.Int64() if kind == MOMENT else kind for name, kind in kinds.items()}
    frame = pl.DataFrame([tuple(row) for row in rows], schema=stored, orient="row")
    return frame.cast({name: kind for name, kind in kinds.items() if kind == MOMENT})


def with_probabilities(frame: pl.DataFrame) -> pl.DataFrame:
    """Put `p_0 ... p_k` in the place of the JSON list, or leave `value` where no row has probabilities."""
    lists = frame["probabilities"].str.json_decode(pl.List(pl.Float64))
    classes = int(lists.list.len().max() or 0)  # type: ignore[arg-type]  # polars types a sum-up as any cell
    if not classes:
        return frame.drop("probabilities")
    names = list(frame.columns)
    at = names.index("probabilities")
    names[at : at + 2] = [f"p_{code}" for code in range(classes)]
    each = [lists.list.get(code, null_on_oob=True).alias(f"p_{code}") for code in range(classes)]
    return frame.with_columns(each).select(names)
