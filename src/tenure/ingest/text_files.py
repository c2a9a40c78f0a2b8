"""From the bytes of a text file to UTF-8: which encoding it is in, and where that breaks."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from tenure.core.errors import UnreadableDataError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS: Final = (
    (b"PAR1", "a Parquet file", "Give it the ending .parquet."),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV."),
    (b"SQLite format 3\x00", "an SQLite database", "Name it as sqlite:///file.db and give a query."),
)
_PROBE: Final = 4_096


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a text file as UTF-8 bytes without mark; `note` says what had to be assumed."""

    content: bytes
    encoding: str
    note: str = ""


def as_utf8(content: bytes, *, where: str) -> Text:
    """Find the encoding: a byte order mark, UTF-16 by its zeros, UTF-8, else Windows-1252.

    Raises:
        UnreadableDataError: the bytes are not text, or some lines are UTF-8 and others are not.
    """
    _refuse_other_formats(content, where)
    encoding = _marked(content)
    if encoding is not None:
        return Text(_recoded(content, encoding, where), encoding)
    zero = content.find(b"\0")
    if zero >= 0:
        raise UnreadableDataError(
            f"The file is not text: a zero byte stands at byte {zero + 1}, in line {_line_of(content, zero)}.",
            where=where,
            hint="Save the table as CSV in UTF-8.",
        )
    if content.isascii():
        return Text(content, "utf-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return _windows(content, error.start, where)
    return Text(content, "utf-8")


def _refuse_other_formats(content: bytes, where: str) -> None:
    for magic, what, hint in _OTHER_FORMATS:
        if content.startswith(magic):
            raise UnreadableDataError(f"The file is {what}, not text.", where=where, hint=hint)


def _marked(content: bytes) -> str | None:
    """Return the encoding that a byte order mark or the pattern of zeros gives away."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    probe = content[:_PROBE]
    half = len(probe) // 2
    if half and probe[1::2].count(0) > 0.4 * half and probe[0::2].count(0) == 0:
        return "utf-16-le"
    if half and probe[0::2].count(0) > 0.4 * half and probe[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def _recoded(content: bytes, encoding: str, where: str) -> bytes:
    try:
        return content.decode(encoding).encode("utf-8")
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        raise UnreadableDataError(
            f"The file starts as {encoding.upper()} and stops being that at byte {start + 1}.",
            where=where,
            hint="It may be cut off or put together from several files; save it again as UTF-8.",
        ) from error


def _windows(content: bytes, start: int, where: str) -> Text:
    """Read as Windows-1252 what is not UTF-8, unless other lines are UTF-8: then no single encoding is right."""
    line = _line_of(content, start)
    for number, other in enumerate(content.split(b"\n"), start=1):
        if not other.isascii() and _is_utf8(other):
            raise UnreadableDataError(
                f"The file mixes two encodings: line {number} is UTF-8, line {line} is not (byte {start + 1}).",
                where=where,
                hint="Save the whole file in one encoding, best UTF-8.",
            )
    try:
        text, encoding = content.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, encoding = content.decode("latin-1"), "latin-1"
    note = f"is not UTF-8 (line {line}); it was read as {encoding}. If letters look wrong, save it as UTF-8"
    return Text(text.encode("utf-8"), encoding, note)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
