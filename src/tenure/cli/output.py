"""One way out for every command: people read lines, programs one JSON document, and the exit code says how it went."""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, ParamSpec

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from tenure.core.errors import TenureError
from tenure.core.files import as_known
from tenure.core.records import plain

SCHEMA_VERSION: Final = 1
OK, UNEXPECTED, REJECTED, ALARM, ROLLED_BACK, APPROVAL, INTERRUPTED = 0, 1, 4, 5, 6, 7, 130
P = ParamSpec("P")


@dataclass(slots=True)
class Reply:
    """What a command has to say.

    `result` is for programs, `shows` for people; `artifacts` names files that were written.
    """

    result: dict[str, Any]
    shows: list[RenderableType] = field(default_factory=list)
    exit_code: int = OK
    warnings: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)


def answers(command: Callable[P, Reply]) -> Callable[P, None]:
    """Turn a function that returns a `Reply` into a command that prints it and exits with its code."""
    name = command.__module__.rsplit(".", 1)[-1]

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json", False))
        try:
            reply = command(*args, **kwargs)
        except KeyboardInterrupt:
            _refuse(name, as_json, INTERRUPTED, _interrupted())
        except TenureError as error:
            _refuse(name, as_json, error.exit_code, error.as_dict())
        except OSError as error:
            known = _known_os_error(error)
            if known is None:
                _unexpected(name, as_json, error)
            else:
                _refuse(name, as_json, known.exit_code, known.as_dict())
        except Exception as error:  # the outermost door: say it, with the trace on stderr, and exit non-zero
            _unexpected(name, as_json, error)
        else:
            _print(name, as_json, reply)
            raise typer.Exit(reply.exit_code)

    return run


def table(*columns: str, rows: list[tuple[Any, ...]], title: str | None = None) -> Table:
    """Return a table for people; numbers are right-aligned by giving the column name a leading '>'."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def sentence(text: str) -> str:
    """Return `text` with one full stop at its end."""
    return f"{text.rstrip('. ')}."


def _console(stream: Any) -> Console:
    console = Console(file=stream, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 160
    return console


def _print(name: str, as_json: bool, reply: Reply) -> None:
    if as_json:
        _envelope(name, "ok" if reply.exit_code == OK else "attention", reply.exit_code, reply.result, reply)
        return
    console = _console(sys.stdout)
    for shown in reply.shows:
        if isinstance(shown, str):  # as it is: a terminal library would read signs into it
            sys.stdout.write(f"{shown}\n")
            sys.stdout.flush()
        else:
            console.print(shown, markup=False)
    notes = _console(sys.stderr)
    for warning in reply.warnings:
        notes.print(f"warning: {warning}", markup=False, style="yellow")


def _envelope(name: str, status: str, exit_code: int, result: Any, reply: Reply | None = None) -> None:
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": name,
        "status": status,
        "exit_code": exit_code,
        "result": plain(result),
        "warnings": [] if reply is None else reply.warnings,
        "artifacts": [] if reply is None else reply.artifacts,
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _refuse(name: str, as_json: bool, exit_code: int, error: dict[str, str | None]) -> None:
    if as_json:
        _envelope(name, "error", exit_code, {"error": error})
    console = _console(sys.stderr)
    console.print(f"error [{error['code']}]: {error['message']}", style="bold red", markup=False, soft_wrap=True)
    if error["where"]:
        console.print(f"  where: {error['where']}", markup=False, soft_wrap=True)
    console.print(f"  next:  {error['hint']}", markup=False, soft_wrap=True)
    raise typer.Exit(exit_code)


def _interrupted() -> dict[str, str | None]:
    return {
        "code": "interrupted",
        "message": "Interrupted.",
        "where": None,
        "hint": "Nothing finished is lost; the same command goes on where it stood.",
    }


def _unexpected(name: str, as_json: bool, error: Exception) -> None:
    traceback.print_exception(error, file=sys.stderr)
    told = {
        "code": "unexpected",
        "message": f"{type(error).__name__}: {error}",
        "where": None,
        "hint": "This is a fault of tenure. The trace above says where; please report it.",
    }
    _refuse(name, as_json, UNEXPECTED, told)


def _known_os_error(error: OSError) -> TenureError | None:
    """Return what the disk refused; what is missing is no refusal here, as nobody knows if it was to be written."""
    if isinstance(error, FileNotFoundError | FileExistsError | NotADirectoryError | IsADirectoryError):
        return None
    return as_known(error, Path(str(error.filename)) if error.filename else None)
