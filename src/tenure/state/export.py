"""The traffic log as files: Parquet or CSV, in pieces, so that a log larger than memory can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy import text

from tenure.core.files import writing
from tenure.state.database import Database
from tenure.state.times import Month

_PIECE: Final = 50_000
_MOMENT: Final = pl.Datetime("us", "UTC")
# The columns of the view prediction_outcomes, as docs/reference/log.md promises them.
_COLUMNS: Final[dict[str, pl.DataType]] = {
    "id": pl.String(),
    "version": pl.String(),
    "predicted_at": _MOMENT,
    "event_at": _MOMENT,
    "key": pl.String(),
    "prediction": pl.String(),
    "probability": pl.Float64(),
    "value": pl.Float64(),
    "interval_low": pl.Float64(),
    "interval_high": pl.Float64(),
    "quarantined": pl.Int64(),
    "outcome": pl.String(),
    "known_at": _MOMENT,
    "correct": pl.Int64(),
    "error": pl.Float64(),
    "features": pl.String(),
    "probabilities": pl.String(),
    "violations": pl.String(),
    "route": pl.String(),
}
_JSON: Final = frozenset({"features", "probabilities", "violations"})


def frames(db: Database, since_us: int | None = None, until_us: int | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of `prediction_outcomes` in the order they were said, up to 50,000 at a time, of one moment.

    `since_us` (inclusive) and `until_us` (exclusive) bound `predicted_at`.
    """
    # PostgreSQL gives JSON as objects unless asked for its text.
    cells = ", ".join(f"CAST({name} AS TEXT) AS {name}" if name in _JSON else name for name in _COLUMNS)
    bounds = [("predicted_us >= :since", since_us), ("predicted_us < :until", until_us)]
    where = " AND ".join(["1 = 1", *(condition for condition, bound in bounds if bound is not None)])
    query = text(f"SELECT {cells} FROM prediction_outcomes WHERE {where} ORDER BY predicted_us")
    given = {name: bound for name, bound in (("since", since_us), ("until", until_us)) if bound is not None}
    with db.read() as connection:
        rows = connection.execution_options(stream_results=True, max_row_buffer=_PIECE).execute(query, given)
        for piece in rows.partitions(_PIECE):
            yield _frame([tuple(row) for row in piece])


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    as_text = bool(rows) and isinstance(rows[0][2], str)  # SQLite has no type for moments
    stored = {name: pl.String() if as_text and kind == _MOMENT else kind for name, kind in _COLUMNS.items()}
    frame = pl.DataFrame(rows, schema=stored, orient="row")
    moments = [name for name, kind in _COLUMNS.items() if kind == _MOMENT]
    return frame.with_columns(pl.col(moments).str.to_datetime(time_unit="us", time_zone="UTC")) if as_text else frame


def export(db: Database, out: Path, since_us: int | None = None, until_us: int | None = None) -> int:
    """Write the log to one file, Parquet or CSV by its ending, whole or not at all; return how many rows."""
    return _write(frames(db, since_us, until_us), out)


def archive_month(db: Database, month: Month, folder: Path) -> Path | None:
    """Write a month to `folder` as `predictions-2026-01.parquet`, and return the file.

    What an earlier archive of the month holds stays there: only rows that it lacks are written, to a file with the
    next number. None where it lacks nothing.
    """
    earlier = sorted(folder.glob(f"predictions-{month}*.parquet"))
    known = pl.Series("id", [], dtype=pl.String)
    if earlier:
        known = pl.scan_parquet(earlier, glob=False).select("id").collect()["id"]
    paths = (folder / f"predictions-{month}{f'.{number}' if number > 1 else ''}.parquet" for number in count(1))
    path = next(path for path in paths if path not in earlier)
    missing = (frame.filter(~pl.col("id").is_in(known.implode())) for frame in frames(db, month.start_us, month.end_us))
    return path if _write((frame for frame in missing if frame.height), path, even_empty=False) else None


def _write(pieces: Iterator[pl.DataFrame], out: Path, *, even_empty: bool = True) -> int:
    """Write the pieces beside the place of the file, and put it there once it is whole and on the disk."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tenure-", dir=out.parent) as name:
            whole = Path(name) / "whole"
            rows = (_write_csv if out.suffix.lower() == ".csv" else _write_parquet)(pieces, whole)
            if rows or even_empty:
                with whole.open("rb") as file:
                    os.fsync(file.fileno())  # the rows may be deleted next
                whole.replace(out)
    return rows


def _write_csv(pieces: Iterator[pl.DataFrame], whole: Path) -> int:
    rows = 0
    with whole.open("wb") as file:
        _frame([]).write_csv(file)
        for frame in pieces:
            frame.write_csv(file, include_header=False)
            rows += frame.height
    return rows


def _write_parquet(pieces: Iterator[pl.DataFrame], whole: Path) -> int:
    """Write each piece to a file of its own, then stream them all into one."""
    rows = 0
    parts: list[Path] = []
    for frame in chain([_frame([])], pieces):
        parts.append(whole.with_name(f"{len(parts)}.parquet"))
        frame.write_parquet(parts[-1])
        rows += frame.height
    pl.scan_parquet(parts, glob=False).sink_parquet(whole)
    return rows
