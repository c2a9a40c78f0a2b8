"""A fitted model compiled for one row at a time: a flat list of steps over one buffer, without a data frame.

Steps write the encoded numbers into a buffer that LightGBM reads where it lies; only numbers that some member reads are
worked out. What follows is plain Python with the same arithmetic as for a table, so the answers are equal bit for bit.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from tenure.core.modelling import Floats, Task
from tenure.model.encoder import RowEncoder
from tenure.model.fitted import FittedModel, tempered
from tenure.model.preparation import Preparation
from tenure.model.row_preparation import RowPreparation

if TYPE_CHECKING:
    from tenure.core.ports import Member

_TINY: Final = 1e-15

Say = Callable[[], Sequence[float]]
"""Gives a member's answer for the row in the buffer: probabilities in class order, or one value."""


class Answered(NamedTuple):
    """The answer for one row, in plain Python values.

    `prediction` is a class or a value, `probabilities` (k) are in class order and empty for values; `low` and `high`
    are the ends of the interval, as in `Scored`.
    """

    prediction: str | float
    probabilities: tuple[float, ...]
    low: float | None
    high: float | None


@runtime_checkable
class ReadsRow(Protocol):
    """A member that reads a row where it lies in memory."""

    @property
    def used(self) -> Collection[int]:
        """Return the positions of the numbers that make a difference."""
        ...

    def on_row(self, numbers: array[float], start: int = 0) -> Say:
        """Return what answers for the numbers in `numbers` from `start` on, in one thread only."""
        ...


@runtime_checkable
class ReadsPrepared(Protocol):
    """A member that reads a row after a preparation."""

    preparation: Preparation
    trees: ReadsRow


@dataclass(frozen=True, eq=False)
class _Lane:
    """What one thread needs for itself: the buffer of a row, and what is to be called for it."""

    numbers: array[float]
    prepare: Callable[[], None] | None
    members: tuple[tuple[float, Say], ...]
    logs: array[float]
    view: Floats


class RowProgram:
    """Answers one row. Safe to share between threads: each has a lane of its own."""

    def __init__(self, model: FittedModel) -> None:
        self.model = model
        self._threshold = 0.5 if model.threshold is None else model.threshold
        prepared = [part.member for part in model.members if isinstance(part.member, ReadsPrepared)]
        preparations = [member.preparation for member in prepared]
        self._preparation = RowPreparation(preparations, [m.trees.used for m in prepared]) if prepared else None
        self._encoder = RowEncoder(model.plan.operations, model.dates, self._used())
        self._local = threading.local()

    def answer(self, row: Mapping[str, Any]) -> Answered:
        """Return the answer for one row. A column not in `row` is missing.

        Raises:
            SchemaChangedError: a date column holds what is no date.
        """
        model, raw = self.model, self.raw(row)
        if model.task is Task.BINARY:
            sure = model.probability_interval
            low, high = (None, None) if sure is None else sure.around_one(raw[1])
            return Answered(model.classes[1 if raw[1] >= self._threshold else 0], raw, low, high)
        if model.task is Task.MULTICLASS:
            return Answered(model.classes[int(np.argmax(raw))], raw, None, None)
        low, high = (None, None) if model.interval is None else model.interval.around_one(raw[0])
        return Answered(raw[0], (), low, high)

    def raw(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        """Return calibrated probabilities (k) in class order, or the value; errors as in `answer`."""
        lane = self._lane()
        self._encoder.write(row, lane.numbers)
        if lane.prepare is not None:
            lane.prepare()
        correction = self.model.correction
        if self.model.task is Task.BINARY:
            pair = _calibrated_pair(self.model, lane)
            return pair if correction is None else tuple(correction.apply(np.array([pair]))[0].tolist())
        said = [lane.members[0][0] * part for part in lane.members[0][1]()]
        for weight, say in lane.members[1:]:
            said = [before + weight * part for before, part in zip(said, say(), strict=True)]
        if self.model.task is Task.REGRESSION:
            return tuple(said if correction is None else correction.apply(np.array(said)).tolist())
        if self.model.temperature != 1.0:
            said = tempered(np.array([said]), self.model.temperature)[0].tolist()
        return tuple(said if correction is None else correction.apply(np.array([said]))[0].tolist())

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the numbers of rows, (n, width) float64, where some member reads them; errors as in `answer`."""
        lane = self._lane()
        encoded, numbers = np.empty((len(rows), self.model.plan.width)), np.frombuffer(lane.numbers)
        for at, row in enumerate(rows):
            self._encoder.write(row, lane.numbers)
            encoded[at] = numbers
        return encoded

    def _used(self) -> Collection[int] | None:
        """Return the encoded numbers that some member reads; None where all must be there."""
        used = set(self._preparation.reads) if self._preparation is not None else set()
        for part in self.model.members:
            member = part.member
            reader = member.trees if isinstance(member, ReadsPrepared) else member
            if not isinstance(reader, ReadsRow):
                return None
            used |= set(reader.used)
        return used

    def _lane(self) -> _Lane:
        lane: _Lane | None = getattr(self._local, "lane", None)
        if lane is None:
            lane = self._local.lane = self._new_lane()
        return lane

    def _new_lane(self) -> _Lane:
        model = self.model
        numbers = array("d", bytes(8 * model.plan.width))
        prepare, prepared, start = None, numbers, 0
        if self._preparation is not None:
            prepare, prepared = self._preparation.on_row(numbers)
        members: list[tuple[float, Say]] = []
        for part in model.members:
            if isinstance(part.member, ReadsPrepared):
                members.append((part.weight, part.member.trees.on_row(prepared, start)))
                start += model.plan.width + part.member.preparation.width
            elif isinstance(part.member, ReadsRow):
                members.append((part.weight, part.member.on_row(numbers)))
            else:
                members.append((part.weight, _asked(part.member, np.frombuffer(numbers)[None, :])))
        logs = array("d", bytes(16))
        return _Lane(numbers, prepare, tuple(members), logs, np.frombuffer(logs))


def _asked(member: Member, row: Floats) -> Say:
    """Return what asks a member about a table of one row."""

    def say() -> Sequence[float]:
        answer: list[float] = member.predict(row).reshape(-1).tolist()
        return answer

    return say


def _calibrated_pair(model: FittedModel, lane: _Lane) -> tuple[float, float]:
    """Return the probabilities of two classes: what `FittedModel.predict` gives, with the same sums."""
    no = yes = 0.0
    for weight, say in lane.members:
        one, other = say()
        no += weight * one
        yes += weight * other
    if model.temperature != 1.0:
        no, yes = _tempered_pair(no, yes, model.temperature, lane)
    if model.curve is not None:
        yes = model.curve.of_one(yes)
        no = 1.0 - yes
    return no, yes


def _tempered_pair(no: float, yes: float, temperature: float, lane: _Lane) -> tuple[float, float]:
    """Return what `tempered` gives for two probabilities; Python's own logarithm may differ from numpy's."""
    logs, view = lane.logs, lane.view
    logs[0], logs[1] = _TINY if no < _TINY else no, _TINY if yes < _TINY else yes
    np.log(view, view)
    one, other = logs[0] / temperature, logs[1] / temperature
    most = one if one >= other else other
    logs[0], logs[1] = one - most, other - most
    np.exp(view, view)
    one, other = logs
    return one / (one + other), other / (one + other)
