"""Evidently's dataset drift with its defaults: window against reference. Runs in Evidently's environment."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import Any

import evidently
import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

from peers.streams.child import serve

_HALF = 0.5
"""Evidently speaks of dataset drift where this share of the columns drifted."""


def judged(rows: pd.DataFrame, *, learned: int, window: list[int], most: int) -> dict[str, Any]:
    """Say whether a window (first row, and the one after the last) drifted from the rows that were learned from.

    Of more than `most` learned rows that many are drawn, always the same ones.
    """
    reference = rows.iloc[:learned]
    if learned > most:
        chosen = np.random.default_rng(0).choice(learned, most, replace=False)
        reference = reference.iloc[np.sort(chosen)]
    found = Report([DataDriftPreset()]).run(rows.iloc[slice(*window)], reference).dict()["metrics"]
    share = next(m["value"]["share"] for m in found if isinstance(m["value"], dict) and "share" in m["value"])
    return {"drifted": bool(share >= _HALF), "share": float(share), "version": evidently.__version__}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    serve(partial(judged, pd.read_parquet(sys.argv[1])))
