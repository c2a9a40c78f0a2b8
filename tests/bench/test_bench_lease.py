"""A watcher that dies or sleeps between any two writes leaves nothing half done, and nothing is done twice.

What a kill leaves is made within one process: from the chosen write on, nothing reaches the database any more.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from peers.watchers.judge import judged
from peers.watchers.plant import Cause, Planted, make_project, plant
from peers.watchers.process import FileClock, with_clock
from peers.watchers.torture import Tortured
from sqlalchemy import Connection, select

from tenure.core.errors import ProjectBusyError, StateUnreachableError
from tenure.core.lifecycle import Verb
from tenure.engine.acts import BEGUN_EVENT
from tenure.engine.watch import look, look_and_act
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.database import Database
from tenure.state.tables import EVENTS
from tenure.state.traffic import Traffic


class Cut(BaseException):
    """What stands for a kill: nothing catches it."""


class MortalDatabase(Database):
    """A database whose user dies before one of its writes; afterwards nothing reaches it.

    `noted` holds what stood last in the ledger after each write.
    """

    def __init__(self, plain: Database, *, write: int | None = None) -> None:
        super().__init__(plain.engine, plain.place)
        self.noted: list[str] = []
        self._count = 0
        self._last = write
        self._is_dead = False

    @contextmanager
    def begin(self, lock: str | None = None) -> Iterator[Connection]:
        self._count += 1
        self._is_dead |= self._count == self._last
        self._live()
        with super().begin(lock) as connection:
            yield connection
            self.noted.append(
                str(connection.execute(select(EVENTS.c.kind).order_by(EVENTS.c.seq.desc()).limit(1)).scalar())
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._live()
        with super().read() as connection:
            yield connection

    def _live(self) -> None:
        if self._is_dead:
            raise Cut


class SleepingDatabase(Database):
    """A database whose user sleeps, threads and all, before one of its writes, while something else goes on."""

    def __init__(self, plain: Database, write: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(plain.engine, plain.place)
        self._left = write
        self._meanwhile = meanwhile
        self._sleeps = False

    @contextmanager
    def begin(self, lock: str | None = None) -> Iterator[Connection]:
        if threading.current_thread() is not threading.main_thread():
            if self._sleeps:
                raise StateUnreachableError("asleep", hint="Wait.")
        else:
            self._left -= 1
            if self._left == 0:
                self._sleeps = True
                self._meanwhile()
                self._sleeps = False
        with super().begin(lock) as connection:
            yield connection


class Life:
    """A project with a planted cause that can be brought back to the moment before any watcher saw it."""

    def __init__(self, folder: Path, place: Path, cause: Cause) -> None:
        self.folder = folder
        self.place = place
        self.clock = FileClock(place / "clock")
        with self.opened() as workspace:
            self.planted: Planted = plant(workspace, cause, 0, self.clock)
            look(workspace)  # which keeps what windows are held against, so that no later look has to find it
        shutil.copytree(folder / ".tenure", place / "before", ignore=shutil.ignore_patterns("artifacts"))

    def rewind(self) -> None:
        for file in (self.folder / ".tenure").glob("state.db*"):
            file.unlink()
        for file in (self.place / "before").glob("state.db*"):
            shutil.copy(file, self.folder / ".tenure")

    @contextmanager
    def opened(
        self, *, actor: str = "watcher", through: Callable[[Database], Database] = MortalDatabase
    ) -> Iterator[Workspace]:
        with open_workspace(self.folder, actor=actor) as plain:
            database = through(plain.database)
            yield with_clock(replace(plain, database=database, traffic=Traffic(database)), self.clock)

    def acts(self) -> tuple[int, int]:
        """Let a watcher act, and return the numbers of its first and its last write that matter."""
        with self.opened(actor="watcher-0") as workspace:
            assert look_and_act(workspace).action.verb is Verb.ROLL_BACK
            assert isinstance(workspace.database, MortalDatabase)
            noted = workspace.database.noted
        assert self.broken() == []
        return noted.index(BEGUN_EVENT) + 1, len(noted)

    def settle(self) -> None:
        """Let watchers look until they have nothing to do, as they come after a lease has run out."""
        for number in range(2):
            self.clock.advance(61.0)
            with self.opened(actor=f"watcher-{number}") as workspace:
                look_and_act(workspace)

    def broken(self) -> list[str]:
        """Return what the judge finds, and whether the bad version is still in office."""
        with self.opened() as workspace:
            office = workspace.champion().number
        found = judged(self.folder, Tortured(1.0, self.place, [self.planted]))[0]
        return [*found, f"v{office} is in office"] if office == self.planted.version else found


@pytest.fixture(scope="module")
def make_life(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Cause], Life]:
    place = tmp_path_factory.mktemp("first")
    make_project(place / "project", learns=False)

    def make(cause: Cause) -> Life:
        own = tmp_path_factory.mktemp("life")
        shutil.copytree(place / "project", own / "project")
        (own / "clock").write_text("0.0")
        return Life(own / "project", own, cause)

    return make


def test_a_rollback_cut_short_between_any_two_writes_is_done_once(make_life: Callable[[Cause], Life]) -> None:
    life = make_life(Cause.BAD_RELEASE)
    first, last = life.acts()
    for write in range(first, last + 1):  # after one write is before the next
        life.rewind()
        mortal = partial(MortalDatabase, write=write)
        with life.opened(actor="watcher-cut", through=mortal) as workspace, pytest.raises(Cut):
            look_and_act(workspace)
        life.settle()
        assert life.broken() == [], f"cut before write {write} of {last}"


def test_a_watcher_that_slept_while_another_acted_does_not_act_any_more(make_life: Callable[[Cause], Life]) -> None:
    life = make_life(Cause.BAD_RELEASE)
    first, last = life.acts()
    for write in range(first, last + 1):
        life.rewind()
        sleepy = partial(SleepingDatabase, write=write, meanwhile=life.settle)
        with life.opened(actor="watcher-asleep", through=sleepy) as workspace, suppress(ProjectBusyError):
            look_and_act(workspace)
        assert life.broken() == [], f"asleep before write {write} of {last}"


def test_the_judge_sees_an_act_that_was_done_twice(make_life: Callable[[Cause], Life]) -> None:
    life = make_life(Cause.BAD_RELEASE)
    with life.opened(actor="watcher-1") as workspace:
        done = look_and_act(workspace)
        act = workspace.ledger.events(kind="action", newest_first=True, limit=1)[0]
        workspace.ledger.append(
            "action",
            actor="watcher-2",
            reason=act.reason,
            inputs=act.inputs,
            output=workspace.context.artifacts.put_record(done.action),
            output_type="Action",
            data=act.data,
        )
    assert any("two acts for one cause" in line for line in life.broken())


def test_two_leaders_at_once_are_seen_in_the_traces(make_life: Callable[[Cause], Life], tmp_path: Path) -> None:
    life = make_life(Cause.FEED)
    (tmp_path / "watcher-1.trace").write_text("10 looks\n20 holds\n90 holds\n95 done keep\n")
    (tmp_path / "watcher-2.trace").write_text("15 refused project-busy: it is held\n96 holds\n99 done keep\n")
    done = Tortured(1.0, tmp_path, [life.planted])
    assert judged(life.folder, done)[0] == []
    (tmp_path / "watcher-3.trace").write_text("50 holds\n60 done keep\n")
    assert any("led at once" in line for line in judged(life.folder, done)[0])
    done.slept.append(("watcher-1", 45))
    assert judged(life.folder, done)[0] == []
    (tmp_path / "watcher-1.trace").write_text("10 looks\n20 holds\n90 holds\n95 done escalate\n")
    assert any("had seen before watcher-3" in line for line in judged(life.folder, done)[0])
