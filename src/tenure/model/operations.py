"""The operations of a column plan: how one raw column becomes numbers, for a table and for one row alike.

Every operation is a frozen record of plain values. `encode` takes a table, `encode_one` a mapping; their numbers are
equal bit for bit, because both read values through `model.values` and share the arithmetic.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.core.records import plain
from tenure.model.text import TopicModel
from tenure.model.values import (
    NO_MOMENT,
    mapped,
    moment_of,
    moments_of,
    number_of,
    numbers_of,
    text_of,
    texts_of,
)

Arrays = dict[str, NDArray[Any]]
Row = Mapping[str, Any]
_NAN: Final = float("nan")
_DAY: Final = 86_400_000_000
_MINUTE: Final = 60_000_000


@dataclass(frozen=True)
class Operation(ABC):
    """One step of a plan: reads `inputs`, gives one number for each of `names`.

    `source` is the column that explanations credit.
    """

    op: ClassVar[str]
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return (self.source,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        return (self.source,)

    @property
    def categorical(self) -> bool:
        """Say whether the numbers are category codes."""
        return False

    @abstractmethod
    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return the numbers of a table, (n, outputs) float64."""

    @abstractmethod
    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the numbers of one row, bit for bit those of `encode`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as plain data."""
        return {"op": self.op} | {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    def arrays(self) -> Arrays:
        """Return what is too large for plain data."""
        return {}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the operation from `to_dict` and `arrays`."""
        words: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
        for name, word in words.items():
            words[name] = tuple(word) if isinstance(word, list) else word
        return cls(**words)


@dataclass(frozen=True)
class Number(Operation):
    """A number or a yes/no as it is; NaN where a value is missing, infinite or no number."""

    op: ClassVar[str] = "number"

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64."""
        return numbers_of(frame[self.source])[:, None]

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the one number."""
        return (number_of(row.get(self.source)),)


@dataclass(frozen=True)
class Category(Operation):
    """The code of a level: 0 for the most frequent; all of `rare` share the last code; missing and unseen are NaN."""

    op: ClassVar[str] = "category"
    levels: tuple[str, ...]
    rare: tuple[str, ...] = ()

    @property
    def categorical(self) -> bool:
        """Say that the numbers are codes."""
        return True

    @cached_property
    def _codes(self) -> dict[str | None, float]:
        codes: dict[str | None, float] = {level: float(code) for code, level in enumerate(self.levels)}
        codes.update(dict.fromkeys(self.rare, float(len(self.levels))))
        return codes

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64 codes."""
        return mapped(texts_of(frame[self.source]), lambda text: self._codes.get(text, _NAN))[:, None]

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the one code."""
        return (self._codes.get(text_of(row.get(self.source)), _NAN),)


