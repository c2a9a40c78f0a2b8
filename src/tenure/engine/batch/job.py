"""The folder of a scoring job: what is being done, and the parts that are finished."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tenure.core.errors import ConfigError, JobChangedError
from tenure.core.files import write_whole, writing

FORMAT: Final = 1
_MANIFEST: Final = "job.json"
_PARTS: Final = "parts"
_ROWS: Final = "rows"
_WORDS: Final = {
    "input": "the rows",
    "version": "the version in office",
    "model": "the model",
    "options": "the options",
    "output": "the place to write to",
    "format": "the version of tenure",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A scoring job, under way in a folder. `id` is new with every job; `is_new` says that nothing was done before."""

    folder: Path
    id: str
    form: str
    is_new: bool

    @property
    def parts(self) -> Path:
        """Return the folder of finished parts."""
        return self.folder / _PARTS

    @property
    def rows(self) -> Path:
        """Return the folder for rows that had to be written down before they could be read in parts."""
        return self.folder / _ROWS

    def part(self, number: int) -> Path:
        """Return the path of a part; it exists when the part is finished."""
        return self.parts / f"part-{number:06d}.{self.form}"

    def row_id(self, row: int) -> str:
        """Return the id of the prediction for a row: the same whenever this job scores it."""
        return uuid.uuid5(uuid.UUID(self.id), str(row)).hex

    def remove(self) -> None:
        """Remove the folder. The manifest goes last, so that what is left of a folder is known as ours."""
        shutil.rmtree(self.parts, ignore_errors=True)
        shutil.rmtree(self.rows, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def open_job(folder: Path, wish: Mapping[str, Any], *, form: str, fresh: bool) -> Job:
    """Go on with the job in `folder`, or start one; `fresh` throws away what an earlier one left.

    `wish` says as plain data what is to be done: input, version, model, options, output.

    Raises:
        JobChangedError: an unfinished job lies there that was to do something else.
        ConfigError: the folder holds something that is no job.
        DiskFullError, FolderReadOnlyError: the folder cannot be written.
    """
    wished = json.loads(json.dumps({"format": FORMAT} | dict(wish)))
    known = _manifest(folder)
    if known is not None and not fresh:
        _compare(folder, known["wish"], wished)
        return Job(folder, known["job"], form, is_new=False)
    if known is not None:
        Job(folder, known["job"], form, is_new=False).remove()
    job = Job(folder, uuid.uuid4().hex, form, is_new=True)
    with writing(folder):
        job.parts.mkdir(parents=True)
    write_whole(folder / _MANIFEST, json.dumps({"job": job.id, "wish": wished}, indent=1).encode())
    return job


def sync_folder(folder: Path) -> None:
    """Make sure that what was renamed in a folder is so after a power cut, where the system offers that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _manifest(folder: Path) -> dict[str, Any] | None:
    """Return what is known of the job in `folder`, None where there is none; an unused folder of ours is removed."""
    if not folder.exists():
        return None
    try:
        known: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        known = {}
    if isinstance(known, dict) and {"job", "wish"} <= known.keys():
        return known
    # A kill before the manifest was there leaves an empty folder, or one with a half-written manifest.
    odd = [path for path in folder.iterdir() if path.name != _PARTS and not path.name.startswith(".tenure-")]
    if odd or any((folder / _PARTS).glob("*")):
        raise ConfigError(
            f"{folder} holds something that is no scoring job.",
            where=str(folder),
            hint="Write to another place with --out, or move that folder away.",
        )
    shutil.rmtree(folder)
    return None


def _compare(folder: Path, known: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
    for name, words in _WORDS.items():
        if known.get(name) != wished.get(name):
            raise JobChangedError(
                f"An unfinished job lies there, and since it was started {words} changed"
                f"{_told(known.get(name), wished.get(name))}.",
                where=str(folder),
                hint="Start again with --fresh, which throws its finished parts away, or write to another place.",
            )


def _told(before: Any, after: Any) -> str:
    if isinstance(before, str) and isinstance(after, str):
        return f" from {before} to {after}"
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return ""
    changed = [name for name in after if before.get(name) != after[name]]
    if changed == ["files"]:
        known = {tuple(file) for file in before["files"]}
        odd = [file[0] for file in after["files"] if tuple(file) not in known] or ["a file is gone"]
        return f" ({odd[0]})"
    return f" ({', '.join(changed)})"
