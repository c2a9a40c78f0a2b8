"""Price what moved: what a drift costs if it is read as a changed instrument, and if it is read as a changed world.

A price is of two currencies: the skill of the model, and the owner's money where the owner gave values.

A reading is left out where the other columns rule it out: a column that moves alone, while columns that depend on it
stay, is measured differently; one whose company moved along brings other rows. The dearest lower bound of what is left
is the price.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import polars as pl

from tenure.core.health import Price, Reading, Span
from tenure.core.metrics import Metric, Targets
from tenure.core.modelling import Floats, Indices
from tenure.core.project import ValueSection
from tenure.core.value import PER, Flags
from tenure.monitoring.price_losses import (
    jackknifed,
    money_at_stake,
    money_short,
    promised_drop,
    promised_loss,
    turned,
    widened,
)
from tenure.monitoring.price_moves import moved_like
from tenure.monitoring.price_worlds import Cells, Marks, cells_of, company_of, marks_of, refusal, weights_of

ALL_TOGETHER: Final = "all columns together"
TOLERANCE: Final = 0.02
"""What counts as harm: this share of the skill over the baseline, or of the money that the model makes."""
_SWAYED: Final = 0.05
"""The same of decisions, where nobody said what they are worth."""
_LEAST_ERROR: Final = 0.005
"""No price is surer than this share of the skill."""
_ANSWERED_ROWS: Final = 10_000
_LEAST_ROWS: Final = 1_000
_MOST_ROWS: Final = 4_000
_KNOWN_ROWS: Final = 10_000
_FEWEST: Final = 50

Answer = Callable[[pl.DataFrame], Floats]


class Known(Protocol):
    """Rows whose target is known, with what was predicted for them before it was (out of fold)."""

    @property
    def features(self) -> pl.DataFrame:
        """Columns as the model reads them."""

    @property
    def predicted(self) -> Floats:
        """Probabilities (n, k), or values (n,)."""

    @property
    def target(self) -> Targets:
        """Class codes, or values, (n,)."""

    @property
    def acted(self) -> Flags | None:
        """Whether the owner's action followed, (n,)."""


def is_harmless(price: Price, *, tolerance: float = TOLERANCE, money_limit: float | None = None) -> bool:
    """Say whether even the upper bound of a price lies within the tolerance: share of the skill, and money."""
    return price.skill.high < tolerance and (
        price.money is None or money_limit is None or price.money.high < money_limit
    )


def is_harmful(price: Price, *, tolerance: float = TOLERANCE, money_limit: float | None = None) -> bool:
    """Say whether even the lower bound of a price lies above the tolerance: share of the skill, or money."""
    return price.skill.low > tolerance or (
        price.money is not None and money_limit is not None and price.money.low > money_limit
    )


@dataclass(frozen=True, slots=True)
class Priced:
    """What moved and what it costs: the dearest reading of each subject, every reading, and why some have no price.

    `money_limit` is the loss per 1,000 decisions that counts as harm, in the owner's `currency`; None where no values
    were given, or the model makes nothing. `swayed` holds the subjects that surely turn more than one decision in
    twenty though nobody said what decisions are worth, with the share that they turn.
    """

    prices: dict[str, Price]
    readings: dict[str, tuple[Price, ...]]
    unpriced: dict[str, str]
    money_limit: float | None = None
    currency: str = ""
    swayed: dict[str, float] = field(default_factory=dict)

    def is_harmless(self, subject: str) -> bool:
        """Say whether even the upper bound of the price of a subject lies within the tolerance; unpriced: no."""
        price = self.prices.get(subject)
        return price is not None and subject not in self.swayed and is_harmless(price, money_limit=self.money_limit)

    def is_harmful(self, subject: str) -> bool:
        """Say whether even the lower bound of the price of a subject lies above the tolerance; unpriced: no."""
        price = self.prices.get(subject)
        return price is not None and is_harmful(price, money_limit=self.money_limit)

    def burden(self, subject: str) -> float:
        """Return how many times the tolerance a subject costs at least; minus infinity where it has no price."""
        price = self.prices.get(subject)
        return float("-inf") if price is None else _burden(price, self.money_limit)

    def dearest(self, subjects: Collection[str]) -> str | None:
        """Return which of the subjects costs most, None where none has a price."""
        known = [name for name in subjects if name in self.prices]
        return max(known, key=self.burden, default=None)


def _burden(price: Price, money_limit: float | None) -> float:
    skill = price.skill.low / TOLERANCE
    return skill if price.money is None or money_limit is None else max(skill, price.money.low / money_limit)


