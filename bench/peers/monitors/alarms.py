"""Count false alarms: model-years of daily windows drawn from rows that stand in random order."""

from __future__ import annotations

import time
from collections import Counter

from peers.monitors.others import ask, told
from peers.monitors.results import Record, Results
from peers.monitors.watching import OURS, PAGE, Plan, drawn, onsets, readings
from peers.monitors.worlds import World, days

KEYS = ("bench", "system", "set", "rows", "reference", "year")
_SEED = 1


def run_alarms(plan: Plan) -> None:
    """Run what is missing from the results file; the shortest windows first."""
    results = Results(plan.out, KEYS)
    for entry in plan.entries:
        world = plan.world(entry)
        for size in plan.sizes:
            for system in plan.systems:
                for year in range(plan.years):
                    job: Record = {"bench": "alarms", "system": system, "set": entry.name, "rows": size}
                    job |= {"reference": plan.reference, "year": year}
                    if results.has(**job):
                        continue
                    came = _ours(plan, world, job) if system == OURS else _peer(plan, world, job)
                    if came["windows"]:
                        results.add(job | came)
                        print(_line(job | came), flush=True)


def _ours(plan: Plan, world: World, job: Record) -> Record:
    assert plan.start is not None
    started = time.perf_counter()
    watch = plan.start(world, job["rows"])
    causes = [tuple(watch.look(window)) for window in _year(world, job, plan.windows)]
    return {
        "windows": len(causes),
        "readings": {PAGE: {"windows": sum(map(bool, causes)), "onsets": onsets(causes)}},
        "causes": dict(Counter(cause for window in causes for cause in window).most_common()),
        "seconds": time.perf_counter() - started,
    }


def _year(world: World, job: Record, windows: int):
    seed = (_SEED, job["year"])
    return drawn(world.kept, days(len(world.kept.target), size=job["rows"], windows=windows, seed=seed))


def _peer(plan: Plan, world: World, job: Record) -> Record:
    """Ask about the first windows of the year."""
    assert plan.peers is not None
    seed = (_SEED, job["year"])
    draws = days(len(world.kept.target), size=job["rows"], windows=plan.windows, seed=seed)[: plan.peer_windows]
    cases = {"quiet": told(world.kept, world)}
    answers = ask(job["system"], plan.peers, told(world.learned, world), cases, draws, seconds=plan.seconds)
    answer = answers["quiet"]
    said = readings(answer["columns"], answer["alarmed"], job["system"])
    return {
        "windows": len(answer["alarmed"]),
        "readings": {
            name: {"windows": sum(alarms), "onsets": onsets(["x"] * alarm for alarm in alarms)}
            for name, alarms in said.items()
        },
        "causes": dict(Counter(name for names in answer["alarmed"] for name in names).most_common()),
        "columns": len(answer["columns"]),
        "seconds": answer["seconds"],
        "version": answer["version"],
    }


def _line(record: Record) -> str:
    said = ", ".join(f"{name} {counts['windows']}" for name, counts in record["readings"].items())
    return (
        f"{record['set']}, {record['rows']:,} rows, year {record['year']}, {record['system']}: "
        f"alarmed of {record['windows']} windows: {said} ({record['seconds']:.0f} s)"
    )
