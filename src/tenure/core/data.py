"""What the data are: columns with kinds and roles, schemas, snapshots, and pairs of windows to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenure.core.records import Record

if TYPE_CHECKING:  # slow to load, and serving a model needs none of it
    import polars as pl


class Kind(StrEnum):
    """How a column is read by the models."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"
    TEXT = "text"


class Role(StrEnum):
    """What a column is for."""

    FEATURE = "feature"
    TARGET = "target"
    TIME = "time"
    GROUP = "group"
    KEY = "key"
    WEIGHT = "weight"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its stored type, how it is read, what it is for, and what it holds.

    `dtype` is the polars type as text; `nulls` and `distinct` count rows and values of the snapshot;
    `reason` says in words why the column has this role or kind, where that is not obvious.
    `format` is how a date stands in the source where that is text other than ISO 8601 (as in `strptime`).
    """

    name: str
    dtype: str
    kind: Kind
    role: Role = Role.FEATURE
    nulls: int = 0
    distinct: int = 0
    reason: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table in order."""

    columns: tuple[Column, ...]

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(column.name == name for column in self.columns)

    def with_role(self, role: Role) -> tuple[Column, ...]:
        """Return the columns that have `role`, in table order."""
        return tuple(column for column in self.columns if column.role is role)

    def _single(self, role: Role) -> str | None:
        found = self.with_role(role)
        return found[0].name if found else None

    @property
    def features(self) -> tuple[Column, ...]:
        """Return the columns that a model may read."""
        return self.with_role(Role.FEATURE)

    @property
    def target(self) -> str | None:
        """Return the name of the target column."""
        return self._single(Role.TARGET)

    @property
    def time(self) -> str | None:
        """Return the name of the column that orders predictions in time."""
        return self._single(Role.TIME)

    @property
    def group(self) -> str | None:
        """Return the name of the column whose equal values belong together."""
        return self._single(Role.GROUP)

    @property
    def key(self) -> str | None:
        """Return the name of the column that identifies a row."""
        return self._single(Role.KEY)

    @property
    def weight(self) -> str | None:
        """Return the name of the column that says how much each row counts."""
        return self._single(Role.WEIGHT)


@dataclass(frozen=True, slots=True)
class Snapshot(Record):
    """Exactly these rows under this schema.

    `table` is the artifact digest of the rows (Parquet), so equal rows give an equal snapshot.
    `source` is what was read, without secrets. `classes` holds the target's values for classification,
    as text and in the order of probabilities: for a binary task the positive class comes last.
    A column that is both time (or group) and useful to the model has role time (or group); models never read
    key, group or ignored columns, and read the time column only through its calendar parts.
    """

    table: str
    rows: int
    schema: Schema
    source: str
    classes: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class WindowPair:
    """Two tables of the same columns to compare: what was normal, and what came now. Evidence, never stored."""

    reference: pl.DataFrame
    current: pl.DataFrame
    schema: Schema

    def numeric(self) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
        """Yield name, reference and current values (float64, NaN where empty) of each numeric column in both."""
        for column in self.schema.columns:
            if column.kind in (Kind.NUMERIC, Kind.BOOLEAN) and self._in_both(column.name):
                yield (
                    column.name,
                    self._floats(self.reference, column.name),
                    self._floats(self.current, column.name),
                )

    def categorical(self) -> Iterator[tuple[str, pl.Series, pl.Series]]:
        """Yield name, reference and current values as text of each categorical column present in both."""
        for column in self.schema.columns:
            if column.kind is Kind.CATEGORICAL and self._in_both(column.name):
                yield column.name, self.reference[column.name], self.current[column.name]

    def _in_both(self, name: str) -> bool:
        return name in self.reference.columns and name in self.current.columns

    @staticmethod
    def _floats(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
        import polars as pl

        return frame[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
