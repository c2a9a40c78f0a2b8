"""Ours: the code that judges traffic, on windows without a project around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from peers.monitors.worlds import Rows, World
from tenure.core.data import Column, Kind, Schema
from tenure.core.evidence import Verdict
from tenure.core.modelling import Task
from tenure.core.plugins import plugin, plugin_names
from tenure.monitoring.alarm import alarm_levels
from tenure.monitoring.inputs import PREDICTION, InputWatch, as_read

_DAYS = 365.25


@dataclass(frozen=True)
class Ours:
    """Looks at inputs and predictions of a window; the owner's dial stands at one false alarm a year."""

    world: World
    watch: InputWatch

    def look(self, window: Rows) -> Sequence[str]:
        """Return the causes for which somebody is paged: "check: subject"."""
        findings = self.watch.look(window.features, self.world.predictions(window.said), seen=lambda _: None)
        return [f"{f.check}: {f.subject}" for f in findings if f.verdict is Verdict.FAIL]

    def fork(self) -> Ours:
        """Return the same: a look remembers nothing."""
        return self


def start(world: World, rows: int) -> Ours:
    """Return a monitor of a world for windows of so many rows that come each day."""
    kind = Kind.CATEGORICAL if world.task is Task.MULTICLASS else Kind.NUMERIC
    schema = Schema((*world.schema.columns, Column(PREDICTION, "", kind)))
    reference = as_read(world.learned.features, schema).with_columns(
        world.predictions(world.learned.said).alias(PREDICTION)
    )
    tests = tuple(plugin("drift-test", name)() for name in plugin_names("drift-test"))
    level = alarm_levels(1.0, _DAYS).faults
    return Ours(world, InputWatch(reference, schema, world.contract, tests, level, world.importance))
