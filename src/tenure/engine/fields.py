"""Hold the fields of rows to answer against the data contract: quick where all is well, exact where it is not.

A policy for each column says what then happens: `strict` refuses the request, `coerce` reads the field as well as can
be and tells, `quarantine` does the same and marks the row, so that monitoring and retraining leave it out.
"""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any, Final, Self

import numpy as np

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.errors import ConfigError, FieldsRefusedError, did_you_mean
from tenure.core.project import BadField, Project
from tenure.model.fitted import FittedModel
from tenure.model.values import NO_MOMENT, moment_of, number_of, text_of

_LARGEST: Final = sys.float_info.max
_NAMED: Final = 20
_LEVELS_SHOWN: Final = 20
_LONGEST_DATE: Final = 64
_LONGEST_INTEGER: Final = 10_000
"""Bits; Python does not write longer ones out."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST, _LAST = ((end.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for end in (datetime.min, datetime.max))  # noqa: DTZ901 - the zone follows
_PLAIN_FROM: Final = datetime(1800, 1, 1, tzinfo=UTC).timestamp()
_PLAIN_TO: Final = datetime(2261, 1, 1, tzinfo=UTC).timestamp()


class FieldRule(StrEnum):
    """What a field can break."""

    TYPE = "type"
    """Text where a number is expected, a number where text is, a number that is no truth value, a list."""
    MISSING = "missing"
    """Null where the training data had no gap."""
    RANGE = "range"
    """A number or date beyond the contract's hard limits, or a number that is not finite."""
    INTEGER = "integer"
    """A fraction where all numbers were whole."""
    LEVEL = "level"
    """A value that is not in the closed list."""
    LENGTH = "length"
    """A text longer than the contract allows: twice the longest seen, at least 64 characters."""
    DATE = "date"
    """What is no date in a column of dates."""


