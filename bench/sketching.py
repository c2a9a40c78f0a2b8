"""Show what sketching a Parquet file costs beside a plain scan of it, and that memory does not grow with the rows.

    python bench/sketching.py FOLDER [--rows 1000000,10000000] [--columns 20] [--repeats 5]

Files are made below FOLDER and kept there. The plain scan asks polars for the mean, deviation, extremes and empty cells
of each number and the distinct values of each text. "Days" sketches a year of daily windows in the same pass. Each cell
is the least of the repeats. Memory is the peak above the start, and holds what polars keeps for later, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from peers.campaign import numbers
from peers.compare import table
from peers.meter import Meter

from tenure.core.data import Column, Kind, Schema
from tenure.monitoring.layout import Layout, layout_of
from tenure.monitoring.sketch_files import sketch_file

_PART: Final = 250_000
_REFERENCE: Final = 100_000
_START: Final = datetime(2025, 1, 1)  # noqa: DTZ001 - files hold moments without a zone
_YEAR: Final = 365 * 86_400


def main() -> None:
    """Make the files that are not there, measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--rows", default="1000000,10000000")
    options.add_argument("--columns", type=int, default=20)
    options.add_argument("--repeats", type=int, default=5)
    asked = options.parse_args()
    lines = []
    for rows in numbers(asked.rows):
        path = made(asked.folder, rows, asked.columns)
        layout = layout_from(path)
        ways: dict[str, Callable[[], Any]] = {
            "plain scan": lambda path=path: plain_scan(path),
            "one window": lambda path=path, layout=layout: sketch_file(path, layout),
            "days": lambda path=path, layout=layout: sketch_file(path, layout, time="at", length=timedelta(days=1)),
        }
        for name, way in ways.items():
            meters = [metered(way) for _ in range(asked.repeats)]
            least = [min(getattr(meter, what) for meter in meters) for what in ("seconds", "cpu_seconds")]
            peak = max(meter.peak_mb - meter.base_mb for meter in meters)
            lines.append([f"{rows:,}", name, f"{least[0]:.2f}", f"{least[1]:.2f}", f"{peak:.0f}"])
    print(table(["rows", "what", "seconds", "processor seconds", "MB"], lines))


def metered(work: Callable[[], Any]) -> Meter:
    """Return what one call cost."""
    with Meter() as meter:
        work()
    return meter


def made(folder: Path, rows: int, columns: int) -> Path:
    """Return a file of `rows` rows: eight of ten columns are numbers of all shapes, two are text."""
    path = folder / f"rows-{rows}-{columns}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = folder / f"{path.stem}-parts"
        parts.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        for number, start in enumerate(range(0, rows, _PART)):
            drawn(rng, start, min(_PART, rows - start), rows, columns).write_parquet(parts / f"{number:05d}.parquet")
        pl.scan_parquet(parts / "*.parquet").sink_parquet(path, row_group_size=2**17)
        for part in parts.iterdir():
            part.unlink()
        parts.rmdir()
    return path


def drawn(rng: np.random.Generator, start: int, rows: int, of: int, columns: int) -> pl.DataFrame:
    """Return the rows from `start` on, spread over one year."""
    shapes: list[Callable[[], Any]] = [
        lambda: rng.normal(size=rows),
        lambda: rng.normal(40, 12, size=rows),
        lambda: np.exp(rng.normal(3, 1, size=rows)),
        lambda: rng.poisson(3, size=rows),
        lambda: pl.Series(np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))).fill_nan(None),
        lambda: rng.integers(0, 10**6, size=rows),
        lambda: np.where(rng.random(rows) < 0.6, 0.0, rng.gamma(2, 3, size=rows)),
        lambda: rng.random(rows) < 0.3,
        lambda: np.array([f"level {i}" for i in range(12)])[rng.integers(0, 12, size=rows)],
        lambda: np.array([f"city number {i}" for i in range(200)])[np.minimum(rng.geometric(0.03, size=rows), 199)],
    ]
    seconds = np.arange(start, start + rows) * (_YEAR / of)
    cells = {f"c{i}": shapes[i % len(shapes)]() for i in range(columns)}
    return pl.DataFrame({"at": np.datetime64(_START, "us") + (seconds * 1e6).astype("timedelta64[us]"), **cells})


def layout_from(path: Path) -> Layout:
    """Return the layout of a file, from its first rows."""
    reference = pl.scan_parquet(path).drop("at").head(_REFERENCE).collect()
    kinds = {pl.String: Kind.CATEGORICAL, pl.Boolean: Kind.BOOLEAN}
    schema = Schema(
        tuple(Column(cells.name, str(cells.dtype), kinds.get(type(cells.dtype), Kind.NUMERIC)) for cells in reference)
    )
    return layout_of(reference, schema)


def plain_scan(path: Path) -> pl.DataFrame:
    """Return what polars itself counts of every column, in one scan."""
    lazy = pl.scan_parquet(path).drop("at")
    asked = []
    for name, dtype in lazy.collect_schema().items():
        column = pl.col(name)
        if dtype == pl.String:
            asked.append(column.n_unique().name.suffix(" distinct"))
            continue
        figures = (column.mean(), column.std(), column.min(), column.max(), column.null_count())
        asked += [figure.alias(f"{name} {i}") for i, figure in enumerate(figures)]
    return lazy.select(asked).collect(engine="streaming")


if __name__ == "__main__":
    main()
