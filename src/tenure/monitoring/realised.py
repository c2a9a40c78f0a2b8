"""What came true: realised score and money of answered predictions whose outcome is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from tenure.core.metrics import Metric, Targets
from tenure.core.modelling import Floats, Score, Task
from tenure.core.project import ValueSection
from tenure.core.uncertainty import score_with_interval
from tenure.core.value import Flags, by_everybody, by_nobody, cost_of_errors, likeliest, realised

_LEAST_EFFECTIVE: Final = 30.0
_LEAST_COVER: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Predictions whose outcome is known.

    `target` holds class codes (int64) or values (float64), `predicted` probabilities (n, k) or values (n,),
    `acted` whether the owner's action followed (None where there is no action to take). `event_at` and `known_at` are
    when each prediction was about and when its outcome was known (seconds since 1970; None where nobody asked).
    """

    target: Targets
    predicted: Floats
    acted: Flags | None = None
    event_at: Floats | None = None
    known_at: Floats | None = None

    def __len__(self) -> int:
        return len(self.target)

    def score(self, metric: Metric) -> Score | None:
        """Return the realised score with its 95 % interval; None where the metric is not defined on these rows."""
        if len(self) == 0 or not np.isfinite(metric(self.target, self.predicted)):
            return None
        score = score_with_interval(metric, self.target, self.predicted)
        return score if np.isfinite(score.low) and np.isfinite(score.high) else None


@dataclass(frozen=True, slots=True)
class YoungScore:
    """The score of a window that still waits for outcomes; `score` is None where it is refused, for a reason in words.

    `effective_rows` is how many rows of equal weight would tell as much; it is also the `rows` of the score.
    """

    score: Score | None
    effective_rows: float
    refused: str | None = None


def young_score(answers: Answered, weights: Floats, *, metric: Metric, awaited: float) -> YoungScore:
    """Return the score of the outcomes that came early, each counted `weights` times (n,), with its 95 % interval.

    `awaited` is how many outcomes the window will have in the end. Where the weights do not add up to about that
    many, outcomes of some kind cannot be known yet, and no weight makes up for them: the score is refused.
    """
    total, squares = float(weights.sum()), float(np.square(weights).sum())
    effective = total**2 / squares if squares > 0 else 0.0
    if effective < _LEAST_EFFECTIVE:
        return YoungScore(None, effective, f"the early outcomes tell as much as {effective:.0f} rows; 30 are needed.")
    chance = 2.0 * float(np.sqrt((weights * (weights - 1.0)).sum()))
    if total + chance < _LEAST_COVER * awaited:
        reason = f"the early outcomes stand for {total / awaited:.0%} of those to come: some kind comes only later."
        return YoungScore(None, effective, reason)
    if not np.isfinite(metric(answers.target, answers.predicted, weight=weights)):
        return YoungScore(None, effective, f"{metric.label} is not defined on the early outcomes.")
    score = score_with_interval(metric, answers.target, answers.predicted, weight=weights)
    if not (np.isfinite(score.low) and np.isfinite(score.high)):
        return YoungScore(None, effective, f"{metric.label} has no interval on the early outcomes.")
    return YoungScore(replace(score, rows=int(effective)), effective)


def moments_of(times: pl.Series) -> Floats:
    """Return times (Datetime) as seconds since 1970, NaN where there is none."""
    seconds: Floats = times.dt.epoch("us").cast(pl.Float64).fill_null(float("nan")).to_numpy() / 1e6
    return seconds


def answered(rows: pl.DataFrame, *, task: Task, classes: tuple[str, ...], value: ValueSection) -> Answered:
    """Return the rows of `Traffic.joined` with a usable outcome; outcomes that the target cannot have are left out."""
    known = usable(rows, task=task, classes=classes)
    if task is Task.REGRESSION:
        return Answered(known["outcome"].to_numpy(), known["value"].cast(pl.Float64).to_numpy(), None, *_times(known))
    columns = [f"p_{code}" for code in range(len(classes))]
    if known.is_empty():
        return Answered(np.zeros(0, dtype=np.int64), np.zeros((0, len(classes))))
    acted = None
    if task is Task.BINARY:
        acted = _acted(known["prediction"], known[columns[-1]].to_numpy(), classes[-1], value.capacity)
    chances = known.select(columns).to_numpy().astype(np.float64)
    return Answered(known["outcome"].to_numpy(), chances, acted, *_times(known))


