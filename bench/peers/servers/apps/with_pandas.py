"""The endpoint that most people write first: FastAPI, a data frame, the pipeline."""

from __future__ import annotations

from typing import Any

import pipeline
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = pipeline.load()


class Table(BaseModel):
    """Rows as records, or as cells with the names of their columns."""

    rows: list[dict[str, Any]] | None = None
    columns: list[str] | None = None
    data: list[list[Any]] | None = None


@app.post("/predict")
def predict(table: Table) -> dict[str, list[float]]:
    """Return the probability of each row."""
    return {"probabilities": pipeline.answers(model, table.rows, table.columns, table.data)}
