"""A project's own history: the rows of its source in order of time, then the rows of its log that came true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import HistoryError
from tenure.core.project import MonitoringSection
from tenure.engine.simulation.coming import Coming
from tenure.engine.workspace import Workspace
from tenure.ingest.logged import with_logged
from tenure.ingest.roles import Declared, infer_schema, prepare
from tenure.ingest.table import read_table
from tenure.monitoring.windows import ORIGIN

LEARNED_SHARE: Final = 1 / 3
FEWEST_WINDOWS: Final = 4
_MOMENT: Final = pl.Datetime("us")
_KNOWN: Final = "tenure: known at, us"


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """All rows of the past in order of time, the target among their columns.

    `times` and `known` (microseconds since 1970, UTC) are when each row was about and when its outcome was known.
    `logged` counts the rows that came from the log.
    """

    rows: pl.DataFrame
    target: str
    times: NDArray[np.int64]
    known: NDArray[np.int64]
    logged: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Where history is cut: the first `learned` rows came before, the others come in `windows` (row from, row to)."""

    learned: int
    windows: tuple[tuple[int, int], ...]
    moments: tuple[tuple[datetime, datetime], ...]


def read_history(workspace: Workspace) -> History:
    """Read the source, and the rows of the log that came true and are not in it, and order them by time.

    Outcomes of the source were known after `data.outcome_delay`, those of the log when it says. Rows without a time or
    a target are left out.

    Raises:
        HistoryError: the project names no time column.
        TenureError: the source cannot be read.
    """
    data, task = workspace.project.data, workspace.project.project.task
    if data.time is None:
        raise HistoryError(
            "The project names no time column, so nobody can tell what came first.",
            where="data.time",
            hint='Name it in tenure.toml: [data] time = "COLUMN".',
        )
    table = read_table(data.source, data.query, workspace.folder, workspace.context.log)
    declared = Declared.of(data)
    declared.check(table.frame.columns)
    frame = prepare(table, declared, task)
    schema = infer_schema(frame, declared, task, table)
    frame = frame.filter(pl.col(data.time).is_not_null() & pl.col(data.target).is_not_null())
    frame = frame.with_columns(pl.Series(_KNOWN, _micros(frame[data.time]) + round(1e6 * data.outcome_delay)))
    came = workspace.traffic.joined().filter(pl.col("outcome").is_not_null())
    logged = 0
    if came.height:
        known = pl.Series(_KNOWN, _micros(came["known_at"]))
        whole = with_logged(frame, schema, came.with_columns(known), workspace.context.log)
        frame, logged = whole, whole.height - frame.height
    frame = frame.sort(data.time, maintain_order=True)
    times, moments = _micros(frame[data.time]), frame[_KNOWN].to_numpy()
    return History(frame.drop(_KNOWN), data.target, times, moments, logged)


def _micros(times: pl.Series) -> NDArray[np.int64]:
    kind = times.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    moments: NDArray[np.int64] = times.cast(_MOMENT).to_physical().to_numpy()
    return moments


def cut_history(
    history: History, monitoring: MonitoringSection, *, start: datetime | None = None, until: datetime | None = None
) -> Cut:
    """Cut history at the start of a window: at or after `start`, else after a third of its rows; and then in windows.

    Windows without rows are skipped. Rows at or after `until`, and an unfinished window at the end, are left out.

    Raises:
        HistoryError: too few rows to learn from, or too few windows after them.
    """
    times = history.times
    whole_until = _us(until) if until is not None and _us(until) <= int(times[-1]) else None
    if until is not None:
        times = times[: int(np.searchsorted(times, _us(until)))]
    begin = int(np.searchsorted(times, _us(start))) if start is not None else int(LEARNED_SHARE * len(times))
    cut = (
        _of_rows(times, begin, monitoring.window_rows)
        if monitoring.window_rows
        else _of_time(times, begin, monitoring, whole_until)
    )
    known = int(_known_before(history, cut).sum()) if cut.windows else cut.learned
    if known == 0 or len(cut.windows) < FEWEST_WINDOWS:
        raise HistoryError(
            f"History holds {known:,} rows to learn from and {len(cut.windows)} whole windows of "
            f"{monitoring.window} after them; {FEWEST_WINDOWS} windows are needed at least.",
            where="--from" if start is not None else "data.source",
            hint="Give another --from, or a shorter window in a policy file: [monitoring] window = '1d'.",
        )
    return cut


