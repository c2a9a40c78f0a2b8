"""What comes back, as typed records. Fields that a newer server adds are passed over; those it leaves out are None."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self, overload

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Reason:
    """How far one column moved an answer, in the unit of the model's scores."""

    column: str
    value: Cell
    contribution: float

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["column"], body["value"], body["contribution"])


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of the model's contract that a field of the row broke."""

    field: str
    rule: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["field"], body["rule"])


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one row. `probability` is of the positive class (binary), `probabilities` by class (multiclass).

    `interval` is between what the value lies (regression, 90 %), or the probability (binary). `reasons` and `action`
    come on request only.
    """

    id: str
    prediction: str | float
    version: str
    probability: float | None = None
    probabilities: Mapping[str, float] | None = None
    interval: tuple[float, float] | None = None
    action: str | None = None
    reasons: tuple[Reason, ...] = ()
    violations: tuple[Violation, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        interval = body.get("interval")
        return cls(
            id=body["id"],
            prediction=body["prediction"],
            version=body["version"],
            probability=body.get("probability"),
            probabilities=body.get("probabilities"),
            interval=None if interval is None else (interval[0], interval[1]),
            action=body.get("action"),
            reasons=tuple(Reason.from_json(one) for one in body.get("reasons") or ()),
            violations=tuple(Violation.from_json(one) for one in body.get("violations") or ()),
        )


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers in the order of the rows, and the version in office; it can be walked and indexed like a tuple."""

    version: str
    predictions: tuple[Prediction, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["version"], tuple(Prediction.from_json(one) for one in body["predictions"]))

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, at: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.predictions[at]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a row's score starts, and how far each column moves it."""

    base: float
    contributions: tuple[Reason, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["base"], tuple(Reason.from_json(one) for one in body["contributions"]))


@dataclass(frozen=True, slots=True)
class Explanations:
    """The explanations in the order of the rows, and the version that they are of."""

    version: str
    explanations: tuple[Explanation, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["version"], tuple(Explanation.from_json(one) for one in body["explanations"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came true for one prediction, found by `id` or by `key`; without `known_at` (ISO 8601) it is known now."""

    outcome: str | int | float | bool
    id: str | None = None
    key: str | int | float | None = None
    known_at: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the server takes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """How many outcomes joined a prediction, repeated or corrected an earlier outcome, or wait for their prediction."""

    joined: int
    repeated: int
    corrected: int
    waiting: int

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["joined"], body["repeated"], body["corrected"], body["waiting"])


@dataclass(frozen=True, slots=True)
class Health:
    """That the server answers, for which project, and with which version."""

    status: str
    project: str
    version: str
    predictions: int | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(body["status"], body["project"], body["version"], body.get("predictions"))


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A field of a refused request: where it stands, and what is wrong with it."""

    loc: tuple[str | int, ...]
    msg: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Build it from the server's JSON."""
        return cls(tuple(body["loc"]), body["msg"])


MISFITS: Final = (KeyError, IndexError, TypeError, AttributeError)
"""What `from_json` raises where the JSON is not of the form that it reads."""
