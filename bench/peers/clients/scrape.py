"""Debian's Prometheus, run by hand on loopback, scraping the server each second; and its linter."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from peers.clients.board import Line, Target
from peers.clients.raw import get
from peers.servers.live import free_port
from tenure.testing.load import Load

_CONFIG: Final = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: tenure
    static_configs: [{{targets: ["{address}"]}}]
"""
_LOAD_SECONDS: Final = 12.0
_START_SECONDS: Final = 30.0
_QUANTILE: Final = "histogram_quantile(0.99, sum by (le) (rate(tenure_request_duration_seconds_bucket[10s])))"


def scrape(target: Target, programs: Path) -> list[Line]:
    """Return what Prometheus saw while honest clients asked; `programs` holds `prometheus` and `promtool`."""
    lint = subprocess.run(
        [programs / "promtool", "check", "metrics"],
        input=get(target, "/metrics").body,
        capture_output=True,
        check=False,
    )
    said = (lint.stdout + lint.stderr).decode().strip()
    lines = [Line("promtool check metrics", said or "nothing to say", lint.returncode == 0 and not said)]
    config = target.folder / "prometheus.yml"
    config.write_text(_CONFIG.format(address=urlsplit(target.url).netloc))
    port = free_port()
    command = [programs / "prometheus", f"--config.file={config}", f"--storage.tsdb.path={target.folder / 'series'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (target.folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        return lines + _seen(target, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _seen(target: Target, prometheus: str) -> list[Line]:
    _await_up(prometheus)
    answered = 'sum(tenure_requests_total{route="/predict",code="200"})'
    before = _value(prometheus, answered) or 0.0
    with Load(target.url, target.rows, clients=4, pause=0.01) as load:
        time.sleep(_LOAD_SECONDS)
        slowest, decisions = (
            _value(prometheus, _QUANTILE),
            _answer(prometheus, "sum by (decision) (tenure_predictions_total)"),
        )
        rate = _value(prometheus, 'sum(rate(tenure_requests_total{route="/predict"}[10s]))')
    time.sleep(3.5)  # the last counts reach /metrics within a second or so, and Prometheus within another
    counted = (_value(prometheus, answered) or 0.0) - before
    (_, one), *_ = _answer(prometheus, "tenure_build_info") or [({}, 0)]
    drawn = {labels["decision"]: int(value) for labels, value in decisions}
    scrapes = _value(prometheus, 'count_over_time(up{job="tenure"}[10s])')
    return [
        Line("up", f"{_value(prometheus, 'up')}", _value(prometheus, "min_over_time(up[10s])") == 1.0),
        Line("scrapes in 10 s", f"{scrapes}", (scrapes or 0) >= 8),
        Line(
            "tenure_requests_total against answers", f"{counted:,.0f} of {len(load.told):,}", counted == len(load.told)
        ),
        Line("requests/s by rate()", f"{rate or 0:,.1f}", bool(rate)),
        Line("99th percentile by histogram_quantile()", f"{1_000 * (slowest or 0):.2f} ms", 0 < (slowest or 0) < 2.5),
        Line("decisions", str(drawn), set(drawn) == {"Yes", "No"}),
        Line("tenure_build_info", f"{one}", one == 1.0),
    ]


def _await_up(prometheus: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            if _value(prometheus, "up") == 1.0:
                return
        except OSError:
            pass  # it is not there yet
        time.sleep(0.2)
    raise RuntimeError("Prometheus did not find the server.")


def _value(prometheus: str, query: str) -> float | None:
    found = _answer(prometheus, query)
    return found[0][1] if found else None


def _answer(prometheus: str, query: str) -> list[tuple[dict[str, Any], float]]:
    asked = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in found]