_SAYS: Final = {
    FieldRule.TYPE: "is of another type",
    FieldRule.MISSING: "is missing",
    FieldRule.RANGE: "lies beyond the limits",
    FieldRule.INTEGER: "is no whole number",
    FieldRule.LEVEL: "is not a known value",
    FieldRule.LENGTH: "is too long",
    FieldRule.DATE: "is no date",
}
_WANTED: Final = {
    Kind.NUMERIC: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.CATEGORICAL: "text",
    Kind.TEXT: "text",
    Kind.DATETIME: "a date",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks its rule; `found` shows the start of what stood there."""

    field: str
    rule: FieldRule
    found: str


@dataclass(frozen=True, slots=True)
class Admission:
    """Rows that may be answered. `violations` and `quarantined` go by the row's position.

    In `rows` a field that nothing can read is null; all others are as they came.
    """

    rows: Sequence[Mapping[str, Any]]
    violations: Mapping[int, Sequence[Violation]]
    quarantined: frozenset[int]


Judge = Callable[[Any], FieldRule | None]


class FieldGuard:
    """Checks rows against a contract. Columns of the schema's features and its time are looked at, others are not.

    A column that a row lacks is none of its business: `Scorer.check_columns` refuses such rows whatever the policy.
    """

    def __init__(
        self,
        schema: Schema,
        contract: Contract,
        policies: Mapping[str, BadField] | None = None,
        *,
        default: BadField = "coerce",
        verbose: bool = True,
    ) -> None:
        """Compile the rules; `verbose` lets a refusal name what was expected."""
        known = {rule.name: rule for rule in contract.columns}
        columns = [*schema.features, *schema.with_role(Role.TIME)]
        rules = {column.name: known.get(column.name) or _no_rule(column) for column in columns}
        formats = {column.name: column.format for column in columns}
        self._policies = {name: (policies or {}).get(name, default) for name in rules}
        self._verbose = verbose
        self._rules = rules
        self._formats = formats
        self._judges = {name: _judge_for(rule, formats[name]) for name, rule in rules.items()}
        # The quick loops of `check`, by kind: what a good value must be, as plain as can be.
        of = partial(_of_kind, rules)
        self._numbers = [(r.name, *_limits(r), r.integer) for r in of(Kind.NUMERIC)]
        self._booleans = [r.name for r in of(Kind.BOOLEAN)]
        self._levels = [(r.name, _levels(r)) for r in of(Kind.CATEGORICAL) if r.levels is not None]
        texts = [*of(Kind.TEXT), *(r for r in of(Kind.CATEGORICAL) if r.levels is None)]
        self._texts = [(r.name, sys.maxsize if r.max_length is None else r.max_length) for r in texts]
        self._dates = [(r.name, _covers_plain_dates(r)) for r in of(Kind.DATETIME)]

    @classmethod
    def of(cls, model: FittedModel, project: Project, *, verbose: bool = True) -> Self:
        """Return the guard of a model under the policies of the project file."""
        policies = {name: spec.bad for name, spec in project.data.columns.items() if spec.bad is not None}
        return cls(model.schema, model.contract, policies, default=project.serving.bad_fields, verbose=verbose)

    def check(self, row: Mapping[str, Any]) -> list[Violation]:
        """Return what the fields of a row break, at most one rule a field. It never raises."""
        found: list[Violation] = []
        get: Callable[[str], Any] = row.get
        for name, low, high, whole in self._numbers:
            value = get(name)
            kind = type(value)
            if kind is float:
                if not (low <= value <= high and (not whole or value.is_integer())):
                    self._look(row, name, value, found)
            elif kind is not int or not low <= value <= high:
                self._look(row, name, value, found)
        for name, levels in self._levels:
            value = get(name)
            if type(value) is not str or value not in levels:
                self._look(row, name, value, found)
        for name, longest in self._texts:
            value = get(name)
            if type(value) is not str or len(value) > longest:
                self._look(row, name, value, found)
        for name in self._booleans:
            value = get(name)
            if value is not True and value is not False:
                self._look(row, name, value, found)
        for name, quick in self._dates:
            value = get(name)
            if not (quick and type(value) is str and _is_plain_date(value)):
                self._look(row, name, value, found)
        return found

    def admit(self, rows: Sequence[Mapping[str, Any]]) -> Admission:
        """Check all rows of a request, and mend what nothing can read.

        Raises:
            FieldsRefusedError: a field breaks the contract and its policy is strict; it names up to 20.
        """
        broken = {at: found for at, row in enumerate(rows) if (found := self.check(row))}
        if not broken:
            return Admission(rows, {}, frozenset())
        self._refuse_strict(broken)
        mended = [_mended(row, broken[at]) if at in broken else row for at, row in enumerate(rows)]
        aside = {at for at, found in broken.items() if any(self._policies[v.field] == "quarantine" for v in found)}
        return Admission(mended, broken, frozenset(aside))

    def _look(self, row: Mapping[str, Any], name: str, value: Any, found: list[Violation]) -> None:
        """Judge a value that is not plainly good."""
        if value is None and (name not in row or not self._may_not_be_null(name)):
            return
        rule = FieldRule.MISSING if value is None else self._judges[name](value)
        if rule is not None and not (rule is FieldRule.MISSING and not self._may_not_be_null(name)):
            found.append(Violation(name, rule, _shown(value)))

    def _may_not_be_null(self, name: str) -> bool:
        """Say whether null breaks the contract; a row need not say its time, as then the time of the answer counts."""
        rule = self._rules[name]
        return rule.required and rule.null_share == 0 and rule.role is not Role.TIME

    def _refuse_strict(self, broken: Mapping[int, Sequence[Violation]]) -> None:
        refused = [(at, v) for at, found in broken.items() for v in found if self._policies[v.field] == "strict"]
        if not refused:
            return
        errors = [
            {"loc": ["rows", at, violation.field], "rule": violation.rule.value, "msg": self._explained(violation)}
            for at, violation in refused[:_NAMED]
        ]
        at, first = refused[0]
        more = f" ({len(refused) - 1:,} more fields are refused.)" if len(refused) > 1 else ""
        raise FieldsRefusedError(
            f"The field {first.field!r} of row {at} {self._explained(first)}.{more}",
            where=f"rows.{at}.{first.field}",
            hint="Mend these fields and send the request again; GET /schema says what a row holds.",
            errors=errors,
        )

    def _explained(self, violation: Violation) -> str:
        says = _SAYS[violation.rule]
        if not self._verbose:
            return says
        return f"{says}; expected {_expected(self._rules[violation.field], violation.rule, self._formats)}"


def check_policies(model: FittedModel, project: Project) -> None:
    """Accept a project whose policies are all for columns that the model's schema has.

    Raises:
        ConfigError: a policy names another column.
    """
    names = [column.name for column in model.schema.columns]
    for name, spec in project.data.columns.items():
        if spec.bad is not None and name not in names:
            raise ConfigError(
                f"The policy for bad fields names {name!r}, which is no column of the data.",
                where=f"data.columns.{name}.bad",
                hint=did_you_mean(name, names),
            )


# ---- what a good value is ----


def _no_rule(column: Column) -> ColumnRule:
    """Return a rule that asks for nothing but the kind, for a column that the contract does not know."""
    return ColumnRule(column.name, column.kind, column.role, column.dtype, False, 1.0, 1.0)


def _of_kind(rules: Mapping[str, ColumnRule], kind: Kind) -> list[ColumnRule]:
    return [rule for rule in rules.values() if rule.kind is kind]


def _limits(rule: ColumnRule) -> tuple[float, float]:
    return (-_LARGEST if rule.low is None else rule.low), (_LARGEST if rule.high is None else rule.high)


def _levels(rule: ColumnRule) -> frozenset[str]:
    """Return the closed list as texts are read: the contract writes a stored 3.0 out, readers call it 3."""
    levels = rule.levels or ()
    if rule.dtype.startswith("Float"):
        return frozenset(text_of(float(level)) or level for level in levels)
    return frozenset(levels)


def _covers_plain_dates(rule: ColumnRule) -> bool:
    return (rule.low is None or rule.low <= _PLAIN_FROM) and (rule.high is None or rule.high >= _PLAIN_TO)


def _is_plain_date(text: str) -> bool:
    """Say whether a text is 2026-01-31, or that with T12:00:00 or T12:00:00Z, of the years 1800 to 2260.

    `moment_of` reads these and many more, in ten times the time.
    """
    size = len(text)
    if size not in (10, 19, 20) or text[4] != "-" or text[7] != "-" or not "1800" <= text[:4] <= "2260":
        return False
    if size > 10 and (text[13] != ":" or text[16] != ":" or text[10] not in "T " or (size == 20 and text[19] != "Z")):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# ---- what is wrong with a value ----


def _judge_for(rule: ColumnRule, date_format: str) -> Judge:
    match rule.kind:
        case Kind.NUMERIC:
            return partial(_judge_number, _limits(rule), rule.integer)
        case Kind.BOOLEAN:
            return _judge_boolean
        case Kind.CATEGORICAL if rule.levels is not None:
            return partial(_judge_level, _levels(rule), _stands_as_text(rule))
        case Kind.CATEGORICAL | Kind.TEXT:
            return partial(_judge_text, rule.max_length, _stands_as_text(rule))
        case Kind.DATETIME:
            return partial(_judge_date, rule.low, rule.high, date_format)


def _stands_as_text(rule: ColumnRule) -> bool:
    """Say whether the training data held text; a number that is a category there may come as a number."""
    return rule.kind is Kind.TEXT or not rule.dtype.startswith(("Int", "UInt", "Float", "Decimal", "Bool"))


def _is_nothing(value: Any) -> bool:
    """Say whether a value only stands for nothing, as in `model.dates`: blank text, NaN, a missing time."""
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float | Decimal | datetime | np.generic) and _is_unequal(value)


def _is_unequal(value: Any) -> bool:
    return bool(value.is_nan() if isinstance(value, Decimal) else value != value)


def _judge_number(limits: tuple[float, float], whole: bool, value: Any) -> FieldRule | None:
    if _is_nothing(value):
        return FieldRule.MISSING
    value = value.item() if isinstance(value, np.generic) else value
    is_number = isinstance(value, int | float | Decimal | timedelta | time) and not isinstance(value, bool)
    number = number_of(value)
    if math.isnan(number):
        return FieldRule.RANGE if is_number else FieldRule.TYPE
    if not limits[0] <= number <= limits[1]:
        return FieldRule.RANGE
    if whole and not number.is_integer():
        return FieldRule.INTEGER
    return None if is_number else FieldRule.TYPE


def _judge_boolean(value: Any) -> FieldRule | None:
    if _is_nothing(value):
        return FieldRule.MISSING
    return None if isinstance(value, bool | np.bool_) else FieldRule.TYPE


def _judge_level(levels: frozenset[str], as_text: bool, value: Any) -> FieldRule | None:
    if _is_unwritable(value):
        return FieldRule.TYPE
    if text_of(value) not in levels:
        return FieldRule.MISSING if _is_nothing(value) else FieldRule.LEVEL
    return None if isinstance(value, str) or not as_text else FieldRule.TYPE


def _judge_text(longest: int | None, as_text: bool, value: Any) -> FieldRule | None:
    if isinstance(value, str):
        return FieldRule.LENGTH if longest is not None and len(value) > longest else None
    if _is_nothing(value):
        return FieldRule.MISSING
    return FieldRule.TYPE if as_text or not isinstance(value, int | float | Decimal | np.generic) else None


def _judge_date(low: float | None, high: float | None, date_format: str, value: Any) -> FieldRule | None:
    try:
        short = isinstance(value, str) and len(value) <= _LONGEST_DATE
        moment = _short_moment(value, date_format) if short else moment_of(value, date_format)
    except (ValueError, OverflowError):  # half of a surrogate pair; a zone that leads out of the calendar
        return FieldRule.DATE
    if moment == NO_MOMENT:
        return FieldRule.MISSING if _is_nothing(value) and not isinstance(value, Decimal) else FieldRule.DATE
    if not _FIRST <= moment <= _LAST:
        return FieldRule.DATE
    seconds = moment / 1e6
    is_outside = (low is not None and seconds < low) or (high is not None and seconds > high)
    return FieldRule.RANGE if is_outside else None


_short_moment: Final = lru_cache(maxsize=4096)(moment_of)
"""Days come again and again, and those in a format of their own take long to read."""


def _is_unwritable(value: Any) -> bool:
    """Say whether a value has no text of its own: it is many values, or a number that Python does not write out."""
    if isinstance(value, int):
        return value.bit_length() > _LONGEST_INTEGER
    return isinstance(value, list | tuple | dict | set | np.ndarray)


def _mended(row: Mapping[str, Any], found: Sequence[Violation]) -> Mapping[str, Any]:
    unread = [v.field for v in found if v.rule is FieldRule.DATE or _is_unwritable(row[v.field])]
    return {**row, **dict.fromkeys(unread)} if unread else row


# ---- in words ----

_SHORTLY: Final = reprlib.Repr()
_SHORTLY.maxstring = _SHORTLY.maxother = 60


def _shown(value: Any) -> str:
    if isinstance(value, int) and _is_unwritable(value):
        return f"an integer of {value.bit_length():,} bits"
    return _SHORTLY.repr(value)


def _expected(rule: ColumnRule, broken: FieldRule, formats: Mapping[str, str]) -> str:
    match broken:
        case FieldRule.RANGE:
            return _range_in_words(rule)
        case FieldRule.INTEGER:
            return "a whole number"
        case FieldRule.LEVEL:
            levels = sorted(_levels(rule))
            more = f" and {len(levels) - _LEVELS_SHOWN} more" if len(levels) > _LEVELS_SHOWN else ""
            return f"one of {', '.join(levels[:_LEVELS_SHOWN])}{more}"
        case FieldRule.LENGTH:
            return f"at most {rule.max_length:,} characters"
        case FieldRule.DATE:
            own = formats[rule.name]
            return "2026-01-31 or 2026-01-31T12:00:00Z" + (f", or as in the training data {own}" if own else "")
        case FieldRule.TYPE | FieldRule.MISSING:
            return _WANTED[rule.kind]


def _range_in_words(rule: ColumnRule) -> str:
    if rule.low is None and rule.high is None:
        return "a finite number"
    show = _date_in_words if rule.kind is Kind.DATETIME else "{:.6g}".format
    low, high = (None if end is None else show(end) for end in (rule.low, rule.high))
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _date_in_words(seconds: float) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).date().isoformat()
