"""Is one row answered fast enough? (methods.md 4, test 27)

Training chose members by an estimate that aims at 60 % of the limit; here the model that came of it is timed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.evidence import ModelEvidence

_WARM_UP: Final = 20
_ROUND: Final = 10
_ROWS: Final = 300
_SECONDS: Final = 0.5


class Latency:
    """Median time of one row, as a share of the time that the project allows.

    The calmest of many short rounds counts: what else the machine is doing meanwhile is no property of the model.
    """

    name: ClassVar[str] = "latency"
    threshold: ClassVar[Threshold] = Threshold(warn=0.8, fail=1.0)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Time single rows after a warm-up."""
        rows = evidence.rows(_ROWS)
        for row in rows[:_WARM_UP]:
            evidence.scorer.score_row(row)
        started, taken = evidence.timer(), []
        for row in rows:
            before = evidence.timer()
            evidence.scorer.score_row(row)
            after = evidence.timer()
            taken.append(1_000 * (after - before))
            if after - started > _SECONDS:
                break
        rounds = [taken[i : i + _ROUND] for i in range(0, max(len(taken) - _ROUND, 0) + 1, _ROUND)]
        median, tail = min(float(np.median(part)) for part in rounds), float(np.quantile(taken, 0.99))
        limit = evidence.max_latency_ms
        yield Measurement(
            "median time of one row, as a share of the limit",
            median / limit,
            says=f"One row takes {median:.2g} ms, and up to {tail:.2g} ms where the machine was busy; "
            f"{limit:g} ms are allowed.",
            hint="The model was chosen to stay within the limit on a usual machine, so these families have nothing "
            "faster: raise serving.max_latency_ms, or leave slow ones out under training.families.",
            evidence={"median_ms": median, "p99_ms": tail, "limit_ms": limit, "rows": len(taken)},
        )
