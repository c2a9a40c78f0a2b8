"""Kill watchers, stall them, move the clock on and plant causes, until the hour is over."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from sqlalchemy import select

from peers.watchers.plant import Cause, Planted, plant
from peers.watchers.process import FileClock, watch, with_clock
from tenure.core.errors import ProjectBusyError, TenureError
from tenure.core.lifecycle import Verb
from tenure.engine.events import ACTION_EVENT
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.leases import Lease
from tenure.state.tables import LEASES

_LOOK_SECONDS: Final = 20.0
"""Virtual seconds that pass with each look, on average."""
_TTL_SECONDS: Final = 30.0
_MONTH_SECONDS: Final = 30 * 86_400.0
_TURN_SECONDS: Final = 300.0
"""Virtual seconds from one planted cause to the next, and so the time to answer it."""
_AIMED_AT: Final = frozenset({"act-begun", "aliases-moved", "walked", "run-finished", "run-started", "health", "alarm"})
_AIMED_SHARE: Final = 0.15
_CAUSES: Final = (Cause.BAD_RELEASE, Cause.HARM, Cause.BAD_RELEASE, Cause.FEED)


@dataclass
class Tortured:
    """What was done to the watchers. `slept` holds which watcher was put to sleep, and when (monotonic ns)."""

    minutes: float
    traces: Path
    planted: list[Planted] = field(default_factory=list)
    slept: list[tuple[str, int]] = field(default_factory=list)
    kills: int = 0
    aimed: int = 0
    looks: int = 0
    seconds: float = 0.0


@dataclass
class _Watcher:
    name: str
    process: BaseProcess
    asleep_until: float = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid or 0


class Torture:
    """Runs the watchers of one project and torments them."""

    def __init__(self, folder: Path, place: Path, *, watchers: int, chance: random.Random) -> None:
        self._folder = folder
        self._place = place
        self._chance = chance
        self._count = watchers
        self._file = place / "clock"
        self._file.write_text("0.0")
        self._clock = FileClock(self._file)
        self._started = 0
        self._watchers: list[_Watcher] = []
        self._due: deque[float] = deque()
        self._seen = 0
        self._looks = 0
        self._begun = self._clock()
        self._planting = 0.0
        # Forked from a process that has loaded everything: a watcher that was killed is back at once.
        self._fork = multiprocessing.get_context("forkserver")
        self._fork.set_forkserver_preload(["tenure.engine.watch"])

    def run(self, *, minutes: float) -> Tortured:
        """Torture them for so many virtual minutes, let them finish what they began, and end them."""
        done, begun = Tortured(minutes, self._place), time.monotonic()
        with open_workspace(self._folder, actor="planter") as opened:
            workspace = with_clock(opened, self._clock)
            next_turn, turn = 0.0, 0
            self._watchers = [self._new() for _ in range(self._count)]
            next_kill, looks = self._wait(), 0
            while self._passed() < 60.0 * minutes:
                is_due = self._passed() >= next_turn and not self._sleeps()
                if is_due and (planted := self._plant(workspace, turn)) is not None:
                    next_turn = self._passed() + _TURN_SECONDS
                    done.planted.append(planted)
                    turn += 1
                if self._looks >= looks and time.monotonic() >= next_kill:
                    self._hurt(workspace, done)
                    next_kill, looks = self._wait(), self._looks + self._chance.randint(0, 2)
                self._aim(workspace, done)
                self._revive()
                self._pass_time(workspace)
                time.sleep(0.01)
            self._settle(workspace)
        self._end()
        done.looks = self._looked()
        done.seconds = time.monotonic() - begun
        return done

    def _pass_time(self, workspace: Workspace) -> None:
        """Move the clock on for each look that was finished, while nobody who is awake leads."""
        looks = self._looked()
        if looks > self._looks and not self._sleeps():
            with suppress(ProjectBusyError), self._in_peace(workspace):
                self._clock.advance(2.0 * _LOOK_SECONDS * self._chance.random() * (looks - self._looks))
                self._looks = looks

    def _sleeps(self) -> bool:
        """Say whether a watcher was put to sleep, perhaps in the middle of a write."""
        return any(one.asleep_until for one in self._watchers)

    def _in_peace(self, workspace: Workspace) -> Lease:
        """Return the watchers' own lease: who holds it can move the clock on without taking it from anybody."""
        return Lease(workspace.database, "watch", clock=self._clock, ttl_seconds=_MONTH_SECONDS)

    def _looked(self) -> int:
        return sum(path.read_text().count(" done ") for path in self._place.glob("*.trace"))

    # ---- what is done to them ----

    def _plant(self, workspace: Workspace, turn: int) -> Planted | None:
        """Plant a cause while nobody may look, for this program holds the lease; None where a watcher does."""
        try:
            with self._in_peace(workspace):
                before = self._clock()
                planted = plant(workspace, _CAUSES[turn % len(_CAUSES)], turn, self._clock)
                self._planting += (self._clock() - before).total_seconds()
                return planted
        except ProjectBusyError:
            return None

    def _passed(self) -> float:
        """Return the virtual seconds since the beginning, without the days in which causes were planted."""
        return (self._clock() - self._begun).total_seconds() - self._planting

    def _hurt(self, workspace: Workspace, done: Tortured) -> None:
        """Kill any watcher, or put the one that leads to sleep until its lease is over."""
        if self._chance.random() < 0.3 and (leader := self._leader(workspace)) is not None:
            os.kill(leader.pid, signal.SIGSTOP)
            leader.asleep_until = time.monotonic() + 2.0 + self._chance.random()
            self._clock.advance(_TTL_SECONDS + 1.0)
            done.slept.append((leader.name, time.monotonic_ns()))
            return
        awake = [one for one in self._watchers if self._has_looked(one)]
        if awake:  # to kill one that has not begun to look proves little
            self._kill(self._chance.choice(awake), done)

    def _aim(self, workspace: Workspace, done: Tortured) -> None:
        """Kill who has just written something to the ledger, some of the time."""
        last = workspace.ledger.events(newest_first=True, limit=1)[0]
        if last.seq == self._seen:
            return
        self._seen = last.seq
        victim = next((one for one in self._watchers if one.name == last.actor), None)
        if victim is not None and last.kind in _AIMED_AT and self._chance.random() < _AIMED_SHARE:
            time.sleep(0.03 * self._chance.random())
            done.aimed += 1
            self._kill(victim, done)

    def _has_looked(self, watcher: _Watcher) -> bool:
        return (self._place / f"{watcher.name}.trace").exists()

    def _kill(self, victim: _Watcher, done: Tortured) -> None:
        victim.process.kill()
        victim.process.join()
        self._watchers.remove(victim)
        self._due.append(time.monotonic() + self._chance.random())
        done.kills += 1

    def _revive(self) -> None:
        now = time.monotonic()
        for one in self._watchers:
            if one.asleep_until and now >= one.asleep_until:
                os.kill(one.pid, signal.SIGCONT)
                one.asleep_until = 0.0
        while self._due and self._due[0] <= now:
            self._due.popleft()
            self._watchers.append(self._new())

    def _new(self) -> _Watcher:
        self._started += 1
        name = f"watcher-{self._started}"
        words = (self._folder, self._file, self._place / f"{name}.trace")
        process = self._fork.Process(target=watch, args=words, kwargs={"name": name}, daemon=True)
        process.start()
        return _Watcher(name, process)

    def _wait(self) -> float:
        return time.monotonic() + self._chance.uniform(0.2, 3.0)

    # ---- how it stands ----

    def _leader(self, workspace: Workspace) -> _Watcher | None:
        with workspace.database.read() as connection:
            pid = connection.execute(select(LEASES.c.pid).where(LEASES.c.name == "watch")).scalar()
        return next((one for one in self._watchers if one.pid == pid and not one.asleep_until), None)

    def _settle(self, workspace: Workspace) -> None:
        """Let the watchers look in peace until they have nothing more to do, for a minute at most."""
        end, acts, since = time.monotonic() + 60.0, -1, self._looks
        while time.monotonic() < end and self._looks < since + 2 * self._count:
            self._revive()
            self._pass_time(workspace)
            time.sleep(0.05)
            if acts != (acts := self._acts(workspace)):
                since = self._looks

    def _acts(self, workspace: Workspace) -> int:
        try:
            return len(workspace.ledger.events(kind=ACTION_EVENT, without={"verb": Verb.KEEP.value}))
        except TenureError:
            return -1

    def _end(self) -> None:
        for one in self._watchers:
            one.process.kill()
            one.process.join()
