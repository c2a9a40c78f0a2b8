"""How columns are read and what they are for: what the owner said first, then what the data show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

import polars as pl

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.errors import ConfigError, TargetMissingError, UnreadableDataError, did_you_mean
from tenure.core.modelling import Task
from tenure.core.project import ColumnSpec, DataSection
from tenure.ingest.cells import Typed, to_dtype
from tenure.ingest.names import looks_like_id, looks_like_owner_id, looks_like_time
from tenure.ingest.target import is_whole

_SAMPLE: Final = 50_000
_TEXT_WORDS: Final = 4.0  # methods 2.1
_TEXT_UNIQUE: Final = 0.5
_ID_SHARE: Final = 0.95  # methods 2.2
_ENOUGH_ROWS: Final = 20
_GROUP_LEVELS: Final = 20
_GROUP_ROWS: Final = (2.0, 1_000.0)
_TIME_NULLS: Final = 0.05
_TIME_VALUES: Final = 3


@dataclass(frozen=True, slots=True)
class Declared:
    """What the owner said about columns. A column described in `columns` gets no role by guessing."""

    target: str
    time: str | None = None
    group: str | None = None
    key: str | None = None
    weight: str | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)

    @classmethod
    def of(cls, data: DataSection) -> Self:
        """Take what the project file says for learning; a policy for bad fields describes no column."""
        return cls(data.target, data.time, data.group, data.key, data.weight, data.described)

    def roles(self) -> dict[str, Role]:
        """Return the role of each column that has one by declaration.

        Raises:
            ConfigError: one column has two roles.
        """
        named = (
            (self.target, Role.TARGET),
            (self.time, Role.TIME),
            (self.group, Role.GROUP),
            (self.key, Role.KEY),
            (self.weight, Role.WEIGHT),
        )
        found: dict[str, Role] = {}
        for name, role in named:
            if name is None:
                continue
            if name in found:
                raise ConfigError(
                    f"The column {name!r} is named as {found[name].value} and as {role.value}.",
                    where=f"data.{role.value}",
                    hint="A column has one role; leave one of them out.",
                )
            found[name] = role
        return found

    def check(self, columns: list[str]) -> None:
        """Refuse names that the data do not have.

        Raises:
            TargetMissingError: a named column is not in the data.
        """
        for name, role in self.roles().items():
            if name not in columns:
                raise TargetMissingError.from_column(name, columns, role=role.value)
        for name in self.columns:
            if name not in columns:
                raise TargetMissingError(
                    f"The column {name!r} that the project file describes is not in the data.",
                    where=f"data.columns.{name}",
                    hint=did_you_mean(name, columns),
                )


def prepare(table: Typed, declared: Declared, task: Task) -> pl.DataFrame:
    """Return the rows with the types that the owner asked for; class labels stored as 1.0 and 0.0 become 1 and 0.

    Raises:
        UnreadableDataError: the time column is text without dates, or a column has nothing of the kind asked for.
    """
    frame = table.frame
    wanted = {name: spec.kind for name, spec in declared.columns.items() if spec.kind is not None}
    if declared.time is not None and frame[declared.time].dtype in (pl.String, pl.Boolean):
        wanted[declared.time] = Kind.DATETIME
    for name, kind in wanted.items():
        frame = frame.with_columns(_of_kind(frame[name], kind, table.formats.get(name, "")))
    target = frame[declared.target]
    if task.is_classification and target.dtype.is_float():
        labels = target.fill_nan(None)
        whole = labels.cast(pl.Int64, strict=False)
        if is_whole(labels.drop_nulls()) and whole.null_count() == labels.null_count():
            frame = frame.with_columns(whole)
    return frame


def _of_kind(series: pl.Series, kind: Kind, date_format: str) -> pl.Series:
    if kind is Kind.NUMERIC and not series.dtype.is_numeric():
        changed = to_dtype(series, pl.Float64())
    elif kind is Kind.DATETIME and series.dtype == pl.String:
        changed = to_dtype(series, pl.Datetime("us"), date_format=date_format)
    elif kind is Kind.DATETIME and not series.dtype.is_temporal():
        changed = pl.Series(series.name, [None] * len(series))  # a number is no date: nobody said what it counts
    elif kind is Kind.BOOLEAN and series.dtype != pl.Boolean:
        changed = to_dtype(series.cast(pl.String), pl.Boolean())
    elif kind is Kind.TEXT or (kind is Kind.CATEGORICAL and series.dtype.is_temporal()):
        changed = series.cast(pl.String)
    else:
        return series
    if changed.null_count() == len(changed) and series.null_count() < len(series):
        raise UnreadableDataError(
            f"The column {series.name!r} holds nothing that reads as {kind.value}, "
            f"for example {str(series.drop_nulls()[0])[:40]!r}.",
            where=f"data.columns.{series.name}",
            hint="Write dates as 2026-01-31 and numbers as 1.5, or name another column.",
        )
    return changed


def infer_schema(frame: pl.DataFrame, declared: Declared, task: Task, table: Typed) -> Schema:
    """Return every column with kind, role, counts and the reason for what is not obvious.

    Roles are declared or guessed: time (a date that sorts the rows, or is named like one), key (a unique column named
    like an identifier), group (a repeated one). Ignored are columns that are empty, constant, identifiers, not single
    values, or that the owner keeps away.
    """
    columns = [_column(series, declared, task, table) for series in frame.iter_columns()]
    free = [column for column in columns if column.role is Role.FEATURE and column.name not in declared.columns]
    guessed: dict[str, tuple[Role, str]] = {}
    if declared.time is None:
        guessed |= _guess_time(frame, free)
    guessed |= _identifiers(frame, [column for column in free if column.name not in guessed], declared)
    return Schema(tuple(_with_guess(column, guessed.get(column.name)) for column in columns))


def _column(series: pl.Series, declared: Declared, task: Task, table: Typed) -> Column:
    name = series.name
    nulls = series.null_count()
    distinct = series.n_unique() - (nulls > 0)
    kind, reason = _kind(series, distinct)
    spec = declared.columns.get(name)
    if spec is not None and spec.kind is not None:
        kind, reason = spec.kind, "its kind is given in the project file"
    role = declared.roles().get(name)
    if role is Role.TARGET:
        kind, reason = _target_kind(series, task), ""
    elif role is not None:
        reason = "named in the project file"
    else:
        ignored = _why_ignored(series, spec, distinct, nulls, table)
        role, reason = (Role.IGNORED, ignored) if ignored else (Role.FEATURE, reason)
    reason = "; ".join(part for part in (reason, table.notes.get(name, "")) if part)
    return Column(name, str(series.dtype), kind, role, nulls, distinct, reason, table.formats.get(name, ""))


def _target_kind(series: pl.Series, task: Task) -> Kind:
    if task is Task.REGRESSION:
        return Kind.NUMERIC
    return Kind.BOOLEAN if series.dtype == pl.Boolean else Kind.CATEGORICAL


def _kind(series: pl.Series, distinct: int) -> tuple[Kind, str]:
    if series.dtype == pl.Boolean:
        return Kind.BOOLEAN, ""
    if series.dtype.is_numeric():
        return Kind.NUMERIC, ""
    if series.dtype.is_temporal():
        return Kind.DATETIME, ""
    given = series.drop_nulls()
    if given.is_empty():
        return Kind.CATEGORICAL, ""
    sample = given.gather_every(max(len(given) // _SAMPLE, 1))
    words = float(sample.str.count_matches(r"\S+").mean() or 0.0)  # type: ignore[arg-type]  # polars types a sum-up as any cell
    if words >= _TEXT_WORDS and distinct >= _TEXT_UNIQUE * len(given):
        return Kind.TEXT, f"about {words:.0f} words a cell, nearly all different"
    return Kind.CATEGORICAL, ""


def _why_ignored(series: pl.Series, spec: ColumnSpec | None, distinct: int, nulls: int, table: Typed) -> str:
    if spec is not None and spec.available == "after":
        return "known only after the outcome, says the project file"
    if spec is not None and not spec.use:
        return "kept away from models by the project file"
    if nulls == len(series):
        return "empty in every row"
    if series.name in table.nested:
        return "models do not read such cells"
    if distinct == 1 and nulls == 0 and spec is None:
        return "the same in every row"
    return ""


def _guess_time(frame: pl.DataFrame, free: list[Column]) -> dict[str, tuple[Role, str]]:
    """Return the date column by which the rows are sorted, else the first one named like a time."""
    dates = [
        column
        for column in free
        if column.kind is Kind.DATETIME
        and column.distinct >= _TIME_VALUES
        and column.nulls <= _TIME_NULLS * frame.height
    ]
    in_order = [column for column in dates if _is_in_order(frame[column.name])]
    if in_order:
        best = max(in_order, key=lambda column: column.distinct)
        return {best.name: (Role.TIME, "the rows are sorted by this date")}
    named = [column for column in dates if looks_like_time(column.name)]
    return {named[0].name: (Role.TIME, "a date that is named like the time of the row")} if named else {}


def _is_in_order(series: pl.Series) -> bool:
    given = series.drop_nulls()
    return given.is_sorted() or given.is_sorted(descending=True)


def _identifiers(frame: pl.DataFrame, free: list[Column], declared: Declared) -> dict[str, tuple[Role, str]]:
    """Return key, group and ignored identifiers among the columns that no one spoke of."""
    found: dict[str, tuple[Role, str]] = {}
    key_taken = declared.key is not None
    groups: list[Column] = []
    for column in free:
        given = frame.height - column.nulls
        why = _why_identifier(frame[column.name], column, given)
        if why and not key_taken and column.distinct == frame.height and looks_like_id(column.name):
            found[column.name] = (Role.KEY, why)
            key_taken = True
        elif why:
            found[column.name] = (Role.IGNORED, why)
        elif declared.group is None and _may_be_group(frame[column.name], column, given):
            groups.append(column)
    if groups:
        finest = max(groups, key=lambda column: column.distinct)
        rows = (frame.height - finest.nulls) / finest.distinct
        why = f"named like an identifier, with {rows:.0f} rows for each of {finest.distinct:,} values"
        found[finest.name] = (Role.GROUP, why)
    return found


def _why_identifier(series: pl.Series, column: Column, given: int) -> str:
    """Return in words why the column identifies rows instead of describing them, empty if it does not."""
    if column.distinct < 2 or column.distinct < _ID_SHARE * given:
        return ""
    share = "all" if column.distinct == given else f"{column.distinct / given:.1%} of"
    whole = column.kind is Kind.NUMERIC and is_whole(series.drop_nulls())
    if looks_like_id(column.name) and (whole or column.kind is Kind.CATEGORICAL):
        return f"named like an identifier, and {share} its values are different"
    if given < _ENOUGH_ROWS:
        return ""
    if column.kind is Kind.CATEGORICAL:
        return f"{share} its values are different, as in an identifier"
    if whole and column.nulls == 0:
        steps = series.diff().drop_nulls()
        if steps.n_unique() == 1:
            return "it counts the rows"
        if (steps > 0).all() or (steps < 0).all():
            return "it only grows or only falls from row to row, as a running number does"
    return ""


def _may_be_group(series: pl.Series, column: Column, given: int) -> bool:
    if not looks_like_owner_id(column.name) or column.distinct < _GROUP_LEVELS:
        return False
    if column.kind is not Kind.CATEGORICAL and not (column.kind is Kind.NUMERIC and is_whole(series.drop_nulls())):
        return False
    low, high = _GROUP_ROWS
    return low <= given / column.distinct <= high


def _with_guess(column: Column, guess: tuple[Role, str] | None) -> Column:
    if guess is None:
        return column
    role, why = guess
    reason = "; ".join(part for part in (why, column.reason) if part)
    return replace(column, role=role, reason=reason)
