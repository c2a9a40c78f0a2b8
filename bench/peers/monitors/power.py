"""Put shifts of known size and known cost into windows, and see who finds them and who is bothered for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.monitors.others import ask, told
from peers.monitors.results import Record, Results
from peers.monitors.shifts import chosen_columns, injected, shifts_of
from peers.monitors.watching import OURS, PAGE, Plan, drawn, readings
from peers.monitors.worlds import PREDICTION, Rows, World, days

KEYS = ("bench", "system", "set", "rows", "reference", "column", "shift")
_QUIET, _SHIFTED = 11, 12


@dataclass(frozen=True, eq=False)
class Injected:
    """A shift of one column: all kept rows with it, as the model then answers them, and what it costs in skill."""

    column: str
    rank: str
    shift: str
    rows: Rows
    cost: float

    @property
    def job(self) -> Record:
        """Return what tells it from others."""
        return {"column": self.column, "shift": self.shift}


def run_power(plan: Plan) -> None:
    """Run what is missing from the results file."""
    results = Results(plan.out, KEYS)
    for entry in plan.entries:
        world = plan.world(entry)
        shifts = list(_injected(world, plan.shifts))
        for size in plan.sizes:
            for system in plan.systems:
                common = {"bench": "power", "system": system, "set": entry.name, "rows": size}
                common["reference"] = plan.reference
                missing = [shift for shift in shifts if not results.has(**common, **shift.job)]
                if not missing:
                    continue
                came = _ours(plan, world, size, missing) if system == OURS else _peer(plan, world, common, missing)
                for shift, found in came:
                    about = {"rank": shift.rank, "cost": shift.cost}
                    results.add(common | shift.job | about | found)
                print(f"{entry.name}, {size:,} rows, {system}: {len(missing)} shifts", flush=True)


def _injected(world: World, names: Sequence[str]) -> Iterator[Injected]:
    usual = world.learned.features
    for rank, column in chosen_columns(usual, world.importance):
        for shift in shifts_of(usual[column]):
            if names and shift not in names:
                continue
            features = injected(world.kept.features, column, shift, usual)
            said = world.answer(features)
            cost = world.metric.gain(world.score(world.kept), world.metric(world.kept.target, said)) / world.skill()
            yield Injected(column, rank, shift, Rows(features, world.kept.target, said), cost)


def _draws(world: World, size: int, windows: int, seed: int) -> NDArray[np.int64]:
    return days(len(world.kept.target), size=size, windows=windows, seed=(seed, size))


def _ours(plan: Plan, world: World, size: int, shifts: Sequence[Injected]) -> Iterator[tuple[Injected, Record]]:
    """Let quiet windows go by, then look at shifted ones until somebody is paged."""
    assert plan.start is not None
    watch = plan.start(world, size)
    before = [tuple(watch.look(w)) for w in drawn(world.kept, _draws(world, size, plan.quiet, _QUIET))]
    for shift in shifts:
        started = time.perf_counter()
        first, causes, looked = None, (), watch.fork()
        for at, window in enumerate(drawn(shift.rows, _draws(world, size, plan.windows, _SHIFTED)), start=1):
            causes = tuple(looked.look(window))
            if causes:
                first = at
                break
        yield (
            shift,
            {
                "looked": plan.windows,
                "readings": {PAGE: {"first": first}},
                "causes": list(causes),
                "paged_before": sum(map(bool, before)),
                "seconds": time.perf_counter() - started,
            },
        )


def _peer(plan: Plan, world: World, common: Record, shifts: Sequence[Injected]) -> Iterator[tuple[Injected, Record]]:
    """Ask about the first shifted windows.

    Both judge each column by itself, so only the shifted one and the prediction are asked about again.
    """
    assert plan.peers is not None
    quiet, reference = told(world.kept, world), told(world.learned, world)
    draws = _draws(world, common["rows"], plan.windows, _SHIFTED)[: plan.peer_windows]
    cases = {"quiet": quiet} | {
        str(at): told(shift.rows, world).select(shift.column, PREDICTION) for at, shift in enumerate(shifts)
    }
    answers = ask(common["system"], plan.peers, reference, cases, draws, seconds=plan.seconds)
    for at, shift in enumerate(shifts):
        answer = answers.get(str(at))
        if answer is None or min(len(a["alarmed"]) for a in (answer, answers["quiet"])) < len(draws):
            continue  # its time was over: it is asked again the next time
        alarmed = merged(answers["quiet"], answer)
        said = readings(quiet.columns, alarmed, common["system"])
        yield (
            shift,
            {
                "looked": len(alarmed),
                "readings": {
                    name: {"first": next((n for n, alarm in enumerate(alarms, start=1) if alarm), None)}
                    for name, alarms in said.items()
                },
                "itself": sum(shift.column in names for names in alarmed),
                "seconds": answer["seconds"],
                "version": answer["version"],
            },
        )


def merged(quiet: dict[str, Any], shifted: dict[str, Any]) -> list[list[str]]:
    """Return which columns are alarmed in each window when some are shifted and the rest is quiet."""
    again = set(shifted["columns"])
    return [
        sorted({name for name in before if name not in again} | set(now))
        for before, now in zip(quiet["alarmed"], shifted["alarmed"], strict=True)
    ]
