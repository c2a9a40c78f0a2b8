"""The date columns of a model: what stands in them is read at the door, once, as the training file was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

import numpy as np
import polars as pl

from tenure.core.data import Kind, Role, Schema
from tenure.core.errors import SchemaChangedError
from tenure.model.values import NO_MOMENT, moment_of, moments_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class _DateColumn:
    """A column of dates: how they stood in the training file where not as ISO 8601, and whether they are days."""

    name: str
    format: str
    days: bool


@dataclass(frozen=True, slots=True)
class DateColumns:
    """Reads the date columns of rows and tables; both give the same moments. Reading twice changes nothing."""

    columns: tuple[_DateColumn, ...]

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the date columns that a model reads: features and the time column."""
        return cls(
            tuple(
                _DateColumn(column.name, column.format, column.dtype == "Date")
                for column in schema.columns
                if column.kind is Kind.DATETIME and column.role in (Role.FEATURE, Role.TIME)
            )
        )

    def read_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row with its dates as `date` or `datetime` (UTC, no zone), None where they are missing.

        Raises:
            SchemaChangedError: a value is no date; it names the column and the value.
        """
        if not self.columns:
            return row
        read = dict(row)
        for column in self.columns:
            value = row.get(column.name)
            if value is not None:
                read[column.name] = _read(column, value)
        return read

    def read_table(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the table with its date columns as Date or Datetime (UTC, no zone).

        Raises:
            SchemaChangedError: a value is no date; it names the column and the value.
        """
        return frame.with_columns(
            _read_series(column, frame[column.name]) for column in self.columns if column.name in frame.columns
        )


def _read(column: _DateColumn, value: Any) -> date | datetime | None:
    moment = moment_of(value, column.format)
    if moment == NO_MOMENT:
        if _is_missing(value):
            return None
        raise _no_date(column, value)
    try:
        read = _EPOCH + timedelta(microseconds=moment)
    except OverflowError as error:
        raise _no_date(column, value) from error
    return read.date() if column.days else read


def _read_series(column: _DateColumn, series: pl.Series) -> pl.Series:
    moments = moments_of(series, column.format)
    missing = moments == NO_MOMENT
    for at in np.flatnonzero(missing & series.is_not_null().to_numpy()).tolist():
        if not _is_missing(series[at]):
            raise _no_date(column, series[at])
    whole = moments // _DAY * _DAY if column.days else moments
    read = pl.Series(series.name, np.where(missing, 0, whole)).set(pl.Series(missing), None).cast(pl.Datetime("us"))
    return read.cast(pl.Date) if column.days else read


def _is_missing(value: Any) -> bool:
    """Say whether a value that is no moment only stands for nothing: blank text, NaN, a missing time."""
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float | datetime | np.generic) and bool(value != value)


def _no_date(column: _DateColumn, value: Any) -> SchemaChangedError:
    known = f" or, as in the training data, {column.format}" if column.format else ""
    return SchemaChangedError(
        f"The column {column.name!r} holds {value!r}, which is no date.",
        where=f"columns.{column.name}",
        hint=f"Write dates as 2026-01-31 or 2026-01-31T12:00:00Z{known}; leave an unknown date null.",
    )
