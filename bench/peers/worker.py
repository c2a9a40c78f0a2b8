"""Run one system on one prepared job, in the environment of that system: `python -m peers.worker JOB.json MODULE`.

Reads the job's two tables, fits, predicts the kept-away one, and writes `told.json` and `predicted.npy` beside the job.
The library is loaded before the clock starts. No system can use more cores than the job says.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from peers.job import ROW_CALLS, Fitted, Job, read_rows, single_rows
from peers.meter import Meter, size_mb, time_calls


def run(job: Job, module: str) -> dict[str, Any]:
    """Fit by the named module, write what it predicts, and return what it says and costs."""
    system = importlib.import_module(f"peers.{module}")
    features, target = read_rows(job.learn, job.target)
    kept, _ = read_rows(job.kept, job.target)
    if job.without:
        # Not imported above: only our own environment has what it replaces.
        importlib.import_module("peers.without").switch_off(job.without)
    with Meter() as meter:
        fitted: Fitted = system.fit(job, features, target)
    started = time.perf_counter()
    predicted = np.asarray(fitted.predict(kept), dtype=np.float64)
    predict_seconds = time.perf_counter() - started
    np.save(Path(job.folder) / "predicted.npy", predicted)
    job.model.mkdir(exist_ok=True)
    fitted.save(job.model)
    return {
        "version": fitted.version,
        "classes": fitted.classes,
        "fit_seconds": meter.seconds,
        "cpu_seconds": meter.cpu_seconds,
        "base_mb": meter.base_mb,
        "peak_mb": meter.peak_mb,
        "predict_seconds": predict_seconds,
        "model_mb": size_mb(job.model),
        "stated": fitted.stated[0],
        "stated_low": fitted.stated[1],
        "stated_high": fitted.stated[2],
        "notes": fitted.notes,
        **fitted.ready(kept, job.model),
        **time_calls(fitted.predict, single_rows(kept, ROW_CALLS)),
    }


def main() -> None:
    """Run the job and module named on the command line."""
    warnings.filterwarnings("ignore")
    job = Job.read(Path(sys.argv[1]))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    told = run(job, sys.argv[2])
    (Path(job.folder) / "told.json").write_text(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
