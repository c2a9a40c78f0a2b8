"""The quickest endpoint that is still FastAPI: no data frame, no pipeline, no model of the body, one thread, no log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
import pipeline
from fastapi import FastAPI, Request

app = FastAPI()
folder = pipeline.folder_of_model()
booster = lgb.Booster(model_file=folder / "trees.txt")
known = json.loads((folder / "columns.json").read_text())
codes = {
    name: {level: float(code) for code, level in enumerate(levels)} for name, levels in known["categories"].items()
}
names = [*codes, *known["numbers"]]


def _reader(name: str) -> Callable[[Any], float]:
    if name in codes:
        levels = codes[name]
        return lambda cell: levels.get(cell, np.nan)
    return lambda cell: np.nan if cell is None else cell


readers = [_reader(name) for name in names]


def _numbers(body: dict[str, Any]) -> np.ndarray:
    """Return (n, columns) float64: categories first, as the trees read them."""
    if "rows" in body:
        rows: Sequence[Sequence[Any]] = [[row[name] for name in names] for row in body["rows"]]
    else:
        places = [body["columns"].index(name) for name in names]
        rows = [[cells[place] for place in places] for cells in body["data"]]
    numbers = [[read(cell) for read, cell in zip(readers, cells, strict=True)] for cells in rows]
    return np.array(numbers, dtype=np.float64)


@app.post("/predict")
async def predict(request: Request) -> dict[str, list[float]]:
    """Return the probability of each row."""
    body = json.loads(await request.body())
    return {"probabilities": booster.predict(_numbers(body), num_threads=1).tolist()}
