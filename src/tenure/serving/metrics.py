"""What the server counts, for Prometheus: plain counting in each process, one file a process, summed when asked.

A process counts in lists of its own, which costs less than a microsecond a request, and writes them to its file about
once a second. Any worker can answer /metrics: it sums the files of all. A worker started again takes up the counts of
its file, so that no counter falls; what is going on right now is told of living processes only.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from platform import python_version
from typing import Final

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

import tenure

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
_MOST_SERIES: Final = 1000
"""Further labels of a metric are counted as `other`: each series costs every Prometheus that reads it."""
_ALIVE_SECONDS: Final = 5.0
_REQUEST_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DAY: Final = 86_400.0

Key = tuple[str | int, ...]
_COUNTERS: Final = {
    "tenure_predictions": ("Predictions given, by version and decision.", ("version", "decision")),
    "tenure_input_violations": ("Cells that broke a rule of the contract.", ("field", "rule")),
    "tenure_outcomes_joined": ("Outcomes that found their prediction.", ()),
    "tenure_shadow_answers": ("Answers that the challenger did not give, by why not.", ("why",)),
}
_GAUGES: Final = {
    "tenure_requests_in_progress": ("Requests that are being answered.", ()),
    "tenure_journal_backlog_bytes": ("Bytes of journals that are not in the database yet.", ()),
    "tenure_model_age_seconds": ("Time since the model in office was trained.", ()),
    "tenure_score_drift_ratio": ("How far the latest full window is on its way to a drift alarm; 1 is one.", ()),
    "tenure_estimated_metric": ("What the metric of the latest full window is thought to be.", ("metric",)),
    "tenure_realized_metric": ("What the metric was in the latest window whose outcomes are final.", ("metric",)),
    "tenure_business_value_total": ("What decisions made in the windows that monitoring keeps.", ("currency",)),
    "tenure_outcome_delay_seconds": ("How long the latest outcomes took, by quantile.", ("quantile",)),
    "tenure_alarms_open": ("Alarms that nobody acknowledged or snoozed.", ("severity",)),
}
_SUMMED: Final = frozenset({"tenure_requests_in_progress", "tenure_journal_backlog_bytes"})
"""Gauges of which each process tells its part; of the others the latest stands for all."""


@dataclass(slots=True)
class _Counts:
    """What one process counted, or several together. Histograms hold a count for each bucket, and last the sum."""

    requests: dict[Key, list[float]] = field(default_factory=dict)
    totals: dict[Key, float] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)

    def to_bytes(self, at: float) -> bytes:
        parts = {name: list(getattr(self, name).items()) for name in ("requests", "totals", "gauges")}
        return orjson.dumps({"at": at, **parts})

    @classmethod
    def from_bytes(cls, content: bytes) -> tuple[float, _Counts]:
        data = orjson.loads(content)
        requests, totals, gauges = (
            {tuple(key): value for key, value in data[name]} for name in ("requests", "totals", "gauges")
        )
        return data["at"], cls(requests, totals, gauges)

    def add(self, other: _Counts) -> None:
        """Add counts, which another thread may be adding to: lists of items are made in one step."""
        for key, counts in list(other.requests.items()):
            self.requests[key] = _sum(self.requests.get(key, [0.0] * len(counts)), counts)
        for key, count in list(other.totals.items()):
            self.totals[key] = self.totals.get(key, 0) + count


class Metrics:
    """Counts of one process. All but `flush` and `render` belong to one thread, that of the event loop.

    `model` is the name by which the model is served. `folder` holds the files of all processes, None where there is
    only this one; `slot` names its file ("worker-0", "parent"), and is taken again by the process that replaces it.
    """

    def __init__(
        self,
        model: str,
        *,
        folder: Path | None = None,
        slot: str = "server",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model, self._folder, self._clock = model, folder, clock
        self._path = None if folder is None else folder / f"{slot}.json"
        self._running = 0
        self._told: frozenset[Key] = frozenset()
        self._series: defaultdict[str, int] = defaultdict(int)
        self._counts = self._resumed()
        self._registry = CollectorRegistry()
        self._registry.register(_Families(self._families))

    def _resumed(self) -> _Counts:
        found = None if self._path is None else _read(self._path)
        counts = _Counts() if found is None else found[1]
        counts.gauges = {}
        for metric, *_ in counts.totals:
            self._series[str(metric)] += 1
        return counts

    def started(self) -> None:
        """Count a request as being answered."""
        self._running += 1

    def finished(self, route: str, code: int, version: str, seconds: float) -> None:
        """Count a request as answered, or broken off, after some seconds; `version` is a label, or empty."""
        self._running -= 1
        counts = self._counts.requests.get((route, code, version))
        if counts is None:
            counts = self._first(route, code, version)
        counts[bisect_left(_REQUEST_BOUNDS, seconds)] += 1
        counts[-1] += seconds

    def _first(self, route: str, code: int, version: str) -> list[float]:
        requests = self._counts.requests
        key = (route, code, version) if len(requests) < _MOST_SERIES else (OTHER, code, version)
        return requests.setdefault(key, [0.0] * (len(_REQUEST_BOUNDS) + 2))

    def predicted(self, version: str, decision: str | float, count: int = 1) -> None:
        """Count predictions of a version; `decision` is the label or the action. Values are counted together."""
        self._count(("tenure_predictions", version, decision if isinstance(decision, str) else ""), count)

    def violation(self, column: str, rule: str, count: int = 1) -> None:
        """Count cells of a column of the contract that broke a rule."""
        self._count(("tenure_input_violations", column, rule), count)

    def outcomes_joined(self, count: int) -> None:
        """Count outcomes that found their prediction."""
        self._count(("tenure_outcomes_joined",), count)

    def shadow_skipped(self) -> None:
        """Count an answer that the challenger did not give for want of time."""
        self._count(("tenure_shadow_answers", "skipped"), 1)

    def shadow_failed(self) -> None:
        """Count a row that the challenger could not answer."""
        self._count(("tenure_shadow_answers", "failed"), 1)

    def _count(self, key: Key, count: float) -> None:
        totals = self._counts.totals
        if key in totals:
            totals[key] += count
            return
        metric = str(key[0])
        if self._series[metric] >= _MOST_SERIES:
            key = (metric, *(OTHER for _ in key[1:]))
        else:
            self._series[metric] += 1
        totals[key] = totals.get(key, 0) + count

    def backlog(self, size: int) -> None:
        """Tell how many bytes of this process's journals are not in the database yet."""
        self._counts.gauges["tenure_journal_backlog_bytes",] = size

    def model_age(self, seconds: float) -> None:
        """Tell how long ago the model in office was trained."""
        self._counts.gauges["tenure_model_age_seconds",] = seconds

    def tell(self, gauges: Mapping[Key, float]) -> None:
        """Tell gauges by their name and labels; those told before that are not among them are gone."""
        for gone in self._told - gauges.keys():
            del self._counts.gauges[gone]
        self._counts.gauges.update(gauges)
        self._told = frozenset(gauges)

    def flush(self) -> None:
        """Write the counts to this process's file; call it every second, and once at the end.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._path is None:
            return
        self._counts.gauges["tenure_requests_in_progress",] = self._running
        # No fsync: after a power cut the counters start again, which Prometheus expects of them.
        part = self._path.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(self._counts.to_bytes(self._clock()))
        part.replace(self._path)

    def render(self) -> bytes:
        """Return all processes' counts in the text format 0.0.4; those of others are of their last flush."""
        return generate_latest(self._registry)

    def _families(self) -> Iterator[Metric]:
        self._counts.gauges["tenure_requests_in_progress",] = self._running
        everything = self._together()
        yield from _request_families(self._model, everything.requests)
        for values, definitions, family in (
            (everything.totals, _COUNTERS, CounterMetricFamily),
            (everything.gauges, _GAUGES, GaugeMetricFamily),
        ):
            for name, (text, labels) in definitions.items():
                found = family(name, text, labels=("model", *labels))
                for (metric, *rest), value in values.items():
                    if metric == name:
                        found.add_metric([self._model, *map(str, rest)], value)
                yield found
        build = GaugeMetricFamily("tenure_build_info", "Which software answers.", labels=("version", "python"))
        build.add_metric([tenure.__version__, python_version()], 1)
        yield build

    def _together(self) -> _Counts:
        """Return the counts of all processes; gauges of the living only, the latest last."""
        now = self._clock()
        paths = [] if self._folder is None else [path for path in self._folder.glob("*.json") if path != self._path]
        others = [found for path in paths if (found := _read(path))]
        together = _Counts()
        for at, counts in [*sorted(others, key=lambda found: found[0]), (now, self._counts)]:
            together.add(counts)
            if now - at <= _ALIVE_SECONDS:
                for key, value in list(counts.gauges.items()):
                    before = together.gauges.get(key, 0) if key[0] in _SUMMED else 0
                    together.gauges[key] = before + value
        return together


