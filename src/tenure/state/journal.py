"""The journal: what a serving process has answered, on disk before the answer leaves, one line each.

A process writes segments of its own and never reads them; one that keeps the tables reads all segments and removes
what it has taken in. Every line carries its CRC-32, so that a line cut short by a crash (which nobody was answered
for) is told from a whole one.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from zlib import crc32

import orjson

from tenure.core.errors import TenureError
from tenure.core.files import writing
from tenure.state.host import host_name, locked

SEGMENT_BYTES: Final = 16 << 20
_AHEAD: Final = 1 << 20
"""Bytes written as zeros ahead of the lines: a sync is a third cheaper where the file does not grow."""
_BATCH: Final = 2_000
_END: Final = ".journal"
_TAKEN: Final = ".taken"
_DAMAGED: Final = ".damaged"
_REFUSED: Final = "refused.lines"
_TURN: Final = "turn.lock"


def line_of(row: dict[str, Any]) -> bytes:
    """Return one row as a line with its checksum."""
    body = orjson.dumps(row)
    return b"%08x %b\n" % (crc32(body), body)


class Journal:
    """Writes lines to segments in `folder`. Not for several threads at once.

    A segment is locked while it is written, so that others can tell it from one whose process has ended.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._most = segment_bytes
        self._owner = f"{_here()}~{os.getpid()}~{time.time_ns()}"
        self._number = 0
        self._path: Path | None = None
        self._file = -1
        self._at = 0
        self._allocated = 0

    def append(self, lines: Sequence[bytes], *, sync: bool = True) -> None:
        """Write lines and return once they are on the disk: a killed process or a lost supply does not undo them.

        Without `sync`, once the system has them: a killed process does not undo them, a lost supply may.

        Raises:
            DiskFullError, FolderReadOnlyError, OSError: nothing of these lines was kept.
        """
        content = b"".join(lines)
        with writing(self._folder):
            if self._file < 0 or self._at > self._most:
                self._open_next()
            try:
                self._reserve(len(content))
                _write_at(self._file, content, self._at)
                if sync:
                    _sync(self._file)
            except OSError:
                # What a failed sync left on the disk is unknown: cut it off, and never write to this file again.
                self._close_segment()
                raise
        self._at += len(content)

    def sync(self) -> None:
        """Bring what the system has to the disk; may be called from another thread.

        Raises:
            OSError: the disk refused it.
        """
        if self._file >= 0:
            copy = os.dup(self._file)  # the segment may be closed meanwhile
            try:
                _sync(copy)
            finally:
                os.close(copy)

    def close(self) -> None:
        """End the last segment; what was written stays until it is taken in."""
        self._close_segment()

    def backlog(self) -> int:
        """Return how many bytes of this process's lines nobody has taken in yet."""
        total = 0
        for segment in segments(self._folder):
            if segment.path == self._path:
                total += max(self._at - segment.taken(), 0)
            elif segment.owner == self._owner:
                total += segment.left()
        return total

    def _open_next(self) -> None:
        self._close_segment()
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = self._folder / f"{time.time_ns():020d}~{self._owner}~{self._number}{_END}"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._number += 1
            locked(handle)
            if os.fstat(handle).st_nlink:
                break
            os.close(handle)  # taken for one whose process has ended, just before it was locked
        self._path, self._file = path, handle
        self._at = self._allocated = 0
        _sync_folder(self._folder)

    def _reserve(self, size: int) -> None:
        if self._at + size > self._allocated:
            more = max(_AHEAD, size)
            _write_at(self._file, bytes(more), self._allocated)
            self._allocated += more

    def _close_segment(self) -> None:
        if self._file < 0:
            return
        file, path, self._file, self._path = self._file, self._path, -1, None
        try:
            os.ftruncate(file, self._at)
            if not self._at and path is not None:
                path.unlink(missing_ok=True)
        finally:
            os.close(file)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal; `owner` is the process that writes it."""

    path: Path
    owner: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the owner out of the file's name."""
        return cls(path, path.name.split("~", 1)[1].rsplit("~", 1)[0])

    def taken(self) -> int:
        """Return how many bytes have been taken in, as far as that was written down."""
        try:
            return int(self._mark.read_text())
        except (FileNotFoundError, ValueError):  # none yet, or cut short: rows are taken in twice without harm
            return 0

    def read(self) -> tuple[int, bytes]:
        """Return from where on lines have not been taken in, and what stands there; nothing where the file is gone."""
        start = self.taken()
        try:
            with self.path.open("rb") as file:
                if start:
                    file.seek(start - 1)
                    start = start if file.read(1) == b"\n" else 0
                file.seek(start)
                return start, file.read()
        except FileNotFoundError:  # another process took it in and removed it
            return 0, b""

    def left(self) -> int:
        """Return about how many bytes wait, the room ahead counted too; 0 where the file is gone."""
        try:
            return max(self.path.stat().st_size - self.taken(), 0)
        except FileNotFoundError:
            return 0

    def mark(self, taken: int) -> None:
        """Write down how many bytes have been taken in."""
        beside = self._mark.with_suffix(".new")
        beside.write_text(str(taken))
        beside.replace(self._mark)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Say whether its process is done with it, and meanwhile keep others from removing it."""
        try:
            handle = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            yield False
            return
        try:
            yield locked(handle, wait=False)
        finally:
            os.close(handle)

    def remove(self) -> None:
        """Remove the file and its mark."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Keep a damaged file for people, out of the way, and return where it is now."""
        kept = self.path.with_suffix(_DAMAGED)
        self.path.replace(kept)
        self._mark.unlink(missing_ok=True)
        return kept

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(_TAKEN)


