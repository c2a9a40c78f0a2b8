"""Refuse text that no store can keep, before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tenure.core.errors import DataError

LONGEST_NAME: Final = 256


def check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Accept rows whose names and cells are Unicode text, or no text.

    Raises:
        DataError: half of a surrogate pair stands in one; it names row and column.
    """
    for position, row in enumerate(rows):
        for name, cell in row.items():
            if isinstance(name, str):
                _check(name, f"rows.{position}", nul=True)
            if isinstance(cell, str):
                _check(cell, f"rows.{position}.{name}", nul=True)


def check_name(text: str, where: str) -> None:
    """Accept an id or a key that every database can keep and find again.

    Raises:
        DataError: half of a surrogate pair, or a NUL, stands in it, or it is longer than an index takes.
    """
    check_text(text, where)
    if len(text) > LONGEST_NAME:
        raise DataError(
            f"A text of {len(text):,} characters is too long for an id or a key.",
            where=where,
            hint=f"Use at most {LONGEST_NAME}.",
        )


def check_text(text: str, where: str) -> None:
    """Accept a text that every database can keep.

    Raises:
        DataError: half of a surrogate pair, or a NUL, stands in it.
    """
    _check(text, where, nul=False)


def _check(text: str, where: str, *, nul: bool) -> None:
    if not nul and "\0" in text:
        raise DataError(f"{text!r} holds a NUL character.", where=where, hint="Leave the character out.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The text {text!r} is not valid Unicode: half of a surrogate pair stands alone.",
            where=where,
            hint="Send whole characters, as UTF-8.",
        ) from error
