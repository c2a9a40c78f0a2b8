"""Plain CatBoost with its defaults on all rows. It has no budget of its own; its seconds are what they are."""

from __future__ import annotations

from pathlib import Path

import catboost as cb
import pandas as pd

from peers.job import Fitted, Job


def fit(job: Job, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Fit with default parameters and return the model."""
    texts = [name for name in features.columns if not pd.api.types.is_numeric_dtype(features[name])]

    def filled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{name: frame[name].fillna("missing").astype(str) for name in texts})

    kind = cb.CatBoostRegressor if job.task == "regression" else cb.CatBoostClassifier
    model = kind(
        thread_count=job.cores,
        random_seed=job.seed,
        cat_features=texts,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(filled(features), target)
    ask = model.predict if job.task == "regression" else model.predict_proba

    def save(folder: Path) -> None:
        model.save_model(str(folder / "model.cbm"))

    return Fitted(
        predict=lambda frame: ask(filled(frame)),
        save=save,
        version=cb.__version__,
        classes=[] if job.task == "regression" else [str(name) for name in model.classes_],
        notes={"trees": int(model.tree_count_)},
    )
