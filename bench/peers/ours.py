"""Our estimators, on the same table as everybody; told that rows stand in order of time where they do."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from peers.job import ROW_CALLS, Fitted, Job
from peers.meter import time_calls
from tenure import TenureClassifier, TenureRegressor, __version__
from tenure.model.scorer import Scorer


def fit(job: Job, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Fit within the budget and return the model."""
    kind = TenureRegressor if job.task == "regression" else TenureClassifier
    model = kind(
        budget=job.budget,
        metric=job.metric,
        random_state=job.seed,
        time_ordered=job.ordered,
        **job.options,
    )
    model.fit(features, target)

    def save(folder: Path) -> None:
        model.to_bundle(folder)

    def ready(frame: pd.DataFrame, folder: Path) -> dict[str, float]:
        scorer = Scorer.load(folder)
        rows = frame.iloc[:ROW_CALLS].to_dict(orient="records")
        timed = time_calls(scorer.score_row, rows)
        return {"served_ms_p50": timed["row_ms_p50"], "served_ms_p99": timed["row_ms_p99"]}

    return Fitted(
        predict=model.predict if job.task == "regression" else model.predict_proba,
        save=save,
        version=__version__,
        classes=[] if job.task == "regression" else [str(name) for name in model.classes_],
        stated=(_known(model.expected_.value), _known(model.expected_.low), _known(model.expected_.high)),
        notes={"weights": {row["name"]: row["weight"] for row in model.leaderboard_.to_dicts() if row["weight"]}},
        ready=ready,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
