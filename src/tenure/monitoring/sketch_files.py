"""Sketch a file of any size in one pass: batches are read ahead and counted on all cores, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.model.values import NO_MOMENT, moments_of
from tenure.monitoring.layout import Layout
from tenure.monitoring.sketches import WindowSketch, digest_of_layout, microseconds_of, moment_at, sketch, sketch_parts

MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_BATCH: Final = 131_072
_SLICE: Final = 4 * _BATCH
_TOGETHER: Final = 6
_TIME: Final = "the time of the row"
_UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)


def sketch_file(
    source: str | Path | pl.LazyFrame,
    layout: Layout,
    *,
    time: str | pl.Expr | None = None,
    length: timedelta | None = None,
    origin: datetime = MONDAY,
    date_format: str = "",
) -> list[WindowSketch]:
    """Return the sketches of the windows of a Parquet or CSV file, or of what a lazy frame gives, in order of time.

    Windows last `length`, counted from `origin` (so weeks start on Monday and days at midnight UTC); those without rows
    are left out. `time` is the column or expression that says when a row was; text is read as in `moments_of`. Rows
    whose time cannot be read belong to no window. Without `length` all rows with a time make one window, from the first
    moment to the last; without `time` all rows make one that starts and ends in 1970. The cells of a CSV file are text
    as they stand there.
    """
    frame = source if isinstance(source, pl.LazyFrame) else _scanned(Path(source))
    names = frame.collect_schema().names()
    when = pl.col(time) if isinstance(time, str) else time
    passes, height = [layout], None
    if not isinstance(source, pl.LazyFrame) and not _is_text(Path(source)):
        passes, height = _passes(layout), int(frame.select(pl.len()).collect().item())

    def batches(asked: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        return iter(asked.collect_batches(chunk_size=_BATCH)) if height is None else _sliced(asked, height)

    found = [_pass(frame, names, each, when, length, microseconds_of(origin), date_format, batches) for each in passes]
    return [_joined(parts, layout) for parts in zip(*found, strict=True)]


def _sliced(frame: pl.LazyFrame, height: int) -> Iterator[pl.DataFrame]:
    """Yield runs of rows of a Parquet file; streaming would read far ahead, so memory would depend on who is slower."""
    return (frame.slice(start, _SLICE).collect() for start in range(0, height, _SLICE))


def _is_text(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _passes(layout: Layout) -> list[Layout]:
    """Return the layouts of a few columns each: a pass reads only its own, so memory does not grow with the columns."""
    starts = range(0, max(len(layout.columns), 1), _TOGETHER)
    return [Layout(layout.columns[start : start + _TOGETHER]) for start in starts]


def _joined(parts: tuple[WindowSketch, ...], layout: Layout) -> WindowSketch:
    """Return the sketch of one window from those of its columns."""
    columns = {name: column for part in parts for name, column in part.columns.items()}
    return replace(parts[0], columns=columns, layout=digest_of_layout(layout))


def _pass(
    frame: pl.LazyFrame,
    names: list[str],
    layout: Layout,
    when: pl.Expr | None,
    length: timedelta | None,
    first: int,
    date_format: str,
    batches: Callable[[pl.LazyFrame], Iterator[pl.DataFrame]],
) -> list[WindowSketch]:
    """Return the windows of all rows, with the columns of `layout` only."""
    kept = [name for name in names if name in layout.names] or names[:1]
    asked = frame.select(*kept, *([] if when is None else [when.alias(_TIME)]))
    whole: dict[int, WindowSketch] = {}

    def counted(batch: pl.DataFrame) -> dict[int, WindowSketch]:
        if when is None:
            return {0: sketch(batch, layout, start=_UNDATED, end=_UNDATED)}
        return _windows(batch, moments_of(batch[_TIME], date_format), layout, first, length)

    for part in _each(batches(asked), counted):
        for number, one in part.items():
            whole[number] = whole[number].merged(one) if number in whole else one
    return [whole[number] for number in sorted(whole)]


def _scanned(path: Path) -> pl.LazyFrame:
    if _is_text(path):
        return pl.scan_csv(path, glob=False, infer_schema=False)
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _each(
    batches: Iterator[pl.DataFrame], count: Callable[[pl.DataFrame], dict[int, WindowSketch]]
) -> Iterator[dict[int, WindowSketch]]:
    """Yield what `count` makes of each batch; a batch waits only while every core has one."""
    cores = os.cpu_count() or 1
    running: deque[Future[dict[int, WindowSketch]]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for batch in (part for given in batches for part in given.iter_slices(_BATCH)):
            running.append(pool.submit(count, batch))
            if len(running) > cores:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _windows(
    batch: pl.DataFrame, moments: NDArray[np.int64], layout: Layout, first: int, length: timedelta | None
) -> dict[int, WindowSketch]:
    """Return the sketches of one batch by the number of their window, counted from the moment `first`."""
    dated = moments != NO_MOMENT
    if not dated.all():
        batch, moments = batch.filter(pl.Series(dated)), moments[dated]
    if moments.size == 0:
        return {}
    if length is None:
        span = moment_at(int(moments.min())), moment_at(int(moments.max()))
        return {0: sketch(batch, layout, start=span[0], end=span[1])}
    step = max(length // timedelta(microseconds=1), 1)
    numbers = (moments - first) // step
    if (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        batch, numbers = batch[order], numbers[order]
    bounds = np.append(np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1)), numbers.size)
    found = numbers[bounds[:-1]].tolist()
    return {
        number: replace(part, start=moment_at(first + number * step), end=moment_at(first + (number + 1) * step))
        for number, part in zip(found, sketch_parts(batch, layout, bounds), strict=True)
    }
