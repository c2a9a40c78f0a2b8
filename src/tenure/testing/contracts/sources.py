"""What a source promises, on a sample that the caller provides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tenure.core.errors import TenureError
from tenure.core.ports import Silent, Source
from tenure.testing.contracts.promises import Promise, bound, promised


@dataclass(frozen=True, slots=True)
class SourceSample:
    """What to read, and what it must give.

    `rows` and `columns` are what `source` holds. `missing` names something of the same kind that does not exist,
    `unreadable` something whose content makes no sense (None where there is no such thing), `secret` a word in
    `source` or `missing` that no error may tell.
    """

    source: str
    query: str | None
    folder: Path
    rows: int
    columns: tuple[str, ...]
    missing: str
    unreadable: str | None = None
    secret: str | None = None


def source_contract(source: Source, sample: SourceSample) -> Iterator[Promise]:
    """Yield the promises of a source."""
    yield from bound(
        (
            _accepts_its_own,
            _reads_all_rows,
            _same_source_same_table,
            _says_when_there_is_nothing,
            _says_when_it_cannot_be_read,
        ),
        source,
        sample,
    )


def _read(source: Source, sample: SourceSample) -> pl.DataFrame:
    return source.read(sample.source, sample.query, sample.folder, Silent())


def _accepts_its_own(source: Source, sample: SourceSample) -> None:
    promised(source.accepts(sample.source), f"{source.name} does not accept {sample.source!r}")
    promised(not source.accepts("a file of no known kind.xyz"), f"{source.name} accepts what nobody can read")


def _reads_all_rows(source: Source, sample: SourceSample) -> None:
    table = _read(source, sample)
    promised(table.height == sample.rows, f"{source.name} read {table.height} rows of {sample.rows}")
    promised(tuple(table.columns) == sample.columns, f"{source.name} read the columns {table.columns}")


def _same_source_same_table(source: Source, sample: SourceSample) -> None:
    prints = [source.fingerprint(sample.source, sample.query, sample.folder) for _ in range(2)]
    promised(prints[0] == prints[1], f"{source.name} gives one source two fingerprints")
    promised(_read(source, sample).equals(_read(source, sample)), f"{source.name} read one source in two ways")


def _says_when_there_is_nothing(source: Source, sample: SourceSample) -> None:
    _complains(source, sample, sample.missing)


def _says_when_it_cannot_be_read(source: Source, sample: SourceSample) -> None:
    if sample.unreadable is not None:
        _complains(source, sample, sample.unreadable)


def _complains(source: Source, sample: SourceSample, place: str) -> None:
    try:
        table = source.read(place, sample.query, sample.folder, Silent())
    except TenureError as error:
        promised(bool(error.message and error.hint), f"{source.name} complains without saying what to do")
        told = f"{error.message} {error.hint} {error.where} {error!r} {error.__cause__!r}"
        promised(sample.secret is None or sample.secret not in told, f"{source.name} tells a secret in its error")
    else:
        raise AssertionError(f"{source.name} read {table.height} rows from {place!r} and did not complain")
