"""What a drift test promises, on windows of stable and of shifted worlds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import WindowPair
from tenure.core.evidence import Finding, Measurement, Verdict, judged
from tenure.core.ports import DriftTest
from tenure.testing.contracts.promises import Promise, bound, promised
from tenure.testing.worlds import shifted_pair, stable_pair

_WORLDS: Final = 200
_LOUD: Final = (Verdict.WARN, Verdict.FAIL)


def drift_contract(test: DriftTest, *, false_alarms: float = 0.05) -> Iterator[Promise]:
    """Yield the promises of a drift test; `false_alarms` is the share of stable windows it may alarm on."""
    yield from bound((_rarely_alarms_on_stable_worlds,), test, false_alarms)
    yield from bound(
        (
            _finds_the_shifted_columns,
            _row_order_does_not_matter,
            _survives_windows_with_nothing_in_them,
            _nan_never_passes,
            _changes_nothing,
        ),
        test,
    )


def _findings(test: DriftTest, pair: WindowPair) -> tuple[Finding, ...]:
    broken: list[str] = []
    found = judged(test.name, test.threshold, lambda: test.measure(pair), seen=broken.append)
    promised(not broken, "; ".join(broken))
    return found


def _alarms(test: DriftTest, pair: WindowPair) -> set[str | None]:
    return {f.subject for f in _findings(test, pair) if f.verdict in _LOUD}


def _rarely_alarms_on_stable_worlds(test: DriftTest, false_alarms: float) -> None:
    alarms = sum(bool(_alarms(test, stable_pair(seed=seed))) for seed in range(_WORLDS))
    chance = 3 * math.sqrt(false_alarms * (1 - false_alarms) / _WORLDS)
    promised(
        alarms / _WORLDS <= false_alarms + chance,
        f"{test.name} alarmed on {alarms} of {_WORLDS} stable windows; {false_alarms:.0%} are allowed",
    )


def _finds_the_shifted_columns(test: DriftTest) -> None:
    missed = [seed for seed in range(10) if not {"spend", "plan"} <= _alarms(test, shifted_pair(seed=seed))]
    promised(not missed, f"{test.name} missed a shift of one deviation, or a lost level, with the seeds {missed}")


def _row_order_does_not_matter(test: DriftTest) -> None:
    pair = shifted_pair()
    order = np.random.default_rng(0).permutation(pair.current.height)
    mixed = WindowPair(pair.reference.reverse(), pair.current[order], pair.schema)
    values = [{m.subject: m.value for m in test.measure(p)} for p in (pair, mixed)]
    promised(values[0].keys() == values[1].keys(), f"{test.name} measures other columns in another order of rows")
    apart = [name for name in values[0] if not _close(values[0][name], values[1][name])]
    promised(not apart, f"{test.name} depends on the order of rows in {apart}")


def _survives_windows_with_nothing_in_them(test: DriftTest) -> None:
    pair = stable_pair()
    empty = pair.current.clear()
    nulls = pair.current.with_columns(pl.lit(None, dtype=pl.Float64).alias("spend"))
    same = pair.current.with_columns(pl.lit(1.0).alias("spend"), pl.lit("basic").alias("plan"))
    for reference, current in ((pair.reference, empty), (pair.reference, nulls), (pair.reference[:1], same)):
        _findings(test, WindowPair(reference, current, pair.schema))


def _nan_never_passes(test: DriftTest) -> None:
    verdict = test.threshold.judge(Measurement(test.name, math.nan), check=test.name).verdict
    promised(verdict.blocks, f"{test.name} lets NaN through as {verdict.value}")


def _changes_nothing(test: DriftTest) -> None:
    pair = shifted_pair()
    before = pair.reference.clone(), pair.current.clone()
    _findings(test, pair)
    kept = pair.reference.equals(before[0]) and pair.current.equals(before[1])
    promised(kept, f"{test.name} changed its windows")


def _close(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
