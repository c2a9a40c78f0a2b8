"""NannyML's `UnivariateDriftCalculator` with its defaults, one chunk a window. Runs in its own environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from peers.monitors.order import Frames, answer, keep_to_yourself

keep_to_yourself()

import nannyml as nml  # noqa: E402  # after nobody is to be told of its use
import pandas as pd  # noqa: E402

_AT_ONCE = 400_000
"""Rows of windows that are given to it together: it judges each chunk by itself."""


def judge(reference: pd.DataFrame, windows: Frames, size: int) -> Iterator[list[str]]:
    """Yield the columns with an alert of each window; thresholds come from reference chunks of the same size."""
    calculator = nml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_size=size).fit(reference)
    together: list[pd.DataFrame] = []
    for window in windows:
        together.append(window)
        if len(together) * size >= _AT_ONCE:
            yield from _alerts(calculator, together)
            together = []
    if together:
        yield from _alerts(calculator, together)


def _alerts(calculator: nml.UnivariateDriftCalculator, windows: list[pd.DataFrame]) -> Iterator[list[str]]:
    result = calculator.calculate(pd.concat(windows, ignore_index=True)).filter(period="analysis")
    alerts = result.to_df().xs("alert", axis=1, level=-1)
    for _, row in alerts.iterrows():
        yield sorted({column for (column, _), alert in row.items() if alert})


if __name__ == "__main__":
    answer(judge, {"version": nml.__version__}, Path(sys.argv[1]))
