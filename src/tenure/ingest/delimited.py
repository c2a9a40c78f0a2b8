"""The form of delimited text: which delimiter and quote, where records end, whether they are all of one width."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import UnreadableDataError

_OPENING: Final = re.compile(rb"(?:[ \t]*\r?\n)*(?:sep=.\r?\n)?", re.IGNORECASE)  # blank lines, Excel's own first line
DELIMITERS: Final = (",", ";", "\t", "|")
_CHUNK: Final = 1 << 24
_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Form:
    """How the text is cut: delimiter, quote, the first record's cells and where the next one starts."""

    delimiter: str
    quote: str
    first: tuple[str, ...]
    rest: int


def find_form(content: bytes, *, where: str) -> Form:
    """Choose the delimiter that cuts the most lines into as many cells as the first line.

    `content` is UTF-8 with line feeds. Quotes are double unless every cell of the first line stands in single ones.
    """
    opening = _OPENING.match(content)
    start = opening.end() if opening else 0
    end_of_line = content.find(b"\n", start)
    line = content[start : end_of_line if end_of_line >= 0 else len(content)].decode().strip()
    single = len(line) > 1 and line[0] == line[-1] == "'" and '"' not in line
    quote = "'" if single else '"'
    sample = _sample(content, start, quote)
    delimiter = max(DELIMITERS, key=lambda mark: _agreement(sample, mark, quote))
    end = next(_record_ends(content, start, quote), len(content))
    record = content[start:end].decode().rstrip("\r")
    try:
        first = next(csv.reader([record], delimiter=delimiter, quotechar=quote), [])
    except csv.Error as error:
        raise UnreadableDataError(
            f"The first line cannot be cut into cells: {error}.", where=where, hint="Look at its quotes."
        ) from error
    return Form(delimiter, quote, tuple(first), min(end + 1, len(content)))


def _sample(content: bytes, start: int, quote: str) -> bytes:
    """Return some whole records from the start."""
    piece = content[start : start + _SAMPLE_BYTES]
    if len(piece) == len(content) - start:
        return piece
    ends = list(_record_ends(piece, 0, quote))
    return piece[: ends[-1] + 1] if ends else content[start:]


def _agreement(sample: bytes, delimiter: str, quote: str) -> tuple[float, int]:
    counts = np.concatenate([piece.delimiters for piece in _pieces(_blocks(sample), delimiter, quote)])[:_SAMPLE_LINES]
    counts = counts[counts >= 0]
    if counts.size == 0 or counts[0] == 0:
        return 0.0, 0
    return float(np.mean(counts == counts[0])), int(counts[0])


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some whole records: where their bytes start, how many bytes and how many records they are."""

    start: int
    size: int
    records: int


def plain_stretches(blocks: Iterable[bytes], form: Form, *, begin: int, every: int) -> list[Stretch] | None:
    """Return where each run of `every` records lies in a text that comes in blocks, the first record at `begin`.

    None where `plain_records` would be None.
    """
    found: list[Stretch] = []
    start, records, width, end = begin, 0, len(form.first), begin
    for piece in _pieces(blocks, form.delimiter, form.quote):
        if _is_odd(piece, width):
            return None
        for at in range(every - records - 1, piece.ends.size, every):
            stop = end + int(piece.ends[at]) + 1
            found.append(Stretch(start, stop - start, every))
            start, records = stop, -(at + 1)
        records, end = records + piece.delimiters.size, end + piece.length
    return [*found, Stretch(start, end - start, records)] if records else found


def plain_records(content: bytes, form: Form) -> int | None:
    """Return the number of records after the first one where all are as wide as it and quotes stand round whole cells.

    None where that is not so; then only reading cell by cell tells what is there.
    """
    seen, width = 0, len(form.first)
    for piece in _pieces(_blocks(content, form.rest), form.delimiter, form.quote):
        if _is_odd(piece, width):
            return None
        seen += piece.delimiters.size
    return seen


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """How many delimiters outside quotes each record of a piece of text has (-1: blank line); any quote in a cell.

    `ends` are the positions of the line feeds that end a record, `length` the bytes of the piece. A last record without
    line feed is a piece of its own, of no bytes.
    """

    delimiters: NDArray[np.int64]
    stray_quote: bool
    ends: NDArray[np.int64]
    length: int


def _is_odd(piece: _Piece, width: int) -> bool:
    wrong = piece.delimiters != width - 1 if width > 1 else piece.delimiters > 0
    return bool(wrong.any()) or piece.stray_quote


def _blocks(content: bytes, begin: int = 0) -> Iterator[memoryview]:
    view = memoryview(content)
    return (view[start : start + _CHUNK] for start in range(begin, len(content), _CHUNK))


def _pieces(blocks: Iterable[bytes | memoryview], delimiter: str, quote: str) -> Iterator[_Piece]:
    inside, carried, length, before = False, 0, 0, ord("\n")
    opens_after = np.array([ord(delimiter), ord("\n"), ord(quote)], dtype=np.uint8)
    nothing = np.array([], dtype=np.int64)
    empty = True
    for block in blocks:
        empty = False
        piece = np.frombuffer(block, dtype=np.uint8)
        quotes = piece == ord(quote)
        quoted = np.logical_xor.accumulate(quotes) ^ inside
        opening = np.flatnonzero(quotes & quoted)
        previous = np.where(opening > 0, piece[opening - 1], before)
        ends = np.flatnonzero((piece == ord("\n")) & ~quoted)
        marks = np.flatnonzero((piece == ord(delimiter)) & ~quoted)
        below = np.searchsorted(marks, ends)
        counts = np.diff(below, prepend=0).astype(np.int64)
        widths = np.diff(ends, prepend=-1)
        if ends.size:
            counts[0] += carried
            widths[0] += length
            carried, length = int(marks.size - below[-1]), int(piece.size - 1 - ends[-1])
        else:
            carried, length = carried + int(marks.size), length + int(piece.size)
        counts[(widths == 1) | ((widths == 2) & (piece[np.maximum(ends - 1, 0)] == ord("\r")))] = -1
        inside, before = bool(quoted[-1]), int(piece[-1])
        yield _Piece(counts, not bool(np.isin(previous, opens_after).all()), ends, piece.size)
    if length:
        yield _Piece(np.array([carried], dtype=np.int64), inside, nothing, 0)
    elif empty:
        yield _Piece(nothing, False, nothing, 0)


def _record_ends(content: bytes, start: int, quote: str) -> Iterator[int]:
    """Yield the positions of line feeds that stand outside quotes."""
    inside, position = False, start
    while (end := content.find(b"\n", position)) >= 0:
        inside ^= content.count(quote.encode(), position, end) % 2 == 1
        if not inside:
            yield end
        position = end + 1