def priced(
    known: Known,
    window_rows: pl.DataFrame,
    *,
    subjects: Sequence[str],
    answer: Answer,
    metric: Metric,
    skill: float,
    value: ValueSection,
    rng: np.random.Generator,
    columns: Sequence[str] | None = None,
) -> Priced:
    """Return what the move of each subject costs, and of all of them together.

    `known` and `window_rows` hold columns as the model reads them, `answer` is the model on such rows, `skill` how much
    better than the baseline it is (units of the metric). The model answers about 10,000 rows in all, at least 1,000 for
    each subject. `columns` are those by which rows are told apart (all, where left out): time, say, is none of them.
    Never raises for what a column holds: what cannot be priced is in `unpriced`.
    """
    moved = [name for name in subjects if name in known.features.columns]
    refused = {name: "the model does not read it." for name in subjects if name not in known.features.columns}
    if skill <= 0 or not np.isfinite(skill):
        return Priced({}, {}, dict.fromkeys(subjects, "the model has no skill to lose."))
    if window_rows.height < _FEWEST or known.features.height < _FEWEST:
        return Priced({}, {}, dict.fromkeys(subjects, f"fewer than {_FEWEST} rows are too few to price anything."))
    whole = _taken(known, _drawn(known.features.height, _KNOWN_ROWS, rng))
    window = _with_all(window_rows, whole.features)
    seen = whole.features.columns if columns is None else columns
    cells = {name: cells_of(whole.features[name], window[name]) for name in seen}
    pair = _Pair(whole, window, cells, marks_of(cells), metric, skill, value, rng)
    alone = {name for name in moved if pair.is_alone(name)}
    along = {name for name in moved if name not in alone and pair.is_along(name, moved)}
    readings: dict[str, list[Price]] = {name: [] for name in (*moved, ALL_TOGETHER)}
    unpriced, swayed = dict(refused), {}
    for name, columns in _worlds(pair, moved, alone).items():
        told = pair.as_world(columns)
        if isinstance(told, Price):
            readings[name].append(told)
        else:
            unpriced[name] = f"read as other rows, {told}"
    for name, price, turns in _instruments(pair, answer, [name for name in moved if name not in along]):
        readings[name].append(price)
        if turns.low > _SWAYED:
            swayed[name] = turns.value
    found = {name: tuple(prices) for name, prices in readings.items() if prices}
    stake = money_at_stake(value, whole.target, whole.predicted, whole.acted)
    limit = None if stake is None else TOLERANCE * stake
    return Priced(
        {name: max(each, key=lambda price: _burden(price, limit)) for name, each in found.items()},
        found,
        {name: reason for name, reason in unpriced.items() if name not in found},
        limit,
        value.currency,
        swayed,
    )


def _worlds(pair: _Pair, moved: Sequence[str], alone: Collection[str]) -> dict[str, list[str]]:
    """Return by which columns rows are weighted for each subject that can be read as other rows."""
    single = {name: [name] for name in moved if name not in alone}
    if not single:
        return {}
    return single | {ALL_TOGETHER: [name for name in pair.cells if name not in alone]}


