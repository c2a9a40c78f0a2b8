"""The date columns of a model: what stands in them is read at the door, once, as the training file was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from tenure.core.data import Kind, Role, Schema
from tenure.core.errors import SchemaChangedError
from tenure.model.values import NO_MOMENT, moment_of, moments_of

if TYPE_CHECKING:
    import polars as pl

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_DAY: Final = 86_400_000_000
_FIRST: Final = (date.min.toordinal() - _EPOCH.toordinal()) * _DAY
_LAST: Final = (date.max.toordinal() + 1 - _EPOCH.toordinal()) * _DAY - 1
"""Moments that have a date: from the year 1 to 9999."""


@dataclass(frozen=True, slots=True)
class DateColumn:
    """A column of dates: how they stood in the training file where not as ISO 8601, and whether they are days."""

    name: str
    format: str
    days: bool

    def moment(self, value: Any) -> int:
        """Return one value as microseconds since 1970 (UTC), of days the start; NO_MOMENT where it is missing.

        Raises:
            SchemaChangedError: it is no date.
        """
        if value is None:
            return NO_MOMENT
        moment = moment_of(value, self.format)
        if _FIRST <= moment <= _LAST:
            return moment // _DAY * _DAY if self.days else moment
        if moment == NO_MOMENT and _is_missing(value):
            return NO_MOMENT
        raise self.no_date(value)

    def no_date(self, value: Any) -> SchemaChangedError:
        """Return the error that says that a value is no date."""
        known = f" or, as in the training data, {self.format}" if self.format else ""
        return SchemaChangedError(
            f"The column {self.name!r} holds {value!r}, which is no date.",
            where=f"columns.{self.name}",
            hint=f"Write dates as 2026-01-31 or 2026-01-31T12:00:00Z{known}; leave an unknown date null.",
        )


@dataclass(frozen=True, slots=True)
class DateColumns:
    """Reads the date columns of rows and tables; both give the same moments. Reading twice changes nothing."""

    columns: tuple[DateColumn, ...] = ()

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the date columns that a model reads: features and the time column."""
        return cls(
            tuple(
                DateColumn(column.name, column.format, column.dtype == "Date")
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
        read = {column.name: _read(column, row[column.name]) for column in self.columns if column.name in row}
        return {**row, **read}

    def read_table(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the table with its date columns as Date or Datetime (UTC, no zone).

        Raises:
            SchemaChangedError: a value is no date; it names the column and the value.
        """
        return frame.with_columns(
            _read_series(column, frame[column.name]) for column in self.columns if column.name in frame.columns
        )


def _read(column: DateColumn, value: Any) -> date | datetime | None:
    moment = column.moment(value)
    if moment == NO_MOMENT:
        return None
    read = _EPOCH + timedelta(microseconds=moment)
    return read.date() if column.days else read


def _read_series(column: DateColumn, series: pl.Series) -> pl.Series:
    import polars as pl

    moments = moments_of(series, column.format)
    missing = moments == NO_MOMENT
    strange = (missing & series.is_not_null().to_numpy()) | (~missing & ((moments < _FIRST) | (moments > _LAST)))
    shown = series.cast(pl.Datetime("us")).cast(pl.String) if series.dtype in (pl.Date, pl.Datetime) else series
    for at in np.flatnonzero(strange).tolist():
        if not (missing[at] and _is_missing(shown[at])):
            raise column.no_date(shown[at])
    whole = moments // _DAY * _DAY if column.days else moments
    read = pl.Series(series.name, np.where(missing, 0, whole)).set(pl.Series(missing), None).cast(pl.Datetime("us"))
    return read.cast(pl.Date) if column.days else read


def _is_missing(value: Any) -> bool:
    """Say whether a value that is no moment only stands for nothing: blank text, NaN, a missing time."""
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float | datetime | np.generic) and bool(value != value)
