"""Keep the pipeline as an MLflow model with a signature, as its guide says, answering with probabilities.

python to_mlflow.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature


def main() -> None:
    """Write FOLDER/mlflow."""
    folder = Path(sys.argv[1])
    model = joblib.load(folder / "pipeline.joblib")
    rows = pd.read_parquet(folder / "learn.parquet")[list(model.feature_names_in_)].head(1000)
    numbers = rows.select_dtypes("number").columns
    rows[numbers] = rows[numbers].astype(float)  # else the signature refuses a number that came with a point
    mlflow.sklearn.save_model(
        model,
        folder / "mlflow",
        signature=infer_signature(rows, model.predict_proba(rows)),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
    )


if __name__ == "__main__":
    main()
