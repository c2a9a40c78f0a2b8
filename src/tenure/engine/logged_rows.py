"""What of the log may be learned from: outcomes that can be taken as final, outside of excluded times.

A row whose outcome came early is no fair sample of its day (what is quick to come true is seldom typical), so a row
enters only when it is old enough that the outcomes of its whole cohort are known: `data.outcome_delay`, or else what
monitoring learned from the log (`monitoring.maturity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import numpy as np
import polars as pl

from tenure.core.health import HealthReport, WindowHealth
from tenure.core.project import MonitoringSection
from tenure.core.records import digest_of
from tenure.engine.workspace import Workspace
from tenure.ingest.logged import Logged
from tenure.ingest.stage import source_fingerprint
from tenure.monitoring.maturity import LEAST_MATURED, DelayCurve, delay_curve, final_age, log_end
from tenure.monitoring.windows import first_event, window_numbers, window_start
from tenure.state.exclusions import Exclusion, Exclusions, Period
from tenure.state.ripe import count_ripe, read_ripe, timings
from tenure.state.times import iso

_LEAST_ROWS: Final = 20
"""Of a window, to say that its outcomes were lost."""
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pin:
    """Which rows of the log a walk learns from, so that it sees the same ones whenever it goes on.

    Outcomes count that were known at `as_of`, of rows about times up to `until` (None: no row is ripe), but not in the
    stretches `excluded`, nor in those whose outcomes were `lost`. `rows` counts them, `latest` is when the last of
    their outcomes got known, and `told` the number of the one that was told last: corrected outcomes raise it. `age`
    (seconds) is how old a row is when the outcomes of its whole cohort are known.
    """

    as_of: datetime
    until: datetime | None = None
    rows: int = 0
    latest: datetime | None = None
    lost: tuple[Period, ...] = ()
    excluded: tuple[Period, ...] = ()
    told: int | None = None
    age: float = 0.0

    @property
    def digest(self) -> str | None:
        """Return the identity of the rows, None where the log adds nothing and nothing is excluded."""
        if self.rows == 0 and not self.excluded:
            return None
        plain = self.to_dict()
        names = ("rows", "latest", "told", "lost", "excluded") if self.rows else ("excluded",)
        return digest_of({name: plain[name] for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "as_of": self.as_of.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "rows": self.rows,
            "latest": None if self.latest is None else self.latest.isoformat(),
            "lost": [list(period.texts) for period in self.lost],
            "excluded": [list(period.texts) for period in self.excluded],
            "told": self.told,
            "age": self.age,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        return cls(
            as_of=datetime.fromisoformat(data["as_of"]),
            until=None if data["until"] is None else datetime.fromisoformat(data["until"]),
            rows=data["rows"],
            latest=None if data["latest"] is None else datetime.fromisoformat(data["latest"]),
            lost=_periods(data["lost"]),
            excluded=_periods(data["excluded"]),
            told=data.get("told"),
            age=data.get("age", 0.0),
        )


def pinned(workspace: Workspace, as_of: datetime | None = None) -> Pin:
    """Return which rows of the log may be learned from, going by the outcomes known at `as_of` (left out: now)."""
    now = (workspace.context.clock() if as_of is None else as_of).astimezone(UTC)
    excluded = excluded_periods(workspace)
    if not workspace.project.operations.learn_from_log:
        return Pin(now, excluded=excluded)
    monitoring, delay = workspace.project.monitoring, workspace.project.data.outcome_delay
    since = first_event(workspace.traffic, monitoring)
    with workspace.database.read() as connection:
        known = timings(connection, as_of=now, since=since)
    curve = delay_curve(known["event_at"], known["known_at"], log_end(known["event_at"], known["known_at"], now))
    age = final_age(curve, outcome_delay=delay)
    if known.is_empty() or age is None:
        return Pin(now, excluded=excluded)
    # The owner's word on how long outcomes take is about the clock, what was learned about the log.
    present = now if delay > 0 else datetime.fromtimestamp(curve.until, UTC)
    until = min(present - timedelta(seconds=age), _before_open_window(monitoring, now))
    lost = () if delay > 0 else tuple(_lost(known, monitoring, curve, until))
    with workspace.database.read() as connection:
        rows, latest_us, told = count_ripe(connection, as_of=now, until=until, without=(*excluded, *lost))
    latest = None if latest_us is None else datetime.fromisoformat(iso(latest_us))
    return Pin(now, until, rows, latest, lost, excluded, told, age)


def _before_open_window(monitoring: MonitoringSection, now: datetime) -> datetime:
    """Return the end of the last full window: nothing is learned from rows that monitoring has not looked at."""
    if monitoring.window_seconds is None:
        return now
    (number,) = window_numbers(pl.Series([now]), monitoring)
    return window_start(int(number), monitoring) - _MOMENT


def _lost(known: pl.DataFrame, monitoring: MonitoringSection, curve: DelayCurve, until: datetime) -> Iterator[Period]:
    """Yield the stretches of old enough rows of which far fewer outcomes came than usually come in the end."""
    old = known.filter(pl.col("event_at") <= until)
    size = monitoring.window_rows
    number = np.arange(old.height) // size if size is not None else window_numbers(old["event_at"], monitoring)
    windows = old.group_by(pl.Series("number", number), maintain_order=True).agg(
        pl.col("event_at").min().alias("begin"),
        pl.col("event_at").max().alias("last"),
        pl.col("known_at").is_not_null().mean().alias("share"),
        pl.len().alias("rows"),
    )
    bad = (pl.col("rows") >= _LEAST_ROWS) & (pl.col("share") < LEAST_MATURED * curve.ceiling)
    for begin, last in windows.filter(bad).select("begin", "last").iter_rows():
        yield Period(begin, last + _MOMENT)


def excluded_periods(workspace: Workspace) -> tuple[Period, ...]:
    """Return the stretches of time that nothing may be learned from, in order of time."""
    active = Exclusions(workspace.database, workspace.ledger).active()
    return tuple(sorted({one.period for one in active}))


def logged(workspace: Workspace, pin: Pin, *, most: int | None = None) -> Logged:
    """Return what the ingest room takes besides the source; the log is read only when that is asked for.

    `most` newest rows of the log are read where given.
    """

    def read() -> pl.DataFrame:
        workspace.traffic.catch_up()
        until, without = pin.until or datetime.min.replace(tzinfo=UTC), (*pin.excluded, *pin.lost)
        with workspace.database.read() as connection:
            return read_ripe(connection, as_of=pin.as_of, until=until, without=without, most=most)

    return Logged(read, pin.excluded)


def rows_fingerprint(workspace: Workspace, pin: Pin | None = None) -> str | None:
    """Return what changes when the rows to learn from do, those of the source or of the log; None if nobody can tell.

    It is the source's own while the log adds nothing and nothing is excluded. `pin` left out: as it stands now.

    Raises:
        SourceMissingError, ConfigError: the source is not there, or nothing reads such a source.
    """
    return with_log(source_fingerprint(workspace.context), pinned(workspace) if pin is None else pin)


def with_log(source: str | None, pin: Pin) -> str | None:
    """Return the fingerprint of a source and the log together."""
    return source if source is None or pin.digest is None else digest_of([source, pin.digest])


def note_faulty_windows(workspace: Workspace, health: HealthReport) -> tuple[Exclusion, ...]:
    """Exclude the windows in which the feed was at fault, and take back those found clean since; return what changed.

    A window that was excluded before stays as it is. A person who takes such an exclusion back has said that its
    faults are how things are now: later windows with no other faults are not excluded.
    """
    exclusions = Exclusions(workspace.database, workspace.ledger)
    every = exclusions.all()
    own = [one for one in every if one.by == "watch"]
    by_rows = workspace.project.monitoring.window_rows is not None
    changed = []
    for window in health.windows:
        period = _period_of(window, by_rows=by_rows)
        here = [one for one in every if one.period.begin == period.begin and one.undone is None]
        if not window.faults:
            # A window that was not looked at is not known to be clean.
            clean = [one for one in here if one.by == "watch"] if window.drift is not None else []
            reason = f"Looked at again, the window from {window.start} keeps every rule."
            changed += [exclusions.undo(one.number, reason=reason, actor="tenure", by="watch") for one in clean]
        elif not here and not set(window.faults) <= _accepted(own, period):
            cause = f"In the window from {window.start} the feed was at fault: {', '.join(window.faults)}."
            changed.append(exclusions.add(period, cause=cause, actor="tenure", by="watch", faults=window.faults))
    return tuple(changed)


def _period_of(window: WindowHealth, *, by_rows: bool) -> Period:
    """Return the stretch of a window: one of rows ends with its last row, one of time where the next begins."""
    end = datetime.fromisoformat(window.end) + (_MOMENT if by_rows else timedelta())
    return Period.between(datetime.fromisoformat(window.start), end)


def _accepted(own: list[Exclusion], period: Period) -> set[str]:
    """Return the faults that a person accepted in this window or an earlier one."""
    taken = [one for one in own if one.undone_by == "person" and one.period.begin <= period.begin]
    return {fault for one in taken for fault in one.faults}


def _periods(texts: list[list[str]]) -> tuple[Period, ...]:
    return tuple(Period(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in texts)
