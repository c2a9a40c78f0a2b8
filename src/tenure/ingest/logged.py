"""Rows of the log beside those of the source: what was answered, with what came true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import polars as pl

from tenure.core.data import Column, Role, Schema
from tenure.core.ports import Log
from tenure.ingest.cells import to_dtype
from tenure.state.exclusions import Period
from tenure.state.features import feature


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """What is learned from besides the source, and what is not.

    `read` gives the rows of the log whose outcome counts, with the columns of `state.ripe.read_ripe`. Rows about a
    time in one of the stretches `excluded` are learned from nowhere; those of the log are left out of `read` already.
    """

    read: Callable[[], pl.DataFrame]
    excluded: tuple[Period, ...] = ()


def without_excluded(frame: pl.DataFrame, time: str | None, excluded: Sequence[Period], log: Log) -> pl.DataFrame:
    """Return the rows whose `time` lies in no excluded stretch; without a column of times, all."""
    if time is None or not frame[time].dtype.is_temporal() or not excluded:
        return frame
    moment = pl.col(time).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    lies_within = [moment.is_between(one.begin, one.end, closed="left") for one in excluded]
    kept = frame.filter(~pl.any_horizontal(lies_within).fill_null(False))
    if kept.height < frame.height:
        log.note(f"{frame.height - kept.height:,} rows lie in stretches of time that are excluded.")
    return kept


def with_logged(frame: pl.DataFrame, schema: Schema, rows: pl.DataFrame, log: Log) -> pl.DataFrame:
    """Return the rows of the source, then those of the log that it does not hold, with the source's types.

    A row of the log must hold every feature: one that was answered by a version that did not read a column would say
    that the column is empty. A row is the source's own where it has the key of one with a target, or without keys the
    same features and time. A key that comes several times gives its latest row. What the log does not keep (group,
    ignored columns) is empty; a weight is the mean one.
    """
    sent: list[dict[str, Any]] = [orjson.loads(text) for text in rows["features"]]
    needed = {column.name for column in schema.features}
    whole = pl.Series([needed <= one.keys() for one in sent], dtype=pl.Boolean)
    came = _as_source(
        frame, schema, rows.filter(whole), [one for one, is_whole in zip(sent, whole, strict=True) if is_whole]
    )
    new = _unknown(frame, schema, came)
    lacking, known = rows.height - int(whole.sum()), int(whole.sum()) - new.height
    if rows.height:
        told = [f"{new.height:,} rows of the log were added"]
        told += [f"{lacking:,} lack a column that is read now"] if lacking else []
        told += [f"{known:,} are in the source too, or cannot be told apart"] if known else []
        log.note("; ".join(told) + ".")
    return pl.concat([frame, new]) if new.height else frame


def recounted(schema: Schema, frame: pl.DataFrame) -> Schema:
    """Return the schema with the counts of `frame`; kinds and roles stay."""
    return Schema(tuple(_recounted(column, frame[column.name]) for column in schema.columns))


def _recounted(column: Column, series: pl.Series) -> Column:
    nulls = series.null_count()
    return replace(column, nulls=nulls, distinct=series.n_unique() - (nulls > 0))


def _as_source(frame: pl.DataFrame, schema: Schema, rows: pl.DataFrame, sent: list[dict[str, Any]]) -> pl.DataFrame:
    """Return logged rows as rows of the source; those whose outcome the target's type cannot hold are left out.

    A column of `frame` that the schema does not know is taken from `rows` as it is.
    """
    columns = [_column(frame[column.name], column, rows, sent) for column in schema.columns]
    described = {column.name for column in schema.columns}
    columns += [rows[name] for name in frame.columns if name not in described]
    return pl.DataFrame(columns).drop_nulls(schema.target)


def _column(like: pl.Series, column: Column, rows: pl.DataFrame, sent: list[dict[str, Any]]) -> pl.Series:
    """Return one column of logged rows in the type of the source's column `like`."""
    if column.role is Role.TARGET:
        found = to_dtype(rows["outcome"], like.dtype)
    elif column.role is Role.FEATURE:
        found = feature(column, sent)
    elif column.role is Role.TIME:
        found = feature(column, sent)
        if found.dtype.is_temporal():
            moments = rows["event_at"].dt.replace_time_zone(None).cast(found.dtype)
            found = found.zip_with(found.is_not_null(), moments)
    elif column.role is Role.KEY:
        keys = rows["key"].cast(like.dtype, strict=False)
        found = keys.zip_with(keys.is_not_null(), rows["id"]) if like.dtype == pl.String else keys
    elif column.role is Role.WEIGHT:
        found = pl.Series([like.cast(pl.Float64, strict=False).mean()], dtype=pl.Float64).new_from_index(0, rows.height)
    else:
        found = pl.Series([None], dtype=like.dtype).new_from_index(0, rows.height)
    return found.cast(like.dtype, strict=False).alias(like.name)


def _unknown(frame: pl.DataFrame, schema: Schema, came: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that the source does not hold, each once."""
    key = schema.key
    if key is not None:
        learned = frame.filter(pl.col(schema.target or "").is_not_null())[key]
        own = came.drop_nulls(key).filter(~pl.col(key).is_in(learned.implode()))
        return own.unique(key, keep="last", maintain_order=True)
    names = [column.name for column in schema.features] + ([] if schema.time is None else [schema.time])
    if not names:
        return came
    held = _identities(frame, names)
    if schema.time is None:  # patterns that come again and again are no sign of the same row
        held = held.filter(held.is_unique())
    return came.filter(~_identities(came, names).is_in(held.implode()))


def _identities(frame: pl.DataFrame, names: list[str]) -> pl.Series:
    cells = [pl.col(name).fill_nan(None) if frame[name].dtype.is_float() else pl.col(name) for name in names]
    return frame.select(cells).hash_rows()