def _instruments(pair: _Pair, answer: Answer, moved: Sequence[str]) -> Iterator[tuple[str, Price, Span]]:
    """Yield the price of each column alone, and of all together, as a changed instrument; and what it turns."""
    if not moved:
        return
    features = pair.known.features
    rows = int(np.clip(_ANSWERED_ROWS // (len(moved) + 2), _LEAST_ROWS, _MOST_ROWS))
    at = _drawn(features.height, rows, pair.rng)
    some = _taken(pair.known, at)
    before = answer(some.features)
    changed = {name: moved_like(features[name], pair.window[name], pair.rng)[at] for name in moved}
    for name, values in changed.items():
        after = _answered(answer, some.features, before, [values])
        yield name, pair.as_instrument(some, before, after), pair.turned(some, before, after)
    if len(moved) > 1:
        after = _answered(answer, some.features, before, list(changed.values()))
        yield ALL_TOGETHER, pair.as_instrument(some, before, after), pair.turned(some, before, after)


def _answered(answer: Answer, features: pl.DataFrame, before: Floats, changed: Sequence[pl.Series]) -> Floats:
    """Return the answers once columns are changed; rows in which nothing changed are not asked again."""
    differs = pl.any_horizontal(*(pl.lit(values).ne_missing(pl.lit(features[values.name])) for values in changed))
    where = np.flatnonzero(features.select(differs).to_series().to_numpy())
    after = before.copy()
    if where.size:
        after[where] = answer(features.with_columns(changed)[where])
    return after


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Known rows, thinned."""

    features: pl.DataFrame
    predicted: Floats
    target: Targets
    acted: Flags | None


def _taken(known: Known, at: Indices) -> _Rows:
    acted = None if known.acted is None else known.acted[at]
    return _Rows(known.features[at], known.predicted[at], known.target[at], acted)


def _drawn(rows: int, most: int, rng: np.random.Generator) -> Indices:
    return np.arange(rows) if rows <= most else np.sort(rng.choice(rows, most, replace=False))


def _with_all(window: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Return the window with every column of the reference: what did not arrive is empty."""
    return window.select(
        window[name].cast(dtype, strict=False) if name in window.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in reference.schema.items()
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Reference and window side by side, and what to hold them against."""

    known: _Rows
    window: pl.DataFrame
    cells: Mapping[str, Cells]
    marks: Marks
    metric: Metric
    skill: float
    value: ValueSection
    rng: np.random.Generator

    def is_alone(self, name: str) -> bool:
        """Say whether every other column surely stayed, though some must move if other rows came."""
        company = company_of(name, self.cells[name].weights(), self.marks)
        return company is not None and company.stayed

    def is_along(self, name: str, moved: Sequence[str]) -> bool:
        """Say whether columns that did not move by themselves surely shifted as other rows make them shift.

        Two broken columns may agree by accident, so what moved is no witness here.
        """
        company = company_of(name, self.cells[name].weights(), self.marks, without=moved)
        return company is not None and company.came_along

    def as_instrument(self, some: _Rows, before: Floats, after: Floats) -> Price:
        """Return the price of answers that change from `before` to `after` while the truth stays."""
        drop = promised_drop(self.metric, some.target, some.predicted, before, after, self.rng)
        money = promised_loss(self.value, some.target, some.predicted, before, after, some.acted, self.rng)
        rows = self.window.height
        wide = widened(drop, window_rows=rows, least=_LEAST_ERROR * self.skill)
        cost = None if money is None else widened(money, window_rows=rows)
        return Price(Reading.INSTRUMENT, wide, _over(wide, self.skill), cost)

    def turned(self, some: _Rows, before: Floats, after: Floats) -> Span:
        """Return the share of decisions that turn, none where money tells what they cost or few are to be acted on."""
        is_told = self.value.is_given or self.value.capacity is not None
        acted = None if is_told else some.acted
        return turned(some.predicted, before, after, acted, window_rows=self.window.height)

    def as_world(self, columns: Sequence[str]) -> Price | str:
        """Return the price of rows that come as `columns` say, or why the reference cannot tell."""
        cells = [self.cells[name] for name in columns]
        weights = weights_of(cells, self.rng)
        reason = refusal(weights, max(cell.unsupported() for cell in cells))
        if reason is not None:
            return reason
        known, metric, rows = self.known, self.metric, len(self.known.target)
        money = money_short(self.value, known.target, known.predicted, known.acted)

        def weighed(both: Floats) -> Floats:
            """Return the weights with rows of either side left out; several columns are weighed once only."""
            again = cells[0].weights(both[:rows], both[rows:]) if len(cells) == 1 else weights
            return both[:rows] * again

        def drop(both: Floats) -> float:
            at = both[:rows] > 0
            target, predicted = known.target[at], known.predicted[at]
            old, new = (metric(target, predicted, weight=weight[at]) for weight in (both[:rows], weighed(both)))
            return metric.gain(old, new)

        def lost(both: Floats) -> float:
            assert money is not None  # asked only where it is
            return PER * float(np.average(money, weights=both[:rows]) - np.average(money, weights=weighed(both)))

        whole = rows + self.window.height
        worse = jackknifed(drop, whole, self.rng)
        if not np.isfinite(worse.value):
            return "the metric is not defined on such rows."
        cost = None if money is None else jackknifed(lost, whole, self.rng)
        if len(cells) > 1:
            plain = jackknifed(lambda kept: metric(known.target, known.predicted, weight=kept), rows, self.rng)
            worse = _with_window(worse, plain, rows / self.window.height)
        return Price(Reading.WORLD, worse, _over(worse, self.skill), cost)


def _with_window(span: Span, plain: Span, ratio: float) -> Span:
    """Return the span wider by what a metric wobbles in one window, as weights of many columns follow its chance.

    `plain` is the metric of the reference, which holds `ratio` times as many rows.
    """
    more = (plain.high - plain.low) / 2 * float(np.sqrt(ratio))
    low, high = span.value - span.low, span.high - span.value
    return Span(span.value, span.value - float(np.hypot(low, more)), span.value + float(np.hypot(high, more)))


def _over(span: Span, unit: float) -> Span:
    return Span(span.value / unit, span.low / unit, span.high / unit)
