"""What Prometheus is told of health and alarms: read by the server's parent now and then, never by who answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from tenure.core.errors import TenureError
from tenure.core.health import HealthReport
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.workspace import Workspace
from tenure.serving.metrics import Key, Metrics
from tenure.state.alarms import Alarms
from tenure.state.delays import recent_delays

SLOT: Final = "parent"
_FLUSH_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 15.0
_QUANTILES: Final = (0.5, 0.9, 0.99)


class HealthGauges:
    """Tells the gauges of health, alarms and outcomes to whoever asks a worker, while a `with` block runs.

    A database that is away leaves them as they were.
    """

    def __init__(self, workspace: Workspace, folder: Path, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._workspace = workspace
        self.metrics = Metrics(workspace.project.project.name, folder=folder, slot=SLOT)
        self._alarms = Alarms(workspace.database, workspace.ledger, workspace.context.clock)
        self._look_seconds = look_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="health gauges", daemon=True)
        self._event: int | None = None
        self._health: dict[Key, float] = {}
        self._trouble: str | None = None

    def __enter__(self) -> HealthGauges:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_FLUSH_SECONDS)

    def _keep(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + self._look_seconds
                self.look()
            with suppress(OSError):  # a full disk
                self.metrics.flush()
            self._stop.wait(min(_FLUSH_SECONDS, self._look_seconds))

    def look(self) -> None:
        """Read what there is to tell, once; trouble goes to the log."""
        try:
            self.metrics.tell(self._read())
        except Exception as error:  # whatever stops this look must not stop the next
            trouble = error.message if isinstance(error, TenureError) else repr(error)
            if trouble != self._trouble:
                self._workspace.context.log.note(f"The gauges of health stay as they were: {trouble}")
            self._trouble = trouble
        else:
            self._trouble = None

    def _read(self) -> dict[Key, float]:
        workspace = self._workspace
        newest = workspace.ledger.events(kind=HEALTH_EVENT, newest_first=True, limit=1)
        if newest and newest[0].seq != self._event and newest[0].output is not None:
            health = workspace.context.artifacts.get_record(HealthReport, newest[0].output)
            self._health = gauges_of(health, currency=workspace.project.value.currency)
            self._event = newest[0].seq
        counts = self._alarms.open_counts()
        return {
            **self._health,
            **{("tenure_alarms_open", severity.value): count for severity, count in counts.items()},
            **delay_gauges(recent_delays(workspace.database)),
        }


def gauges_of(health: HealthReport, *, currency: str) -> dict[Key, float]:
    """Return the gauges of a health report; what it does not know has none."""
    latest = list(reversed(health.windows))
    drift = next((window.drift for window in latest if window.drift is not None), None)
    estimated = next((window.estimated for window in latest if window.estimated is not None), None)
    realised = next((window.realised for window in latest if window.realised is not None and window.ripe), None)
    values = [window.value for window in latest if window.value is not None]
    found: dict[Key, float | None] = {("tenure_score_drift_ratio",): drift}
    if estimated is not None:
        found["tenure_estimated_metric", estimated.metric] = estimated.value
    if realised is not None:
        found["tenure_realized_metric", realised.metric] = realised.value
    if values:
        found["tenure_business_value_total", currency] = sum(values)
    return {key: value for key, value in found.items() if value is not None}


def delay_gauges(delays: Sequence[float]) -> dict[Key, float]:
    """Return the quantiles of delays in seconds."""
    if not delays:
        return {}
    return {("tenure_outcome_delay_seconds", f"{share:g}"): float(np.quantile(delays, share)) for share in _QUANTILES}
