"""Stop a process that runs on and on when SIGTERM or Ctrl-C says so, and never in the middle of a write."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from tenure.core.ports import Log

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Work was told to stop. No error: nothing that mends errors may hold it up."""


class Stop:
    """Hears the signals as long as its block runs. A second one ends the program at once, which is safe too."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def is_asked(self) -> bool:
        """Say whether a signal came."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        self._asked.wait(seconds)

    def heeded(self, log: Log) -> Log:
        """Return a log whose every note and progress is a place to stop at: between two things, not within one."""
        return _Heeding(log, self)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.is_asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._asked.set()


class _Heeding:
    """A log that stops its writer once that is asked; in the main thread only, which alone may be stopped so."""

    def __init__(self, log: Log, stop: Stop) -> None:
        self._log, self._stop = log, stop

    def note(self, text: str) -> None:
        self._log.note(text)
        self._heed()

    def progress(self, share: float, text: str = "") -> None:
        self._log.progress(share, text)
        self._heed()

    def _heed(self) -> None:
        if self._stop.is_asked and threading.current_thread() is threading.main_thread():
            raise Stopped
