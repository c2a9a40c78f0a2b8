"""Ask a classifier whether it can tell a window from the reference, and whether it can do so more than usual.

Real windows always differ a little from one another. So the area under the ROC curve is held against what it is for
windows of the reference, each against the others: an empirical null, no fixed limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.metrics import metric_named
from tenure.core.modelling import Floats, Indices, Task
from tenure.monitoring.detector import Series

WINDOW: Final = "\0window"
"""No column of a table can be called so."""
_ROWS: Final = 5_000
_FOLDS: Final = 3
_ROUNDS: Final = 50
_PARAMS: Final[dict[str, Any]] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "max_bin": 63,
    "force_row_wise": True,
    "num_threads": 1,  # on busy cores threads wait for each other far longer than one works
    "deterministic": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}
NULLS: Final = 12


def usual_aucs(reference: pl.DataFrame, *, most: int = NULLS, rng: np.random.Generator) -> tuple[float | None, ...]:
    """Return the AUC of windows of the reference (at most `most`, spread over its time), each against the others."""
    numbers = reference[WINDOW].unique().sort().to_list()
    if len(numbers) < 3:
        return ()
    chosen = sorted({numbers[round(i)] for i in np.linspace(0, len(numbers) - 1, min(most, len(numbers)))})
    return tuple(
        auc_of(reference.filter(pl.col(WINDOW) != number), reference.filter(pl.col(WINDOW) == number), rng=rng)
        for number in chosen
    )


def series_of(usual: Sequence[float | None], windows: Sequence[float | None], *, known: int, rows: int) -> Series:
    """Return AUCs as a series for `watch_drift` after a reference of `known` windows, of which some have an AUC."""
    reference: list[float | None] = [None] * max(known - len(usual), 0)
    variance = (rows + _ROWS + 1) / (12 * rows * _ROWS) if rows else 0.0  # of the AUC of two samples of one kind
    return Series((*reference, *list(usual)[-known:]) if known else (), tuple(windows), variance)


def auc_of(reference: pl.DataFrame, rows: pl.DataFrame, *, rng: np.random.Generator) -> float | None:
    """Return the cross-validated AUC of telling `rows` from `reference`, None where there is too little to learn from.

    Both are cut to at most 5,000 rows, the reference to as many of each window. No window of the reference is in both
    the training and the test rows of a fold.
    """
    columns = [name for name in rows.columns if name in reference.columns and name != WINDOW]
    old = reference[_balanced(reference[WINDOW].to_numpy(), _ROWS, rng)]
    new = rows[_drawn(rows.height, _ROWS, rng)]
    if min(old.height, new.height) < 10 * _FOLDS or not columns:
        return None
    features = np.column_stack([_numbers(old[name], new[name]) for name in columns])
    label = np.repeat([0, 1], [old.height, new.height])
    fold = np.concatenate([_folds_of_windows(old[WINDOW].to_numpy(), rng), rng.permutation(new.height) % _FOLDS])
    return _validated(features, label, fold, seed=int(rng.integers(2**31)))


def _validated(features: Floats, label: NDArray[np.int64], fold: Indices, *, seed: int) -> float:
    params = _PARAMS | {"seed": seed}
    binned = lgb.Dataset(features, label, params=params, free_raw_data=False).construct()
    auc = metric_named("roc_auc", task=Task.BINARY)
    found = []
    for part in range(_FOLDS):
        train, test = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        if len(set(label[test].tolist())) < 2:
            continue
        booster = lgb.train(params, binned.subset(train.tolist()), num_boost_round=_ROUNDS)
        found.append(auc(label[test], np.asarray(booster.predict(features[test], num_threads=1))))
    return float(np.mean(found))


def _balanced(window: NDArray[np.int64], most: int, rng: np.random.Generator) -> Indices:
    """Return positions of at most `most` rows, as many of each window as there are."""
    mixed = rng.permutation(window.size)
    order = mixed[np.argsort(window[mixed], kind="stable")]
    _, begins, counts = np.unique(window[order], return_index=True, return_counts=True)
    rank = np.arange(window.size) - np.repeat(begins, counts)
    chosen: Indices = np.sort(order[np.argsort(rank, kind="stable")][:most])
    return chosen


def _drawn(rows: int, most: int, rng: np.random.Generator) -> Indices:
    chosen: Indices = np.sort(rng.choice(rows, min(rows, most), replace=False))
    return chosen


def _folds_of_windows(window: NDArray[np.int64], rng: np.random.Generator) -> Indices:
    """Return a fold for each row: whole windows where there are enough of them, else single rows."""
    numbers, code = np.unique(window, return_inverse=True)
    if numbers.size < _FOLDS:
        return rng.permutation(window.size) % _FOLDS
    return (rng.permutation(numbers.size) % _FOLDS)[code]


def _numbers(old: pl.Series, new: pl.Series) -> Floats:
    """Return both parts of a column as numbers (NaN where empty); texts by how common they are."""
    both = [part if part.dtype.is_numeric() else part.cast(pl.String) for part in (old, new)]
    if all(part.dtype.is_numeric() for part in both):
        values = np.concatenate([part.cast(pl.Float64).fill_null(np.nan).to_numpy() for part in both])
        return np.where(np.isfinite(values), values, np.nan)
    texts = pl.concat([part.cast(pl.String).alias("text") for part in both])
    counted = texts.drop_nulls().value_counts(sort=False).sort(["count", "text"], descending=[True, False])
    rank = dict(zip(counted["text"].to_list(), range(counted.height), strict=True))
    coded = texts.replace_strict(rank, default=None, return_dtype=pl.Float64) if rank else texts.cast(pl.Float64)
    return coded.fill_null(np.nan).to_numpy()
