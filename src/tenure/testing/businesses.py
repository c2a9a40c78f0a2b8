"""Synthetic businesses: rows in order of time with a planted truth, for whatever watches over a model in office.

A business is a shop whose customers may leave (binary) or spend an amount (regression), with a list of events from
`tenure.testing.planted`. The same seed gives the same rows however they are cut into windows, and an event changes no
row outside of its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.lifecycle import OutcomeRecord
from tenure.core.modelling import Floats, Task
from tenure.testing.planted import NEVER, Columns, Event, Moments, micros_of

KEY: Final = "customer"
TIME: Final = "seen_at"
KNOWN: Final = "known_at"
FEATURES: Final = ("spend", "visits", "months", "age", "plan", "region", "channel", "noise")
LEVELS: Final = {
    "plan": ("basic", "plus", "max"),
    "region": ("north", "south", "east", "west"),
    "channel": ("web", "shop", "partner"),
}
_CHANCES: Final = {"plan": (0.5, 0.3, 0.2), "region": (0.25, 0.25, 0.25, 0.25), "channel": (0.5, 0.3, 0.15)}
_CONCEPTS: Final = np.array(
    [  # spend, basic plan, months, visits, age, web in the west, spend on the max plan
        [1.3, 0.6, -0.6, -0.4, 0.3, 0.8, 0.5],
        [-0.9, 0.6, 0.5, 0.6, 0.3, -0.8, -0.5],
        [1.0, -0.8, -0.6, 0.5, -0.4, 0.8, 0.5],
    ]
)
_FEW_YES: Final = -1.0
_MEAN, _SPREAD, _SCATTER = 100.0, 20.0, 15.0
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_WEEK: Final = timedelta(days=7)
_MICROSECOND: Final = timedelta(microseconds=1)
# Every source of chance of a week has a generator of its own, so that no event disturbs another's.
_MOMENT, _FEATURE, _OUTCOME, _SCATTERED, _KEPT, _DELAY, _LABELLED, _LUCK, _PILOT, _TASTE, _EVENT = range(11)


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows seen from `start` until before `end`, in order of time, and the truth behind them.

    `frame` is what a model may see: key, time (without a zone, UTC) and features as they arrive. `truth` is the true
    probability of a yes or the true mean (n,), `outcome` what happens (1 and 0, or amounts), `reported` what is told of
    it. `seen` and `known` are microseconds since 1970, `known` is `NEVER` where nobody learns it.
    """

    start: datetime
    end: datetime
    task: Task
    frame: pl.DataFrame
    truth: Floats
    outcome: Floats
    reported: Floats
    seen: Moments
    known: Moments
    luck: Floats = field(repr=False)
    events: Sequence[Event] = ()

    def __len__(self) -> int:
        return self.frame.height

    @property
    def keys(self) -> list[str]:
        """Return the keys of the rows; no two are alike."""
        return self.frame[KEY].to_list()

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as a client would send them."""
        return self.frame.to_dicts()

    def numbers(self) -> Floats:
        """Return the features as numbers (n, len(FEATURES)), categories by their place in `LEVELS`, NaN for nothing.

        A level that is new is counted on: -1.
        """
        columns = [
            self.frame[name].to_numpy()
            if name not in LEVELS
            else self.frame[name]
            .replace_strict(
                (*LEVELS[name], None), (*range(len(LEVELS[name])), None), default=-1, return_dtype=pl.Float64
            )
            .to_numpy()
            for name in FEATURES
        ]
        return np.column_stack(columns).astype(np.float64)

    def acted_on(self, acted: NDArray[np.bool_]) -> Batch:
        """Return the batch as it turns out when `acted` says of each row whether the owner acts on it."""
        reported, known = self.reported, self.known
        for event in self.events:
            reported, known = event.acted_on(self.seen, acted, reported, known, self.luck)
        return replace(self, reported=reported, known=known)

    def table(self, by: datetime | None = None) -> pl.DataFrame:
        """Return the rows with target and `known_at`; an outcome not known by `by` is missing, as is its time."""
        is_known = self.known < NEVER if by is None else self.known <= micros_of(by)
        target = pl.Series(TARGETS[self.task], _told(self.reported, self.task))
        known = pl.Series(KNOWN, self.known).cast(pl.Datetime("us"))
        told = pl.DataFrame([target, known]).with_columns(pl.when(pl.Series(is_known)).then(pl.all()))
        return pl.concat([self.frame, told], how="horizontal")

    def outcomes(self) -> Outcomes:
        """Return what will be told of the rows."""
        kept = self.known < NEVER
        return Outcomes(np.array(self.keys, dtype=object)[kept], self.reported[kept], self.known[kept], self.task)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes that are still to be told, with the keys of their rows and when they are known."""

    keys: NDArray[Any]
    values: Floats
    known: Moments
    task: Task

    def __len__(self) -> int:
        return len(self.known)

    def and_those(self, other: Outcomes) -> Outcomes:
        """Return both together."""
        return Outcomes(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.known, other.known]),
            self.task,
        )

    def due(self, now: datetime) -> tuple[Outcomes, Outcomes]:
        """Return those that are known at `now`, in the order in which they became known, and those that are not."""
        ripe = self.known <= micros_of(now)
        order = np.argsort(self.known[ripe], kind="stable")
        told = Outcomes(self.keys[ripe][order], self.values[ripe][order], self.known[ripe][order], self.task)
        return told, Outcomes(self.keys[~ripe], self.values[~ripe], self.known[~ripe], self.task)

    def records(self, ids: Mapping[str, str] | None = None) -> list[OutcomeRecord]:
        """Return them as the log takes them: by prediction id where `ids` has one for the key, else by key."""
        known = pl.Series(self.known).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
        values = _told(self.values, self.task)
        return [
            OutcomeRecord(value, at, prediction_id=ids[key]) if ids else OutcomeRecord(value, at, key=key)
            for key, value, at in zip(self.keys, values, known, strict=True)
        ]


