"""The operations of a column plan: how one raw column becomes numbers, for a table and for one row alike.

Every operation is a frozen record of plain values. The numbers of a table and of one row are equal bit for bit, because
both read values through `model.values` and share the arithmetic.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices
from tenure.model.calendar import CLOCK_PARTS, calendar_of, parts_of_day
from tenure.model.operation import Arrays, Get, Numbers, Operation, Step
from tenure.model.text import LONGEST_TEXT, TopicModel, terms_of
from tenure.model.values import (
    NO_MOMENT,
    mapped,
    moments_of,
    number_of,
    numbers_of,
    text_of,
    texts_of,
)

if TYPE_CHECKING:
    import polars as pl

_NAN: Final = float("nan")
_DAY: Final = 86_400_000_000
_EXACT: Final = 2**53


@dataclass(frozen=True)
class Number(Operation):
    """A number or a yes/no as it is; `fill`, or NaN, where a value is missing, infinite or no number.

    `fill` is for columns that had no gap when the model learned: trees of LightGBM would read one as the number 0.
    """

    op: ClassVar[str] = "number"
    fill: float | None = None

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64."""
        numbers = numbers_of(frame[self.source])
        if self.fill is not None:
            numbers[np.isnan(numbers)] = self.fill
        return numbers[:, None]

    def step(self, at: int) -> Step:
        """Return what writes the one number."""
        source, fill = self.source, _NAN if self.fill is None else self.fill

        def step(get: Get, numbers: Numbers) -> None:
            value = get(source)
            kind = type(value)
            if kind is float:
                numbers[at] = value if value - value == 0.0 else fill  # neither NaN nor infinite
            elif kind is bool or (kind is int and -_EXACT < value < _EXACT):
                numbers[at] = value
            else:
                number = number_of(value)
                numbers[at] = fill if number != number else number

        return step


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

    def step(self, at: int) -> Step:
        """Return what writes the one code."""
        source, code = self.source, self._codes.get

        def step(get: Get, numbers: Numbers) -> None:
            value = get(source)
            numbers[at] = code(value if type(value) is str else text_of(value), _NAN)

        return step


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

    def step(self, at: int) -> Step:
        """Return what writes the one number."""

        def step(get: Get, numbers: Numbers) -> None:
            numbers[at] = self._log_count(text_of(get(self.source)))

        return step


@dataclass(frozen=True)
class Calendar(Operation):
    """Parts of a date or time (UTC): month, day, weekday (Monday 0), hour, minute of the day, place in the year."""

    op: ClassVar[str] = "calendar"
    reads_moments: ClassVar[bool] = True
    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} ({part})" for part in self.parts)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, parts) float64."""
        moments = moments_of(frame[self.source])
        missing = moments == NO_MOMENT
        found = calendar_of(np.where(missing, 0, moments))
        matrix = np.column_stack([found[part].astype(np.float64) for part in self.parts])
        matrix[missing] = np.nan
        return matrix

    def step(self, at: int) -> Step:
        """Return what writes one number for each part."""
        source, places = self.source, dict(zip(self.parts, range(at, at + len(self.parts)), strict=True))
        clock = [(place, CLOCK_PARTS[part]) for part, place in places.items() if part in CLOCK_PARTS]
        daily = {part: place for part, place in places.items() if part not in CLOCK_PARTS}

        @lru_cache(maxsize=1024)  # rows that come together are of few days
        def of_day(day: int) -> tuple[tuple[int, float], ...]:
            return tuple(zip(daily.values(), parts_of_day(day, daily), strict=True))

        def step(get: Get, numbers: Numbers) -> None:
            moment = get(source)
            if moment == NO_MOMENT:
                for place in places.values():
                    numbers[place] = _NAN
                return
            day, since = divmod(moment, _DAY)
            for place, number in of_day(day):
                numbers[place] = number
            for place, unit in clock:
                numbers[place] = since // unit

        return step


@dataclass(frozen=True)
class Elapsed(Operation):
    """How many days a date or time (UTC) lies after the start of 1970."""

    op: ClassVar[str] = "elapsed"
    reads_moments: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of the output."""
        return (f"{self.source} (days)",)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 1) float64 days."""
        moments = moments_of(frame[self.source])
        missing = moments == NO_MOMENT
        days = np.where(missing, 0, moments) / _DAY
        days[missing] = np.nan
        return days[:, None]

    def step(self, at: int) -> Step:
        """Return what writes the days of one row."""

        def step(get: Get, numbers: Numbers) -> None:
            moment = get(self.source)
            numbers[at] = _NAN if moment == NO_MOMENT else float(moment) / float(_DAY)

        return step


@dataclass(frozen=True)
class Difference(Operation):
    """How many days `source` lies after `earlier`."""

    op: ClassVar[str] = "difference"
    reads_moments: ClassVar[bool] = True
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

    def step(self, at: int) -> Step:
        """Return what writes the days of one row."""

        def step(get: Get, numbers: Numbers) -> None:
            end, start = get(self.source), get(self.earlier)
            # float() first: Python divides whole numbers exactly, numpy rounds them to floats before
            numbers[at] = _NAN if NO_MOMENT in (end, start) else float(end - start) / float(_DAY)

        return step


_LOOKED_AT: Final = 200
"""Characters of a text that are looked at one by one."""


