"""Answer a logged row again with the stored model, step by step, and hold the answer against the logged one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tenure.core.modelling import Floats
from tenure.engine.explain import Contribution
from tenure.model.fitted import FittedModel, tempered
from tenure.model.scorer import Scorer


class Logged(Protocol):
    """An answer as the log keeps it."""

    @property
    def prediction(self) -> str | float:
        """Return the class or the value."""
        ...

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Return the probabilities in class order, none for a value."""
        ...

    @property
    def low(self) -> float | None:
        """Return the low end of the interval."""
        ...

    @property
    def high(self) -> float | None:
        """Return the high end of the interval."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: `probabilities` are in class order, `low` and `high` the ends of the interval."""

    prediction: str | float
    probabilities: tuple[float, ...]
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of an answer that is not what was logged."""

    what: str
    logged: str | float | None
    again: str | float | None


@dataclass(frozen=True, slots=True)
class EncodedNumber:
    """One number that the members read: its name, the column it comes from, None for missing."""

    name: str
    column: str
    value: float | None
    is_code: bool


@dataclass(frozen=True, slots=True)
class MemberAnswer:
    """What one member of the ensemble says, and its share of the answer: probabilities in class order, or a value."""

    name: str
    weight: float
    said: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What the answer is after one step from the members to what is said; numbers as in `MemberAnswer`."""

    name: str
    said: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A logged answer made again.

    `contributions` add up to the raw score with `base`, in `unit`, largest first. `threshold` is the probability from
    which a binary answer is the positive class.
    """

    again: Said
    differences: tuple[Difference, ...]
    encoded: tuple[EncodedNumber, ...]
    base: float
    unit: str
    contributions: tuple[Contribution, ...]
    members: tuple[MemberAnswer, ...]
    corrections: tuple[Correction, ...]
    threshold: float | None
    threshold_reason: str

    @property
    def is_equal(self) -> bool:
        """Say whether the answer is the logged one to the last bit."""
        return not self.differences


def rebuild(scorer: Scorer, row: Mapping[str, Any], logged: Logged) -> Rebuilt:
    """Answer a row as the log keeps it, by the way of the server, and compare every number with the logged one.

    Raises:
        SchemaChangedError: the logged row lacks a column that the model reads.
    """
    model = scorer.model
    again = answer_again(scorer, row)
    numbers = model.plan.encode_row(model.dates.read_row(row))
    [(base, effects)] = scorer.explain_rows([row])
    ordered = sorted(effects.items(), key=lambda item: -abs(item[1]))
    return Rebuilt(
        again=again,
        differences=differences(logged, again, model.classes),
        encoded=_encoded(model, numbers),
        base=base,
        unit="log-odds" if model.task.is_classification else f"units of {model.target}",
        contributions=tuple(Contribution(name, row.get(name), effect) for name, effect in ordered),
        members=tuple(
            MemberAnswer(part.name, part.weight, _numbers(part.member.predict(numbers[None, :])))
            for part in model.members
        ),
        corrections=_corrections(model, numbers[None, :]),
        threshold=(0.5 if model.threshold is None else model.threshold) if len(model.classes) == 2 else None,
        threshold_reason=model.threshold_reason,
    )


def answer_again(scorer: Scorer, row: Mapping[str, Any]) -> Said:
    """Return the answer to a row as the log keeps it; errors as in `rebuild`."""
    scorer.check_columns(row.keys())
    answered = scorer.answer(row)
    return Said(answered.prediction, tuple(answered.probabilities), answered.low, answered.high)


def differences(logged: Logged, again: Logged, classes: tuple[str, ...]) -> tuple[Difference, ...]:
    """Return every number that is not equal, as float64; nothing is rounded."""
    pairs: list[tuple[str, Any, Any]] = [("prediction", logged.prediction, again.prediction)]
    if len(logged.probabilities) == len(again.probabilities):
        triples = zip(classes, logged.probabilities, again.probabilities, strict=True)
        pairs += [(f"probability of {name}", one, other) for name, one, other in triples]
    else:
        pairs.append(("number of classes", len(logged.probabilities), len(again.probabilities)))
    pairs += [("low", logged.low, again.low), ("high", logged.high, again.high)]
    return tuple(Difference(what, one, other) for what, one, other in pairs if one != other)


def _encoded(model: FittedModel, numbers: Floats) -> tuple[EncodedNumber, ...]:
    plan = model.plan
    cells = zip(plan.names, plan.sources, numbers.tolist(), plan.categorical, strict=True)
    return tuple(
        EncodedNumber(name, source, None if value != value else value, is_code)
        for name, source, value, is_code in cells
    )


def _corrections(model: FittedModel, matrix: Floats) -> tuple[Correction, ...]:
    """Return the steps of `FittedModel.predict`, with the same sums."""
    first, *others = model.members
    mean = first.weight * first.member.predict(matrix)
    for other in others:
        mean += other.weight * other.member.predict(matrix)
    steps = [Correction("weighted mean of the members", _numbers(mean))]
    said = mean
    if model.task.is_classification and model.temperature != 1.0:
        said = tempered(said, model.temperature)
        steps.append(Correction(f"temperature {model.temperature:.4g}", _numbers(said)))
    if model.curve is not None:
        said = model.curve(said)
        steps.append(Correction("calibration curve", _numbers(said)))
    if model.correction is not None:
        steps.append(Correction("correction by what came true since", _numbers(model.correction.apply(said))))
    return tuple(steps)


def _numbers(answer: Floats) -> tuple[float, ...]:
    return tuple(answer.reshape(-1).tolist())
