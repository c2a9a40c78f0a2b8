"""The pipeline that the peers serve: codes for categories, numbers as they are, 200 trees of LightGBM.

python pipeline.py FOLDER TARGET POSITIVE

fits it on FOLDER/learn.parquet and writes FOLDER/pipeline.joblib, trees.txt (the trees as text) and columns.json: the
levels of each category in the order of their codes, and the numbers. The trees read categories first, then numbers.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

TREES = 200


def fit(folder: Path, target: str, positive: str) -> None:
    """Fit the pipeline and write what every server is made of."""
    rows = pd.read_parquet(folder / "learn.parquet")
    answer = (rows.pop(target) == positive).astype(int)
    numbers = [name for name in rows if pd.api.types.is_numeric_dtype(rows[name])]
    categories = [name for name in rows if name not in numbers]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    columns = ColumnTransformer([("codes", codes, categories), ("numbers", "passthrough", numbers)])
    trees = lgb.LGBMClassifier(n_estimators=TREES, random_state=0, verbose=-1)
    rows[numbers] = rows[numbers].astype(float)
    pipeline = Pipeline([("columns", columns), ("trees", trees)]).fit(rows, answer)
    joblib.dump(pipeline, folder / "pipeline.joblib")
    trees.booster_.save_model(folder / "trees.txt")
    seen = pipeline.named_steps["columns"].named_transformers_["codes"].categories_
    levels = {
        name: [level for level in known if isinstance(level, str)] for name, known in zip(categories, seen, strict=True)
    }
    (folder / "columns.json").write_text(json.dumps({"categories": levels, "numbers": numbers}))


def folder_of_model() -> Path:
    """Return the folder that the environment names."""
    return Path(os.environ["BENCH_MODEL"])


def load() -> Pipeline:
    """Return the fitted pipeline."""
    return joblib.load(folder_of_model() / "pipeline.joblib")


def answers(
    pipeline: Pipeline,
    rows: Sequence[dict[str, Any]] | None = None,
    columns: Sequence[str] | None = None,
    data: Sequence[Sequence[Any]] | None = None,
) -> list[float]:
    """Return the probability of each row, through a data frame: of records, or of cells with the columns' names."""
    frame = pd.DataFrame(rows) if rows is not None else pd.DataFrame(data, columns=columns)
    return pipeline.predict_proba(frame)[:, 1].tolist()


if __name__ == "__main__":
    fit(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
