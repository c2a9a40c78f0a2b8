"""The pipeline behind LitServe.

python with_litserve.py PORT
"""

from __future__ import annotations

import os
import sys
from typing import Any

import litserve
import pipeline


class Predictor(litserve.LitAPI):
    """Answers rows as records, or as cells with the names of their columns."""

    def setup(self, device: str) -> None:
        """Load the pipeline."""
        self.model = pipeline.load()

    def predict(self, request: dict[str, Any]) -> dict[str, list[float]]:
        """Return the probability of each row."""
        return {"probabilities": pipeline.answers(self.model, **request)}


if __name__ == "__main__":
    server = litserve.LitServer(
        Predictor(), accelerator="cpu", devices=1, workers_per_device=int(os.environ["BENCH_WORKERS"])
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
