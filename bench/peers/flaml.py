"""FLAML with its defaults and the budget; told to validate by time where rows stand in order of time."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import flaml
import pandas as pd

from peers.job import Fitted, Job


def fit(job: Job, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Search until the budget ends and return the best model."""
    model = flaml.AutoML()
    order: dict[str, Any] = {"split_type": "time"} if job.ordered else {}
    model.fit(
        features,
        target,
        task="regression" if job.task == "regression" else "classification",
        metric=job.metric,
        time_budget=job.budget,
        n_jobs=job.cores,
        seed=job.seed,
        verbose=0,
        **order,
    )

    def save(folder: Path) -> None:
        # A pickle is how FLAML's own pages save a model.
        with (folder / "model.pkl").open("wb") as file:
            pickle.dump(model, file)

    stated = 1 - model.best_loss if job.metric == "roc_auc" else model.best_loss
    return Fitted(
        predict=model.predict if job.task == "regression" else model.predict_proba,
        save=save,
        version=flaml.__version__,
        classes=[] if job.task == "regression" else [str(name) for name in model.classes_],
        stated=(float(stated), None, None),
        notes={"best": model.best_estimator},
    )
