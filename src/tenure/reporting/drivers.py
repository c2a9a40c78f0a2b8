"""What drives the answers: how the average out-of-fold answer moves with each of the most important features.

These are plain binned averages of what the model said of real rows, so they show what goes together in the data
(other features move along), and say nothing about causes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats, Importance, Indices, Task
from tenure.reporting.answers import Answers
from tenure.reporting.words import GAP, listing, number, of_100

_BINS: Final = 10
_LEVELS: Final = 8
_FEW: Final = 10
_FLAT: Final = 0.03
_CLASSES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One bin of a feature: its label and place on the axis, its rows, and the average answers (one a line)."""

    label: str
    place: float
    rows: int
    answers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Driver:
    """One feature: its share of the skill, how answers move with it, and that in words.

    `ordered` says that the points lie on a number line, else they are levels. `lines` names what each average is
    of: the yes class, the value, or single classes. `points` is empty for free text and for columns never filled.
    """

    feature: str
    share: float
    says: str
    ordered: bool
    lines: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()


def drivers(answers: Answers, schema: Schema, importance: Sequence[Importance], *, count: int = 10) -> list[Driver]:
    """Return the `count` most important features with how the answers move with each."""
    ranked = sorted(importance, key=lambda i: -i.share)[:count]
    return [_driver(answers, schema, item) for item in ranked]


def _driver(answers: Answers, schema: Schema, item: Importance) -> Driver:
    if item.feature not in schema or item.feature not in answers.rows.columns:
        return Driver(item.feature, item.share, "Built from several columns.", ordered=False)
    column = schema[item.feature]
    if column.kind is Kind.TEXT:
        return Driver(item.feature, item.share, "Free text; the words in it carry the signal.", ordered=False)
    labels, places, code, ordered = _bins(answers.rows[column.name], column)
    if not labels:
        return Driver(item.feature, item.share, "Never filled in these rows.", ordered=ordered)
    lines, averages = _averages(answers, code, len(labels))
    rows = np.bincount(code[code >= 0], minlength=len(labels))
    points = tuple(
        Point(label, place, int(rows[i]), tuple(float(v) for v in averages[i]))
        for i, (label, place) in enumerate(zip(labels, places, strict=True))
    )
    says = _in_words(answers, points, lines, ordered=ordered)
    return Driver(item.feature, item.share, says, ordered, lines, points)


_Bins = tuple[list[str], list[float], Indices, bool]


def _bins(series: pl.Series, column: Column) -> _Bins:
    """Return labels, places and each row's bin (-1 where the cell is empty); few values are levels of their own."""
    if column.kind is Kind.NUMERIC and not series.dtype.is_numeric():
        series = series.cast(pl.Float64, strict=False)
    if column.kind is Kind.DATETIME and not series.dtype.is_temporal():
        return [], [], np.full(series.len(), -1), True
    if column.kind in (Kind.NUMERIC, Kind.DATETIME):
        return _number_bins(series)
    return _level_bins(series)


def _number_bins(series: pl.Series) -> _Bins:
    temporal = series.dtype.is_temporal()
    numbers = series.cast(pl.Datetime("us")).dt.epoch("ms") if temporal else series
    values: Floats = numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(values)
    if not known.any():
        return [], [], np.full(len(values), -1), True
    distinct = np.unique(values[known])
    if len(distinct) <= _FEW:
        edges = np.append(distinct, np.inf)
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)))
        edges[-1] = np.inf
    code = np.where(known, np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2), -1)
    filled = np.unique(code[code >= 0])
    code = np.where(code >= 0, np.searchsorted(filled, code), -1)
    places = [float(np.median(values[code == i])) for i in range(len(filled))]
    labels = [_date(place) if temporal else number(place) for place in places]
    return labels, places, code.astype(np.int64), True


def _date(milliseconds: float) -> str:
    day = np.datetime64(int(milliseconds), "ms").item()
    return f"{day.day}{GAP}{day:%b}{GAP}{day.year}"


def _level_bins(series: pl.Series) -> _Bins:
    text = series.cast(pl.String)
    counts = text.drop_nulls().value_counts(sort=True).sort("count", text.name, descending=[True, False])
    levels = counts[text.name].to_list()
    shown = levels[:_LEVELS] if len(levels) > _LEVELS + 1 else levels
    known = {level: i for i, level in enumerate(shown)}
    rest = len(shown)
    code = np.array([-1 if cell is None else known.get(cell, rest) for cell in text], dtype=np.int64)
    labels = [*shown, "all others"] if len(shown) < len(levels) else list(shown)
    return labels, [float(i) for i in range(len(labels))], code, False


def _averages(answers: Answers, code: Indices, bins: int) -> tuple[tuple[str, ...], Floats]:
    """Return what is averaged and the averages (bins, lines); of many classes those that move most."""
    kept = code >= 0
    rows = np.maximum(np.bincount(code[kept], minlength=bins), 1)

    def average(said: Floats) -> Floats:
        mean: Floats = np.bincount(code[kept], weights=said[kept], minlength=bins) / rows
        return mean

    if answers.task is not Task.MULTICLASS:
        name = answers.classes[-1] if answers.task is Task.BINARY else "answer"
        return (name,), average(answers.score)[:, None]
    every = np.stack([average(answers.predicted[:, c]) for c in range(answers.predicted.shape[1])], axis=1)
    moving = np.argsort(-(every.max(axis=0) - every.min(axis=0)), kind="stable")[:_CLASSES_SHOWN]
    return tuple(answers.classes[c] for c in moving), every[:, moving]


def _in_words(answers: Answers, points: tuple[Point, ...], lines: tuple[str, ...], *, ordered: bool) -> str:
    if len(points) < 2:
        return "The same everywhere in these rows."
    if answers.task is Task.MULTICLASS:
        return _classes_in_words(points, lines)
    line = np.array([p.answers[0] for p in points])
    spread = float(line.max() - line.min())
    span = float(np.quantile(answers.score, 0.9) - np.quantile(answers.score, 0.1))
    say = of_100 if answers.task is Task.BINARY else number
    most, least = points[int(line.argmax())], points[int(line.argmin())]
    if spread <= _FLAT * max(span, 1e-12) or say(most.answers[0]) == say(least.answers[0]):
        return "No clear direction by itself; it counts together with other features."
    if not ordered:
        low = say(least.answers[0])
        return f"Highest for “{most.label}” ({say(most.answers[0])}), lowest for “{least.label}” ({low})."
    steps = np.diff(line)
    tolerance = 0.1 * spread
    ends = f"from {say(line[0])} around {points[0].label} to {say(line[-1])} around {points[-1].label}"
    if (steps >= -tolerance).all() and line[-1] > line[0]:
        return f"The higher, the more: {ends}."
    if (steps <= tolerance).all() and line[-1] < line[0]:
        return f"The higher, the fewer: {ends}." if answers.task is Task.BINARY else f"The higher, the less: {ends}."
    return (
        f"Up and down: highest around {most.label} ({say(most.answers[0])}), "
        f"lowest around {least.label} ({say(least.answers[0])})."
    )


def _classes_in_words(points: tuple[Point, ...], lines: tuple[str, ...]) -> str:
    parts = []
    for i, name in enumerate(lines):
        peak = max(points, key=lambda p: p.answers[i])
        parts.append(f"“{name}” at {peak.label} ({of_100(peak.answers[i])})")
    return f"Most often {listing(parts)}."
