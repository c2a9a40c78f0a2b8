"""Rules of the data contract, held against one window: a broken rule is a fault of the feed, not drift.

Shares are held against exact binomial limits; a fault must be beyond chance and change at least two rows in a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import betainc, betaincinv, stdtrit

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Kind
from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.modelling import Floats
from tenure.model.values import numbers_of, texts_of
from tenure.monitoring.figures import figure

VOLUME: Final = "volume"
ENOUGH_ROWS: Final = "enough-rows"
FAULT_LEVEL: Final = 1e-4
_LEAST_WINDOWS: Final = 4
_LEAST_CHANGE: Final = 0.02
_LEAST_VALUES: Final = 20
_NUMBERS: Final = (Kind.NUMERIC, Kind.BOOLEAN)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnWindow:
    """One column of a window beside its rule: values as they came, as numbers, and the reference's.

    `numbers` and `reference` are float64 with NaN where empty or unreadable, and None for other kinds.
    `level` is the chance of a false alarm that one rule may take. `may_rest` says that one value throughout a window is
    nothing new.
    """

    rule: ColumnRule
    contract_rows: int
    came: pl.Series | None
    rows: int
    numbers: Floats | None
    reference: Floats | None
    level: float
    may_rest: bool = False


def broken_rules(
    window: pl.DataFrame,
    contract: Contract,
    reference: pl.DataFrame,
    columns: tuple[str, ...],
    *,
    level: float,
    resting: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Hold every rule of `columns` against `window` (decoded features); each rule and column gives one finding.

    `reference` is the training table, `level` the chance of a false fault in the whole window. `resting` names columns
    that had one value throughout some window of the training rows, as the month has in most weeks.
    """
    each = min(FAULT_LEVEL, level / max(len(columns) * len(RULES), 1))
    findings: list[Finding] = []
    for name in columns:
        subject = _column_window(window, contract, reference, name, level=each, may_rest=name in resting)
        for check, rule in RULES.items():
            measurement, threshold = rule(subject)
            findings.append(threshold.judge(measurement, check=check))
    return tuple(findings)


def _column_window(
    window: pl.DataFrame, contract: Contract, reference: pl.DataFrame, name: str, *, level: float, may_rest: bool
) -> ColumnWindow:
    rule = contract[name]
    came = window[name] if name in window.columns else None
    is_number = rule.kind in _NUMBERS
    return ColumnWindow(
        rule,
        contract.rows,
        came,
        window.height,
        numbers_of(came) if came is not None and is_number else None,
        numbers_of(reference[name]) if name in reference.columns and is_number else None,
        level,
        may_rest,
    )


def binomial_limit(rows: int, share: float, seen: int, level: float) -> float:
    """Return the largest share of `rows` that chance explains (one-sided, `level`) where `share` of `seen` was normal.

    The normal share itself is only known from `seen` rows, so its upper 99 % bound stands for it
    (Clopper and Pearson 1934).
    """
    hits = round(share * seen)
    normal = float(betaincinv(hits + 1, seen - hits, 0.99)) if hits < seen else 1.0
    low, high = 0, rows  # the smallest count whose upper tail is rarer than `level` lies in (low, high]
    if normal >= 1.0 or betainc(rows, 1, normal) >= level:
        return 1.0
    while high - low > 1:
        middle = (low + high) // 2
        if betainc(middle, rows - middle + 1, normal) < level:
            high = middle
        else:
            low = middle
    return low / rows


def _share_rule(
    check: str, subject: ColumnWindow, hits: int, rows: int, *, normal: float, says: str, hint: str
) -> tuple[Measurement, Threshold]:
    limit = binomial_limit(rows, normal, subject.contract_rows, subject.level)
    share = hits / rows
    threshold = Threshold(warn=limit, fail=max(limit, normal + _LEAST_CHANGE))
    evidence = {"rows": rows, "normal": normal, "limit": limit}
    return Measurement(check, share, subject=subject.rule.name, says=says, hint=hint, evidence=evidence), threshold


def _not_applicable(check: str, subject: ColumnWindow, reason: str) -> tuple[Measurement, Threshold]:
    return Measurement(check, 0.0, subject=subject.rule.name, skipped=reason), Threshold(warn=1.0)