@dataclass(frozen=True)
class Business:
    """A synthetic business from `start` to `end`; a model goes into office at `opening` with the rows before it.

    About `weekly_rows` rows are seen a week. An outcome is known `delay` later, and `delay_spread` later still on the
    average where that is given; of the share `unlabelled` of the rows it never is.
    """

    name: str
    start: datetime
    opening: datetime
    end: datetime
    task: Task = Task.BINARY
    weekly_rows: int = 1_000
    delay: timedelta = timedelta(days=7)
    delay_spread: timedelta = timedelta(0)
    unlabelled: float = 0.0
    events: tuple[Event, ...] = ()
    seed: int = 0

    @property
    def target(self) -> str:
        """Return the name of the column to predict."""
        return TARGETS[self.task]

    def history(self) -> pl.DataFrame:
        """Return what the first model learns from: rows before the opening whose outcomes are known by then."""
        return self.batch(self.start, self.opening).table(by=self.opening).drop_nulls(self.target).drop(KNOWN)

    def windows(self, length: timedelta = _WEEK) -> Iterator[Batch]:
        """Yield the rows from the opening on, window by window."""
        start = self.opening
        while start < self.end:
            yield self.batch(start, min(start + length, self.end))
            start += length

    def batch(self, start: datetime, end: datetime) -> Batch:
        """Return the rows seen from `start` until before `end`."""
        first = (start - _MONDAY) // _WEEK
        last = max(first, (end - _MONDAY - _MICROSECOND) // _WEEK)
        weeks = [self._week(number, start, end) for number in range(first, last + 1)]
        truth, outcome, reported, seen, known, luck = (
            np.concatenate(parts) for parts in zip(*(arrays for _, arrays in weeks), strict=True)
        )
        frame = pl.concat([frame for frame, _ in weeks])
        return Batch(start, end, self.task, frame, truth, outcome, reported, seen, known, luck, self.events)

    @cached_property
    def rate(self) -> float:
        """Return the usual share of yes."""
        columns = _features(20_000, lambda at: np.random.default_rng((self.seed, _PILOT, at)))
        return float(_sigmoid(_FEW_YES + _traits(columns) @ self._concepts[0]).mean())

    @cached_property
    def _concepts(self) -> Floats:
        taste = np.random.default_rng((self.seed, _TASTE))
        return _CONCEPTS + 0.1 * taste.normal(size=_CONCEPTS.shape)

    def _week(self, number: int, start: datetime, end: datetime) -> tuple[pl.DataFrame, tuple[Any, ...]]:
        def rng(*which: int) -> np.random.Generator:
            return np.random.default_rng((self.seed, number, *which))

        busiest = float(np.prod([event.busiest(self.rate) for event in self.events]))
        rows = int(np.ceil(busiest * self.weekly_rows))
        monday = micros_of(_MONDAY + number * _WEEK)
        seen = monday + (rng(_MOMENT).random(rows) * (_WEEK / _MICROSECOND)).astype(np.int64)
        columns = _features(rows, lambda at: rng(_FEATURE, at))
        truth, outcome, busier = self._happens(columns, seen, rng)
        for at, event in enumerate(self.events):
            event.break_feed(columns, seen, rng(_EVENT, at, 2))
        reported = outcome.copy()
        for at, event in enumerate(self.events):
            event.mislabel(reported, seen, rng(_EVENT, at, 3))
        known = self._known(seen, rng)
        # The first rows are the usual traffic; those after them come only when it is busier.
        usual = np.arange(rows) < self.weekly_rows
        share = np.where(usual, busier, (busier - 1.0) / max(busiest - 1.0, 1e-12))
        kept = (rng(_KEPT).random(rows) < share) & (seen >= micros_of(start)) & (seen < micros_of(end))
        chosen = np.flatnonzero(kept)
        chosen = chosen[np.argsort(seen[chosen], kind="stable")]
        frame = _frame(columns, seen, chosen, number)
        luck = rng(_LUCK).random(rows)
        return frame, tuple(array[chosen] for array in (truth, outcome, reported, seen, known, luck))

    def _happens(self, columns: Columns, seen: Moments, rng: Any) -> tuple[Floats, Floats, Floats]:
        """Return truth, outcome and how busy it is at each row; what moves the inputs is done to the columns."""
        for at, event in enumerate(self.events):
            event.move_inputs(columns, seen, rng(_EVENT, at, 0))
        traits = _traits(columns)
        score = traits @ self._concepts[0]
        for at, event in enumerate(self.events):
            moved = event.concept(seen, rng(_EVENT, at, 1))
            if moved is not None:
                score = (1 - moved[1]) * score + moved[1] * (traits @ self._concepts[moved[0]])
            score = score + event.lift(seen)
        if self.task is Task.REGRESSION:
            truth = _MEAN + _SPREAD * score
            outcome = truth + _SCATTER * rng(_SCATTERED).normal(size=len(seen))
        else:
            truth = _sigmoid(_FEW_YES + score)
            outcome = (rng(_OUTCOME).random(len(seen)) < truth).astype(np.float64)
        busier, odds = np.ones(len(seen)), np.zeros(len(seen))
        for event in self.events:
            busier = busier * event.busier(seen, outcome, self.rate)
            odds = odds + event.odds(seen)
        if self.task is Task.BINARY:
            truth = _sigmoid(_FEW_YES + score + odds)
        return truth, outcome, busier

    def _known(self, seen: Moments, rng: Any) -> Moments:
        known = seen + self.delay // _MICROSECOND
        if self.delay_spread:
            spread = rng(_DELAY).exponential(self.delay_spread / _MICROSECOND, len(seen))
            known = known + spread.astype(np.int64)
        if self.unlabelled:
            known = np.where(rng(_LABELLED).random(len(seen)) < self.unlabelled, NEVER, known)
        for at, event in enumerate(self.events):
            known = event.delay(seen, known, rng(_EVENT, at, 4))
        return known


TARGETS: Final = {Task.BINARY: "left", Task.REGRESSION: "amount"}
"""The column to predict, by task."""


def _features(rows: int, rng: Any) -> Columns:
    wealth = rng(0).normal(size=rows)
    columns: Columns = {
        "spend": 50.0 + 10.0 * (0.6 * wealth + 0.8 * rng(1).normal(size=rows)),
        "visits": rng(2).poisson(3.0, rows) + np.maximum(0.0, np.round(wealth)),
        "months": np.round(rng(3).exponential(20.0, rows), 1),
        "age": np.round(np.clip(45.0 + 12.0 * rng(4).normal(size=rows), 18, 95)),
        "noise": rng(5).normal(size=rows),
    }
    for at, (name, share) in enumerate((("age", 0.1), ("noise", 0.05))):
        columns[name][rng(6 + at).random(rows) < share] = np.nan
    for at, (name, levels) in enumerate(LEVELS.items()):
        place = np.searchsorted(np.cumsum(_CHANCES[name]), rng(8 + at).random(rows), side="right")
        columns[name] = np.array([*levels, ""], dtype="U16")[place]
    return columns


def _traits(columns: Columns) -> Floats:
    """Return what the outcome hangs on, shape (n, 7); beyond 70, more to spend counts the other way."""
    spend = (columns["spend"] - 50.0) / 10.0
    bent = np.where(spend > 2.0, 4.0 - spend, spend)
    web_in_the_west = (columns["channel"] == "web") & (columns["region"] == "west")
    return np.column_stack(
        [
            bent,
            np.where(columns["plan"] == "basic", 1.0, -1.0),
            np.log1p(np.maximum(columns["months"], 0.0)) - 2.6,
            (columns["visits"] - 3.4) / 2.0,
            np.nan_to_num((columns["age"] - 45.0) / 12.0),
            web_in_the_west - 0.125,
            np.where(columns["plan"] == "max", bent, 0.0),
        ]
    )


def _frame(columns: Columns, seen: Moments, chosen: NDArray[np.int64], week: int) -> pl.DataFrame:
    texts = [pl.Series(name, columns[name][chosen]).replace("", None) for name in LEVELS]
    numbers = [pl.Series(name, columns[name][chosen], nan_to_null=True) for name in FEATURES if name not in LEVELS]
    key = pl.Series(KEY, chosen).cast(pl.String).str.zfill(6)
    at = pl.Series(TIME, seen[chosen]).cast(pl.Datetime("us"))
    frame = pl.DataFrame([key, at, *numbers, *texts])
    return frame.select(pl.format("c{}-{}", pl.lit(week), KEY).alias(KEY), TIME, *FEATURES)


def _told(values: Floats, task: Task) -> list[Any]:
    told: list[Any] = (np.where(values > 0.5, "yes", "no") if task is Task.BINARY else values).tolist()
    return told


def _sigmoid(score: Floats) -> Floats:
    odds: Floats = 1 / (1 + np.exp(-score))
    return odds
