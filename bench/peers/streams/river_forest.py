"""river's adaptive random forest on a whole stream, row by row, with late labels. Runs in river's environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import river
from river import forest

from peers.streams.child import serve

Model = Any


def answered(*, order: str, out: str, trees: int) -> dict[str, Any]:
    """Answer the judged windows of a stream; the answers are written to `out`, (n, k) or (n,) for all judged rows.

    The order holds `matrix` without gaps, `target`, `edges`, `first`, `classes` (0 for values) and `known`: for each
    judged window the first row whose label is not known when it starts. All before are learned from, in order.
    """
    told = np.load(order)
    matrix, target, edges, first = told["matrix"], told["target"], told["edges"], int(told["first"])
    classes = int(told["classes"])
    names = [f"c{at}" for at in range(matrix.shape[1])]
    model: Model = (
        forest.ARFClassifier(n_models=trees, seed=0) if classes else forest.ARFRegressor(n_models=trees, seed=0)
    )
    rows = [dict(zip(names, values, strict=True)) for values in matrix.tolist()]
    begin = int(edges[first])
    said = np.zeros((len(matrix) - begin, classes) if classes else len(matrix) - begin)
    learned = 0
    for window in range(first, len(edges) - 1):
        for at in range(learned, int(told["known"][window - first])):
            model.learn_one(rows[at], int(target[at]) if classes else float(target[at]))
        learned = int(told["known"][window - first])
        for at in range(int(edges[window]), int(edges[window + 1])):
            said[at - begin] = _one(model, rows[at], classes)
    np.save(out, said)
    return {"version": river.__version__}


def _one(model: Model, row: dict[str, float], classes: int) -> Any:
    if not classes:
        return model.predict_one(row)
    shares = np.zeros(classes)
    for label, share in model.predict_proba_one(row).items():
        shares[int(label)] = share
    return shares / shares.sum() if shares.sum() > 0 else np.full(classes, 1 / classes)


if __name__ == "__main__":
    serve(answered)