def _missing_values(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    rule, check = subject.rule, "missing-values"
    if subject.rows == 0:
        return _not_applicable(check, subject, "the window is empty.")
    empty = subject.rows if subject.came is None else _empty_count(subject.came)
    normal = max(rule.max_null_share, rule.null_share)
    says = (
        f"{rule.name!r} is empty in {empty / subject.rows:.0%} of rows; {rule.null_share:.0%} was normal in training."
    )
    if subject.came is None:
        says = f"{rule.name!r} did not arrive at all."
    hint = f"Ask whoever delivers {rule.name!r} what changed. Do not retrain on these rows."
    return _share_rule(check, subject, empty, subject.rows, normal=normal, says=says, hint=hint)


def _empty_count(came: pl.Series) -> int:
    empty = came.null_count()
    return empty + int(came.is_nan().sum()) if came.dtype.is_float() else empty


def _unreadable_values(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    check = "unreadable-values"
    if subject.came is None or subject.numbers is None:
        return _not_applicable(check, subject, "there are no numbers to read.")
    given = subject.rows - _empty_count(subject.came)
    if given < _LEAST_VALUES:
        return _not_applicable(check, subject, f"the window holds only {given} values.")
    read = int((~np.isnan(subject.numbers)).sum())
    bad = max(given - read, 0)
    says = f"{bad / given:.0%} of the values of {subject.rule.name!r} are not numbers or not finite."
    hint = f"Mend the format of {subject.rule.name!r} where it is made."
    return _share_rule(check, subject, bad, given, normal=0.0, says=says, hint=hint)


def _out_of_range(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    rule, check = subject.rule, "out-of-range"
    if subject.numbers is None or rule.low is None or rule.high is None:
        return _not_applicable(check, subject, "the contract gives no range.")
    numbers = subject.numbers[np.isfinite(subject.numbers)]
    if numbers.size < _LEAST_VALUES:
        return _not_applicable(check, subject, f"the window holds only {numbers.size} numbers.")
    outside = int(((numbers < rule.low) | (numbers > rule.high)).sum())
    says = f"{outside / numbers.size:.0%} of {rule.name!r} lies outside {figure(rule.low)} to {figure(rule.high)}."
    hint = f"Check how {rule.name!r} is made. If the new range is right, run tenure on the new data."
    return _share_rule(check, subject, outside, int(numbers.size), normal=0.0, says=says, hint=hint)


def _new_values(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    rule, check = subject.rule, "new-values"
    if subject.came is None or rule.levels is None or rule.kind is not Kind.CATEGORICAL:
        return _not_applicable(check, subject, "the contract gives no closed list of values.")
    text = texts_of(subject.came).drop_nulls()
    if len(text) < _LEAST_VALUES:
        return _not_applicable(check, subject, f"the window holds only {len(text)} values.")
    unknown = text.filter(~text.is_in(list(rule.levels)))
    most = str(unknown.mode().sort()[0]) if len(unknown) else ""
    says = f"{len(unknown) / len(text):.0%} of {rule.name!r} holds values never seen in training"
    says += f", such as {most[:40]!r}." if most else "."
    hint = f"If the new value of {rule.name!r} is right, run tenure on data that hold it."
    return _share_rule(check, subject, len(unknown), len(text), normal=0.0, says=says, hint=hint)


def _constant_column(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    """Measure the chance (as -log10) of a column standing still that had not."""
    rule, check = subject.rule, "constant-column"
    if subject.numbers is None or subject.reference is None:
        return _not_applicable(check, subject, "only numbers are held against this rule.")
    if subject.may_rest:
        return _not_applicable(check, subject, "it had one value throughout some windows of the training rows, too.")
    came = subject.numbers[np.isfinite(subject.numbers)]
    known = subject.reference[np.isfinite(subject.reference)]
    if came.size < _LEAST_VALUES or known.size < _LEAST_VALUES:
        return _not_applicable(check, subject, "there are too few numbers.")
    common = float(np.unique(known, return_counts=True)[1].max()) / known.size
    is_still = bool(came.min() == came.max())
    surprise = -came.size * float(np.log10(common)) if is_still else 0.0
    limit = -float(np.log10(subject.level))
    says = f"{rule.name!r} has had one value only." if is_still else f"{rule.name!r} varies."
    hint = f"Check whether {rule.name!r} is still measured."
    measurement = Measurement(check, surprise, subject=rule.name, says=says, hint=hint)
    return measurement, Threshold(warn=limit, fail=limit)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A way to write the same quantity in another unit: new = old * factor + offset."""

    factor: float
    offset: float = 0.0

    def undo(self, values: Floats) -> Floats:
        return (values - self.offset) / self.factor


_UNITS: Final = (
    *(_Unit(10.0**k) for k in (-6, -3, -2, -1, 1, 2, 3, 6)),
    _Unit(2.54),
    _Unit(1 / 2.54),
    _Unit(1.8, 32.0),
    _Unit(1 / 1.8, -32.0 / 1.8),
)


def _unit_slip(subject: ColumnWindow) -> tuple[Measurement, Threshold]:
    """Measure whether another unit explains the window: 1 when it does, 0 when not.

    Five quantiles must be far from the reference as they came and close to it once the unit is undone, both in
    standard errors and in size.
    """
    rule, check = subject.rule, "unit-slip"
    threshold = Threshold(warn=0.5, fail=0.5)
    if rule.kind is not Kind.NUMERIC or subject.numbers is None or subject.reference is None:
        return _not_applicable(check, subject, "only numbers have units.")
    came = subject.numbers[np.isfinite(subject.numbers)]
    known = subject.reference[np.isfinite(subject.reference)]
    if came.size < _LEAST_VALUES or np.unique(known).size < _LEAST_VALUES:
        return _not_applicable(check, subject, "there are too few different numbers.")
    slipped = next((unit for unit in _UNITS if _explains(unit, came, known)), None)
    if slipped is None:
        return Measurement(check, 0.0, subject=rule.name, says=f"{rule.name!r} came in its usual unit."), threshold
    form = f"{figure(slipped.factor)} times" + (f" plus {figure(slipped.offset)}" if slipped.offset else "")
    says = f"{rule.name!r} looks as if its unit changed: values are {form} what they were."
    hint = f"Check the unit of {rule.name!r} where it is made, and send it as before."
    return Measurement(check, 1.0, subject=rule.name, says=says, hint=hint), threshold


def _explains(unit: _Unit, came: Floats, known: Floats) -> bool:
    """Say whether undoing `unit` brings the quantiles of the window back to the reference's."""
    at = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    wanted = np.quantile(known, at)
    spread = float(wanted[3] - wanted[1])
    if spread <= 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest there are have no unit to find
        undone = unit.undo(np.quantile(came, at))
    if not np.isfinite(undone).all():
        return False
    noise = 3.0 / np.sqrt(min(came.size, known.size))
    off_before = np.abs(unit.factor * undone + unit.offset - wanted) / spread
    off_after = np.abs(undone - wanted) / spread
    return bool(
        np.median(off_before) > 0.5 + noise and off_after[2] < 0.02 + noise and off_after.max() < 0.1 + 2 * noise
    )


_Rule = Callable[[ColumnWindow], tuple[Measurement, Threshold]]
RULES: Final[dict[str, _Rule]] = {
    "missing-values": _missing_values,
    "unreadable-values": _unreadable_values,
    "out-of-range": _out_of_range,
    "new-values": _new_values,
    "constant-column": _constant_column,
    "unit-slip": _unit_slip,
}


def judge_volume(counts: Sequence[int], gaps: Sequence[int]) -> Finding:
    """Judge the rows of the latest window against the full windows before it; never an alarm.

    `counts` holds the rows of full windows, oldest first, `gaps` how many empty windows lay before each. The
    measurement is the larger of now over usual and usual over now.
    """
    *before, now = counts
    if len(before) < _LEAST_WINDOWS:
        reason = f"only {len(before)} earlier windows tell how much traffic is usual."
        return Finding(VOLUME, Verdict.SKIPPED, Measurement(VOLUME, 0.0, skipped=reason))
    logs = np.log(np.array(before, dtype=np.float64))
    usual = float(np.exp(np.median(logs)))
    # A wide band (predictive t, five degrees of freedom, 1 in 1,000), and never less than a factor of two.
    reach = float(stdtrit(5, 0.9995)) * float(np.std(logs, ddof=1)) * float(np.sqrt(1 + 1 / len(before)))
    limit = max(2.0, float(np.exp(reach)))
    factor = max(now / usual, usual / now)
    says = f"The latest window holds {now:,} predictions; about {usual:,.0f} are usual."
    if gaps[-1] > max(gaps[:-1]):
        says += f" No predictions came for {gaps[-1]} windows before it."
        factor = max(factor, limit + 1)
    hint = "Check whether all callers still send their rows."
    return Threshold(warn=limit).judge(Measurement(VOLUME, factor, says=says, hint=hint), check=VOLUME)


def faulty(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield "rule: column" for each broken rule."""
    for finding in findings:
        if finding.check in RULES and finding.verdict.blocks:
            yield f"{finding.check}: {finding.subject}"
