"""Text files read in blocks: whether one can be read from any place, and unpacked where it is packed."""

from __future__ import annotations

import codecs
import gzip
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tenure.ingest.files import unreadable

BLOCK: Final = 1 << 23
_GZIP: Final = b"\x1f\x8b"


def blocks_of(path: Path, begin: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file from `begin` on, 8 MB at a time.

    Raises:
        UnreadableDataError: the file may not be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(begin)
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise unreadable(path, error) from error


def bytes_at(path: Path, start: int, size: int) -> bytes:
    """Return `size` bytes of a file from `start` on.

    Raises:
        UnreadableDataError: the file may not be read, or ends before.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(size)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) != size:
        raise unreadable(path, EOFError(f"it ends at byte {start + len(content):,}, before its last row"))
    return content


def plain_start(path: Path) -> int | None:
    """Return where the text begins, after its mark; None where it is not UTF-8 with line feeds in every place."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start, line_feeds = 0, False
    for number, block in enumerate(blocks_of(path)):
        if number == 0 and block.startswith(codecs.BOM_UTF8):
            start = len(codecs.BOM_UTF8)
        if b"\0" in block or block.startswith((b"PAR1", b"PK\x03\x04")):
            return None
        line_feeds = line_feeds or b"\n" in block
        try:
            if not block.isascii() or decoder.getstate()[0]:
                decoder.decode(block)
        except UnicodeDecodeError:
            return None
    return start if line_feeds and not decoder.getstate()[0] else None


def unpacked(path: Path, folder: Path) -> Path:
    """Return the path of the file, or of its unpacked copy in `folder` where it is packed with gzip.

    Raises:
        UnreadableDataError: its packing is damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_GZIP)) != _GZIP:
                return path
        copy = folder / path.name.removesuffix(".gz")
        if copy.exists():
            return copy
        folder.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f"{copy.name}.tmp")
        with gzip.open(path, "rb") as packed, temporary.open("wb") as file:
            shutil.copyfileobj(packed, file, BLOCK)
        return temporary.replace(copy)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise unreadable(path, error) from error
