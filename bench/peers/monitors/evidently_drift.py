"""Evidently's `DataDriftPreset` with its defaults, one report a window. Runs in its own environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from peers.monitors.order import Frames, answer, keep_to_yourself

keep_to_yourself()

import evidently  # noqa: E402  # after nobody is to be told of its use
import pandas as pd  # noqa: E402
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def judge(reference: pd.DataFrame, windows: Frames, size: int) -> Iterator[list[str]]:
    """Yield the columns with drift of each window: a p-value below its threshold, or a distance at or above it."""
    for window in windows:
        found = Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]
        count = next(int(m["value"]["count"]) for m in found if isinstance(m["value"], dict) and "share" in m["value"])
        drifted = [m["config"]["column"] for m in found if "threshold" in m.get("config", {}) and _is_drift(m)]
        if len(drifted) != count:
            raise SystemExit(f"Evidently counts {count} drifted columns, we read {drifted}.")
        yield drifted


def _is_drift(metric: dict) -> bool:
    value, threshold = metric["value"], metric["config"]["threshold"]
    return bool(value < threshold if "p_value" in metric["config"]["method"] else value >= threshold)


if __name__ == "__main__":
    answer(judge, {"version": evidently.__version__}, Path(sys.argv[1]))
