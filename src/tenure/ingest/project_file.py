"""Write a commented project file for a table: what was guessed, and every key that may be changed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import sqlalchemy as sa
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlalchemy.exc import ArgumentError

from tenure.core.data import Role
from tenure.core.errors import ConfigError, ProjectExistsError
from tenure.core.files import write_whole
from tenure.core.modelling import Task
from tenure.core.ports import Log, Silent
from tenure.core.project import PROJECT_FILE, Project, parse_project
from tenure.core.secrets import redacted
from tenure.core.section import Section
from tenure.ingest.infer import Guess, guess
from tenure.ingest.table import read_table

_ONLY_SECRET: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_UNITS: Final = ((604_800.0, "w"), (86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))
_SHOWN_IGNORED: Final = 20
_PLACEHOLDERS: Final = {str: '"..."', int: "100", float: "1.0", list: "[]"}


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project file, what was guessed for it, and where it stands (or would stand, after a dry run)."""

    folder: Path
    path: Path
    text: str
    project: Project
    guess: Guess


def init_project(
    data: str,
    *,
    target: str,
    out: Path | None = None,
    query: str | None = None,
    task: Task | None = None,
    positive: str | None = None,
    time: str | None = None,
    group: str | None = None,
    key: str | None = None,
    name: str | None = None,
    log: Log | None = None,
    dry_run: bool = False,
) -> NewProject:
    """Read `data` (relative to the current folder), guess what is not given, and write the project file into `out`.

    Without `out` the file goes beside the data; for a database into the current folder. A dry run writes nothing.

    Raises:
        ProjectExistsError: there is a project file already.
        ConfigError: the database URL holds a password.
        DataError, SourceUnreachableError, CredentialError: the data cannot be read, or the target not be learned.
    """
    refuse_password(data)
    folder = _absolute(out if out is not None else _beside(data))
    if not dry_run:
        _refuse_existing(folder)
    table = read_table(data, query, Path.cwd(), log or Silent())
    found = guess(table, target, task=task, positive=positive, time=time, group=group, key=key)
    fallback = folder.name if out is not None or "://" in data else Path(data).name.split(".")[0]
    source = relocated(data, Path.cwd(), folder)
    return write(folder, found, source=source, query=query, name=name or fallback, dry_run=dry_run)


def write(
    folder: Path,
    found: Guess,
    *,
    source: str,
    query: str | None = None,
    name: str | None = None,
    dry_run: bool = False,
) -> NewProject:
    """Write the project file for a guess, whole or not at all; `source` is stored as given. A dry run writes nothing.

    Raises:
        ProjectExistsError: there is a project file already; it is left as it is.
        ConfigError: the source holds a password, or a name cannot stand in a project file.
        FolderReadOnlyError, DiskFullError: the file cannot be written.
    """
    refuse_password(source)
    text = compose(found, source=source, query=query, name=project_name(name or folder.name))
    new = NewProject(folder, folder / PROJECT_FILE, text, parse_project(text), found)
    if not dry_run:
        _refuse_existing(folder)
        write_whole(new.path, text.encode())
    return new


def compose(found: Guess, *, source: str, query: str | None, name: str) -> str:
    """Return the text of a project file: guesses as values with their reasons, all other keys as comments."""
    values: dict[str, dict[str, Any]] = {
        "project": {"name": name, "task": found.task.value},
        "data": {
            "source": source,
            "query": query,
            "target": found.target,
            "positive": found.positive,
            "time": found.time,
            "group": found.group,
            "key": found.key,
        },
        "monitoring": {"window": found.window},
    }
    lines = [
        "# A tenure project: what is predicted, from which data, and how much is done without asking.",
        '# Lines that start with # say what holds otherwise; take the # away to change it ("..." is nothing).',
        "# Durations: 60s, 30m, 12h, 7d, 2w. A secret stands as ${NAME} and is taken from the environment.",
        "",
        "schema_version = 1",
    ]
    for section, info in Project.model_fields.items():
        model = info.annotation
        if isinstance(model, type) and issubclass(model, Section):
            purpose = (model.__doc__ or "").strip().splitlines()[0].replace("`", "")
            lines += ["", f"# {purpose}", f"[{section}]"]
            lines += _keys(model, values.get(section, {}), found.sentences)
            if section == "data":
                lines += _about_columns(found)
    return "\n".join(lines) + "\n"


