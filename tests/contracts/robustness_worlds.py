"""Evidence for the contracts of robustness checks: one clean world for all, and for each check its planted fault."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tenure.core.modelling import Task
from tenure.core.ports import Context, Deadline
from tenure.core.project import parse_project
from tenure.model.intervals import ValueInterval
from tenure.model.scorer import Scorer
from tenure.robustness.evidence import ModelEvidence, gather
from tenure.state.artifacts import LocalArtifacts
from tenure.testing.walks import small_walk
from tenure.testing.worlds import World, brittle_world, clean_world, level_world, spread_world, weak_slice_world

_PROJECT = """
[project]
name = "contracts"
task = "{task}"

[data]
source = "none"
target = "{target}"
"""


def evidence_of(world: World, **options: Any) -> ModelEvidence:
    """Train a small model on a world and gather what checks look at."""
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    project = parse_project(_PROJECT.format(task=world.task.value, target=world.target))
    ctx = Context(
        project=project,
        folder=folder,
        artifacts=LocalArtifacts(folder / "artifacts"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        timer=time.monotonic,
    )
    walk = small_walk(world, ctx.artifacts, **options)
    return gather(ctx, walk.snapshot, walk.quality, walk.plan, walk.leaderboard, deadline=ctx.deadline(60))


@cache
def _scratch() -> str:
    """Return a folder that lives as long as the process; `_KEEP` removes it at the end."""
    return _KEEP.name


_KEEP = tempfile.TemporaryDirectory(prefix="tenure-contracts-")

_kept = cache(lambda make, task: evidence_of(make() if task is None else make(task)))


def clean() -> ModelEvidence:
    """Return evidence where nothing is wrong."""
    return replace(_kept(spread_world, None), twin=0.99)


def surest() -> ModelEvidence:
    """Return evidence where one answer is beyond all doubt."""
    evidence = clean()
    sure = evidence.clean.copy()
    sure[0] = (0.0, 1.0)
    return replace(evidence, clean=sure)


def long_deadline() -> Deadline:
    """Return a deadline that no small fit reaches."""
    return Deadline(60.0, time.monotonic)


def _amounts() -> ModelEvidence:
    return replace(_kept(clean_world, Task.REGRESSION))


def _other_folder() -> ModelEvidence:
    return replace(clean(), folder=evidence_of(spread_world(seed=1)).folder)


def _other_answers() -> ModelEvidence:
    evidence = clean()
    return replace(evidence, clean=evidence.clean[::-1].copy())


def _overconfident() -> ModelEvidence:
    evidence = clean()
    said = evidence.honest.predicted**4
    return replace(evidence, honest=replace(evidence.honest, predicted=said / said.sum(axis=1, keepdims=True)))


def _narrow_interval() -> ModelEvidence:
    evidence = _amounts()
    return replace(evidence, scorer=Scorer(replace(evidence.scorer.model, interval=ValueInterval.constant(-1.0, 1.0))))


def _tiny_range() -> ModelEvidence:
    evidence = _amounts()
    return replace(evidence, honest=replace(evidence.honest, target=evidence.honest.target * 0.01))


FAULTS: dict[str, Callable[[], ModelEvidence]] = {
    "baseline": lambda: evidence_of(spread_world(rows=600), rounds=0),
    "calibration": _overconfident,
    "column_gone": lambda: replace(_kept(clean_world, Task.BINARY)),
    "coverage": _narrow_interval,
    "determinism": _other_folder,
    "dtype_slip": _other_answers,
    "extremes": _tiny_range,
    "invariance": _other_answers,
    "latency": lambda: replace(clean(), max_latency_ms=1e-6),
    "missing": _amounts,
    "noise": lambda: replace(_kept(brittle_world, None)),
    "parity": _other_answers,
    "twin": lambda: replace(clean(), twin=0.9),
    "unit_slip": _amounts,
    "unseen": lambda: replace(_kept(level_world, None)),
    "worst_slice": lambda: replace(_kept(weak_slice_world, None)),
}
