"""Simulate: fly several policies through a project's own history, and hold them against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Final

import polars as pl

from tenure.core.lifecycle import Verb
from tenure.core.project import Project
from tenure.core.simulation import Simulation
from tenure.engine.plan import LIFECYCLE
from tenure.engine.simulation.coming import Coming, VirtualClock
from tenure.engine.simulation.flight import Aloft, Flight, Hooks, add_rows, fly, take_off
from tenure.engine.simulation.history import (
    FEWEST_WINDOWS,
    History,
    cut_history,
    late_of,
    learned_of,
    read_history,
    windows_of,
)
from tenure.engine.simulation.judge import Frame, judged
from tenure.engine.simulation.pace import pace_of
from tenure.engine.simulation.policies import AS_IT_IS, STATIC, FlightPolicy
from tenure.engine.simulation.shadow import bring_code, shadow_of, twin_of
from tenure.engine.watch import Look
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ledger import StageRecord

LEAST_BUDGET: Final = 5.0
BUDGET_SHARE: Final = 1 / 6
_LOOKS: Final = 7
"""In a window while a version climbs: live it is looked at every minute, and a step up need not wait for the end."""
_FEW_WINDOWS: Final = 12
_SECTIONS: Final = tuple(sorted({section for stage in LIFECYCLE for section in stage.sections}))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be flown: policies, from when to when (aware), and the seconds of a walk (None: a sixth, or 5)."""

    policies: tuple[FlightPolicy, ...] = (AS_IT_IS,)
    start: datetime | None = None
    until: datetime | None = None
    budget: float | None = None


def simulate(workspace: Workspace, plan: Plan) -> Simulation:
    """Fly the policies of a plan, and the static one first, through the history of a project.

    Everything happens in a temporary folder: nothing of the project is changed, and nobody is told. Ctrl-C ends it
    early: what all flights flew so far is compared.

    Raises:
        HistoryError: there is no order of time, or too little history.
        KeyboardInterrupt: Ctrl-C came before there was anything to compare.
        TenureError: the source cannot be read, or the first walk failed.
    """
    project = workspace.project
    history = read_history(workspace)
    cut = cut_history(history, project.monitoring, start=plan.start, until=plan.until)
    windows = list(windows_of(history, cut))
    budget = plan.budget or min(project.training.budget, max(LEAST_BUDGET, BUDGET_SHARE * project.training.budget))
    policies = (STATIC, *(policy for policy in plan.policies if policy != STATIC))
    with tempfile.TemporaryDirectory(prefix="tenure-simulate-") as place:
        fleet = _Fleet(workspace, Path(place), windows, learned_of(history, cut), late_of(history, cut), budget)
        started = perf_counter()
        flights = fleet.flown(policies)
        frame = Frame(
            learned=fleet.learned.height,
            planned=len(windows),
            pace=pace_of(
                flights,
                seconds=perf_counter() - started,
                first_walk=fleet.first_walks,
                whole_budget=project.training.budget,
            ),
            notes=_notes(history, project, flights, len(windows)),
        )
        workspace.context.log.progress(0.98, "comparing")
        return judged(flights, frame)


def _notes(history: History, project: Project, flights: Sequence[Flight], planned: int) -> tuple[str, ...]:
    """Return what limits what the simulation says."""
    count = min(len(flight.windows) for flight in flights)
    notes = []
    if count < planned:
        notes.append(f"It was interrupted: {count} of {planned} windows were flown.")
    if count < _FEW_WINDOWS:
        notes.append(f"{count} windows are few: the intervals are too narrow rather than too wide.")
    if history.logged:
        notes.append(f"{history.logged:,} rows came from the log, with outcomes known when the log says.")
    if project.data.outcome_delay == 0:
        notes.append("data.outcome_delay is 0: outcomes were taken as known at once, which flatters every retraining.")
    return tuple(notes)


@dataclass(slots=True)
class _Fleet:
    """What all flights share: the windows, the first rows, and the first model of each way to train it.

    `late` came before the first window too, but what came true of them got known only later.
    """

    workspace: Workspace
    place: Path
    windows: Sequence[Coming]
    learned: pl.DataFrame
    late: Coming
    budget: float
    bases: dict[str, Path] = field(default_factory=dict)
    first_walks: float = 0.0

    def flown(self, policies: Sequence[FlightPolicy]) -> list[Flight]:
        """Fly one policy after the other, until one is interrupted.

        Raises:
            KeyboardInterrupt: nothing can be compared.
        """
        flights: list[Flight] = []
        for number, policy in enumerate(policies):
            try:
                flight = self._flight(policy, number, len(policies), flights)
            except KeyboardInterrupt:
                break
            flights.append(flight)
            if flight.interrupted:
                break
        if flights and flights[-1].interrupted and len(flights[-1].windows) < FEWEST_WINDOWS:
            flights.pop()
        if len(flights) < 2 and len(policies) > 1:
            raise KeyboardInterrupt
        return flights

    def _flight(self, policy: FlightPolicy, number: int, count: int, before: Sequence[Flight]) -> Flight:
        log = self.workspace.context.log
        shadow = shadow_of(self.workspace.project, budget=self.budget)
        base = self._base(policy.applied(shadow))
        folder = self.place / f"flight-{number}"
        twin_of(base, folder)

        def told(aloft: Aloft, look: Look | None) -> None:
            done = (number + (aloft.number + 1) / len(self.windows)) / count
            when = f"{policy.name}, {aloft.window.end:%Y-%m-%d}"
            log.progress(0.95 * done, when)
            if look is not None and look.action.verb is not Verb.KEEP:
                log.note(f"{when}: {look.action.verb.value}. {look.action.reason}")

        started = perf_counter()
        flight = fly(
            folder,
            self.windows,
            policy,
            project=shadow,
            hooks=Hooks(after=told),
            shared=_shared(policy.applied(shadow), before),
            late=self.late,
            looks=_LOOKS,
        )
        log.note(f"{policy.name}: {len(flight.windows)} windows in {perf_counter() - started:.0f} s")
        return flight

    def _base(self, project: Project) -> Path:
        """Return the shadow that holds the first model of a project; trained once for all that train alike."""
        key = project.digest(*_SECTIONS)
        if key not in self.bases:
            folder = self.place / f"base-{len(self.bases)}"
            folder.mkdir()
            bring_code(project, self.workspace.folder, folder)
            add_rows(folder, 0, self.learned)
            self.workspace.context.log.note(f"the first model, from {self.learned.height:,} rows")
            clock = VirtualClock(self.windows[0].start)
            started = perf_counter()
            with open_workspace(folder, actor="simulation", project=project, clock=clock) as shadow:
                take_off(shadow)
            self.first_walks += perf_counter() - started
            self.bases[key] = folder
        return self.bases[key]


def _shared(project: Project, before: Sequence[Flight]) -> list[StageRecord]:
    """Return what stages gave in earlier flights; nothing where a budget binds, for a training taken again is free."""
    operations = project.operations
    has_budget = operations.retrains_per_month is not None or operations.compute_per_month is not None
    return [] if has_budget else [stage for flight in before for stage in flight.made]