def _keys(model: type[Section], values: Mapping[str, Any], sentences: Mapping[str, str]) -> Iterator[str]:
    for key, info in model.model_fields.items():
        if key == "columns":
            continue
        told = _one_line(info.description or "")
        if values.get(key) is not None:
            if key in sentences:
                yield f"# Guessed: {_one_line(sentences[key])}"
            yield f"{key} = {_toml(values[key])}  # {told}"
        else:
            yield f"# {key} = {_default(info)}  # {told}"


def _about_columns(found: Guess) -> Iterator[str]:
    """Yield what a person should know about single columns, all of it as comments."""
    yield ""
    yield "# What you know better than the data show, column by column: kind (numeric, boolean, categorical,"
    yield '# datetime, text), use = false to keep it from the models, available = "after" for what is known only later.'
    for suspicion in found.suspicious:
        yield f"# Look at this one: {_one_line(suspicion.reason)}."
        yield f"# [data.columns.{_toml(_one_line(suspicion.column))}]"
        yield '# available = "after"'
    if not found.suspicious:
        yield "# [data.columns.NAME]"
        yield '# available = "after"'
    ignored = found.schema.with_role(Role.IGNORED)
    if ignored:
        yield "# Models will not read:"
    for column in ignored[:_SHOWN_IGNORED]:
        yield f"#   {_one_line(column.name)}: {_one_line(column.reason)}"
    if len(ignored) > _SHOWN_IGNORED:
        yield f"#   and {len(ignored) - _SHOWN_IGNORED} more"


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return _toml(info.examples[0]) if info.examples else _placeholder(info.annotation)
    if any(isinstance(part, BeforeValidator) for part in info.metadata):
        return _toml(_duration(float(value)))
    return _toml(value)


def _placeholder(annotation: Any) -> str:
    """Return something to write over, of the type that the key takes."""
    options = get_args(annotation)
    if get_origin(annotation) is Literal:
        return _toml(options[0])
    if type(None) in options:
        return _placeholder(options[0])
    return _PLACEHOLDERS.get(get_origin(annotation) or annotation, '"..."')


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds > size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _toml(value: Any) -> str:
    """Return a value as TOML; JSON's strings, numbers and lists are TOML's, but for one sign."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def project_name(text: str) -> str:
    """Return `text` as a project name: letters, digits, blanks, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9 ._-]+", "-", text).strip(" ._-")[:80] or "project"


def relocated(data: str, start: Path, folder: Path) -> str:
    """Return the source `data`, which is relative to `start`, as it must stand in the project file in `folder`.

    A file inside the folder becomes a relative path, any other an absolute one. URLs stay, but for SQLite files.
    """
    if data.startswith("sqlite") and "://" in data:
        url = sa.make_url(data)
        if not url.database or url.database == ":memory:":
            return data
        return str(url.set(database=relocated(url.database, start, folder)))
    if "://" in data or data.startswith("${"):
        return data
    path, home = _absolute(start / Path(data).expanduser()), _absolute(folder)
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix()


def refuse_password(source: str) -> None:
    """Refuse a URL with a password in it; `${NAME}` in its place is what belongs there.

    Raises:
        ConfigError: there is a password.
    """
    if "://" not in source:
        return
    try:
        url = sa.make_url(source)
    except ArgumentError:
        found = redacted(source) != source
    else:
        secrets = [url.password, *(value for key, value in url.query.items() if "pass" in key.lower())]
        found = any(secret and not _ONLY_SECRET.fullmatch(str(secret)) for secret in secrets)
    if found:
        raise ConfigError(
            "The database URL holds a password, and a project file must not.",
            where="data.source",
            hint="Write ${DB_PASSWORD} in its place, and set it in the environment: export DB_PASSWORD=...",
        )


def _absolute(path: Path) -> Path:
    """Return the path from the root without dots, links as the user wrote them."""
    return Path(os.path.normpath(path.absolute()))


def _beside(data: str) -> Path:
    """Return the folder of the data file, or of the first part of a glob that holds no sign of one."""
    if "://" in data or data.startswith("${"):
        return Path()
    parent = Path(data).expanduser().parent
    while any(sign in str(parent) for sign in "*?["):
        parent = parent.parent
    return parent


def _refuse_existing(folder: Path) -> None:
    path = folder / PROJECT_FILE
    if path.exists():
        raise ProjectExistsError(
            f"{path} is there already, and is left as it is.",
            where=str(path),
            hint="Edit that file, remove it, or choose another folder with --out.",
        )
