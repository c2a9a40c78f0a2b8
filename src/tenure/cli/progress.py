"""Show long work: a bar on a terminal, plain lines elsewhere. Always on stderr, so that stdout stays for answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tenure.core.ports import Log, Silent


class Lines:
    """A log that writes each note as a line to stderr and leaves progress out."""

    def note(self, text: str) -> None:
        """Write a line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def progress(self, share: float, text: str = "") -> None:
        """Say nothing: lines come from notes."""


class Bar:
    """A log that keeps one bar at the bottom of a terminal and writes notes above it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._job = bar.add_task("starting", total=1.0)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def progress(self, share: float, text: str = "") -> None:
        """Move the bar."""
        self._bar.update(self._job, completed=share, description=text[:70])


@contextmanager
def told(*, quiet: bool) -> Iterator[Log]:
    """Give a log that fits where the command runs."""
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield Bar(bar)