def clear(folder: Path) -> None:
    """Remove the files of an earlier server; the parent calls it before it starts workers."""
    for path in (*folder.glob("*.json"), *folder.glob("*.part")):
        path.unlink()


def _read(path: Path) -> tuple[float, _Counts] | None:
    """Return when a file was written and its counts; None where there is none, or a power cut left it unreadable."""
    try:
        return _Counts.from_bytes(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None


def _sum(left: list[float], right: list[float]) -> list[float]:
    return [a + b for a, b in zip(left, right, strict=True)]


def _request_families(model: str, requests: dict[Key, list[float]]) -> Iterator[Metric]:
    total = CounterMetricFamily("tenure_requests", "Requests answered.", labels=("model", "version", "route", "code"))
    durations: dict[Key, list[float]] = {}
    for (route, code, version), counts in requests.items():
        total.add_metric([model, str(version), str(route), str(code)], sum(counts[:-1]))
        key = (model, version, route)
        durations[key] = _sum(durations.get(key, [0.0] * len(counts)), counts)
    yield total
    yield _histogram(
        "tenure_request_duration_seconds",
        "Time from reading a request to its answer.",
        _REQUEST_BOUNDS,
        durations,
        ("model", "version", "route"),
    )


def _histogram(
    name: str, text: str, bounds: tuple[float, ...], series: dict[Key, list[float]], labels: tuple[str, ...]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    ends = [*map(str, bounds), "+Inf"]
    for key, counts in series.items():
        family.add_metric(
            [str(part) for part in key], list(zip(ends, accumulate(counts[:-1]), strict=True)), counts[-1]
        )
    return family


class _Families(Collector):
    """What prometheus_client asks for metrics."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return self._families()
