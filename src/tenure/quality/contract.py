"""The data contract: infer what each column promises, and set rows aside that break it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.evidence import Quarantine
from tenure.core.modelling import Floats
from tenure.model.probe import quick_numbers

LONGEST_CELL: Final = 1_000_000
"""Bytes; a longer cell is a fault of the source, not a text."""
_RARE: Final = 0.001
"""Share of rows up to which values far outside are taken for faults; more of them are how the column is."""
_COMMON_INFINITE: Final = 0.01
_MOST_LEVELS: Final = 50
_FEWEST_VALUES: Final = 20
_LEAST_WIDTH: Final = 3.0
_PILE: Final = 0.005
_EARLIEST: Final = -5_364_662_400.0  # 1800-01-01
_LATEST: Final = 9_214_646_400.0  # 2262-01-01
_MARKS: Final = ("quarantine_rule", "quarantine_column", "quarantine_reason")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SetAside:
    """A table cut in two: `clean` keeps the contract, `rows` does not (its last three columns say why).

    `emptied` counts infinite values by column that were common enough to be read as empty cells instead.
    """

    clean: pl.DataFrame
    rows: pl.DataFrame
    reasons: tuple[Quarantine, ...]
    emptied: dict[str, int]


def infer_contract(frame: pl.DataFrame, schema: Schema, *, made_from: tuple[str, ...] = ()) -> Contract:
    """Infer what each column of `frame` promises.

    Limits are wide: faults such as an age of 1e9 lie outside, a longer tail of the same kind does not (see `_limits`).
    """
    rules = tuple(_rule(frame[column.name], column) for column in schema.columns)
    return Contract(columns=rules, rows=frame.height, made_from=made_from)


def _rule(series: pl.Series, column: Column) -> ColumnRule:
    values = quick_numbers(series, column.kind) if column.kind in (Kind.NUMERIC, Kind.DATETIME) else np.empty(0)
    seen = np.sort(values[np.isfinite(values)])
    low, high = _moments(seen) if column.kind is Kind.DATETIME else _limits(seen)
    q01, q50, q99 = (float(q) for q in _quantiles(seen, 0.01, 0.5, 0.99)) if seen.size else (None, None, None)
    null_share = series.null_count() / max(series.len(), 1)
    return ColumnRule(
        name=column.name,
        kind=column.kind,
        role=column.role,
        dtype=column.dtype,
        required=column.role in (Role.FEATURE, Role.TIME),
        null_share=null_share,
        # Three standard errors of a window of 200 rows, and 5 points for what seasons do.
        max_null_share=min(1.0, null_share + 0.05 + 3 * float(np.sqrt(null_share * (1 - null_share) / 200))),
        integer=column.kind is Kind.NUMERIC and bool(seen.size) and bool(np.all(seen == np.round(seen))),
        low=low,
        high=high,
        q01=q01,
        q50=q50,
        q99=q99,
        levels=_levels(series, column),
        unique=column.role is Role.KEY and series.null_count() == 0 and series.n_unique() == series.len(),
        max_length=_max_length(series),
    )


def _limits(seen: Floats) -> tuple[float | None, float | None]:
    """Return the smallest and largest of the sorted numbers that is believed; None where too little is known.

    On the scale asinh((x - median) / spread), on which heavy tails are short, the limits lie one whole width of the
    middle 99.8 % (at least 3) beyond it. If more than 1 in 1000 values are outside, they are the data, and the limits
    move out. Where most values are equal, the others set the scale. Zero is a limit where values pile up on it from
    above.
    """
    if seen.size < _FEWEST_VALUES:
        return None, None
    q25, centre, q75 = _quantiles(seen, 0.25, 0.5, 0.75)
    moving = seen if q75 > q25 else seen[seen != centre]
    if moving.size < _FEWEST_VALUES:
        return None, None
    spread = float(q75 - q25) or float(np.median(np.abs(moving - centre)))
    # No interpolation here: half of an absurd number is absurd still.
    ends = moving[[int(np.ceil(0.001 * (moving.size - 1))), int(0.999 * (moving.size - 1))]]
    bottom, top = np.arcsinh((ends - centre) / spread)
    bottom, top = min(bottom, 0.0), max(top, 0.0)
    width = max(top - bottom, _LEAST_WIDTH)
    low, high = (float(centre + spread * np.sinh(end)) for end in (bottom - width, top + width))
    first, last = int(np.searchsorted(seen, low, side="left")), int(np.searchsorted(seen, high, side="right"))
    if seen.size - (last - first) > max(1.0, _RARE * seen.size):
        low, high = min(low, float(seen[0])), max(high, float(seen[-1]))
        first = 0
    if seen[first] == 0 and np.searchsorted(seen, 0.0, side="right") - first >= _PILE * seen.size:
        low = 0.0
    return low, high


def _quantiles(ordered: Floats, *shares: float) -> Floats:
    """Return quantiles of sorted values, interpolated."""
    place = np.array(shares) * (ordered.size - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, ordered.size - 1)
    between: Floats = ordered[below] + (ordered[above] - ordered[below]) * (place - below)
    return between


def _moments(seen: Floats) -> tuple[float | None, float | None]:
    """Return 1800 and 2262 as limits of a date unless it commonly lies beyond; time itself may go on."""
    if seen.size < _FEWEST_VALUES:
        return None, None
    early, late = np.mean(seen < _EARLIEST), np.mean(seen > _LATEST)
    return (_EARLIEST if early <= _RARE else None, _LATEST if late <= _RARE else None)


def _levels(series: pl.Series, column: Column) -> tuple[str, ...] | None:
    """Return the closed list of values, where there are few and none was seen just once.

    The share of values still unseen is about the share seen once (Good-Turing), so the list is complete.
    """
    if column.kind not in (Kind.CATEGORICAL, Kind.BOOLEAN) or series.n_unique() > _MOST_LEVELS:
        return None
    counts = series.cast(pl.String).drop_nulls().value_counts(name="times")
    if counts.height == 0 or counts["times"].min() == 1:
        return None
    return tuple(sorted(counts[series.name].to_list()))


def _max_length(series: pl.Series) -> int | None:
    if series.dtype != pl.String or series.null_count() == series.len():
        return None
    return min(max(64, 2 * int(np.nanmax(quick_numbers(series, Kind.TEXT)))), LONGEST_CELL)


def set_aside(frame: pl.DataFrame, schema: Schema, contract: Contract, *, regression: bool) -> SetAside:
    """Cut the rows out that break the contract; a row is counted under the first rule that it breaks.

    Rules in order: no target, no time, a value that is no number, infinite, cell too long, beyond the limits, and an
    exact repeat of a row with the same key. Rows that share a key but differ are kept: they are news, not repeats.
    """
    rules: list[tuple[str, str | None, Mask, str]] = []
    emptied: dict[str, int] = {}
    frame = frame.with_columns(pl.selectors.float().fill_nan(None))
    for role, rule, reason in ((Role.TARGET, "no-target", "has no target"), (Role.TIME, "no-time", "has no time")):
        rules += [
            (rule, c.name, _mask(frame[c.name].is_null()), f"{reason} ({c.name})") for c in schema.with_role(role)
        ]
    for column in schema.columns:
        if column.role is Role.IGNORED:
            continue
        series = frame[column.name]
        as_number = column.kind is Kind.NUMERIC or (regression and column.role is Role.TARGET)
        # Through numpy: a polars expression on each of a thousand columns costs more than its work.
        infinite = np.isinf(series.to_numpy()) if series.dtype.is_float() else np.zeros(frame.height, dtype=bool)
        if column.role is Role.FEATURE and infinite.mean() > _COMMON_INFINITE:
            emptied[column.name] = int(infinite.sum())
            frame = frame.with_columns(series.set(pl.Series(infinite), None))
            infinite[:] = False
        rules.append(("infinite", column.name, infinite, f"{column.name} is infinite"))
        rules += _broken_values(series, column, contract[column.name], as_number=as_number)
    if schema.key is not None:
        repeats = ~_mask(frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()) & _mask(
            frame[schema.key].is_not_null()
        )
        rules.append(("repeat", schema.key, repeats, "repeats an earlier row, key included"))
    return _cut(frame, rules, emptied)


def _broken_values(
    series: pl.Series, column: Column, rule: ColumnRule, *, as_number: bool
) -> list[tuple[str, str | None, Mask, str]]:
    """Return the masks of one column's cells that cannot be read, are too long, or lie beyond the limits."""
    found: list[tuple[str, str | None, Mask, str]] = []
    if series.dtype == pl.String:
        too_long = _mask(series.str.len_bytes() > LONGEST_CELL)
        found.append(("too-long", column.name, too_long, f"{column.name} is longer than 1 MB"))
        if as_number:
            unread = np.isnan(quick_numbers(series, Kind.NUMERIC)) & _mask(series.is_not_null())
            found.append(("no-number", column.name, unread, f"{column.name} is no number"))
    if column.kind in (Kind.NUMERIC, Kind.DATETIME) and (rule.low is not None or rule.high is not None):
        values = quick_numbers(series, column.kind)
        with np.errstate(invalid="ignore"):
            outside = (values < (-np.inf if rule.low is None else rule.low)) | (
                values > (np.inf if rule.high is None else rule.high)
            )
        found.append(("beyond-limits", column.name, outside, f"{column.name} lies beyond {_span(rule)}"))
    return found


