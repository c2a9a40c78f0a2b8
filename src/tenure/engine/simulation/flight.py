"""Fly a project through windows of rows with a clock set by hand, through the code that runs live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import HistoryError, TenureError
from tenure.core.lifecycle import Alias
from tenure.core.modelling import Task
from tenure.core.ports import Log
from tenure.core.project import Project, load_project
from tenure.core.simulation import Act, Deed, Reign
from tenure.engine.permission import WATCHER
from tenure.engine.runner import run_walk
from tenure.engine.simulation.acts import acts_of, reigns_of
from tenure.engine.simulation.coming import Coming, VirtualClock, joined
from tenure.engine.simulation.desk import Desk, Said
from tenure.engine.simulation.policies import AS_IT_IS, FlightPolicy
from tenure.engine.watch import Look
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ladder import Ladder
from tenure.state.ledger import StageRecord
from tenure.state.times import micros

SOURCE_FOLDER: Final = "rows"


@dataclass(slots=True)
class Aloft:
    """What a hook sees: the shadow project, its clock, and the window that is flown, counted from 0."""

    workspace: Workspace
    clock: VirtualClock
    number: int
    window: Coming


def _nothing(aloft: Aloft) -> None:
    """Do nothing before a window."""


def _as_it_came(aloft: Aloft, window: Coming, said: Said) -> Coming:
    """Leave the outcomes as they came."""
    return window


def _unseen(aloft: Aloft, look: Look | None) -> None:
    """Do nothing after a look."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What happens between windows: faults, and what the answers do to the world.

    `before` is called before a window's rows come; `react` after they were answered, and returns the window with the
    outcomes that it will have; `after` after the look (None where there was none).
    """

    before: Callable[[Aloft], None] = _nothing
    react: Callable[[Aloft, Coming, Said], Coming] = _as_it_came
    after: Callable[[Aloft, Look | None], None] = _unseen


@dataclass(frozen=True, slots=True, eq=False)
class Flown:
    """One window that was flown: what came, what was said, who held the office after the look, and what it said.

    `status` and `verb` are those of the look, "" where there was none.
    """

    window: Coming
    said: Said
    champion: int
    status: str = ""
    verb: str = ""


@dataclass(slots=True, eq=False)
class Flight:
    """A flight as it went; where it was `interrupted`, as far as it got.

    `walks` counts the walks that made a model after the first, `reused` the trainings among them that another flight
    had done; `made` is what stages gave in them. `seconds` are the wall clock of its parts: first walk, later walks,
    looks without walks, answers and outcomes.
    """

    policy: FlightPolicy
    project: Project
    folder: Path
    task: Task
    classes: tuple[str, ...]
    windows: list[Flown] = field(default_factory=list)
    acts: tuple[Act, ...] = ()
    reigns: tuple[Reign, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    walks: int = 0
    reused: int = 0
    made: list[StageRecord] = field(default_factory=list)
    interrupted: bool = False

    def count(self, deed: Deed) -> int:
        """Return how many acts of one kind there were."""
        return sum(act.deed is deed for act in self.acts)


def fly(
    folder: Path,
    coming: Iterable[Coming],
    policy: FlightPolicy = AS_IT_IS,
    *,
    project: Project | None = None,
    hooks: Hooks | None = None,
    budget_seconds: float | None = None,
    shared: Sequence[StageRecord] = (),
    late: Coming | None = None,
    looks: int = 1,
    log: Log | None = None,
) -> Flight:
    """Fly the project in `folder` under a policy through windows of rows, and return what came of it.

    Rows are answered by whoever is in office; outcomes are posted when they are known; at the end of each window the
    policy acts, with the clock there. Without a model in office the first walk comes first. `project` stands for the
    project file. New rows to learn from come from the log; where the project does not learn from it, as files in
    `rows/` beside the source. So come the `late` rows from before, when their outcome is known. What stages gave in
    flights with the same store of artifacts (`shared`) is taken again. While a version climbs the ladder the policy
    acts `looks` times in a window. An error with a remedy in an act is noted, and the next window comes, as a watcher
    goes on. Ctrl-C ends the flight where it is. The policy acts as the watcher, so that its walks count against the
    budgets; the first walk is nobody's, and free.

    Raises:
        HistoryError: no window came, or the first model was not let into office.
        TenureError: whatever the first walk raises.
    """
    windows = iter(coming)
    window = next(windows, None)
    if window is None:
        raise HistoryError("No window of rows came.", where=str(folder), hint="Give at least one window of rows.")
    clock = VirtualClock(window.start)
    wish = policy.applied(project or load_project(folder))
    with open_workspace(
        folder, log=log, actor="simulation", budget_seconds=budget_seconds, project=wish, clock=clock
    ) as workspace:
        started = perf_counter()
        for stage in shared:
            workspace.ledger.adopt_stage(stage, actor="simulation", reason="another flight made it")
        take_off(workspace)
        desk = Desk(workspace)
        flight = Flight(policy, workspace.project, folder, desk.task, desk.classes)
        flight.seconds["first walk"] = perf_counter() - started
        course = _Course(flight, workspace, clock, desk, hooks or Hooks(), looks)
        if late is not None:
            course.wait_for(late)
        before = len(workspace.ledger.runs())
        start = clock().isoformat()
        try:
            while window is not None:
                course.fly(window)
                window = next(windows, None)
        except KeyboardInterrupt:
            flight.interrupted = True
        _tell(flight, workspace, start, course.missed, runs_before=before)
    return flight


def take_off(workspace: Workspace) -> None:
    """Train the first model, where none is in office.

    Raises:
        HistoryError: the gate did not let it into office.
        TenureError: whatever the walk raises.
    """
    if workspace.registry.holder(Alias.CHAMPION) is not None:
        return
    walk = run_walk(workspace, why="simulation: the first model")
    if workspace.registry.holder(Alias.CHAMPION) is None:
        raise HistoryError(
            f"The first model was not let into office: {walk.reason}",
            where="--from",
            hint="Start later, so that it learns from more rows: tenure simulate --from DATE.",
        )


def _tell(flight: Flight, workspace: Workspace, start: str, missed: Sequence[Act], *, runs_before: int) -> None:
    """Write down what the ledger says of the flight."""
    ends = [flown.window.end.isoformat() for flown in flight.windows]
    if ends:
        found = [*acts_of(workspace, start, ends), *missed]
        flight.acts = tuple(sorted(found, key=lambda act: act.at))
    flight.reigns = reigns_of(workspace)
    for run in workspace.ledger.runs()[: len(workspace.ledger.runs()) - runs_before]:
        stages = workspace.ledger.run_stages(run.id)
        flight.made += [stage for stage in stages if stage.reused_from is None]
        trained = [stage for stage in stages if stage.stage == "training"]
        flight.walks += len(trained)
        flight.reused += sum(stage.reused_from is not None for stage in trained)
    walks = sum(stage.seconds for stage in flight.made)
    flight.seconds["walks"] = walks
    flight.seconds["looks"] = max(flight.seconds.pop("acts", 0.0) - walks, 0.0)


@dataclass(slots=True)
class _Course:
    """The parts of a flight on its way."""

    flight: Flight
    workspace: Workspace
    clock: VirtualClock
    desk: Desk
    hooks: Hooks
    looks: int
    missed: list[Act] = field(default_factory=list)
    unlearned: list[tuple[Coming, NDArray[np.int64]]] = field(default_factory=list)
    parts: int = 0

    def fly(self, window: Coming) -> None:
        """Fly one window; while a version climbs in parts, with a look after each, as a watcher looks more often."""
        self.clock.now = window.start
        window = self.desk.named(window)
        aloft = Aloft(self.workspace, self.clock, len(self.flight.windows), window)
        self.hooks.before(aloft)
        climbs = self.looks > 1 and Ladder(self.workspace.registry).standing() is not None
        *early, last = window.parts(self.looks) if climbs else [window]
        flown = []
        for part in early:
            flown.append(self._answered(part, aloft))
            self._look(aloft)
        flown.append(self._answered(last, aloft))
        look = self._look(aloft)
        self.hooks.after(aloft, look)
        status, verb = ("", "") if look is None else (look.health.status.value, look.action.verb.value)
        window = joined([part for part, _ in flown])
        said = Said.joined([said for _, said in flown])
        self.flight.windows.append(Flown(window, said, self.workspace.champion().number, status, verb))

    def _answered(self, part: Coming, aloft: Aloft) -> tuple[Coming, Said]:
        """Let rows come and be answered, and outcomes get known up to the end of the part; return how it went."""
        with self._timed("answers"):
            said = self.desk.answer(part)
        part = self.hooks.react(aloft, part, said)
        with self._timed("outcomes"):
            self.desk.expect(part)
            self.clock.now = part.end
            self.desk.post()
            if not self.workspace.project.operations.learn_from_log:
                self.wait_for(part)
            self._grow()
        return part, replace(said, target=self.desk.truth(part))

    def _look(self, aloft: Aloft) -> Look | None:
        watcher = replace(self.workspace, context=replace(self.workspace.context, actor=WATCHER))
        with self._timed("acts"):
            try:
                return self.flight.policy.act(watcher)
            except TenureError as error:
                says = f"Not now [{error.code}]: {error.message}"
                self.missed.append(Act(Deed.MISSED, self.clock().isoformat(), aloft.number, says))
                return None

    def wait_for(self, rows: Coming) -> None:
        """Add rows to the source once their outcome is known."""
        far = np.iinfo(np.int64).max
        known = [
            far if at is None or out is None else micros(at)
            for at, out in zip(rows.known_at, rows.outcome, strict=True)
        ]
        self.unlearned.append((rows, np.array(known, dtype=np.int64)))

    def _grow(self) -> None:
        """Write rows whose outcome got known beside the source, as one more file."""
        far = np.iinfo(np.int64).max
        now, ready, waiting = micros(self.clock()), [], []
        for one, moments in self.unlearned:
            due = moments <= now
            if due.any():
                target = pl.Series(self.desk.target, list(one.outcome), strict=False)
                if self.desk.target in one.rows.columns:  # files of one source have the same types
                    target = target.cast(one.rows[self.desk.target].dtype, strict=False)
                ready.append(one.rows.with_columns(target).filter(pl.Series(due)))
            if not due.all():
                waiting.append((one, np.where(due, far, moments)))
        self.unlearned = [(one, moments) for one, moments in waiting if (moments < far).any()]
        if ready:
            self.parts += 1
            add_rows(self.workspace.folder, self.parts, pl.concat(ready, how="vertical_relaxed"))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = perf_counter()
        yield
        self.flight.seconds[part] = self.flight.seconds.get(part, 0.0) + perf_counter() - started


def add_rows(folder: Path, number: int, rows: pl.DataFrame) -> None:
    """Add a file of rows to the source of a shadow project; 0 is the first."""
    (folder / SOURCE_FOLDER).mkdir(exist_ok=True)
    rows.write_parquet(folder / SOURCE_FOLDER / f"{number:06d}.parquet")
