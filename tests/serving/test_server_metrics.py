"""What the server counts: read back by Prometheus's own parser, summed over processes, kept over a restart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tenure.serving.metrics import OTHER, Metrics, clear


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _metrics(folder: Path, slot: str, clock: Clock) -> Metrics:
    return Metrics("churn", folder=folder, slot=slot, clock=clock)


def _samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values other than the model, in the order of the label names."""
    text = metrics.render()
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            rest = sorted((name, value) for name, value in sample.labels.items() if name != "model")
            found[sample.name, *(value for _, value in rest)] = sample.value
    return found


def test_requests_are_counted_by_route_code_and_version_and_timed(tmp_path: Path, clock: Clock) -> None:
    metrics = _metrics(tmp_path, "worker-0", clock)
    for seconds in (0.0004, 0.0005, 0.0007, 0.3, 9.0):
        metrics.finished("/predict", 200, "v3", seconds)
    metrics.finished("/predict", 422, "v3", 0.0001)
    found = _samples(metrics)
    assert found["tenure_requests_total", "200", "/predict", "v3"] == 5
    assert found["tenure_requests_total", "422", "/predict", "v3"] == 1
    bucket = "tenure_request_duration_seconds_bucket"
    assert [found[bucket, le, "/predict", "v3"] for le in ("0.0005", "0.001", "0.25", "0.5", "2.5", "+Inf")] == [
        *(3, 4, 4, 5, 5, 6)
    ]
    assert found["tenure_request_duration_seconds_count", "/predict", "v3"] == 6
    assert found["tenure_request_duration_seconds_sum", "/predict", "v3"] == pytest.approx(9.3017)


@given(st.lists(st.floats(0, 10), max_size=30))
def test_buckets_hold_what_is_at_most_their_bound(tmp_path_factory: pytest.TempPathFactory, times: list[float]) -> None:
    metrics = _metrics(tmp_path_factory.getbasetemp() / "nothing", "worker-0", Clock())
    for seconds in times:
        metrics.finished("/predict", 200, "v1", seconds)
    for name, value in _samples(metrics).items():
        if name[0] == "tenure_request_duration_seconds_bucket":
            assert value == sum(seconds <= float(name[1]) for seconds in times)


def test_everything_else_that_is_counted_or_told_is_shown(tmp_path: Path, clock: Clock) -> None:
    metrics = _metrics(tmp_path, "worker-0", clock)
    metrics.started()
    metrics.started()
    metrics.finished("/predict", 200, "v3", 0.1)
    metrics.shadow_skipped()
    metrics.shadow_failed()
    metrics.predicted("v3", "yes")
    metrics.predicted("v3", "yes", 4)
    metrics.violation('a"b\n\\', "level", 2)
    metrics.outcomes_joined(2)
    metrics.backlog(70)
    metrics.model_age(3600.0)
    found = _samples(metrics)
    assert found["tenure_requests_in_progress",] == 1
    assert found["tenure_predictions_total", "yes", "v3"] == 5
    assert found["tenure_shadow_answers_total", "skipped"] == found["tenure_shadow_answers_total", "failed"] == 1
    assert found["tenure_input_violations_total", 'a"b\n\\', "level"] == 2
    assert found["tenure_outcomes_joined_total",] == 2
    assert found["tenure_journal_backlog_bytes",] == 70
    assert found["tenure_model_age_seconds",] == 3600
    assert any(name[0] == "tenure_build_info" and value == 1 for name, value in found.items())


def test_any_worker_tells_the_sum_of_all(tmp_path: Path, clock: Clock) -> None:
    workers = [_metrics(tmp_path, f"worker-{at}", clock) for at in range(3)]
    for at, metrics in enumerate(workers):
        metrics.started()
        for _ in range(at + 1):
            metrics.started()
            metrics.finished("/predict", 200, "v1", 0.01)
            metrics.predicted("v1", "no")
        metrics.outcomes_joined(1)
        metrics.backlog(10)
        metrics.model_age(100.0 + at)
        metrics.flush()
        clock.now += 0.1
    for metrics in workers:
        found = _samples(metrics)
        assert found["tenure_requests_total", "200", "/predict", "v1"] == 6
        assert found["tenure_request_duration_seconds_count", "/predict", "v1"] == 6
        assert found["tenure_predictions_total", "no", "v1"] == 6
        assert found["tenure_outcomes_joined_total",] == 3
        assert found["tenure_requests_in_progress",] == 3
        assert found["tenure_journal_backlog_bytes",] == 30
    assert _samples(workers[0])["tenure_model_age_seconds",] == 100  # its own is the latest that it knows


