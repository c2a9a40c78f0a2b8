"""The target as numbers (class codes, or values), and what is said about it as one of its classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import TargetError, did_you_mean
from tenure.core.modelling import Task

# Leading zeros belong to codes: 01 is a text and no way to write 1.
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_WORDS: Final = {"true": Decimal(1), "false": Decimal(0)}


def encode_target(series: pl.Series, task: Task, classes: Sequence[str]) -> NDArray[Any]:
    """Return class codes (int64, positions in `classes`) or values (float64) of a target column.

    Raises:
        TargetError: a value is missing, is none of the classes, or is no finite number.
    """
    if task.is_classification:
        return _codes(series.cast(pl.String), classes)
    values: NDArray[Any] = series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise TargetError(
            f"The target {series.name!r} holds {bad.size} values that are no numbers, the first in row {bad[0] + 1}.",
            where=str(series.name),
            hint="Leave those rows out, or mend the values.",
        )
    return values


def _codes(texts: pl.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    codes = texts.replace_strict(list(classes), list(range(len(classes))), default=None, return_dtype=pl.Int64)
    if codes.null_count():
        row = int(codes.is_null().arg_true()[0])
        value = texts[row]
        said = "is empty" if value is None else f"holds {value!r}, which is no class of this model,"
        raise TargetError(
            f"The target {texts.name!r} {said} in row {row + 1}.",
            where=str(texts.name),
            hint="Leave rows without a target out." if value is None else did_you_mean(value, classes),
        )
    return codes.to_numpy()


def class_of(value: Any, classes: Sequence[str]) -> str | None:
    """Return the class that `value` stands for, or None where it stands for none or for more than one.

    The class's own text always does; else numbers are compared as numbers (1, 1.0, "1.0"), and where the classes are
    true and false, or 0 and 1, true/True/1 and false/False/0 are the same.
    """
    if isinstance(value, str) and value in classes:
        return value
    wanted = _number_in(value)
    if wanted is None:
        return None
    numbers = [_number_in(name) for name in classes]
    said_in_words = isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _WORDS)
    if said_in_words and not set(numbers) <= {Decimal(0), Decimal(1)}:
        return None
    standing = [name for name, number in zip(classes, numbers, strict=True) if number == wanted]
    return standing[0] if len(standing) == 1 else None


def _number_in(value: Any) -> Decimal | None:
    """Return the number, or truth value as 1 or 0, that stands in a value; None where none does."""
    if isinstance(value, bool | np.bool_):
        return Decimal(bool(value))
    if isinstance(value, int | np.integer):
        return Decimal(int(value))
    if isinstance(value, float | np.floating):
        return Decimal(repr(float(value))) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else _WORDS.get(text.lower())


def value_of(value: Any) -> float | None:
    """Return the finite number that `value` stands for in regression, or None; a truth value is no number."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        number = float(value) if not isinstance(value, str) or "_" not in value else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
