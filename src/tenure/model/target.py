"""The target as numbers: class codes, or values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import TargetError, did_you_mean
from tenure.core.modelling import Task


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
