"""Group commit: requests that are answered at the same time share one sync of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from tenure.core.errors import TenureError
from tenure.state.journal import Journal

_LAZY_SECONDS: Final = 0.05
_LAZY_BYTES: Final = 4 << 20


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

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Write lines to the journal, together with those of other requests that are ready now.

        Raises:
            DiskFullError, FolderReadOnlyError: they were not kept.
        """
        loop = asyncio.get_running_loop()
        self.later(lines)
        if self._durable:
            done = loop.create_future()
            self._waiting.append(done)
            if not self._scheduled:
                self._scheduled = True
                # After everything that is ready in this turn of the loop: those requests share the sync.
                loop.call_soon(self._flush)
            await done
        elif self._bytes > _LAZY_BYTES:
            self._flush_or_raise()
        elif not self._scheduled:
            self._scheduled = True
            loop.call_later(_LAZY_SECONDS, self._flush)

    def later(self, lines: Sequence[bytes]) -> None:
        """Add lines that nobody waits for to what is written next."""
        self._lines += lines
        self._bytes += sum(map(len, lines))

    def flush(self) -> None:
        """Write what waits; errors as in `keep`."""
        self._flush_or_raise()

    def _flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, []
        try:
            self._flush_or_raise()
        except TenureError as error:
            for done in waiting:
                if not done.done():
                    done.set_exception(error)
            if not waiting:
                raise  # nobody was told: the loop's own handler logs it
            return
        for done in waiting:
            if not done.done():
                done.set_result(None)

    def _flush_or_raise(self) -> None:
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._journal.append(lines)
