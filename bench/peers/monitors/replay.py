"""Replay time-ordered sets: a project learns the first third, then the other rows come in order, as in life.

Predictions go through the real log, outcomes come after a delay, and after each window the model in office is examined
by the real stage, under a clock that stands at the end of the window.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from peers.monitors.results import Record, Results
from peers.monitors.watching import cause_of
from peers.suite import Entry
from tenure.core.evidence import Verdict
from tenure.core.health import HealthReport
from tenure.core.lifecycle import OutcomeRecord
from tenure.core.modelling import Task
from tenure.core.project import seconds_of
from tenure.engine.answering import Holder
from tenure.engine.watch import examine
from tenure.engine.workspace import Workspace, open_workspace
from tenure.monitoring.sketch_files import MONDAY

KEYS = ("bench", "set")
MOST_ROWS: Final = 60_000
_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Way:
    """How a set is replayed: the length of a window, how long outcomes take, which share of the rows is learned."""

    window: str
    delay: str
    learned: float = 0.35


REPLAYED: Final = {
    "elec2": Way("7d", "1d"),
    # After a third of it, two months of one year, a model shows no skill in later rows and is held.
    "bank_marketing": Way("14d", "14d", learned=0.8),
    "bike_sharing_hourly": Way("7d", "1d"),
    "walmart_weekly_sales": Way("7d", "7d"),
}


@dataclass(frozen=True)
class ReplayPlan:
    """What is replayed; projects are kept in `work`, and made anew for each replay."""

    entries: Sequence[Entry]
    out: Path
    work: Path
    budget: str = "30s"
    windows: int = 0


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def run_replay(plan: ReplayPlan) -> None:
    """Replay what is missing from the results file."""
    results = Results(plan.out, KEYS)
    for entry in plan.entries:
        if results.has(bench="replay", set=entry.name):
            continue
        started = time.perf_counter()
        told = _replayed(plan, entry)
        results.add({"bench": "replay", "set": entry.name} | told | {"seconds": time.perf_counter() - started})


def _replayed(plan: ReplayPlan, entry: Entry) -> Record:
    way = REPLAYED[entry.name]
    table, cut = cut_at_a_window(ordered(entry), entry, way)
    folder = plan.work / "replay" / entry.name
    _make_project(folder, entry, table[:cut], way, plan.budget)
    clock = Clock(_moment(table[entry.time][cut]))
    with open_workspace(folder) as opened:
        workspace = replace(opened, context=replace(opened.context, clock=clock))
        course = []
        for step in _steps(workspace, entry, table[cut:], way, clock):
            course.append(step)
            print(f"{entry.name} {told_of(step)}", flush=True)
            if len(course) == plan.windows:
                break
        # Once more when every outcome is known, for what came true of each window.
        clock.now += timedelta(seconds=10 * seconds_of(way.delay) + seconds_of(way.window))
        _with_outcomes(workspace, entry, table[cut:], way, clock, course)
        last = examine(workspace)
    _fill_in(course, last)
    expected = last.expected
    return {
        "learned": cut,
        "replayed": table.height - cut,
        "window": way.window,
        "delay": way.delay,
        "metric": "" if expected is None else expected.metric,
        "expected": None if expected is None else [expected.value, expected.low, expected.high],
        "tolerance": last.tolerance,
        "course": course,
    }


# ---- the table, and the project that learns from it ----


def ordered(entry: Entry) -> pl.DataFrame:
    """Return the set in order of time, thinned to so many rows that it can be replayed; leakage is left out.

    Rows that share one day are spread over the time until the next day that has any.
    """
    assert entry.time is not None
    table = pl.read_parquet(entry.path).filter(pl.col(entry.target).is_not_null()).drop(entry.withheld)
    table = table.sort(entry.time, maintain_order=True).with_columns(pl.col(entry.time).cast(pl.Datetime("us")))
    if table.height > MOST_ROWS:
        chosen = np.random.default_rng(0).choice(table.height, MOST_ROWS, replace=False)
        table = table[np.sort(chosen)]
    return table.with_columns(spread(table[entry.time]))


def spread(times: pl.Series) -> pl.Series:
    """Return rising times: of n rows at one time, row i lies i/n of the way to the next time."""
    moments = times.dt.timestamp("us").to_numpy()
    present, first, counts = np.unique(moments, return_index=True, return_counts=True)
    gaps = np.diff(present, append=present[-1] + (np.median(np.diff(present)) if present.size > 1 else 0))
    within = np.arange(moments.size) - np.repeat(first, counts)
    moved = moments + (np.repeat(gaps / counts, counts) * within).astype(np.int64)
    return pl.Series(times.name, moved).cast(pl.Datetime("us"))


def cut_at_a_window(table: pl.DataFrame, entry: Entry, way: Way) -> tuple[pl.DataFrame, int]:
    """Return the table and how many rows are learned: those before the first window after the share to learn.

    The first replayed row is moved to the start of that window, so that every way of counting windows agrees.
    """
    assert entry.time is not None
    times = table[entry.time].dt.replace_time_zone("UTC")
    length = timedelta(seconds=seconds_of(way.window))
    begin = MONDAY + length * (-((MONDAY - times[int(way.learned * table.height)]) // length))
    cut = int((times < begin).sum())
    moved = [begin.replace(tzinfo=None), *table[entry.time][cut + 1 :]]
    times = table[entry.time][:cut].append(pl.Series(moved, dtype=pl.Datetime("us")))
    return table.with_columns(times.alias(entry.time)), cut


def _make_project(folder: Path, entry: Entry, learned: pl.DataFrame, way: Way, budget: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    learned.write_parquet(folder / "learned.parquet")
    words = ["init", "learned.parquet", "--target", entry.target, "--time", str(entry.time)]
    _tenure(folder, *words, *(["--positive", entry.positive] if entry.positive else []))
    file = folder / "tenure.toml"
    lines = [
        line
        for line in file.read_text().splitlines()
        if not line.startswith(("window =", "outcome_delay =", "autonomy ="))
    ]
    added = {
        "[monitoring]": f'window = "{way.window}"',
        "[data]": f'outcome_delay = "{way.delay}"',
        "[operations]": 'autonomy = "observe"',
    }
    for head, line in added.items():
        lines.insert(lines.index(head) + 1, line)
    file.write_text("\n".join(lines) + "\n")
    _tenure(folder, "run", "--budget", budget)


def _tenure(folder: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tenure", *words, "-q"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tenure {' '.join(words)}: {done.stdout}{done.stderr}")


# ---- the replay ----


def _steps(workspace: Workspace, entry: Entry, rows: pl.DataFrame, way: Way, clock: Clock) -> Iterator[Record]:
    """Yield what is said after each whole window: rows are answered, ripe outcomes come in, the model is examined."""
    assert entry.time is not None
    version = workspace.champion()
    holder = Holder(version, workspace.scorer(version), workspace.project)
    length = timedelta(seconds=seconds_of(way.window))
    start, before, known = _moment(rows[entry.time][0]), set[str](), 0
    numbered = rows.with_row_index("number")
    while (end := start + length) <= _moment(rows[entry.time][-1]) + timedelta(hours=1):
        times = pl.col(entry.time).dt.replace_time_zone("UTC")
        part = numbered.filter((times >= start) & (times < end))
        clock.now = end
        _answer(workspace, holder, entry, part)
        known = _record(workspace, entry, numbered, way, clock, known)
        health = examine(workspace)
        step, before = _step(health, start, part.height, before)
        yield step
        start = end


def _answer(workspace: Workspace, holder: Holder, entry: Entry, part: pl.DataFrame) -> None:
    rows = part.drop("number", entry.target).to_dicts()
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        numbers = part["number"][begin : begin + _AT_ONCE]
        records = [
            holder.record(f"r{number}", _moment(row[entry.time]), row, said, key=None)
            for number, row, said in zip(numbers, some, holder.answers(some), strict=True)
        ]
        workspace.traffic.log_predictions(records)


def _record(workspace: Workspace, entry: Entry, numbered: pl.DataFrame, way: Way, clock: Clock, known: int) -> int:
    """Post the outcomes that became known by now, in order; return up to which row they are posted."""
    assert entry.time is not None
    delay = timedelta(seconds=seconds_of(way.delay))
    ripe = int((numbered[entry.time].dt.replace_time_zone("UTC") <= clock.now - delay).sum())
    outcomes = [
        OutcomeRecord(_outcome(value, entry), (_moment(when) + delay).isoformat(), prediction_id=f"r{number}")
        for number, when, value in numbered[known:ripe].select("number", entry.time, entry.target).iter_rows()
    ]
    if outcomes:
        workspace.traffic.record_outcomes(outcomes)
    return max(ripe, known)


def _with_outcomes(
    workspace: Workspace, entry: Entry, rows: pl.DataFrame, way: Way, clock: Clock, course: Sequence[Record]
) -> None:
    answered = rows[: sum(step["rows"] for step in course)].with_row_index("number")
    _record(workspace, entry, answered, way, clock, 0)  # those posted before change nothing


def _outcome(value: Any, entry: Entry) -> str | float:
    return float(value) if entry.task is Task.REGRESSION else str(value)


def _moment(when: Any) -> datetime:
    moment: datetime = when if isinstance(when, datetime) else datetime(when.year, when.month, when.day)  # noqa: DTZ001
    return moment.replace(tzinfo=UTC)


# ---- what was said ----


def _step(health: HealthReport, start: datetime, rows: int, before: set[str]) -> tuple[Record, set[str]]:
    """Return what was said after one window, and the causes that page somebody; those of the look before are old."""
    failing = [finding for finding in health.findings if finding.verdict in (Verdict.FAIL, Verdict.ERROR)]
    paging = {cause_of(finding): finding.measurement.says for finding in failing}
    now = next((window for window in reversed(health.windows) if window.start <= start.isoformat() < window.end), None)
    changed = [
        {
            "subject": change.subject,
            "says": change.says,
            "harmless": change.harmless,
            "skill": None if change.price is None else [change.price.skill.value, change.price.skill.low],
        }
        for change in health.changes
    ]
    estimated = None if now is None or now.estimated is None else now.estimated
    return {
        "start": start.isoformat(),
        "rows": rows,
        "status": health.status.value,
        "headline": health.headline,
        "estimated": None if estimated is None else [estimated.value, estimated.low, estimated.high, estimated.refused],
        "drift": None if now is None else now.drift,
        "drifted": [] if now is None else list(now.drifted),
        "faults": [] if now is None else list(now.faults),
        "changes": changed,
        "paging": sorted(paging),
        "pages": [f"{cause}: {says}" for cause, says in sorted(paging.items()) if cause not in before],
        "realised": None,
    }, set(paging)


def _fill_in(course: Sequence[Record], last: HealthReport) -> None:
    realised = {window.start: window.realised for window in last.windows}
    for step in course:
        score = realised.get(step["start"])
        step["realised"] = None if score is None else [score.value, score.low, score.high]


def told_of(step: Record) -> str:
    """Return a step in one line."""
    pages = "; ".join(step["pages"])
    return f"{step['start'][:10]} {step['rows']} rows, {step['status']}{': PAGE ' + pages if pages else ''}"
