"""A version that answers rows, and what the log keeps of each answer: the way of the server, without a data frame."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from os import getpid, urandom
from typing import Any, Final

from tenure.core.lifecycle import ModelVersion, PredictionRecord
from tenure.core.modelling import Task
from tenure.core.project import Project
from tenure.engine.fields import FieldGuard
from tenure.engine.scoring import NO_ACTION, storable
from tenure.engine.texts import check_name
from tenure.model.fitted import FittedModel
from tenure.model.program import Answered
from tenure.model.scorer import Scorer
from tenure.model.values import NO_MOMENT, moment_of, text_of
from tenure.state.times import iso, micros

_MOST_MOMENT: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
_LEAST_MOMENT: Final = -62_135_596_800_000_000


class Ids:
    """Gives new prediction ids: 32 hex digits of a UUID of version 7 (RFC 9562), rising with time."""

    def __init__(self) -> None:
        self._pid = -1
        self._numbers = count()
        self._tail = ""

    def new(self) -> str:
        """Return an id that no other process or thread gets."""
        if self._pid != getpid():
            self._pid, self._numbers = getpid(), count()
            self._tail = urandom(5).hex()
        number = next(self._numbers)
        # 48 bits of time, a counter where the RFC has randomness, and 40 random bits of this process.
        return f"{time.time_ns() // 1_000_000:012x}7{number >> 20 & 0xFFF:03x}8{number & 0xFFFFF:05x}{self._tail}"


class Holder:
    """A version with its loaded model: answers rows, and says what the log keeps."""

    def __init__(self, version: ModelVersion, scorer: Scorer, project: Project, *, verbose: bool = True) -> None:
        """Make it ready; `verbose` lets refusals name what was expected of a field."""
        self.version = version
        self.scorer = scorer
        self.model: FittedModel = scorer.model
        self.label = version.label
        self.fields = FieldGuard.of(self.model, project, verbose=verbose)
        kept = [column.name for column in self.model.schema.features]
        time_column = self.model.time
        self._kept = [*kept, time_column] if time_column is not None and time_column not in kept else kept
        self._date_names = [column.name for column in self.model.dates.columns]
        self._action = project.value.action if self.model.task is Task.BINARY else None
        self._positive = self.model.classes[-1] if self.model.classes else None

    def answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Answered]:
        """Answer rows.

        Raises:
            SchemaChangedError: a row lacks a column that the model reads, or a date column holds what is no date.
        """
        for row in rows:
            self.scorer.check_columns(row.keys())
        return self.scorer.answers(rows)

    def action(self, said: Answered) -> str | None:
        """Return the recommended action; None where the answer is no yes or no."""
        if self._action is None:
            return None
        return self._action if said.prediction == self._positive else NO_ACTION

    def key_of(self, row: Mapping[str, Any], where: str = "rows") -> str | None:
        """Return the row's key as text.

        Raises:
            DataError: it cannot be kept.
        """
        name = self.model.key
        key = None if name is None else text_of(row.get(name))
        if key is not None:
            check_name(key, f"{where}.{name}")
        return key

    def noted(
        self, ident: str, at_us: int, row: Mapping[str, Any], said: Answered, *, key: str | None, **more: Any
    ) -> dict[str, Any]:
        """Return what the log keeps of an answer, as `Traffic.absorb` takes it.

        `at_us` is when it was given; `row` is what came in; `more` goes into the same row.
        """
        read = self.model.dates.read_row(row) if self._date_names else row
        event = NO_MOMENT if self.model.time is None else moment_of(read.get(self.model.time))
        is_number = not isinstance(said.prediction, str)
        return {
            "id": ident,
            "version": self.version.number,
            "at_us": at_us,
            "event_us": event if _LEAST_MOMENT <= event <= _MOST_MOMENT else at_us,
            "key": key,
            "prediction": repr(said.prediction) if is_number else said.prediction,
            "value": said.prediction if is_number else None,
            "probabilities": said.probabilities,
            "low": said.low,
            "high": said.high,
            "features": {name: read.get(name) for name in self._kept},
            **more,
        }

    def record(
        self, ident: str, at: datetime, row: Mapping[str, Any], said: Answered, *, key: str | None, **more: Any
    ) -> PredictionRecord:
        """Return the same as a record; `at` is when it was given, aware."""
        noted = self.noted(ident, micros(at), row, said, key=key)
        return PredictionRecord(
            id=ident,
            version=self.version.number,
            at=iso(noted["at_us"]),
            event_at=iso(noted["event_us"]),
            features={name: storable(value) for name, value in noted["features"].items()},
            prediction=said.prediction,
            probabilities=tuple(said.probabilities),
            low=said.low,
            high=said.high,
            key=key,
            **more,
        )

    def explained(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, str | None, list[tuple[str, float]]]]:
        """Return for each row the base of its raw score, what the score speaks for, and what each column adds.

        The largest effect comes first. The score speaks for the positive class, or the predicted one of several; None
        for a value. Errors as in `answers`.
        """
        answers = self.answers(rows)
        found = []
        for said, (base, effects) in zip(answers, self.scorer.explain_rows(rows), strict=True):
            ordered = sorted(effects.items(), key=lambda item: -abs(item[1]))
            of = self._positive if self.model.task is Task.BINARY else said.prediction
            found.append((base, of if isinstance(of, str) else None, ordered))
        return found

    def shadowed(self, ident: str, at_us: int, said: Answered) -> dict[str, Any]:
        """Return what the log keeps of an answer that nobody got, as `Traffic.absorb_shadows` takes it."""
        is_number = not isinstance(said.prediction, str)
        return {
            "prediction_id": ident,
            "version": self.version.number,
            "at_us": at_us,
            "prediction": repr(said.prediction) if is_number else said.prediction,
            "value": said.prediction if is_number else None,
            "probabilities": said.probabilities,
            "low": said.low,
            "high": said.high,
        }