def _here() -> str:
    """Return the name of this machine as it may stand in a file's name."""
    return "".join(sign if sign.isalnum() or sign in "-." else "-" for sign in host_name())


def segments(folder: Path) -> list[Segment]:
    """Return the segments in a folder, oldest first; none where there is no folder."""
    return [Segment.of(path) for path in sorted(folder.glob(f"*~*~*~*~*{_END}"))]


class Drain:
    """Takes lines out of a folder of segments and gives them to `absorb`, at least once each, in batches.

    `absorb` must know a row again and must have kept the batch when it returns; what it raises is passed on, and its
    batch is given again next time. `warn` is told in words of files that are damaged.
    """

    def __init__(
        self, folder: Path, absorb: Callable[[list[dict[str, Any]]], object], warn: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._absorb = absorb
        self._warn = warn

    def run(self) -> int:
        """Take in every whole line there is and return how many there were; others wait for their turn meanwhile."""
        if not self._folder.is_dir():
            return 0
        turn = os.open(self._folder / _TURN, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            locked(turn)
            return sum(map(self._take, segments(self._folder)))
        finally:
            os.close(turn)

    def _take(self, segment: Segment) -> int:
        with segment.held() as is_over:
            start, content = segment.read()
            count = bad = 0
            for lines in _batches(content[: content.rfind(b"\n") + 1]):
                rows = [_row_of(line) for line in lines]
                is_torn = not is_over and None in rows  # its last pages are being written just now; next time, then
                if is_torn:
                    rows = rows[: rows.index(None)]
                    lines = lines[: len(rows)]
                whole = [row for row in rows if row is not None]
                self._give(whole)
                count += len(whole)
                bad += len(rows) - len(whole)
                start += sum(map(len, lines))
                if not is_over:
                    segment.mark(start)
                if is_torn:
                    break
            if is_over:
                self._finish(segment, count, bad)
            return count

    def _give(self, rows: list[dict[str, Any]]) -> None:
        """Give rows on; one that is refused for what it holds is kept aside, so that it holds up no other."""
        if not rows:
            return
        try:
            self._absorb(rows)
        except TenureError:
            raise
        except Exception as error:
            if len(rows) > 1:
                half = len(rows) // 2
                self._give(rows[:half])
                self._give(rows[half:])
                return
            kept = self._folder / _REFUSED
            with kept.open("ab") as file:
                file.write(line_of(rows[0]))
            self._warn(f"A prediction cannot be taken into the log ({type(error).__name__}); it is kept in {kept}.")

    def _finish(self, segment: Segment, count: int, bad: int) -> None:
        if not bad:
            segment.remove()
            return
        kept = segment.set_aside()
        self._warn(f"{bad} lines of the prediction journal are damaged, {count} were read; the file is kept: {kept}")

    def backlog(self) -> int:
        """Return about how many bytes wait to be taken in."""
        return sum(segment.left() for segment in segments(self._folder))


def _batches(content: bytes) -> Iterator[list[bytes]]:
    lines = io.BytesIO(content).readlines()
    for at in range(0, len(lines), _BATCH):
        yield lines[at : at + _BATCH]


def _row_of(line: bytes) -> dict[str, Any] | None:
    """Return the row of a whole line, None of a damaged one."""
    head, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if int(head, 16) != crc32(body):
            return None
    except ValueError:
        return None
    row: dict[str, Any] = orjson.loads(body)
    return row


def _write_at(file: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _sync(file: int) -> None:
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(file)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