@dataclass(frozen=True)
class Frequency(Operation):
    """The logarithm of how often a level was seen, for columns of very many levels.

    Levels seen once are not kept: at training they are what an unseen level is later, so both are 0.
    """

    op: ClassVar[str] = "frequency"
    levels: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of the output."""
        return (f"{self.source} (log count)",)

    @cached_property
    def _logs(self) -> dict[str, float]:
        return {level: math.log(count) for level, count in zip(self.levels, self.counts, strict=True)}

    def _log_count(self, text: str | None) -> float:
        return _NAN if text is None else self._logs.get(text, 0.0)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64."""
        return mapped(texts_of(frame[self.source]), self._log_count)[:, None]

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the one number."""
        return (self._log_count(text_of(row.get(self.source))),)


_SEASON: Final = tuple(2 * math.pi * day / 365.25 for day in range(367))
_SEASON_SIN: Final = np.array([math.sin(angle) for angle in _SEASON])
_SEASON_COS: Final = np.array([math.cos(angle) for angle in _SEASON])


def _calendar(moment: Any) -> dict[str, Any]:
    """Return the calendar parts of microseconds since 1970: an int, or an int64 array.

    Days to civil dates in whole numbers only, after Hinnant, "chrono-compatible low-level date algorithms".
    """
    days, minute = moment // _DAY, moment % _DAY // _MINUTE
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    march = (5 * of_year + 2) // 153
    month = march + 3 - 12 * (march >= 10)
    before = year + era * 400 + (month <= 2) - 1
    new_year = 365 * before + before // 4 - before // 100 + before // 400 - 719_162
    season = days - new_year
    return {
        "month": month,
        "day": of_year - (153 * march + 2) // 5 + 1,
        "weekday": (days + 3) % 7,
        "hour": minute // 60,
        "minute": minute,
        "season_sin": _SEASON_SIN[season],
        "season_cos": _SEASON_COS[season],
    }


CALENDAR_PARTS: Final = ("month", "day", "weekday", "hour", "minute", "season_sin", "season_cos")


@dataclass(frozen=True)
class Calendar(Operation):
    """Parts of a date or time (UTC): month, day, weekday (Monday 0), hour, minute of the day, place in the year."""

    op: ClassVar[str] = "calendar"
    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} ({part})" for part in self.parts)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, parts) float64."""
        moments = moments_of(frame[self.source])
        missing = moments == NO_MOMENT
        found = _calendar(np.where(missing, 0, moments))
        matrix = np.column_stack([found[part].astype(np.float64) for part in self.parts])
        matrix[missing] = np.nan
        return matrix

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return one number for each part."""
        moment = moment_of(row.get(self.source))
        if moment == NO_MOMENT:
            return (_NAN,) * len(self.parts)
        found = _calendar(moment)
        return [float(found[part]) for part in self.parts]


@dataclass(frozen=True)
class Difference(Operation):
    """How many days `source` lies after `earlier`."""

    op: ClassVar[str] = "difference"
    earlier: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of the output."""
        return (f"{self.source} (days after {self.earlier})",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return both columns."""
        return (self.source, self.earlier)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64 days."""
        end, start = moments_of(frame[self.source]), moments_of(frame[self.earlier])
        missing = (end == NO_MOMENT) | (start == NO_MOMENT)
        days = (np.where(missing, 0, end) - np.where(missing, 0, start)) / _DAY
        days[missing] = np.nan
        return days[:, None]

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the days of one row."""
        end, start = moment_of(row.get(self.source)), moment_of(row.get(self.earlier))
        # float() first: Python divides whole numbers exactly, numpy rounds them to floats before
        return (_NAN if NO_MOMENT in (end, start) else float(end - start) / float(_DAY),)


def _shape_of(text: str | None) -> tuple[float, float, float, float, float]:
    """Return length, words, and the shares of digits, capitals and marks; NaN for no text."""
    if text is None:
        return (_NAN,) * 5
    size = len(text)
    if size == 0:
        return (0.0,) * 5
    digits = sum(map(str.isdigit, text))
    capitals = sum(map(str.isupper, text))
    marks = size - sum(map(str.isalnum, text)) - sum(map(str.isspace, text))
    return float(size), float(len(text.split())), digits / size, capitals / size, marks / size


@dataclass(frozen=True)
class TextShape(Operation):
    """How a text looks: length, words, shares of digits, capitals and marks."""

    op: ClassVar[str] = "text-shape"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} ({part})" for part in ("length", "words", "digits", "capitals", "marks"))

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 5) float64."""
        return np.array([_shape_of(text) for text in texts_of(frame[self.source])], dtype=np.float64).reshape(-1, 5)

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the five numbers of one text."""
        return _shape_of(text_of(row.get(self.source)))


@dataclass(frozen=True, eq=False)
class TextTopics(Operation):
    """The topics of a text; NaN for no text."""

    op: ClassVar[str] = "text-topics"
    model: TopicModel

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} (topic {topic + 1})" for topic in range(self.model.topics))

    def _fold(self, text: str | None) -> Floats:
        return np.full(self.model.topics, np.nan) if text is None else self.model.fold(text)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, topics) float64."""
        matrix = np.empty((frame.height, self.model.topics))
        for at, text in enumerate(texts_of(frame[self.source])):
            matrix[at] = self._fold(text)
        return matrix

    def encode_one(self, row: Row) -> Sequence[float]:
        """Return the topics of one text."""
        topics: list[float] = self._fold(text_of(row.get(self.source))).tolist()
        return topics

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as plain data; the model is in `arrays`."""
        return {"op": self.op, "source": self.source}

    def arrays(self) -> Arrays:
        """Return buckets, idf and components."""
        return {"buckets": self.model.buckets, "idf": self.model.idf, "components": self.model.components}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the operation."""
        return cls(data["source"], TopicModel(arrays["buckets"], arrays["idf"], arrays["components"]))


OPERATIONS: Final[dict[str, type[Operation]]] = {
    kind.op: kind for kind in (Number, Category, Frequency, Calendar, Difference, TextShape, TextTopics)
}
