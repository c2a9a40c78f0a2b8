"""What users hand to an estimator becomes a polars table with a schema: features, target, and what a row has beside.

Wrong input raises ValueError and TypeError here, not our own errors: that is scikit-learn's interface.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import narwhals as nw
import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length, validate_data

from tenure.core.data import Kind, Schema
from tenure.core.errors import UnreadableDataError
from tenure.core.modelling import Floats, Task
from tenure.core.project import ColumnSpec
from tenure.ingest.cells import Typed, typed
from tenure.ingest.roles import Declared, infer_schema
from tenure.model.frames import as_polars
from tenure.model.values import NO_MOMENT, moments_of, numbers_of, text_of

_NUMBERS: Final = "fiub"
_FEWEST_ROWS: Final = 3
_SCHEMA_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learned from: rows with their schema; `classes` are the target's texts in the order of `classes_`."""

    task: Task
    frame: pl.DataFrame
    schema: Schema
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """What rows have beside features and target, all (n,) and any of them None: weights, seconds, group codes."""

    weight: Floats | None = None
    time: Floats | None = None
    groups: NDArray[np.int64] | None = None

    def at(self, rows: NDArray[Any]) -> Extras:
        """Return the extras of some rows, by mask or position."""
        parts = (None if part is None else part[rows] for part in (self.weight, self.time, self.groups))
        return Extras(*parts)


def read_features(estimator: Any, X: Any, *, reset: bool) -> pl.DataFrame:
    """Return the features as polars columns, after scikit-learn's own checks.

    `reset` learns names and number of the columns, otherwise they are compared. Columns without names of their own
    are called x0, x1 and so on. Infinite numbers count as missing; at `reset` a warning says so.

    Raises:
        ValueError: no rows or columns, other columns than in fit, complex numbers, two columns of one name.
        TypeError: X is sparse.
    """
    if isinstance(X, pl.LazyFrame):
        X = X.collect()
    if nw.dependencies.is_into_dataframe(X):
        frame = _from_frame(validate_data(estimator, X, reset=reset, skip_check_array=True))
        if frame.width == 0:
            raise ValueError("Found a table with 0 feature(s) while a minimum of 1 is required.")
        if frame.height == 0:
            raise ValueError("Found a table with 0 sample(s) while a minimum of 1 is required.")
    else:
        array = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        frame = _from_array(array)
    names = getattr(estimator, "feature_names_in_", [f"x{at}" for at in range(frame.width)])
    return _finite(frame.rename(dict(zip(frame.columns, names, strict=True))), warn=reset)


def _finite(frame: pl.DataFrame, *, warn: bool) -> pl.DataFrame:
    """Return the table with infinite numbers as missing ones, as everywhere in tenure."""
    seen = frame.select(cs.float().is_infinite().any())
    endless = [name for name in seen.columns if seen[name][0]]
    if not endless:
        return frame
    if warn:
        warnings.warn(f"Infinite numbers are read as missing, in: {', '.join(endless[:10])}.", stacklevel=4)
    return frame.with_columns(pl.when(pl.col(name).is_infinite().not_()).then(pl.col(name)) for name in endless)


def _from_frame(X: Any) -> pl.DataFrame:
    try:
        frame = as_polars(X)
    except UnreadableDataError as error:
        raise ValueError(f"{error.message} {error.hint}") from error
    dtypes = nw.from_native(X, eager_only=True).schema.dtypes()
    levels = [name for name, dtype in zip(frame.columns, dtypes, strict=True) if dtype in (nw.Categorical, nw.Enum)]
    return frame.with_columns(frame[name].cast(pl.Categorical) for name in levels)


def _from_array(array: NDArray[Any]) -> pl.DataFrame:
    names = [f"x{at}" for at in range(array.shape[1])]
    if array.dtype.kind in _NUMBERS:
        wide = array.astype(np.float64) if array.dtype.itemsize not in (1, 4, 8) else array
        by_column = np.asfortranarray(wide)  # four times as fast as column by column from rows
        return pl.DataFrame({name: by_column[:, at] for at, name in enumerate(names)})
    return as_polars({name: array[:, at].tolist() for at, name in enumerate(names)})


