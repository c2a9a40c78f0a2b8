"""Evidence for the contracts of quality checks: a clean table, and for each check one with its fault planted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from tenure.core.modelling import Task
from tenure.core.ports import Deadline
from tenure.model.target import encode_target
from tenure.quality.evidence import QualityEvidence
from tenure.testing.worlds import World, clean_world, delayed_world, leaky_world, spread_world


def evidence_of(world: World) -> QualityEvidence:
    """Return the evidence that the quality room would build of a world."""
    schema = world.schema
    return QualityEvidence(
        frame=world.frame,
        table=world.frame,
        schema=schema,
        columns=schema.features,
        task=world.task,
        classes=world.classes,
        target=encode_target(world.frame[world.target], world.task, world.classes),
        rng=np.random.default_rng(0),
        deadline=Deadline(60.0, time.monotonic),
    )


def clean() -> QualityEvidence:
    """Return evidence where nothing is wrong."""
    return evidence_of(spread_world(rows=1_500))


def _with(**columns: Callable[[pl.DataFrame], pl.Series]) -> Callable[[], QualityEvidence]:
    """Return a builder of the clean table with further (or other) columns."""

    def build() -> QualityEvidence:
        world = spread_world(rows=1_500)
        frame = world.frame.with_columns(make(world.frame).alias(name) for name, make in columns.items())
        return evidence_of(replace(world, frame=frame))

    return build


def _yes(frame: pl.DataFrame) -> pl.Series:
    return frame["left"] == "yes"


def _sum() -> QualityEvidence:
    world = clean_world(Task.REGRESSION)
    frame = world.frame.with_columns((pl.col("amount") - pl.col("spend")).alias("rest"))
    return evidence_of(replace(world, frame=frame))


def _late_date() -> QualityEvidence:
    world = delayed_world()
    return evidence_of(world)


def _rare() -> QualityEvidence:
    world = spread_world(rows=1_500)
    rare = pl.Series("left", np.where(np.arange(1_500) < 5, "yes", "no"))
    return evidence_of(replace(world, frame=world.frame.with_columns(rare)))


def _sorted() -> QualityEvidence:
    world = spread_world(rows=1_500)
    return evidence_of(replace(world, frame=world.frame.sort("left")))


def _twice() -> QualityEvidence:
    world = spread_world(rows=750)
    return evidence_of(replace(world, frame=pl.concat([world.frame, world.frame])))


def _dominant() -> QualityEvidence:
    rng = np.random.default_rng(5)
    return _with(
        strength=lambda frame: pl.Series(_yes(frame).cast(pl.Float64).to_numpy() + rng.normal(0, 0.2, 1_500))
    )()


FAULTS: dict[str, tuple[Callable[[], QualityEvidence], str | None]] = {
    "additive_identity": (_sum, None),
    "as_of_violation": (_late_date, None),
    "class_rarity": (_rare, None),
    "constant_columns": (_with(flat=lambda frame: pl.Series(["same"] * frame.height)), "flat"),
    "dominance": (_dominant, None),
    "duplicate_columns": (_with(copy=lambda frame: frame["signal_0"] * 2.0), "copy"),
    "duplicate_rows": (_twice, None),
    "id_columns": (_with(number=lambda frame: pl.Series([f"n{i}" for i in range(frame.height)])), "number"),
    "missingness_oracle": (_with(note=lambda frame: _yes(frame).replace_strict({True: 1.0, False: None})), None),
    "name_proxy": (_with(final_status=lambda frame: _yes(frame).cast(pl.Float64)), None),
    "row_order": (_sorted, None),
    "sentinel_values": (
        _with(signal_0=lambda frame: pl.Series(np.where(np.arange(frame.height) % 20 == 0, 999.0, frame["signal_0"]))),
        "signal_0",
    ),
    "single_feature_oracle": (lambda: evidence_of(leaky_world()), None),
    "target_copy": (_with(verdict=lambda frame: frame["left"].replace_strict({"yes": "gone", "no": "here"})), None),
}
"""By check: evidence with its fault, and, for checks that only take notes, the column that a note must be about."""
