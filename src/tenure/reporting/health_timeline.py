"""What happened when: runs of windows with one thing to say, read off the windows of a health report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from tenure.core.evidence import Verdict
from tenure.core.health import HealthReport, WindowHealth
from tenure.reporting.health_figures import clearly_below
from tenure.reporting.health_words import about
from tenure.reporting.words import listing, scored, sentence

_LEAST_MOVED = 2
"""A column must have moved in so many windows in a row to be an event: one in twenty does by chance alone."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was so from window `first` to window `last`; `open` where it is so in the newest window."""

    first: WindowHealth
    last: WindowHealth
    says: str
    verdict: Verdict
    open: bool


def events_of(report: HealthReport) -> tuple[Event, ...]:
    """Return what happened, newest first: alarms, faults, falls, moved columns, refused estimates, new versions."""
    windows = report.windows
    found = [*_alarms(windows), *_faults(windows), *_falls(report), *_moved(windows), *_refused(windows)]
    found += _new_versions(windows)
    return tuple(sorted(found, key=lambda event: (event.last.start, event.first.start), reverse=True))


def _runs(windows: Sequence[WindowHealth], holds: Iterable[bool]) -> Iterator[list[WindowHealth]]:
    """Yield the unbroken runs of windows for which `holds` (one flag a window) is true."""
    for is_so, pairs in groupby(zip(windows, holds, strict=True), key=itemgetter(1)):
        if is_so:
            yield [window for window, _ in pairs]


def _event(run: Sequence[WindowHealth], windows: Sequence[WindowHealth], says: str, verdict: Verdict) -> Event:
    return Event(run[0], run[-1], says, verdict, open=run[-1] is windows[-1])


def _alarms(windows: Sequence[WindowHealth]) -> Iterator[Event]:
    for run in _runs(windows, [w.drift is not None and w.drift >= 1 for w in windows]):
        columns = list(dict.fromkeys(name for window in run for name in window.drifted))[:4]
        what = f" Moved: {listing(columns)}." if columns else ""
        yield _event(run, windows, f"The drift alarm stood.{what}", Verdict.WARN)


def _faults(windows: Sequence[WindowHealth]) -> Iterator[Event]:
    for fault in dict.fromkeys(fault for window in windows for fault in window.faults):
        for run in _runs(windows, [fault in w.faults for w in windows]):
            yield _event(run, windows, f"The feed was broken ({fault}).", Verdict.FAIL)


def _falls(report: HealthReport) -> Iterator[Event]:
    below = [w.realised is not None and clearly_below(w.realised, report) for w in report.windows]
    for run in _runs(report.windows, below):
        last = [scored(w.realised) for w in run if w.realised is not None][-1]
        yield _event(run, report.windows, f"Clearly worse than promised, at last {last}.", Verdict.FAIL)


def _moved(windows: Sequence[WindowHealth]) -> Iterator[Event]:
    for name in dict.fromkeys(name for window in windows for name in window.drifted):
        for run in _runs(windows, [name in w.drifted for w in windows]):
            if len(run) >= _LEAST_MOVED:
                yield _event(run, windows, f"{about(name)} moved.", Verdict.PASS)


def _refused(windows: Sequence[WindowHealth]) -> Iterator[Event]:
    whys = [None if w.estimated is None else w.estimated.refused for w in windows]
    for why in dict.fromkeys(why for why in whys if why is not None):
        for run in _runs(windows, [reason == why for reason in whys]):
            yield _event(run, windows, sentence(f"No estimate was given: {why}"), Verdict.SKIPPED)


def _new_versions(windows: Sequence[WindowHealth]) -> Iterator[Event]:
    seen: set[int] = set(windows[0].versions) if windows else set()
    for window in windows:
        for version in window.versions:
            if version not in seen:
                seen.add(version)
                yield Event(window, window, f"v{version} began to answer.", Verdict.PASS, open=False)