def read_extras(frame: pl.DataFrame, *, weight: Floats | None, time: Any, groups: Any) -> Extras:
    """Return what rows have beside features and target; weights that are all equal say nothing and are left out.

    Raises:
        ValueError: a length is not that of X, or a time is missing or no time.
    """
    check_consistent_length(frame, weight, time, groups)
    if weight is not None and np.ptp(weight) == 0:
        weight = None
    codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)
    return Extras(weight, None if time is None else _seconds(time), codes)


def _seconds(time: Any) -> Floats:
    """Return numbers as they are, and dates as seconds since 1970."""
    series = as_polars({"time": time if isinstance(time, pl.Series) else np.asarray(time)})["time"]
    if series.dtype.is_numeric():
        seconds = numbers_of(series)
    else:
        moments = moments_of(series)
        seconds = np.where(moments == NO_MOMENT, np.nan, moments / 1e6)
    if np.isnan(seconds).any():
        raise ValueError("time must hold a number or a date for every row.")
    return seconds


def class_texts(labels: NDArray[Any]) -> tuple[str, ...]:
    """Return a text for each label, different ones for different labels."""
    texts = tuple(str(text_of(label)) for label in labels.tolist())
    return texts if len(set(texts)) == len(texts) else tuple(repr(label) for label in labels.tolist())


def make_lesson(
    features: pl.DataFrame,
    target: pl.Series,
    extras: Extras,
    *,
    task: Task,
    classes: tuple[str, ...],
    categorical: Sequence[str | int] | None,
) -> Lesson:
    """Put features, target and extras into one table with a schema, in the order of time where it is known.

    Every column of X is a feature: none is taken for a key, a time or a group by guessing. Columns of text are typed as
    in files; categorical, enum and `categorical` columns (names or positions) hold levels. Different values are counted
    in at most about 100,000 rows.

    Raises:
        ValueError: there are fewer than three rows, or `categorical` names a column that X does not have.
    """
    if features.height < _FEWEST_ROWS:
        raise ValueError(
            f"Found {features.height} sample(s) to learn from while a minimum of {_FEWEST_ROWS} is required."
        )
    levels = _levels(features, categorical)
    table = _typed(features, levels)
    names = _names(target.name, features.columns)
    columns = {names["target"]: target, names["key"]: pl.Series(np.arange(features.height)).cast(pl.String)}
    given = {"weight": extras.weight, "time": extras.time, "group": extras.groups}
    columns |= {names[role]: pl.Series(values) for role, values in given.items() if values is not None}
    frame = table.frame.with_columns(series.alias(name) for name, series in columns.items())
    if extras.time is not None:
        frame = frame[np.argsort(extras.time, kind="stable")]
    declared = Declared(
        names["target"],
        key=names["key"],
        columns={name: ColumnSpec(kind=Kind.CATEGORICAL if name in levels else None) for name in features.columns},
        **{role: names[role] for role, values in given.items() if values is not None},
    )
    seen = infer_schema(frame.gather_every(max(frame.height // _SCHEMA_ROWS, 1)), declared, task, table)
    counted = (replace(column, nulls=frame[column.name].null_count()) for column in seen.columns)
    return Lesson(task, frame, Schema(tuple(counted)), classes)


def _levels(features: pl.DataFrame, categorical: Sequence[str | int] | None) -> frozenset[str]:
    """Return the columns that hold levels by type or by wish."""
    found = {name for name, dtype in features.schema.items() if dtype in (pl.Categorical, pl.Enum)}
    for wanted in categorical if categorical is not None else ():
        name = features.columns[wanted] if isinstance(wanted, int | np.integer) else wanted
        if name not in features.columns:
            raise ValueError(f"categorical_features names {name!r}, and X has no such column.")
        found.add(name)
    return frozenset(found)


def _typed(features: pl.DataFrame, levels: Collection[str]) -> Typed:
    """Type the columns as in files, but leave levels as they are."""
    table = typed(features)
    kept = [features[name].cast(pl.String) for name in levels if not features[name].dtype.is_numeric()]
    return Typed(table.frame.with_columns(kept), table.formats, table.notes, table.nested)


def _names(target: str, taken: Collection[str]) -> Mapping[str, str]:
    """Return a name for each column beside the features that no feature has."""
    wanted = {"target": target or "target", "key": "row", "weight": "weight", "time": "time", "group": "group"}
    used = set(taken)
    for role, name in wanted.items():
        while name in used:
            name += "_"
        wanted[role] = name
        used.add(name)
    return wanted
