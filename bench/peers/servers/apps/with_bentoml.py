"""The pipeline as a BentoML service."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import pipeline


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]), traffic={"timeout": 60})
class Predictor:
    """Answers rows, one route for records and one for cells with the columns' names."""

    def __init__(self) -> None:
        self.model = pipeline.load()

    @bentoml.api(route="/predict")
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """Return the probability of each row."""
        return pipeline.answers(self.model, rows)

    @bentoml.api(route="/table")
    def table(self, columns: list[str], data: list[list[Any]]) -> list[float]:
        """Return the probability of each row of a table."""
        return pipeline.answers(self.model, columns=columns, data=data)