def _span(rule: ColumnRule) -> str:
    if rule.kind is Kind.DATETIME:
        return "the years 1800 to 2262"
    return f"{rule.low:.4g} to {rule.high:.4g}"


def _mask(series: pl.Series) -> Mask:
    mask: Mask = series.fill_null(False).to_numpy().astype(bool)
    return mask


def _cut(frame: pl.DataFrame, rules: list[tuple[str, str | None, Mask, str]], emptied: dict[str, int]) -> SetAside:
    rules = [rule for rule in rules if rule[2].any()]
    first = np.full(frame.height, -1, dtype=np.int64)
    for number, (_, _, mask, _) in enumerate(rules):
        first[mask & (first < 0)] = number
    broken = first >= 0
    counts = np.bincount(first[broken], minlength=len(rules))
    reasons = tuple(
        Quarantine(rule, column, int(count), reason)
        for (rule, column, _, reason), count in zip(rules, counts, strict=True)
        if count
    )
    why = [rules[number] for number in first[broken]]
    marks = zip(_MARKS, ([w[0] for w in why], [w[1] for w in why], [w[3] for w in why]), strict=True)
    rows = frame.filter(pl.Series(broken)).with_columns(
        pl.Series(name, texts, dtype=pl.String) for name, texts in marks
    )
    return SetAside(frame.filter(pl.Series(~broken)), rows, reasons, emptied)
