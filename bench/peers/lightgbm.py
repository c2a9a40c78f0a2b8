"""Plain LightGBM as a careful user would call it: stopped early on a fifth, then fitted on all rows again.

It has no budget of its own; its seconds are what they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from peers.job import Fitted, Job

_METRICS = {"roc_auc": "auc", "log_loss": "multi_logloss", "rmse": "rmse"}
_MOST_TREES = 5_000
_PATIENCE = 50


def fit(job: Job, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Fit with default parameters and return the model."""
    levels = {
        name: pd.Index(sorted(features[name].dropna().unique()))
        for name in features.columns
        if not pd.api.types.is_numeric_dtype(features[name])
    }
    rows = _with_categories(features, levels)
    model, stated = _stopped_early(job, rows, target)
    trees = model.best_iteration_ or model.n_estimators
    final = _model(job, trees)
    final.fit(rows, target)
    ask = final.predict if job.task == "regression" else final.predict_proba

    def save(folder: Path) -> None:
        final.booster_.save_model(folder / "model.txt")

    return Fitted(
        predict=lambda frame: ask(_with_categories(frame, levels)),
        save=save,
        version=lgb.__version__,
        classes=[] if job.task == "regression" else [str(name) for name in final.classes_],
        stated=(stated, None, None),
        notes={"trees": int(trees)},
    )


def _stopped_early(job: Job, rows: pd.DataFrame, target: pd.Series) -> tuple[Any, float]:
    """Return a model stopped on the last fifth (by time) or a random fifth, and its score there."""
    order = np.arange(len(rows)) if job.ordered else np.random.default_rng(job.seed).permutation(len(rows))
    learn, valid = np.split(order, [int(0.8 * len(rows))])
    metric = _METRICS[job.metric]
    model = _model(job, _MOST_TREES, metric=metric)
    model.fit(
        rows.iloc[learn],
        target.iloc[learn],
        eval_set=[(rows.iloc[valid], target.iloc[valid])],
        callbacks=[lgb.early_stopping(_PATIENCE, verbose=False, first_metric_only=True)],
    )
    return model, float(model.best_score_["valid_0"][metric])


def _model(job: Job, trees: int, **params: Any) -> Any:
    kind = lgb.LGBMRegressor if job.task == "regression" else lgb.LGBMClassifier
    return kind(n_estimators=trees, n_jobs=job.cores, random_state=job.seed, verbose=-1, **params)


def _with_categories(frame: pd.DataFrame, levels: dict[str, pd.Index]) -> pd.DataFrame:
    return frame.assign(**{name: pd.Categorical(frame[name], categories=known) for name, known in levels.items()})