def _shape_of(text: str | None) -> tuple[float, float, float, float, float]:
    """Return length, words, and the shares of digits, capitals and marks where it begins; NaN for no text."""
    if text is None:
        return (_NAN,) * 5
    begins = text[:_LOOKED_AT]
    size = len(begins)
    if size == 0:
        return (0.0,) * 5
    digits = sum(map(str.isdigit, begins))
    capitals = sum(map(str.isupper, begins))
    marks = size - sum(map(str.isalnum, begins)) - sum(map(str.isspace, begins))
    return float(len(text)), float(len(text.split())), digits / size, capitals / size, marks / size


@dataclass(frozen=True)
class TextShape(Operation):
    """How a text looks: length, words, shares of digits, capitals and marks in its first 200 characters."""

    op: ClassVar[str] = "text-shape"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} ({part})" for part in ("length", "words", "digits", "capitals", "marks"))

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, 5) float64."""
        return np.array([_shape_of(text) for text in texts_of(frame[self.source])], dtype=np.float64).reshape(-1, 5)

    def step(self, at: int) -> Step:
        """Return what writes the five numbers of one text."""

        def step(get: Get, numbers: Numbers) -> None:
            for place, number in enumerate(_shape_of(text_of(get(self.source))), at):
                numbers[place] = number

        return step


@dataclass(frozen=True, eq=False)
class TextTopics(Operation):
    """The topics of a text, then its linear scores for the target; NaN for no text.

    Only the first `longest` characters are read.
    """

    op: ClassVar[str] = "text-topics"
    model: TopicModel
    scores: int = 0
    longest: int = LONGEST_TEXT

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        topics = [f"topic {topic + 1}" for topic in range(self.model.width - self.scores)]
        return tuple(f"{self.source} ({part})" for part in (*topics, *_numbered("score", self.scores)))

    def _fold(self, text: str | None) -> Floats:
        return np.full(self.model.width, np.nan) if text is None else self.model.fold(terms_of(text, self.longest))

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, topics + scores) float64."""
        matrix = np.empty((frame.height, self.model.width))
        for at, text in enumerate(texts_of(frame[self.source])):
            matrix[at] = self._fold(text)
        return matrix

    def step(self, at: int) -> Step:
        """Return what writes the numbers of one text."""

        def step(get: Get, numbers: Numbers) -> None:
            for place, number in enumerate(self._fold(text_of(get(self.source))).tolist(), at):
                numbers[place] = number

        return step

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as plain data; the model is in `arrays`."""
        return {"op": self.op, "source": self.source, "scores": self.scores, "longest": self.longest}

    def arrays(self) -> Arrays:
        """Return buckets, idf and components."""
        return {"buckets": self.model.buckets, "idf": self.model.idf, "components": self.model.components}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the operation."""
        model = TopicModel(arrays["buckets"], arrays["idf"], arrays["components"])
        return cls(data["source"], model, data["scores"], data.get("longest", LONGEST_TEXT))


def _numbered(word: str, count: int) -> tuple[str, ...]:
    """Return `word` for one output, or `word 1`, `word 2` and so on."""
    return (word,) if count == 1 else tuple(f"{word} {at + 1}" for at in range(count))


HASHED_LEVELS: Final = 1 << 14
"""How many rows the table of hashed levels has."""


@dataclass(frozen=True, eq=False)
class TargetMean(Operation):
    """What the target was on average where a level was seen, drawn towards the mean of all; NaN for no level.

    `means` is (rows, outputs) float64: one row for each of `levels` and last the mean of all, which unseen levels get.
    Without `levels` there are `HASHED_LEVELS` rows before it, and the hash of a level is its row.
    """

    op: ClassVar[str] = "target-mean"
    levels: tuple[str, ...]
    means: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return tuple(f"{self.source} ({part})" for part in _numbered("mean target", self.means.shape[1]))

    @cached_property
    def _known(self) -> dict[str, int]:
        return {level: place for place, level in enumerate(self.levels)}

    @cached_property
    def _table(self) -> Floats:
        return np.vstack([self.means, np.full(self.means.shape[1], np.nan)])

    def _place(self, text: str | None) -> int:
        """Return the row of a level in `means`; -1 for no level."""
        if text is None:
            return -1
        if not self.levels:
            return zlib.crc32(text.encode("utf-8", "surrogatepass")) % HASHED_LEVELS
        return self._known.get(text, len(self.levels))

    def places(self, texts: pl.Series) -> Indices:
        """Return the row of each level in `means`, (n,); -1 for no level."""
        found = mapped(texts, self._place)
        return np.where(np.isnan(found), -1, found).astype(np.int64)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return (n, outputs) float64."""
        found: Floats = self._table[self.places(texts_of(frame[self.source]))]
        return found

    def step(self, at: int) -> Step:
        """Return what writes one number for each output."""
        table = self._table.tolist()

        def step(get: Get, numbers: Numbers) -> None:
            for place, mean in enumerate(table[self._place(text_of(get(self.source)))], at):
                numbers[place] = mean

        return step

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as plain data; the means are in `arrays`."""
        return {"op": self.op, "source": self.source, "levels": list(self.levels)}

    def arrays(self) -> Arrays:
        """Return the means."""
        return {"means": self.means}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the operation."""
        return cls(data["source"], tuple(data["levels"]), arrays["means"])


OPERATIONS: Final[dict[str, type[Operation]]] = {
    kind.op: kind
    for kind in (Number, Category, Frequency, Calendar, Elapsed, Difference, TextShape, TextTopics, TargetMean)
}
