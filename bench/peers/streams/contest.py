"""Run policies on streams and keep what came of each: one line of the results file a stream, delay and policy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from peers.monitors.replay import MOST_ROWS
from peers.monitors.results import Record, Results, read
from peers.streams.bank import Bank
from peers.streams.child import MissingError
from peers.streams.oracle import SHARES, oracle
from peers.streams.ours import Ours
from peers.streams.policies import Continued, Every, Monthly, OnAlarm, Static
from peers.streams.replay import Course, replay
from peers.streams.rivals import Adwin, Evidently, run_forest
from peers.streams.stream import Stream, load_stream

KEYS: Final = ("set", "delay", "policy", "made")
"""`made` changes when the stream or the learner does: what was made of others says nothing."""
ORACLE, OURS, STATIC, EACH = "oracle", "tenure", "static", "every window"
DELAYS: Final = (0, 1, 4)


@dataclass(frozen=True)
class Plan:
    """What is run: `again` names policies whose results are made anew; the bank is kept below `work`."""

    sets: Sequence[str]
    delays: Sequence[int]
    policies: Sequence[str]
    out: Path
    data: Path | None
    work: Path
    peers: Path | None = None
    again: Sequence[str] = ()
    most_rows: int = MOST_ROWS


def _ours(bank: Bank, delay: int, plan: Plan) -> Course:
    judged = bank.stream.judged
    policy = Ours(timed=(judged[len(judged) // 2], judged[-1]))
    course = replay(bank, policy, delay)
    course.fresh = policy.seconds
    return course


def _every(gap: int = 1, share: float = 1.0) -> Callable[[Bank, int, Plan], Course]:
    return lambda bank, delay, plan: replay(bank, Every(gap, share), delay)


def _adwin(bank: Bank, delay: int, plan: Plan) -> Course:
    alarm = Adwin(plan.peers)
    try:
        return replay(bank, OnAlarm(alarm=alarm), delay)
    finally:
        alarm.close()


def _evidently(bank: Bank, delay: int, plan: Plan) -> Course:
    alarm = Evidently(plan.peers, bank)
    policy = OnAlarm(alarm=alarm)
    alarm.policy = policy
    try:
        return replay(bank, policy, delay)
    finally:
        alarm.close()


POLICIES: Final[dict[str, Callable[[Bank, int, Plan], Course]]] = {
    OURS: _ours,
    STATIC: lambda bank, delay, plan: replay(bank, Static(), delay),
    EACH: _every(),
    "every window; newest quarter": _every(share=0.25),
    "every 4 windows": _every(gap=4),
    "monthly": lambda bank, delay, plan: replay(bank, Monthly(), delay),
    "first model continued": lambda bank, delay, plan: replay(bank, Continued(), delay),
    "ADWIN": _adwin,
    "Evidently": _evidently,
    "river's forest": lambda bank, delay, plan: run_forest(plan.peers, bank.stream, delay),
}
"""How each policy is run; the oracle is always run first, for it is what the others are measured by."""
LEARN_OTHERWISE: Final = frozenset({"river's forest"})
"""Policies with a learner of their own, which learns each row."""


def run(plan: Plan) -> None:
    """Run what is missing from the results file, stream by stream."""
    results = Results(plan.out, KEYS)
    again = {*plan.again, *(record["policy"] for record in read([plan.out]) if "missing" in record)}
    for name in plan.sets:
        bank = Bank(load_stream(name, plan.data, most_rows=plan.most_rows), plan.work)
        for delay, policy in product(plan.delays, (ORACLE, *plan.policies)):
            job: Record = {"set": name, "delay": delay, "policy": policy, "made": bank.made}
            if results.has(**job) and policy not in again:
                continue
            started = time.perf_counter()
            try:
                told = told_of_oracle(bank, delay) if policy == ORACLE else _told(bank, delay, policy, plan)
            except MissingError as missing:
                told = {"missing": str(missing)}
            seconds = time.perf_counter() - started
            results.add({**job, **told, "seconds": seconds})
            _note(f"{name}, delay {delay}, {policy}: {told.get('missing') or f'{seconds:.0f} s'}")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def told_of_oracle(bank: Bank, delay: int) -> Record:
    """Return the oracle's course on a stream, with what is to be known of the stream."""
    stream = bank.stream
    plan, losses = oracle(bank, delay)
    swaps = [{"window": stream.first + at, "name": f"newest {SHARES[number]:g}"} for at, number in plan.retrains]
    return {"losses": _rounded(losses), "changes": swaps, "stream": facts(stream)}


def facts(stream: Stream) -> Record:
    """Return what is to be known of a stream."""
    return {
        "task": stream.problem.task.value,
        "window": stream.windows_are,
        "first": stream.first,
        "warm": int(stream.edges[stream.first]),
        "rows": int(stream.edges[-1]),
        "features": stream.problem.matrix.shape[1],
        "sizes": np.diff(stream.edges)[stream.first :].tolist(),
        "starts": stream.times[stream.edges[stream.first : -1]].tolist() if stream.months is not None else None,
        "cost": stream.cost,
        "skill": stream.skill,
        "constant": stream.constant,
        "scale": stream.scale,
    }


def _told(bank: Bank, delay: int, policy: str, plan: Plan) -> Record:
    course = POLICIES[policy](bank, delay, plan)
    return {
        "losses": _rounded(course.losses),
        "changes": [asdict(change) for change in course.changes],
        "fitting": course.fitting,
        "own": course.own,
        "slowest": course.slowest,
        "decisions": course.decisions,
        "fresh": course.fresh,
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]
