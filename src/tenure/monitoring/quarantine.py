"""Rows that were set aside: nobody judges or learns from them, so somebody must be told how many they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.project import MonitoringSection
from tenure.monitoring.rules import FAULT_LEVEL, binomial_limit
from tenure.monitoring.windows import TrafficWindow, window_numbers, window_start

QUARANTINED_ROWS: Final = "quarantined-rows"
_LEAST_CHANGE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Span:
    """One full stretch of the log from `start` on: rows that count, and the violations (JSON) of each set aside."""

    start: datetime
    kept: int
    aside: tuple[str | None, ...]

    @property
    def rows(self) -> int:
        """Return how many rows came."""
        return self.kept + len(self.aside)

    @property
    def share(self) -> float:
        """Return the share of rows that were set aside."""
        return len(self.aside) / self.rows


def spans_of(
    windows: Sequence[TrafficWindow], aside: pl.DataFrame, monitoring: MonitoringSection, *, now: datetime
) -> tuple[Span, ...]:
    """Return the full stretches of the log, oldest first: all windows, and those whose rows were all set aside.

    `aside` holds the quarantined predictions, as `Traffic.quarantined` gives them.
    """
    if monitoring.window_rows is None:
        return tuple(_of_time(windows, aside, monitoring, now=now))
    return tuple(_of_rows(windows, aside, monitoring.window_rows))


def _of_time(
    windows: Sequence[TrafficWindow], aside: pl.DataFrame, monitoring: MonitoringSection, *, now: datetime
) -> Iterator[Span]:
    kept = {window.start: window.rows.height for window in windows}
    said = _by_place(window_numbers(aside["event_at"], monitoring), aside)
    gone = {window_start(number, monitoring): some for number, some in said.items()}
    width = window_start(1, monitoring) - window_start(0, monitoring)
    # A row that was set aside may say a time that cannot be: it fills no window.
    until = max([now, *(window.rows["event_at"][-1] for window in windows[-1:])])
    for start in sorted(kept.keys() | gone.keys()):
        if start + width <= until:
            yield Span(start, kept.get(start, 0), tuple(gone.get(start, ())))


def _of_rows(windows: Sequence[TrafficWindow], aside: pl.DataFrame, size: int) -> Iterator[Span]:
    """Yield a span for each full window, up to the next one, and what came since where that is as much."""
    full = [window for window in windows if window.full]
    starts = pl.Series([window.start for window in full], dtype=aside["event_at"].dtype)
    place = starts.search_sorted(aside["event_at"], side="right").to_numpy().astype(np.int64) - 1
    if full:
        place[(aside["event_at"] > full[-1].end).to_numpy()] = len(full)
    gone = _by_place(place, aside)
    for at, window in enumerate(full):
        yield Span(window.start, window.rows.height, tuple(gone.get(at, ())))
    later = [window for window in windows if not window.full and (not full or window.start > full[-1].start)]
    since = gone.get(len(full) if full else -1, [])
    kept = sum(window.rows.height for window in later)
    if since and kept + len(since) >= size:
        first = aside.filter(pl.Series(place == (len(full) if full else -1)))["event_at"][0]
        yield Span(min([first, *(window.start for window in later)]), kept, tuple(since))


def _by_place(place: np.ndarray[Any, np.dtype[np.int64]], aside: pl.DataFrame) -> dict[int, list[str | None]]:
    found: dict[int, list[str | None]] = {}
    for at, violations in zip(place.tolist(), aside["violations"].to_list(), strict=True):
        found.setdefault(at, []).append(violations)
    return found


def judge_quarantine(spans: Sequence[Span], *, known_rows: int, least: int) -> Finding:
    """Judge the share of rows set aside in the latest span of at least `least` rows against the spans before it.

    None of the `known_rows` that the contract was learned from was set aside; where earlier spans show a usual share
    (their median), that is usual. A fault is beyond chance and two rows in a hundred more than usual.
    """
    spans = [span for span in spans if span.rows >= least]
    if not spans:
        reason = f"no full window holds {least:,} rows yet."
        return Finding(QUARANTINED_ROWS, Verdict.SKIPPED, Measurement(QUARANTINED_ROWS, 0.0, skipped=reason))
    *before, now = spans
    usual = float(np.median([span.share for span in before])) if before else 0.0
    seen = max(known_rows, sum(span.rows for span in before), 1)
    limit = binomial_limit(now.rows, usual, seen, FAULT_LEVEL)
    threshold = Threshold(warn=limit, fail=max(limit, usual + _LEAST_CHANGE))
    measurement = Measurement(
        QUARANTINED_ROWS,
        now.share,
        says=_says(now, usual),
        hint="Mend the fields where they are made: what is set aside is answered, and neither judged nor learned from.",
        evidence={
            "rows": now.rows,
            "normal": usual,
            "limit": limit,
            "since": _since(spans, threshold.fail).isoformat(),
        },
    )
    return threshold.judge(measurement, check=QUARANTINED_ROWS)


def _says(now: Span, usual: float) -> str:
    if not now.aside:
        return "No row of the latest full window was set aside."
    says = f"{now.share:.1%} of the rows in the latest full window were set aside; {usual:.1%} is usual."
    fields = Counter(field for text in now.aside for field in _fields(text))
    if not fields:
        return says
    field, count = min(fields.items(), key=lambda item: (-item[1], item[0]))
    return f"{says} {field!r} broke its rule in {count / len(now.aside):.0%} of them."


def _fields(violations: str | None) -> set[str]:
    """Return the fields that broke a rule in one row."""
    return {one["field"] for one in json.loads(violations or "[]") if isinstance(one, dict) and "field" in one}


def _since(spans: Sequence[Span], limit: float) -> datetime:
    """Return when the latest span began, or the first of the run of spans beyond the limit that it ends."""
    since = spans[-1].start
    for span in reversed(spans):
        if span.share <= limit:
            break
        since = span.start
    return since