def usable(rows: pl.DataFrame, *, task: Task, classes: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of `Traffic.joined` with a usable outcome, which becomes a class code or a number."""
    if task is Task.REGRESSION:
        outcome = rows["outcome"].cast(pl.Float64, strict=False)
        given = rows.with_columns(outcome.alias("outcome"))
        return given.filter(pl.col("outcome").is_finite() & pl.col("value").is_finite())
    columns = [f"p_{code}" for code in range(len(classes))]
    if not set(columns) <= set(rows.columns):
        return rows.clear()
    code_of = _whole_number_forms(classes) | {name: code for code, name in enumerate(classes)}
    coded = rows.with_columns(pl.col("outcome").replace_strict(code_of, default=None, return_dtype=pl.Int64))
    return coded.filter(pl.all_horizontal(pl.col("outcome", *columns).is_not_null()))


def _times(known: pl.DataFrame) -> tuple[Floats | None, Floats | None]:
    """Return when predictions were about and when their outcome was known, where the rows tell."""
    if not {"event_at", "known_at"} <= set(known.columns):
        return None, None
    return moments_of(known["event_at"]), moments_of(known["known_at"])


def _whole_number_forms(classes: tuple[str, ...]) -> dict[str, int]:
    """Return codes of other ways to write classes that are whole numbers: 1 and 1.0 are one class."""
    forms: dict[str, int] = {}
    for code, name in enumerate(classes):
        whole = name.removesuffix(".0")
        if whole.lstrip("-").isdigit():
            forms |= {whole: code, f"{whole}.0": code}
    return forms


def _acted(prediction: pl.Series, chance: Floats, positive: str, capacity: int | None) -> Flags:
    """Return which rows were acted on: predicted yes, and among the likeliest where capacity ends."""
    said_yes = (prediction.cast(pl.String) == positive).fill_null(value=False).to_numpy()
    return said_yes if capacity is None else likeliest(said_yes, chance, most=capacity)


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """What each decision was worth, in the owner's currency, and what it would have been otherwise.

    `made` is what the decision brought, `best` what the right one would have (known only afterwards), `without` what
    never acting would have brought. All have shape (n,).
    """

    made: Floats
    best: Floats
    without: Floats


def money_of(rows: Answered, value: ValueSection) -> Money | None:
    """Return the money of each decision; None where the owner gave no values that fit the task."""
    if rows.acted is not None and value.is_given:
        is_yes = rows.target == 1
        without = by_nobody(is_yes, value)
        return Money(realised(is_yes, rows.acted, value), np.maximum(by_everybody(is_yes, value), without), without)
    if rows.predicted.ndim == 1 and value.error_cost is not None:
        made = cost_of_errors(rows.target.astype(np.float64), rows.predicted, value.error_cost)
        return Money(made, np.zeros_like(made), made)
    return None


def joined_answers(parts: list[Answered]) -> Answered:
    """Return several windows' answers as one."""
    acted = [part.acted for part in parts if part.acted is not None]
    events = [part.event_at for part in parts if part.event_at is not None]
    known = [part.known_at for part in parts if part.known_at is not None]
    return Answered(
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate(acted) if len(acted) == len(parts) else None,
        np.concatenate(events) if len(events) == len(parts) else None,
        np.concatenate(known) if len(known) == len(parts) else None,
    )


def reference_answers(oof: pl.DataFrame, *, task: Task) -> Answered:
    """Return the out-of-fold predictions as answers: on rows that no choice looked at where those are enough."""
    reported = oof.filter(pl.col("reported"))
    rows = reported if reported.height >= 200 else oof
    columns = sorted((c for c in rows.columns if c.startswith("p_")), key=lambda name: int(name.removeprefix("p_")))
    predicted = rows.select(columns).to_numpy().astype(np.float64)
    if task is Task.REGRESSION:
        return Answered(rows["target"].cast(pl.Float64).to_numpy(), predicted[:, 0])
    return Answered(rows["target"].cast(pl.Int64).to_numpy(), predicted)
