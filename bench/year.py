"""A year of a planted business, looked after by `tenure up` alone, while server, watcher and database are hurt.

    python bench/year.py [--week 15] [--rows 400] [--state sqlite|postgresql] [--out FILE]

Everything is real: `tenure up` with its server and watcher, the database (PostgreSQL is started for it), HTTP clients,
and the clock: a week of the business takes `--week` seconds, so windows, delays and rows are as many as in a year. The
business is `named_business("year")`; the driver does what a world does and what goes wrong, and nothing else. At the
end the ledger and the log are held against what the clients were told and what was planted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import polars as pl
from loss import Postgres
from sqlalchemy import select

from tenure.core.lifecycle import Action
from tenure.engine.acts import ACTION_EVENT, BEGUN_EVENT
from tenure.engine.prospects import PROSPECT_EVENT
from tenure.engine.recall import records_of
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ladder import LADDER_EVENT
from tenure.state.registry import MOVED_EVENT
from tenure.state.tables import OUTCOMES, PREDICTIONS
from tenure.testing.businesses import Batch, Business
from tenure.testing.named import named_business, project_text

WEEK: Final = timedelta(weeks=1)
ASKED_AT_ONCE: Final = 20
CLIENTS: Final = 4
POISONED: Final = datetime(2025, 6, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scale:
    """Business time and real time: a week takes `seconds` from `begin` (real) on, which stands for `opening`."""

    opening: datetime
    begin: datetime
    seconds: float

    def real(self, moment: datetime) -> datetime:
        """Return when a moment of the business takes place."""
        return self.begin + (moment - self.opening) / WEEK * timedelta(seconds=self.seconds)

    def of_micros(self, micros: np.ndarray) -> np.ndarray:
        """Return microseconds of the business as microseconds of real time."""
        opening, begin = (int(at.timestamp() * 1e6) for at in (self.opening, self.begin))
        return begin + ((micros - opening) * (self.seconds / WEEK.total_seconds())).astype(np.int64)


@dataclass
class Told:
    """What clients were told: the id and version of each answered row, by the row's key, and what was refused."""

    ids: dict[str, str] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """Asks for answers and tells outcomes as an application does: what fails is tried again."""

    def __init__(self, address: Callable[[], str], told: Told) -> None:
        self._address = address
        self._told = told

    def predict(self, rows: list[dict[str, Any]], keys: list[str]) -> None:
        """Ask for some rows until they are answered; the answer's ids are kept."""
        answer = self._until_done("/predict", {"rows": rows})
        with self._told.lock:
            for key, said in zip(keys, answer["predictions"], strict=True):
                self._told.ids[key] = said["id"]
                self._told.versions[said["version"]] += 1

    def outcomes(self, records: list[dict[str, Any]]) -> None:
        """Tell outcomes until they are taken."""
        self._until_done("/outcomes", {"outcomes": records})

    def _until_done(self, route: str, body: dict[str, Any]) -> Any:
        sent = json.dumps(body, default=str).encode()
        while True:
            try:
                place = urlsplit(self._address())
                connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
                connection.request("POST", route, sent, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                read = answer.read()
                connection.close()
                if answer.status == 200:
                    return json.loads(read)
                if answer.status != 503:
                    raise RuntimeError(f"{route}: {answer.status} {read[:500]!r}")
            except (OSError, http.client.HTTPException):
                pass
            with self._told.lock:
                self._told.again += 1
            time.sleep(0.2)


class Up:
    """`tenure up` as a process, and its children by what they do."""

    def __init__(self, folder: Path, port: int) -> None:
        self.log = folder / "up.log"
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenure", "up", "--port", str(port)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def child(self, command: str) -> int | None:
        """Return the process that runs `tenure COMMAND`, or None while none does."""
        for pid in _children(self.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue
            if command.encode() in words:
                return pid
        return None

    def kill(self, command: str) -> str:
        """Kill a child and all that it started, at once."""
        pid = self.child(command)
        if pid is None:
            return f"no {command} to kill"
        family = [pid, *_family(pid)]
        for one in family:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return f"killed {command}: {len(family)} processes"

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def _children(pid: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _family(pid: int) -> list[int]:
    below = _children(pid)
    return below + [deeper for child in below for deeper in _family(child)]


# ---- the year ----


def main() -> int:
    """Live through the year, print what was done and why, and return 1 where something was lost or done twice."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--week", type=float, default=15.0, help="seconds that a week takes")
    options.add_argument("--rows", type=int, default=400, help="rows a week")
    options.add_argument("--weeks", type=int, default=52)
    options.add_argument("--state", choices=("sqlite", "postgresql"), default="postgresql")
    options.add_argument("--port", type=int, default=8479)
    options.add_argument("--keep", type=Path, help="where the project is made; left out: a temporary folder")
    asked = options.parse_args()
    with ExitStack() as stack:
        place = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = None if asked.state == "sqlite" else stack.enter_context(Postgres())
        business = named_business("year", weekly_rows=asked.rows)
        folder, scale = _project(place, business, asked.week, None if database is None else database.url)
        up = Up(folder, asked.port)
        told = Told()
        hurts = _hurts(up, folder, database, scale)
        try:
            _live(business, scale, Client(lambda: up.url, told), hurts, asked.weeks)
            time.sleep(3 * asked.week)  # the last outcomes are looked at
        finally:
            code = up.stop()
        print(f"tenure up ended with {code}; {told.again} requests had to be sent again", flush=True)
        with open_workspace(folder) as workspace:
            return _tally(workspace, scale, told)


def _project(place: Path, business: Business, seconds: float, url: str | None) -> tuple[Path, Scale]:
    """Make the project of the business, its past moved to just before now, and train the first model."""
    folder = place / "year"
    folder.mkdir(parents=True)
    width = timedelta(seconds=seconds)
    training = timedelta(seconds=60)
    whole = (datetime.now(UTC) + training - datetime(1970, 1, 5, tzinfo=UTC)) // width + 1
    scale = Scale(business.opening, datetime(1970, 1, 5, tzinfo=UTC) + whole * width, seconds)
    history = business.history()
    moved = scale.of_micros(history["seen_at"].dt.timestamp("us").to_numpy())
    history.with_columns(pl.Series("seen_at", moved).cast(pl.Datetime("us"))).write_parquet(folder / "history.parquet")
    text = project_text(business, window=f"{seconds:g}s")
    text = re.sub(r'outcome_delay = "[^"]*"', f'outcome_delay = "{seconds:g}s"', text)
    text = text.replace("[operations]\n", '[operations]\ncheck_every = "1s"\nsource_every = "10s"\n')
    text += "[promotion]\nshadow_rows = 200\ncanary_shares = [0.25]\ncanary_rows = 60\n"
    text += "" if url is None else f'[state]\nurl = "{url}"\n'
    (folder / "tenure.toml").write_text(text)
    subprocess.run([sys.executable, "-m", "tenure", "run", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wait = (scale.begin - datetime.now(UTC)).total_seconds()
    print(f"v1 was trained {wait:.0f} s before the opening", flush=True)
    return folder, scale


Hurts = dict[int, Callable[[], str]]


def _hurts(up: Up, folder: Path, database: Postgres | None, scale: Scale) -> Hurts:
    """Return what goes wrong, by the number of the week in whose middle it does."""

    def outage() -> str:
        if database is None:
            return "no database to stop"
        database.stop()
        time.sleep(scale.seconds)
        database.start()
        return "the database was down for a week"

    def bad_release() -> str:
        words = ["rollback", "--to", "v1", "--reason", "a bad release, forced through"]
        done = subprocess.run([sys.executable, "-m", "tenure", *words], cwd=folder, capture_output=True, text=True)
        return f"v1 was put in office by force (exit code {done.returncode})"

    return {
        6: lambda: up.kill("watch"),
        11: lambda: up.kill("watch"),
        14: lambda: up.kill("serve"),
        19: outage,
        30: lambda: f"{up.kill('serve')}; {up.kill('watch')}",
        48: bad_release,
    }


def _live(business: Business, scale: Scale, client: Client, hurts: Hurts, weeks: int) -> None:
    """Send each row when its time comes and tell each outcome when it is known, by several clients at once."""
    threads = []
    for week, batch in enumerate(business.windows()):
        if week == weeks:
            break
        threads += [_thread(_rows, batch, scale, client, part) for part in range(CLIENTS)]
        threads.append(_thread(_outcomes, batch, scale, client))
        if week in hurts:
            threads.append(_thread(_hurt, week, hurts[week], scale.real(batch.start + WEEK / 2)))
        _sleep_until(scale.real(batch.end))
        print(f"week {week} of {batch.start:%Y-%m-%d} is over", flush=True)
    _sleep_until(scale.real(business.opening + (weeks + 1) * WEEK))
    for thread in threads:
        thread.join(timeout=120)


def _thread(do: Callable[..., None], *what: Any) -> threading.Thread:
    thread = threading.Thread(target=do, args=what, daemon=True)
    thread.start()
    return thread


def _hurt(week: int, hurt: Callable[[], str], at: datetime) -> None:
    _sleep_until(at)
    print(f"week {week}: {hurt()}", flush=True)


def _rows(batch: Batch, scale: Scale, client: Client, part: int) -> None:
    seen, rows = scale.of_micros(batch.seen), batch.rows()
    for begin in range(part * ASKED_AT_ONCE, len(rows), CLIENTS * ASKED_AT_ONCE):
        some = range(begin, min(begin + ASKED_AT_ONCE, len(rows)))
        _sleep_until(datetime.fromtimestamp(seen[some[-1]] / 1e6, UTC))
        asked = [rows[at] | {"seen_at": _iso(int(seen[at]))} for at in some]
        client.predict(asked, [batch.keys[at] for at in some])


def _outcomes(batch: Batch, scale: Scale, client: Client) -> None:
    """Tell the outcomes of a week as they get known: by key, in order."""
    ever = batch.known < np.iinfo(np.int64).max
    order = np.flatnonzero(ever)[np.argsort(batch.known[ever], kind="stable")]
    known = scale.of_micros(batch.known[order])
    records = batch.outcomes().records()
    by_key = {record.key: record for record in records}
    for begin in range(0, len(order), 50):
        some = order[begin : begin + 50]
        _sleep_until(datetime.fromtimestamp(known[min(begin + 49, len(known) - 1)] / 1e6, UTC))
        client.outcomes([{"key": batch.keys[at], "outcome": by_key[batch.keys[at]].value} for at in some])


def _sleep_until(moment: datetime) -> None:
    left = (moment - datetime.now(UTC)).total_seconds()
    if left > 0:
        time.sleep(left)


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).replace(tzinfo=None).isoformat()


# ---- the tally ----


def _tally(workspace: Workspace, scale: Scale, told: Told) -> int:
    """Print what was done and why, and hold the records against what was told and planted."""
    print("\nWhat was done, and why (week of the business):")
    for at, says in _story(workspace, scale):
        print(f"  week {at:5.1f}  {says}")
    faults = [*_lost(workspace, told), *_twice(workspace), *_poisoned(workspace, scale)]
    workspace.ledger.verify()
    print(f"\n{len(told.ids):,} rows were answered, by {dict(sorted(told.versions.items()))}")
    print("the ledger's chain is whole")
    print("\n".join(faults) or "nothing is lost, nothing was done twice, nothing was learned from the poisoned week")
    return 1 if faults else 0


def _story(workspace: Workspace, scale: Scale) -> Iterator[tuple[float, str]]:
    kinds = (ACTION_EVENT, BEGUN_EVENT, PROSPECT_EVENT, LADDER_EVENT, MOVED_EVENT, "health", "excluded", "readmitted")
    for event in workspace.ledger.events():
        if event.kind in kinds and not (event.kind == ACTION_EVENT and event.data["verb"] == "keep"):
            at = (datetime.fromisoformat(event.at) - scale.begin).total_seconds() / scale.seconds
            yield at, f"{event.kind}: {event.reason[:240]}"


def _lost(workspace: Workspace, told: Told) -> Iterator[str]:
    workspace.traffic.catch_up()
    with workspace.database.read() as connection:
        kept = Counter(connection.execute(select(PREDICTIONS.c.id)).scalars())
        joined = set(connection.execute(select(OUTCOMES.c.joined_id)).scalars())
    missing = [ident for ident in told.ids.values() if ident not in kept]
    twice = [ident for ident, count in kept.items() if count > 1]
    print(f"{sum(kept.values()):,} predictions and {len(joined):,} with outcomes are in the log")
    if missing:
        yield f"LOST: {len(missing)} answered predictions are not in the log"
    if twice:
        yield f"TWICE: {len(twice)} predictions stand twice"


def _twice(workspace: Workspace) -> Iterator[str]:
    """Yield acts that were done more than once for one cause, or begun and never ended."""
    done = [e.data["begun"] for e in workspace.ledger.events(kind=ACTION_EVENT) if e.data.get("begun") is not None]
    begun = workspace.ledger.events(kind=BEGUN_EVENT)
    if len(set(done)) != len(done):
        yield "TWICE: an act was noted as done twice"
    if {event.seq for event in begun} - set(done):
        yield f"UNFINISHED: {len({event.seq for event in begun} - set(done))} acts were begun and not ended"
    causes = Counter()
    for event in begun:
        action = workspace.context.artifacts.get_record(Action, event.output or "")
        assert action.cause is not None
        evidence = action.cause.measurement.evidence
        causes[(action.verb, action.cause.check, evidence.get("version"), evidence.get("since"))] += 1
    print(f"{len(begun)} acts: {dict(Counter(event.data['verb'] for event in begun))}")
    yield from (f"TWICE: {count} acts for {cause}" for cause, count in causes.items() if count > 1)


def _poisoned(workspace: Workspace, scale: Scale) -> Iterator[str]:
    """Yield the runs that learned from a row of the poisoned week."""
    begin, end = scale.real(POISONED).replace(tzinfo=None), scale.real(POISONED + WEEK).replace(tzinfo=None)
    learned = 0
    for run in workspace.ledger.runs():
        quality = records_of(workspace, run.id).get("quality")
        if quality is None:
            continue
        clean = workspace.context.artifacts.get_table(quality.clean)  # type: ignore[attr-defined]
        inside = clean.filter(pl.col("seen_at").is_between(begin, end, closed="left")).height
        after = clean.filter(pl.col("seen_at") >= end).height
        learned += after > 0
        if inside:
            yield f"POISONED: run {run.id} learned {inside} rows of the poisoned week"
    print(f"{learned} runs learned from rows after the poisoned week")


if __name__ == "__main__":
    sys.exit(main())