def test_a_worker_started_again_takes_up_its_counts_but_not_what_was_going_on(tmp_path: Path, clock: Clock) -> None:
    first = _metrics(tmp_path, "worker-0", clock)
    first.started()
    first.finished("/predict", 200, "v1", 0.01)
    first.predicted("v1", "no")
    first.flush()
    again = _metrics(tmp_path, "worker-0", clock)
    again.started()
    again.finished("/predict", 200, "v1", 0.01)
    found = _samples(again)
    assert found["tenure_requests_total", "200", "/predict", "v1"] == 2
    assert found["tenure_predictions_total", "no", "v1"] == 1
    assert found["tenure_requests_in_progress",] == 0


def test_a_dead_worker_leaves_its_counts_and_nothing_in_progress(tmp_path: Path, clock: Clock) -> None:
    dead, living = _metrics(tmp_path, "worker-0", clock), _metrics(tmp_path, "worker-1", clock)
    dead.started()
    dead.started()
    dead.finished("/predict", 200, "v1", 0.01)
    dead.flush()
    clock.now += 60
    found = _samples(living)
    assert found["tenure_requests_total", "200", "/predict", "v1"] == 1
    assert found["tenure_requests_in_progress",] == 0


def test_labels_beyond_a_bound_are_counted_as_other(tmp_path: Path, clock: Clock) -> None:
    metrics = _metrics(tmp_path, "worker-0", clock)
    for at in range(1500):
        metrics.predicted("v1", f"class {at}")
    found = {name: value for name, value in _samples(metrics).items() if name[0] == "tenure_predictions_total"}
    assert len(found) == 1001
    assert found["tenure_predictions_total", OTHER, OTHER] == 500
    assert sum(found.values()) == 1500


def test_routes_without_end_are_counted_as_other(tmp_path: Path, clock: Clock) -> None:
    metrics = _metrics(tmp_path, "worker-0", clock)
    for at in range(1500):
        metrics.finished(f"/{at}", 404, "", 0.001)
    found = {name: value for name, value in _samples(metrics).items() if name[0] == "tenure_requests_total"}
    assert len(found) == 1001
    assert found["tenure_requests_total", "404", OTHER, ""] == 500


def test_one_process_alone_needs_no_folder() -> None:
    metrics = Metrics("churn")
    metrics.predicted("v1", 2.5)
    metrics.flush()
    assert _samples(metrics)["tenure_predictions_total", "", "v1"] == 1


def test_a_new_server_starts_from_nothing_and_a_torn_file_is_passed_over(tmp_path: Path, clock: Clock) -> None:
    metrics = _metrics(tmp_path, "worker-0", clock)
    metrics.finished("/predict", 200, "v1", 0.01)
    metrics.flush()
    (tmp_path / "worker-1.json").write_bytes(b'{"at": 10')
    assert _samples(_metrics(tmp_path, "worker-1", clock))["tenure_requests_total", "200", "/predict", "v1"] == 1
    clear(tmp_path)
    assert not list(tmp_path.iterdir())
    clear(tmp_path / "not there")


def _run(code: str, arguments: Iterable[str]) -> list[subprocess.Popen[str]]:
    return [subprocess.Popen([sys.executable, "-c", code, argument], text=True) for argument in arguments]


def test_real_processes_lose_no_count(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tenure.serving.metrics import Metrics\n"
        f"metrics = Metrics('churn', folder=Path({str(tmp_path)!r}), slot=sys.argv[1])\n"
        "for at in range(2000):\n    metrics.finished('/predict', 200, 'v1', 0.001)\n"
        "    if at % 100 == 0:\n        metrics.flush(); metrics.render()\n"
        "metrics.flush()\n"
    )
    for _ in range(2):  # the second two take the slots of the first
        assert [process.wait() for process in _run(code, ["worker-0", "worker-1"])] == [0, 0]
    found = _samples(Metrics("churn", folder=tmp_path, slot="parent"))
    assert found["tenure_requests_total", "200", "/predict", "v1"] == 8000
