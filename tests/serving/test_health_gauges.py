"""What Prometheus is told of health: read by the server's parent, told by any worker, gone with what is unknown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from small_worlds import SMALL_PROJECT
from tenure.core.alarms import Manners, Severity, Sighting, Symptom
from tenure.core.health import Estimate, HealthReport, WindowHealth
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.modelling import Score
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.workspace import Workspace, open_workspace
from tenure.serving.health_gauges import HealthGauges, delay_gauges, gauges_of
from tenure.serving.metrics import Metrics
from tenure.state.alarms import Alarms
from tenure.state.delays import recent_delays

AT = datetime(2026, 1, 1, tzinfo=UTC)


def window(**known: object) -> WindowHealth:
    return WindowHealth("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", 500, 0.5, (1,), **known)  # type: ignore[arg-type]


def score(value: float) -> Score:
    return Score("roc_auc", value, value - 0.1, value + 0.1, 400)


ESTIMATE = Estimate("roc_auc", 500, value=0.7)
REFUSED = Estimate("roc_auc", 500, refused="The rows are like none before.")
HEALTH = HealthReport(
    version=1,
    windows=(
        window(value=100.0, realised=score(0.71), drift=0.1),
        window(value=-40.0, realised=score(0.5), ripe=False, drift=0.4, estimated=ESTIMATE),
        window(),
    ),
)


def test_gauges_are_those_of_the_latest_window_that_knows() -> None:
    assert gauges_of(HEALTH, currency="EUR") == {
        ("tenure_score_drift_ratio",): 0.4,
        ("tenure_estimated_metric", "roc_auc"): 0.7,
        ("tenure_realized_metric", "roc_auc"): 0.71,
        ("tenure_business_value_total", "EUR"): 60.0,
    }


def test_a_refused_estimate_and_an_empty_report_tell_nothing() -> None:
    refused = HealthReport(windows=(window(estimated=ESTIMATE), window(estimated=REFUSED)))
    assert gauges_of(refused, currency="EUR") == gauges_of(HealthReport(), currency="EUR") == {}
    assert delay_gauges([]) == {}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "tenure.toml").write_text(SMALL_PROJECT)
    with open_workspace(tmp_path) as opened:
        kept = opened.context.artifacts.put_record(HEALTH)
        opened.ledger.append(HEALTH_EVENT, actor="test", reason="", output=kept)
        broken = Sighting("feed", "", None, "w1", (Symptom("age", Severity.PAGE, "It is empty."),))
        Alarms(opened.database, opened.ledger, opened.context.clock).observe(
            [broken], version=1, health=lambda: "d", manners=Manners(False, 10**12, 10**12), actor="test"
        )
        at = [(AT + timedelta(hours=hours)).isoformat() for hours in range(3)]
        opened.traffic.log_predictions(
            [PredictionRecord(f"p{i}", 1, at[0], at[0], {}, "yes", (0.1, 0.9)) for i in range(3)]
        )
        opened.traffic.record_outcomes(
            [OutcomeRecord("no", at[i], name) for i, name in enumerate(("p0", "p1", "p2"))]
            + [OutcomeRecord("no", at[0], "nobody")]
        )
        yield opened


def told(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "model")): sample.value
        for family in families
        for sample in family.samples
    }


def test_any_worker_tells_what_the_parent_read(workspace: Workspace, tmp_path: Path) -> None:
    worker = Metrics("churn", folder=tmp_path / "metrics", slot="worker-0")
    with HealthGauges(workspace, tmp_path / "metrics", look_seconds=0.05):
        end = time.monotonic() + 20
        while ("tenure_alarms_open", "page") not in told(worker) and time.monotonic() < end:
            time.sleep(0.01)
        found = told(worker)
    assert (found["tenure_alarms_open", "page"], found["tenure_alarms_open", "notice"]) == (1, 0)
    assert (found["tenure_score_drift_ratio",], found["tenure_business_value_total", "EUR"]) == (0.4, 60)
    assert (found["tenure_estimated_metric", "roc_auc"], found["tenure_realized_metric", "roc_auc"]) == (0.7, 0.71)
    assert found["tenure_outcome_delay_seconds", "0.5"] == 3600


def test_delays_are_those_of_the_latest_outcomes_that_found_their_prediction(workspace: Workspace) -> None:
    assert sorted(recent_delays(workspace.database)) == [0, 3600, 7200]
    assert recent_delays(workspace.database, limit=1) == [7200]


def test_a_gauge_that_is_told_no_more_is_gone() -> None:
    metrics = Metrics("churn")
    metrics.tell({("tenure_score_drift_ratio",): 0.5, ("tenure_estimated_metric", "roc_auc"): 0.7})
    metrics.tell({("tenure_score_drift_ratio",): 0.6})
    assert told(metrics)["tenure_score_drift_ratio",] == 0.6
    assert ("tenure_estimated_metric", "roc_auc") not in told(metrics)


def test_a_health_record_that_is_damaged_leaves_them_as_they_were(workspace: Workspace, tmp_path: Path) -> None:
    gauges = HealthGauges(workspace, tmp_path / "metrics")
    gauges.look()
    before = told(gauges.metrics)
    workspace.ledger.append(HEALTH_EVENT, actor="test", reason="", output="0" * 64)
    gauges.look()
    assert told(gauges.metrics) == before
    assert before["tenure_score_drift_ratio",] == 0.4
