"""What is learned and how it is compared: tasks, validation plans, candidates, leaderboards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenure.core.records import Record

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


class Task(StrEnum):
    """What kind of answer is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        """Say whether the answer is one of a fixed set of classes."""
        return self is not Task.REGRESSION


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value with its 95 % interval, and on how many rows it was taken."""

    metric: str
    value: float
    low: float
    high: float
    rows: int


class Scheme(StrEnum):
    """How blocks of rows become folds."""

    CROSS = "cross"
    """Each block is validated once by models trained on all other blocks."""
    FORWARD = "forward"
    """Block b is validated by models trained on earlier blocks with known outcomes; the last block only reports."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Row positions to train on and to validate on. `reports` marks the fold that no choice may look at."""

    train: Indices
    valid: Indices
    reports: bool = False


@dataclass(frozen=True, slots=True)
class ValidationPlan(Record):
    """How candidates are compared, and why.

    `splitter` names the way rows were put into blocks: stratified-k-fold, k-fold, group-k-fold, time-blocks,
    group-time-blocks or holdout. `blocks` is the artifact digest of an int16 array of shape (rows, 2) in the order of
    the clean table: the row's block, and the first block by whose time the row's outcome was known (forward only).
    `reason` is one sentence. `naive` is what a plain random split claims with a quick probe model, `planned` what this
    plan says of the same probe, `naive_says` puts the difference in words.
    """

    scheme: Scheme
    splitter: str
    block_count: int
    blocks: str
    metric: str
    reason: str
    group: str | None = None
    time: str | None = None
    embargo_seconds: float = 0.0
    naive: Score | None = None
    planned: Score | None = None
    naive_says: str = ""
    made_from: tuple[str, ...] = ()

    def folds(self, blocks: NDArray[np.int16]) -> Iterator[Fold]:
        """Yield the folds that `blocks` (the array that `self.blocks` names) describes.

        Cross: `block_count` folds. Forward: `block_count - 1` folds, the last one marked as reporting.
        """
        block, known = blocks[:, 0], blocks[:, 1]
        if self.scheme is Scheme.CROSS:
            for b in range(self.block_count):
                yield Fold(np.flatnonzero(block != b), np.flatnonzero(block == b))
            return
        last = self.block_count - 1
        for b in range(1, self.block_count):
            train = np.flatnonzero((block < b) & (known <= b))
            yield Fold(train, np.flatnonzero(block == b), reports=b == last)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a model family can do."""

    tasks: frozenset[Task]
    handles_missing: bool = True
    handles_categories: bool = True
    deterministic: bool = True
    seeded: bool = False
    """Whether another seed gives another model, so that the mean of two is steadier."""


@dataclass(frozen=True, slots=True)
class DataShape:
    """What a family looks at to propose configurations: sizes, and whether predictions are for later rows."""

    task: Task
    rows: int
    features: int
    categorical: int
    classes: int
    in_time: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """One proposal of a family: a name that is unique within the run, and its parameters."""

    name: str
    family: str
    params: dict[str, Any] = field(default_factory=dict)
    rank: int = 100
    """Order in the race: lower first."""
    like: str = ""
    """The configuration that this one is a look at, or another seed of; what that one needs, this one needs."""
    look: dict[str, Any] | None = None
    """Parameters that make a much quicker fit, to look at first; None where there is no such thing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration that was fitted on the folds.

    `fold_scores` are in fold order (NaN where the budget ended first), `weight` is its share in the ensemble.
    """

    name: str
    family: str
    params: dict[str, Any]
    score: Score
    fold_scores: tuple[float, ...]
    seconds: float
    rounds: int | None = None
    weight: float = 0.0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Importance:
    """How much of the model's skill is lost without a feature (share of all, 0 to 1)."""

    feature: str
    share: float


class Way(StrEnum):
    """How an ensemble that would take too long for a row was made to fit."""

    PRUNED = "pruned"
    DISTILLED = "distilled"


@dataclass(frozen=True, slots=True)
class Trim:
    """What an ensemble lost so that a row is answered in time.

    Times are estimates for one row in microseconds: aimed at, of the whole ensemble, and of the one that serves.
    `lost` is how much worse the metric is than the whole ensemble's on the same `rows`, before calibration, with its
    95 % interval; positive is worse. `left_out` are candidates, `says` puts all of it into words.
    """

    way: Way
    left_out: tuple[str, ...]
    aim_us: float
    before_us: float
    after_us: float
    lost: float
    low: float
    high: float
    rows: int
    says: str


@dataclass(frozen=True, slots=True)
class Leaderboard(Record):
    """All candidates of a training, and the model built from the best of them.

    `model` is the artifact digest of the bundle. `oof` is the artifact digest of a Parquet table with one row for
    each validated row: `row` (position in the clean table), `row_id` (text that identifies the row across snapshots),
    `reported` (whether no choice looked at it), `target` (class code or value), and `p_0 ... p_k` (probabilities in
    class order, calibrated) or `p_0` (the value): the ensemble's out-of-fold predictions.
    `baseline_oof` has the same form for the baseline candidate. `score` is the honest score of the ensemble,
    `naive_score` the best single candidate's own optimistic one, `baseline` the baseline's on the same rows.
    `expected` is what new rows will show of the model that serves: `score` corrected for what the members of several
    folds gain by answering together, with the interval for a measurement on a third as many rows as were learned from
    (None in boards of older versions); `expected_says` is its reason in words.
    `budget_seconds` is 0 where a number of trials was asked for instead. `row_us` is the estimated time of a row of the
    model that serves, in microseconds (0 in boards of older versions); `trim` is there where the best ensemble would
    have taken too long. `recipe` names what the model was made from, empty for a full search over all rows. `twin` is
    how the answers of the model that serves correlate with those of the one that reported, which did not learn from
    the newest block; None where there is no such block. `judged_by` names the metric by which it is to be compared with
    the model in office, where that is not `metric`: a correction leaves the order of rows, so a ranking sees nothing.
    """

    task: str
    metric: str
    candidates: tuple[Candidate, ...]
    model: str
    oof: str
    baseline_oof: str
    score: Score
    baseline: Score
    naive_score: Score
    importance: tuple[Importance, ...]
    threshold: float | None = None
    threshold_reason: str = ""
    calibration: str = "none"
    calibration_reason: str = ""
    budget_seconds: float = 0.0
    seconds: float = 0.0
    stopped_because: str = ""
    clean: str = ""
    made_from: tuple[str, ...] = ()
    expected: Score | None = None
    expected_says: str = ""
    row_us: float = 0.0
    trim: Trim | None = None
    recipe: str = ""
    twin: float | None = None
    judged_by: str = ""
