"""Say from the ledger, and from what the watchers noted, whether a promise was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from peers.watchers.plant import Cause, Planted
from peers.watchers.torture import Tortured
from tenure.core.errors import LedgerError
from tenure.core.lifecycle import Action, Alias, Verb
from tenure.engine.acts import BEGUN_EVENT
from tenure.engine.events import ACTION_EVENT
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ledger import Event
from tenure.state.registry import MOVED_EVENT


def judged(folder: Path, done: Tortured) -> tuple[list[str], dict[str, int]]:
    """Return the promises that were broken, in words, and what the ledger counts."""
    with open_workspace(folder) as workspace:
        try:
            events = workspace.ledger.verify()
            broken = []
        except LedgerError as error:
            events, broken = 0, [error.message]
        acts = list(_acts(workspace))
        broken += [*_twice(acts), *_begun(workspace), *_rollbacks(workspace, done.planted), *_walks(workspace, acts)]
        broken += [*_two_leaders(done), *_stale(done)]
        counted = Counter(action.verb.value for _, action in acts)
        runs = Counter(run.status for run in workspace.ledger.runs())
        answered = sum(1 for one in done.planted if _is_answered(one, acts))
    counts = {f"acts to {verb}": count for verb, count in sorted(counted.items())}
    counts |= {f"runs {status}": count for status, count in sorted(runs.items())}
    return broken, {"events": events, "causes answered": answered} | counts


def _acts(workspace: Workspace) -> Iterator[tuple[Event, Action]]:
    for event in workspace.ledger.events(kind=ACTION_EVENT, without={"verb": Verb.KEEP.value}):
        if event.output is not None:
            yield event, workspace.context.artifacts.get_record(Action, event.output)


def _identity(action: Action) -> tuple[object, ...]:
    """Return which act for which cause this was: the kind of finding, the version, and since when."""
    cause = action.cause
    if cause is None:
        return action.verb, None
    evidence = cause.measurement.evidence
    kind = "realised" if cause.check.startswith("realised") else (cause.check, cause.subject)
    return action.verb, kind, evidence.get("version"), evidence.get("since")


def _is_answered(planted: Planted, acts: Sequence[tuple[Event, Action]]) -> bool:
    return any(
        action.cause is not None and action.cause.measurement.evidence.get("version") == planted.version
        for _, action in acts
    )


def _twice(acts: Sequence[tuple[Event, Action]]) -> Iterator[str]:
    """Yield every act that was noted twice for one cause; no rows are planted while a cause is open."""
    by_cause: dict[tuple[object, ...], list[Event]] = {}
    for event, action in acts:
        by_cause.setdefault(_identity(action), []).append(event)
    for identity, events in by_cause.items():
        if len(events) > 1:
            where = ", ".join(f"event {event.seq} by {event.actor}" for event in events)
            yield f"two acts for one cause {identity}: {where}"


def _rollbacks(workspace: Workspace, planted: Sequence[Planted]) -> Iterator[str]:
    """Yield what is wrong with the moves of the office: each bad version is left once, and never comes back."""
    moves = [
        (event, event.data["moves"][Alias.CHAMPION.value])
        for event in workspace.ledger.events(kind=MOVED_EVENT)
        if Alias.CHAMPION.value in event.data["moves"] and event.actor.startswith("watcher")
    ]
    bad = {one.version for one in planted if one.cause is Cause.BAD_RELEASE}
    left = Counter(move["before"] for _, move in moves)
    for version in sorted(bad):
        if left[version] > 1:
            yield f"v{version} was put out of office {left[version]} times"
    begun = {event.output for event in workspace.ledger.events(kind=BEGUN_EVENT)}
    for event, move in moves:
        if move["after"] in bad:
            yield f"event {event.seq} by {event.actor} put v{move['after']} back into office: {event.reason}"
        if event.run_id is None and not begun & set(event.inputs):
            yield f"event {event.seq} by {event.actor} rolled back from v{move['before']}, and no act was begun for it"


def _begun(workspace: Workspace) -> Iterator[str]:
    """Yield acts that were begun and noted as done never, or more than once."""
    done = Counter(event.data.get("begun") for event in workspace.ledger.events(kind=ACTION_EVENT))
    for event in workspace.ledger.events(kind=BEGUN_EVENT):
        if done[event.seq] != 1:
            yield f"the act of event {event.seq} by {event.actor} was noted as done {done[event.seq]} times"


def _walks(workspace: Workspace, acts: Sequence[tuple[Event, Action]]) -> Iterator[str]:
    """Yield walks that were begun twice for one reason, and walks that no act tells of."""
    started = [event for event in workspace.ledger.events(kind="run-started") if event.actor.startswith("watcher")]
    ended = {run.id: run.status for run in workspace.ledger.runs()}
    reasons = Counter(event.reason for event in started if ended[event.run_id or ""] != "superseded")
    for reason, count in reasons.items():
        if count > 1:
            yield f"{count} walks for one reason: {reason}"
    retrained = sum(action.verb is Verb.RETRAIN and action.carried_out for _, action in acts)
    whole = sum(ended[event.run_id or ""] in ("finished", "failed") for event in started)
    if whole > retrained:
        yield f"{whole} walks ended, and {retrained} acts tell of one"


def _stale(done: Tortured) -> Iterator[str]:
    """Yield the acts that a watcher chose by what it had seen before another watcher had a whole look."""
    looks = [look for file in done.traces.glob("*.trace") for look in _looks(file)]
    for look in looks:
        overtaken = [o for o in looks if o.name != look.name and look.start < o.start and o.end < look.end and o.said]
        if look.said not in ("", Verb.KEEP.value) and overtaken:
            yield f"{look.name} chose to {look.said} by what it had seen before {overtaken[0].name} looked and acted"


def _two_leaders(done: Tortured) -> Iterator[str]:
    """Yield the looks during which another watcher led too; one that was put to sleep may find itself overtaken."""
    spans = sorted(span for file in done.traces.glob("*.trace") for span in _spans(file))
    for (_, end, name), (other_start, other_end, other) in pairwise(_awake(spans, done.slept)):
        if other_start < end and name != other:
            overlap = (min(end, other_end) - other_start) / 1e6
            yield f"{name} and {other} led at once for {overlap:.1f} ms (from {other_start} ns)"


def _awake(spans: Sequence[tuple[int, int, str]], slept: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int, str]]:
    """Yield the spans, those in which the watcher was put to sleep up to that moment."""
    for start, end, name in spans:
        yield start, min([at for who, at in slept if who == name and start <= at <= end], default=end), name


@dataclass(frozen=True)
class _Look:
    """From when to when a watcher surely held the lease (monotonic ns), and what it did; empty where it was refused."""

    start: int
    end: int
    name: str
    said: str


def _spans(file: Path) -> Iterator[tuple[int, int, str]]:
    for look in _looks(file):
        yield look.start, look.end, look.name


def _looks(file: Path) -> Iterator[_Look]:
    """Yield the looks of one watcher in which it held the lease."""
    first = last = 0
    for line in file.read_text().splitlines():
        stamp, _, word = line.partition(" ")
        if word == "holds":
            first, last = first or int(stamp), int(stamp)
        elif first:
            yield _Look(first, last, file.stem, word.removeprefix("done ") if word.startswith("done ") else "")
            first = 0
    if first:
        yield _Look(first, last, file.stem, "")
