"""NannyML's CBPE and DLE at their defaults on one prepared set, in NannyML's own environment.

    python nannyml_estimates.py REFERENCE.parquet TRAFFIC.parquet OUT.json --task binary --window 1000 [--lag 1]

The tables hold features, `predicted` (probability or value) and `target`. Without `--lag` it is fitted once, on the
reference. With a lag of k it is fitted again for each window, on the reference and all windows up to k before.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")

import nannyml  # noqa: E402
import pandas as pd  # noqa: E402

METRICS = {"binary": ["roc_auc", "accuracy", "average_precision", "f1"], "regression": ["rmse", "mae"]}


def fitted(task: str, reference: pd.DataFrame, window: int) -> nannyml.CBPE | nannyml.DLE:
    """Return the estimator of the task, fitted, with chunks of the window's size and everything else by default."""
    if task == "binary":
        estimator = nannyml.CBPE(
            y_pred_proba="predicted",
            y_pred="said",
            y_true="target",
            problem_type="classification_binary",
            metrics=METRICS[task],
            chunk_size=window,
        )
    else:
        features = [name for name in reference.columns if name not in ("predicted", "target", "said")]
        estimator = nannyml.DLE(
            feature_column_names=features,
            y_pred="predicted",
            y_true="target",
            metrics=METRICS[task],
            chunk_size=window,
        )
    return estimator.fit(reference)


def told(estimator: nannyml.CBPE | nannyml.DLE, rows: pd.DataFrame, task: str) -> list[dict[str, list[float]]]:
    """Return value and confidence interval of each metric for each chunk of `rows`."""
    table = estimator.estimate(rows).filter(period="analysis").to_df()
    bounds = ("value", "lower_confidence_boundary", "upper_confidence_boundary")
    return [
        {name: [float(table[(name, bound)].iloc[at]) for bound in bounds] for name in METRICS[task]}
        for at in range(len(table))
    ]


def main() -> None:
    """Estimate every full window of the traffic."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reference", type=Path)
    parser.add_argument("traffic", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", choices=sorted(METRICS), required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--lag", type=int)
    args = parser.parse_args()
    reference, traffic = (pd.read_parquet(path) for path in (args.reference, args.traffic))
    for table in (reference, traffic):
        table["said"] = (table["predicted"] >= 0.5).astype(int)
    windows = [traffic.iloc[at : at + args.window] for at in range(0, len(traffic) - args.window + 1, args.window)]
    started = time.perf_counter()
    if args.lag is None:
        estimates = told(fitted(args.task, reference, args.window), pd.concat(windows, ignore_index=True), args.task)
    else:
        estimates = []
        for at, rows in enumerate(windows):
            known = pd.concat([reference, *windows[: max(at - args.lag + 1, 0)]], ignore_index=True)
            estimator = fitted(args.task, known, args.window)
            estimates += told(estimator, rows.reset_index(drop=True), args.task)
    seconds = time.perf_counter() - started
    args.out.write_text(json.dumps({"version": nannyml.__version__, "seconds": seconds, "estimates": estimates}))


if __name__ == "__main__":
    main()
