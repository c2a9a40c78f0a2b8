"""Score a table part by part on all cores, write each part once, and put the whole in its place at the end."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import polars as pl

from tenure.core.errors import JobChangedError
from tenure.core.lifecycle import ModelVersion
from tenure.core.ports import Context
from tenure.core.secrets import redacted
from tenure.engine.batch.answers import Extras, answer_table, columns_read
from tenure.engine.batch.job import Job, open_job
from tenure.engine.batch.outputs import Output, settle_part, write_part
from tenure.engine.workspace import Workspace
from tenure.ingest.stream.rows import RowStream, identity_of, open_rows
from tenure.model.scorer import Scorer
from tenure.state.leases import Lease

PART_ROWS: Final = 20_000
EXPLAINED_PART_ROWS: Final = 1_000
"""Reasons take a hundred times as long, and a part should take seconds."""
LOGGED_ROWS: Final = 100_000
"""Tables of up to so many rows are logged where nothing else is said."""
_PART_CELLS: Final = 2_000_000
_FEWEST_PART_ROWS: Final = 500
_NOTE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be scored, and how: `part_rows` None fits the parts to the model, `log` None logs small tables."""

    source: str
    query: str | None
    folder: Path
    extras: Extras
    part_rows: int | None = None
    log: bool | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a job did: all rows, those that an earlier start had finished, seconds, columns written, whether logged."""

    rows: int
    resumed_rows: int
    seconds: float
    columns: tuple[str, ...]
    logged: bool


class _Stopped(Exception):  # noqa: N818  (no fault: another part failed, or somebody pressed Ctrl-C)
    """The work on a part ended early, as nobody waits for it any more."""


def score_in_parts(workspace: Workspace, version: ModelVersion, scorer: Scorer, asked: Asked, output: Output) -> Tally:
    """Score all rows in order into `output`; a job that was cut off goes on with the parts it had not finished.

    Every row is answered by `version`. Logged rows are logged once, however often the job was cut off.

    Raises:
        JobChangedError: an unfinished job was to do something else, or the rows changed meanwhile.
        ProjectBusyError: another process works on the same output.
        The errors of `open_rows`, of `answer_table`, and of the output.
    """
    started = workspace.context.timer()
    output.check()
    rows_at_start = identity_of(asked.source, asked.query, asked.folder)
    part_rows = asked.part_rows or _fitting_rows(scorer, asked.extras)
    with Lease(workspace.database, f"predict {output.folder}", clock=workspace.context.clock):
        job = open_job(
            output.folder, _wish(asked, version, output, rows_at_start, part_rows), form=output.form, fresh=asked.fresh
        )
        stream = _opened(workspace, scorer, asked, job, part_rows)
        log = stream.rows <= LOGGED_ROWS if asked.log is None else asked.log
        work = _Work(workspace, version, scorer, asked.extras, log, job, output, stream)
        work.do()
        if identity_of(asked.source, asked.query, asked.folder) != rows_at_start:
            raise JobChangedError(
                f"{redacted(asked.source)} changed while it was scored; nothing was written to {output.place}.",
                where=str(job.folder),
                hint="Score it again with --fresh, when nobody writes it any more.",
            )
        output.finish(job, len(stream.parts), stream.rows)
        job.remove()
    seconds = workspace.context.timer() - started
    return Tally(stream.rows, work.resumed_rows, seconds, tuple(work.columns), log)


def _fitting_rows(scorer: Scorer, extras: Extras) -> int:
    """Return how many rows make a part that takes little time and memory, however wide the model is."""
    most = EXPLAINED_PART_ROWS if extras.reasons else PART_ROWS
    return max(min(most, _PART_CELLS // max(scorer.model.plan.width, 1)), _FEWEST_PART_ROWS)


def _wish(
    asked: Asked, version: ModelVersion, output: Output, rows: Mapping[str, Any], part_rows: int
) -> dict[str, Any]:
    options = {"part_rows": part_rows, "log": asked.log} | asdict(asked.extras)
    return {
        "input": rows,
        "output": output.identity,
        "version": version.label,
        "model": version.model,
        "options": options,
    }


def _opened(workspace: Workspace, scorer: Scorer, asked: Asked, job: Job, part_rows: int) -> RowStream:
    """Open the rows; where they cannot be scored, a new job leaves no folder behind."""
    log = workspace.context.log
    log.progress(0.0, "finding the rows")
    try:
        stream = open_rows(
            asked.source,
            asked.query,
            asked.folder,
            log,
            schema=scorer.model.schema,
            part_rows=part_rows,
            spool=job.rows,
        )
        scorer.check_columns(stream.columns)
    except BaseException:
        if job.is_new:
            job.remove()
        raise
    counted = "" if len(stream.parts) == 1 else f", in {len(stream.parts):,} parts of up to {part_rows:,}"
    log.note(f"{stream.rows:,} rows from {redacted(asked.source)}{counted}")
    return stream


class _Work:
    """The parts of one job that are not finished yet."""

    def __init__(
        self,
        workspace: Workspace,
        version: ModelVersion,
        scorer: Scorer,
        extras: Extras,
        log: bool,
        job: Job,
        output: Output,
        stream: RowStream,
    ) -> None:
        self._workspace = workspace
        self._version = version
        self._scorer = scorer
        self._extras = extras
        self._log = log
        self._job = job
        self._output = output
        self._stream = stream
        self._stop = threading.Event()
        self._first_rows = (0, *accumulate(stream.parts))
        self._cores = _cores()
        self.resumed_rows = 0
        self.columns: list[str] = []

    def do(self) -> None:
        """Finish every part and hand the parts to the output in order."""
        pace = _Pace(self._workspace.context, self._stream.rows)
        finished = 0
        try:
            taken = self._output.begin(self._job, self._dtypes())
            with ThreadPoolExecutor(self._cores) as pool:
                try:
                    for part, answer in self._in_order(pool, taken):
                        if answer is not None:
                            answer.result()
                        if part not in taken:
                            self._output.take(self._job, part, self._first_rows[part])
                        finished += 1
                        pace.tell(self._first_rows[part + 1], self.resumed_rows)
                except BaseException:
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise
        except BaseException as error:
            kept = finished or any(self._job.parts.glob("part-*"))
            if not kept:
                self._job.remove()
            elif isinstance(error, KeyboardInterrupt):
                self._workspace.context.log.note(
                    f"What is finished lies in {self._job.folder}; the same command goes on from there."
                )
            raise

    def _dtypes(self) -> pl.Schema:
        """Return the columns that will be written, from answering the first row."""
        row = self._stream.read(0, columns_read(self._scorer.model))[:1]
        at = self._workspace.context.clock()
        table = answer_table(
            self._version, self._scorer, row, self._extras, at=at, log=False, ids=[self._job.row_id(0)]
        ).table
        self.columns = table.columns
        return table.schema

    def _in_order(self, pool: ThreadPoolExecutor, taken: frozenset[int]) -> Iterator[tuple[int, Future[None] | None]]:
        """Yield each part with the work on it, None where it is finished already; a few are worked on ahead."""
        waiting: deque[tuple[int, Future[None] | None]] = deque()
        for part, rows in enumerate(self._stream.parts):
            if part in taken or self._job.part(part).exists():
                self.resumed_rows += rows
                waiting.append((part, None))
            else:
                waiting.append((part, pool.submit(self._finish, part)))
            if len(waiting) > 2 * self._cores:
                yield waiting.popleft()
        yield from waiting

    def _finish(self, part: int) -> None:
        """Answer the rows of a part and write them; the rename that makes it finished comes after the log."""
        self._keep_on()
        rows = self._stream.read(part, columns_read(self._scorer.model))
        first = self._first_rows[part]
        named = self._extras.ids or self._log
        answers = answer_table(
            self._version,
            self._scorer,
            rows,
            self._extras,
            at=self._workspace.context.clock(),
            log=self._log,
            ids=[self._job.row_id(row) for row in range(first, first + rows.height)] if named else None,
            keep_on=self._keep_on,
        )
        written = write_part(self._job, part, answers.table)
        self._workspace.traffic.log_predictions(answers.records)
        settle_part(self._job, part, written)

    def _keep_on(self) -> None:
        if self._stop.is_set():
            raise _Stopped


class _Pace:
    """Tells how far a job is, how fast it goes and how long it will take."""

    def __init__(self, context: Context, rows: int) -> None:
        self._context = context
        self._rows = rows
        self._started = self._noted = context.timer()

    def tell(self, done: int, resumed: int) -> None:
        """Tell how far it is: to the bar at once, as a line every half minute."""
        now = self._context.timer()
        speed = max(done - resumed, 0) / max(now - self._started, 1e-9)
        text = f"{done:,} of {self._rows:,} rows"
        if speed and done < self._rows:
            text += f", {speed:,.0f} rows/s, {_duration((self._rows - done) / speed)} left"
        self._context.log.progress(done / self._rows, text)
        if done < self._rows and now - self._noted >= _NOTE_SECONDS:
            self._noted = now
            self._context.log.note(text)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
