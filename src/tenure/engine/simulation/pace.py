"""How long a simulation took, beside a loop that asks for each row and walks with the whole budget each time."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Final

from tenure.core.lifecycle import OutcomeRecord
from tenure.core.simulation import Pace
from tenure.engine.answering import Holder
from tenure.engine.simulation.flight import Flight
from tenure.engine.workspace import open_workspace

_SAMPLE: Final = 200


def pace_of(flights: Sequence[Flight], *, seconds: float, first_walk: float, whole_budget: float) -> Pace:
    """Return the wall clock of all flights, and what the naive way would have taken.

    A sample of rows is answered, logged and given its outcome one by one, in a shadow that is not needed any more.
    Walks count with the whole budget, the first one of each flight too, or where trials are counted as long as a walk
    took here (`first_walk` is how long the first ones took together); looks count as they were.
    """
    row = _row_seconds(flights[0])
    rows = sum(flown.window.rows.height for flight in flights for flown in flight.windows)
    walks = sum(flight.walks + 1 for flight in flights)
    by_trials = flights[0].project.training.trials is not None
    made = 1 + sum(flight.walks - flight.reused for flight in flights)
    took = first_walk + sum(flight.seconds.get("walks", 0.0) for flight in flights)
    looks = sum(flight.seconds.get("looks", 0.0) for flight in flights)
    return Pace(
        seconds=seconds,
        naive=rows * row + walks * (took / made if by_trials else whole_budget) + looks,
        row_seconds=row,
        rows=rows,
        walks=walks,
        walk_budget=None if by_trials else flights[0].project.training.budget,
        whole_budget=None if by_trials else whole_budget,
    )


def _row_seconds(flight: Flight) -> float:
    window = flight.windows[-1].window
    with open_workspace(flight.folder, project=flight.project, clock=lambda: window.end) as workspace:
        version = workspace.champion()
        holder = Holder(version, workspace.scorer(version), flight.project)
        rows = window.rows[:_SAMPLE].to_dicts()
        outcomes = list(window.outcome[:_SAMPLE])
        started = perf_counter()
        for number, (row, at, outcome) in enumerate(zip(rows, window.event_at, outcomes, strict=False)):
            admitted = holder.fields.admit([row]).rows
            said = holder.answers(admitted)[0]
            record = holder.record(f"naive-{number}", at, admitted[0], said, key=holder.key_of(row))
            workspace.traffic.log_predictions([record])
            if outcome is not None:
                known = OutcomeRecord(str(outcome), window.end.isoformat(), prediction_id=f"naive-{number}")
                workspace.traffic.record_outcomes([known])
        return (perf_counter() - started) / max(len(rows), 1)
