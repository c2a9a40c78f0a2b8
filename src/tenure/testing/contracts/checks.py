"""What a check promises, of data quality or of robustness: the same list, on evidence that the caller builds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from tenure.core.evidence import Finding, Measurement, Verdict, judged
from tenure.core.ports import Check
from tenure.testing.contracts.promises import Promise, bound, promised

Build = Callable[[], Any]


def check_contract(
    check: Check[Any], *, clean: Build, faulty: Build | None = None, planted: str | None = None
) -> Iterator[Promise]:
    """Yield the promises of a check.

    `clean` builds evidence where nothing is wrong, `faulty` evidence with the fault that the check is there to find;
    each call builds it anew. Without `faulty` nothing is promised about it. The fault counts as found where a finding
    warns or fails, or, for checks that only take notes, where one is about the subject `planted`.
    """
    yield from bound((_silent_where_nothing_is_wrong, _same_verdicts_twice, _changes_nothing), check, clean)
    yield from bound((_nan_never_passes,), check)
    yield from bound((_speaks_in_sentences,), check, clean)
    if faulty is not None:
        yield from bound((_finds_its_fault,), check, faulty, planted)
        yield from bound((_says_what_to_do,), check, faulty)


def _findings(check: Check[Any], evidence: Any) -> tuple[Finding, ...]:
    broken: list[str] = []
    found = judged(check.name, check.threshold, lambda: check.measure(evidence), seen=broken.append)
    promised(not broken, "; ".join(broken))
    return found


def _silent_where_nothing_is_wrong(check: Check[Any], clean: Build) -> None:
    loud = [f.says for f in _findings(check, clean()) if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    promised(not loud, f"{check.name} found fault where there is none: {loud}")


def _finds_its_fault(check: Check[Any], faulty: Build, planted: str | None) -> None:
    found = _findings(check, faulty())
    told = [f for f in found if planted is not None and f.verdict is Verdict.PASS and planted in (f.subject or "")]
    promised(
        bool(told) or any(f.verdict in (Verdict.WARN, Verdict.FAIL) for f in found),
        f"{check.name} did not find its fault: {[(f.verdict.value, f.says) for f in found]}",
    )


def _nan_never_passes(check: Check[Any]) -> None:
    verdict = check.threshold.judge(Measurement(check.name, math.nan), check=check.name).verdict
    promised(verdict.blocks, f"{check.name} lets NaN through as {verdict.value}")


def _same_verdicts_twice(check: Check[Any], clean: Build) -> None:
    first, second = ([(f.subject, f.verdict) for f in _findings(check, clean())] for _ in range(2))
    promised(first == second, f"{check.name} judged equal evidence twice and differed: {first}, {second}")


def _changes_nothing(check: Check[Any], build: Build) -> None:
    evidence = build()
    before = _tables(evidence)
    _findings(check, evidence)
    after = _tables(evidence)
    changed = [name for name in before if not _equal(before[name], after[name])]
    promised(not changed, f"{check.name} changed its evidence: {changed}")


def _speaks_in_sentences(check: Check[Any], clean: Build) -> None:
    mute = [f for f in _findings(check, clean()) if not (f.measurement.says or f.measurement.skipped)]
    promised(not mute, f"{check.name} measured without a word: {[f.subject for f in mute]}")


def _says_what_to_do(check: Check[Any], faulty: Build) -> None:
    found = [f for f in _findings(check, faulty()) if f.verdict in (Verdict.WARN, Verdict.FAIL)]
    mute = [f.subject for f in found if not (f.measurement.says and f.measurement.hint)]
    promised(not mute, f"{check.name} found fault without saying what, or what to do: {mute}")


def _tables(evidence: Any) -> dict[str, Any]:
    """Return copies of the tables and arrays that the evidence holds, one record deep."""
    held: dict[str, Any] = {}
    for field in dataclasses.fields(evidence):
        value = getattr(evidence, field.name)
        if isinstance(value, pl.DataFrame):
            held[field.name] = value.clone()
        elif isinstance(value, np.ndarray):
            held[field.name] = value.copy()
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            held |= {f"{field.name}.{name}": table for name, table in _tables(value).items()}
    return held


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, pl.DataFrame):
        return one.equals(other)
    if one.dtype.kind == "f":
        return bool(np.array_equal(one, other, equal_nan=True))
    return bool(np.array_equal(one, other))
