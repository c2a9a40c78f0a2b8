"""Group commit: requests that are answered at the same time share one sync of the journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Literal

from tenure.state.journal import Journal

_LOG: Final = logging.getLogger("tenure.serving")
_LAZY_SECONDS: Final = 0.05
_LAZY_BYTES: Final = 4 << 20
_AGAIN_SECONDS: Final = 1.0


class GroupCommit:
    """Keeps lines in the journal for the requests of one event loop.

    `durable`: `keep` returns when the lines are on the disk. `written`: when the system has them, which a killed
    process does not undo; the disk follows within 0.05 s. `async`: at once, and they are written within 0.05 s (or
    4 MiB).
    """

    def __init__(self, journal: Journal, mode: Literal["durable", "written", "async"]) -> None:
        self._journal = journal
        self._mode = mode
        self._waits = mode != "async"
        self._lines: list[bytes] = []
        self._bytes = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._scheduled = False
        self._is_due = False
        self._is_syncing = False
        self._trouble: Exception | None = None

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Write lines to the journal, together with those of other requests that are ready now.

        Raises:
            DiskFullError, FolderReadOnlyError, OSError: they were not kept; or, where they follow later, those of
                others before could not be written, so that there is no room for these.
        """
        loop = asyncio.get_running_loop()
        if not self._waits and self._trouble is not None:
            raise self._trouble
        self.later(lines)
        if self._waits:
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
        if not self._waits and self._bytes > _LAZY_BYTES:
            self._flush()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_LAZY_SECONDS, self._flush_lazily)

    def flush(self) -> None:
        """Write what waits; errors as in `keep`."""
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._journal.append(lines, sync=self._mode == "durable")
            if self._mode != "durable" and not self._is_syncing:
                self._is_syncing = True
                asyncio.get_running_loop().call_later(_LAZY_SECONDS, self._sync_beside)

    def _sync_beside(self) -> None:
        """Bring what was written to the disk, in a thread, so that no request waits for it."""
        self._is_syncing = False
        asyncio.get_running_loop().run_in_executor(None, self._sync)

    def _sync(self) -> None:
        try:
            self._journal.sync()
        except OSError as error:
            _LOG.error("The disk refuses the journal: %s", error)

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
            if not self._waits:  # these were answered: they are tried again, and nothing more is taken on
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
