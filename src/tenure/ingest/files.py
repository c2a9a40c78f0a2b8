"""Find, open, hash and stack the files that a source names."""

from __future__ import annotations

import glob
import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.errors import EmptyDataError, SourceMissingError, UnreadableDataError, did_you_mean

_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


def has_suffix(source: str, suffixes: Sequence[str]) -> bool:
    """Say whether `source` is no URL and ends with one of `suffixes`, packed with gzip or not."""
    name = source.lower().removesuffix(".gz")
    return "://" not in source and name.endswith(tuple(suffixes))


def find_files(source: str, folder: Path) -> tuple[Path, ...]:
    """Return the file that `source` names, or all files of a glob in sorted order; relative to `folder`.

    Raises:
        SourceMissingError: there is no such file.
    """
    path = folder / Path(source).expanduser()
    if path.is_file():
        return (path,)
    if path.is_dir():
        raise SourceMissingError(
            f"{source!r} is a folder.",
            where=str(path),
            hint=f"Name its files, for example {source.rstrip('/')}/*.parquet.",
        )
    if glob.has_magic(source):
        found = sorted(Path(name) for name in glob.glob(str(path)) if Path(name).is_file())  # noqa: PTH207  (absolute patterns)
        if found:
            return tuple(found)
    raise SourceMissingError(f"There is no file {source!r}.", where=str(path), hint=_near_names(path))


def _near_names(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"The folder {parent} does not exist. Relative paths start at the project folder."
    names = [other.name for other in parent.iterdir() if not other.name.startswith(".")]
    return did_you_mean(path.name, names) if names else f"The folder {parent} is empty."


def digest_of_files(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the file's bytes; of several files, the SHA-256 of their hashes in order."""
    digests = [_digest(path) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, unpacked where it is packed with gzip.

    Raises:
        EmptyDataError: the file has no bytes.
        UnreadableDataError: it may not be read, or its packing is damaged.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error
    if not content or content.isspace():
        raise EmptyDataError(f"{path.name} is empty.", where=str(path), hint="Write the rows again; the file has none.")
    return content


def unreadable(path: Path, error: Exception, *, what: str = "cannot be read") -> UnreadableDataError:
    """Return the error for a file whose reading failed with `error`."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UnreadableDataError(
        f"{path.name} {what}: {first_line}.", where=str(path), hint="Check that the file is whole and may be read."
    )


def read_all(paths: Sequence[Path], read: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    """Read every file and put the rows below each other, in the order of `paths`.

    All files must have the same column names; their order may differ, and types become the widest one.

    Raises:
        UnreadableDataError: a file has other columns than the rest, or a type that does not go with theirs.
        EmptyDataError: no file has rows.
    """
    tables = [(path, read(path)) for path in paths]
    _check_columns(tables)
    names = tables[0][1].columns
    table = tables[0][1]
    for path, other in tables[1:]:
        table = _below(table, other[names], path)
    if table.height == 0 or table.width == 0:
        shown = f"{paths[0].name} holds" if len(paths) == 1 else f"{len(paths)} files hold"
        raise EmptyDataError(f"{shown} no rows.", where=str(paths[0]), hint="Look at how the file was written.")
    return table.rechunk()


def _check_columns(tables: Sequence[tuple[Path, pl.DataFrame]]) -> None:
    """Raise for the first file whose column names differ from those that most files have."""
    usual, _ = Counter(frozenset(table.columns) for _, table in tables).most_common(1)[0]
    for path, table in tables:
        names = frozenset(table.columns)
        if names == usual:
            continue
        missing = ", ".join(repr(name) for name in sorted(usual - names)[:5])
        extra = ", ".join(repr(name) for name in sorted(names - usual)[:5])
        told = "; ".join(part for part in (missing and f"without {missing}", extra and f"with {extra}") if part)
        raise UnreadableDataError(
            f"{path.name} has other columns than the other files: {told}.",
            where=str(path),
            hint="Give all files the same columns, or name only those that have them.",
        )


def _below(table: pl.DataFrame, other: pl.DataFrame, path: Path) -> pl.DataFrame:
    for name in table.columns:
        one, two = table[name].dtype, other[name].dtype
        text = {one, two} & {pl.String(), pl.Categorical()}
        if one != two and text and not {one, two} <= {pl.String(), pl.Categorical(), pl.Null()}:
            raise _odd_type(path, name, one, two)
    try:
        return pl.concat([table, other], how="vertical_relaxed")
    except (pl.exceptions.SchemaError, pl.exceptions.ComputeError, pl.exceptions.InvalidOperationError) as error:
        name = next(name for name in table.columns if table[name].dtype != other[name].dtype)
        raise _odd_type(path, name, table[name].dtype, other[name].dtype) from error


def _odd_type(path: Path, name: str, one: pl.DataType, two: pl.DataType) -> UnreadableDataError:
    return UnreadableDataError(
        f"In {path.name} the column {name!r} is {two}, in the files before it {one}.",
        where=str(path),
        hint="Write the column with one type in all files.",
    )