def _of_time(times: NDArray[np.int64], begin: int, monitoring: MonitoringSection, whole_until: int | None) -> Cut:
    """Cut in windows of time; `whole_until` is up to when all rows are known to be there, None for who knows."""
    assert monitoring.window_seconds is not None  # a window is counted in rows or in time
    width, origin = round(1e6 * monitoring.window_seconds), _us(ORIGIN)
    if begin >= len(times):
        return Cut(len(times), (), ())
    first = -((origin - int(times[begin])) // width)  # of windows since the origin: the next that starts
    learned = int(np.searchsorted(times, origin + first * width))
    numbers = (times[learned:] - origin) // width
    present, begins, counts = np.unique(numbers, return_index=True, return_counts=True)
    windows, moments = [], []
    for number, at, count in zip(present.tolist(), begins.tolist(), counts.tolist(), strict=True):
        windows.append((learned + at, learned + at + count))
        moments.append((_moment(origin + number * width), _moment(origin + (number + 1) * width)))
    # The last row stands before its window's end by about as much as rows stand apart.
    apart = int(np.median(np.diff(times))) if len(times) > 1 else 0
    if windows and _us(moments[-1][1]) > (whole_until or int(times[-1]) + 2 * apart):
        windows, moments = windows[:-1], moments[:-1]
    return Cut(learned, tuple(windows), tuple(moments))


def _of_rows(times: NDArray[np.int64], begin: int, size: int) -> Cut:
    windows, moments = [], []
    at = begin
    while at + size <= len(times):
        after = int(np.searchsorted(times, times[at + size - 1], side="right"))  # rows of one moment stay together
        windows.append((at, after))
        moments.append((_moment(int(times[at])), _moment(int(times[after - 1]) + 1)))
        at = after
    return Cut(begin, tuple(windows), tuple(moments))


def _known_before(history: History, cut: Cut) -> NDArray[np.bool_]:
    """Say of the rows before the first window whose outcome was known when it began."""
    return np.asarray(history.known[: cut.learned] <= _us(cut.moments[0][0]))


def learned_of(history: History, cut: Cut) -> pl.DataFrame:
    """Return what the first model may learn from: the rows whose outcome was known when the first window began."""
    return history.rows[: cut.learned].filter(pl.Series(_known_before(history, cut)))


def late_of(history: History, cut: Cut) -> Coming:
    """Return the rows from before the first window whose outcome got known only after it had begun."""
    late, begin = np.flatnonzero(~_known_before(history, cut)), cut.moments[0][0]
    start = _moment(int(history.times[0]))
    return _coming(history, late, (start, begin))


def windows_of(history: History, cut: Cut) -> Iterator[Coming]:
    """Yield the windows of a cut history as they come in a flight."""
    for (begin, end), moments in zip(cut.windows, cut.moments, strict=True):
        yield _coming(history, np.arange(begin, end), moments)


def _coming(history: History, places: NDArray[np.int64], moments: tuple[datetime, datetime]) -> Coming:
    rows = history.rows[places]
    return Coming(
        *moments,
        rows,
        event_at=[_moment(at) for at in history.times[places].tolist()],
        outcome=rows[history.target].to_list(),
        known_at=[_moment(at) for at in history.known[places].tolist()],
        ids=[f"r{place}" for place in places.tolist()],
    )


def _us(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
