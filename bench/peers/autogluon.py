"""AutoGluon's presets with the budget.

`ag_medium`, `ag_good` and `ag_best` get the columns that all systems get. `ag_..._time` also gets the number of the row
where rows stand in order of time, as the column its `validation_structure` (1.6) wants; it is kept from the models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor, __version__

from peers.job import Fitted, Job, single_rows
from peers.meter import size_mb, time_calls

_LABEL = "the answer"
_ORDER = "the number of the row"
_METRICS = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}
_UNPERSISTED_CALLS = 5


def fit(job: Job, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Fit a preset and return it, loaded into memory for serving."""
    preset = job.system.removeprefix("ag_").removesuffix("_time") + "_quality"
    rows = features.assign(**{_LABEL: target})
    order: dict[str, Any] = {}
    ignored: dict[str, Any] = {}
    if job.ordered and job.system.endswith("_time"):
        rows[_ORDER] = np.arange(len(rows))
        order, ignored = {"validation_structure": {"time_on": _ORDER}}, {"ignored_columns": [_ORDER]}
    model = TabularPredictor(
        label=_LABEL,
        problem_type=job.task,
        eval_metric=_METRICS[job.metric],
        path=str(job.model),
        verbosity=1,
        learner_kwargs=ignored,
    )
    model.fit(rows, presets=preset, time_limit=job.budget, num_cpus=job.cores, num_gpus=0, **order)

    def predict(frame: pd.DataFrame) -> Any:
        return (model.predict(frame) if job.task == "regression" else model.predict_proba(frame)).to_numpy()

    def ready(frame: pd.DataFrame, folder: Path) -> dict[str, float]:
        with tempfile.TemporaryDirectory(dir=job.folder) as place:
            deployed = size_mb(Path(model.clone_for_deployment(path=str(Path(place) / "deployed"))))
        unpersisted = time_calls(predict, single_rows(frame, _UNPERSISTED_CALLS))["row_ms_p50"]
        model.persist(max_memory=None)
        return {"deployed_mb": deployed, "row_ms_unpersisted_p50": unpersisted}

    return Fitted(
        predict=predict,
        save=lambda folder: None,  # it has written its folder while fitting
        version=__version__,
        classes=[] if job.task == "regression" else [str(name) for name in model.class_labels],
        stated=(_stated(model, job), None, None),
        notes={"best": model.model_best, "models": list(model.leaderboard(silent=True)["model"])},
        ready=ready,
    )


def _stated(model: Any, job: Job) -> float | None:
    """Return the validated score of the best model, or of the one that a refitted best model came from."""
    scores = model.leaderboard(silent=True).set_index("model")["score_val"]
    came_from = {refitted: first for first, refitted in model.model_refit_map().items()}
    value = scores[model.model_best]
    if pd.isna(value):
        value = scores[came_from.get(model.model_best, model.model_best)]
    if pd.isna(value):
        return None
    return float(value if job.metric == "roc_auc" else -value)
