"""Group commit: requests that are answered at the same time share one sync of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from tenure.state.journal import Journal

_LAZY_SECONDS: Final = 0.05
_LAZY_BYTES: Final = 4 << 20
_AGAIN_SECONDS: Final = 1.0


class GroupCommit:
    """Keeps lines in the journal for the requests of one event loop.

    `durable`: `keep` returns when the lines are on the disk. Otherwise it returns at once and they follow within
    0.05 s (or 4 MiB), so that a killed process loses them.
    """

    def __init__(self, journal: Journal, *, durable: bool) -> None:
        self._journal = journal
        self._durable = durable
        self._lines: list[bytes] = []
        self._bytes = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._scheduled = False
        self._is_due = False
        self._trouble: Exception | None = None

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Write lines to the journal, together with those of other requests that are ready now.

        Raises:
            DiskFullError, FolderReadOnlyError, OSError: they were not kept; or, where they follow later, those of
                others before could not be written, so that there is no room for these.
        """
        loop = asyncio.get_running_loop()
        if not self._durable and self._trouble is not None:
            raise self._trouble
        self.later(lines)
        if self._durable:
            done = loop.create_future()
            self._waiting.append(done)
            if not self._scheduled:
                self._scheduled = True
                # After everything that is ready in this turn of the loop: those requests share the sync.
                loop.call_soon(self._flush)
            await done

    def later(self, lines: Sequence[bytes]) -> None:
        """Add lines that nobody waits for: they are written with the next ones, or within 0.05 s."""
        self._lines += lines
        self._bytes += sum(map(len, lines))
        if not self._durable and self._bytes > _LAZY_BYTES:
            self._flush()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_LAZY_SECONDS, self._flush_lazily)

    def flush(self) -> None:
        """Write what waits; errors as in `keep`."""
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._journal.append(lines)

    def _flush_lazily(self) -> None:
        self._is_due = False
        if self._lines and not self._scheduled:
            self._flush()

    def _flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, []
        lines = self._lines
        try:
            self.flush()
            self._trouble = None
        except Exception as error:  # whoever waits must hear of it, whatever it is
            self._trouble = error
            if not self._durable:  # these were answered: they are tried again, and nothing more is taken on
                self._lines, self._bytes = lines, sum(map(len, lines))
                if not self._is_due:
                    self._is_due = True
                    asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._flush_lazily)
            for done in waiting:
                if not done.done():
                    done.set_exception(error)
        for done in waiting:
            if not done.done():
                done.set_result(None)
