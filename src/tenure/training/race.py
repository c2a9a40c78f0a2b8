"""Race configurations over the folds in heats of two.

A heat fits the first fold of its configurations (more where workers would idle), drops those that are hopeless on it,
and then fits all other folds. What is dropped depends on finished fits only, so with enough time the same seed gives
the same race.
Threads instead of processes: the libraries release the interpreter lock, and all fits share one encoded matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tenure.core.modelling import Configuration, Floats, Fold, Indices
from tenure.core.ports import Deadline, Fitted, Log, ModelFamily, Problem
from tenure.training.budget import CHEAP_HEAT_SHARE, Budget, Course
from tenure.training.ensemble import Pool, choose_weights

BASELINE: Final = "baseline"
"""The family that always runs, and that every other must beat."""
_NEVER_DROPPED: Final = (BASELINE, "linear")
"""The floor to beat, and the one unlike all others."""
_HOPELESS: Final = 0.25
_PATIENCE: Final = ((500, 3), (2_500, 4), (10_000, 6))
_MOST_PATIENCE: Final = 10
_LEAST_GAIN: Final = 2e-4
_TAIL: Final = 0.08
"""Part of the time before the end that a fit leaves for turning what it learned into a member and asking it."""
_HEAT: Final = 2
"""Configurations in a heat; not the number of workers, so that the race is the same on every machine."""
_PILOT_ROUNDS: Final = 5
_FEWEST_ROUNDS: Final = 80
"""A boosted candidate with fewer rounds than this is seldom worth its time."""


@dataclass(frozen=True, eq=False)
class Fit:
    """One fitted member: what it said of its fold's validated rows, and what it cost."""

    fitted: Fitted
    predicted: Floats
    train_rows: int
    seconds: float


@dataclass(eq=False)
class Entrant:
    """One configuration in the race, and its fits by number of the choosing fold."""

    family: ModelFamily
    configuration: Configuration
    fits: dict[int, Fit] = field(default_factory=dict)
    dropped: str = ""
    closing_seconds: float = 0.0

    @property
    def name(self) -> str:
        """Return the configuration's name."""
        return self.configuration.name

    @property
    def seconds(self) -> float:
        """Return the seconds of all fits so far."""
        return sum(fit.seconds for fit in self.fits.values()) + self.closing_seconds

    @property
    def pace(self) -> float:
        """Return the seconds a training row took in the largest fit."""
        largest = max(self.fits.values(), key=lambda fit: fit.train_rows)
        return largest.seconds / largest.train_rows

    def complete(self, course: Course) -> bool:
        """Say whether every choosing fold was fitted."""
        return len(self.fits) == len(course.choosing)

    def predicted(self) -> Floats:
        """Return what was said of all choosing folds' rows, in fold order."""
        return np.concatenate([self.fits[at].predicted for at in sorted(self.fits)])

    def rounds(self, train_rows: int) -> int | None:
        """Return the rounds for a fit on that many rows: a little more than fewer rows needed.

        Folds count by their size, so that the largest (which is most like the fit to come) speaks loudest.
        """
        known = [(f.fitted.rounds, f.train_rows) for f in self.fits.values() if f.fitted.rounds is not None]
        if not known:
            return None
        rounds, rows = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
        mean_rows = float(np.average(rows, weights=rows))
        growth = float(np.clip(train_rows / mean_rows, 1.0, 4.0)) ** 0.25
        wanted: float = float(np.average(rounds, weights=rows)) * growth
        return max(int(wanted + 0.5), 1)


@dataclass(frozen=True, eq=False)
class Job:
    """One fit to do: on `train`, stopped early by `valid` or after `rounds`, then asked about `asked` rows."""

    entrant: Entrant
    train: Indices
    valid: Indices | None
    asked: Indices
    seconds: float
    rounds: int | None = None


class Track:
    """Runs fits on worker threads, every one with its own deadline."""

    def __init__(self, problem: Problem, *, workers: int) -> None:
        self.problem = problem
        self.workers = workers
        self._issued: list[Deadline] = []

    def run(self, jobs: Sequence[Job], end: Deadline) -> list[Fit | None]:
        """Return the fits of the jobs in order, None where the time was too short for any.

        An interrupt ends the fits under way at their next look at the clock, and goes on to the caller. Linear algebra
        gets one thread a fit: more threads than cores wait for each other, and took ten times as long.
        """
        self._issued.clear()
        with (
            threadpool_limits(limits=1, user_api="blas"),
            ThreadPoolExecutor(self.workers, thread_name_prefix="fit") as pool,
        ):
            try:
                return list(pool.map(lambda job: self._fit(job, end), jobs))
            except BaseException:
                end.at = -inf
                for deadline in self._issued:
                    deadline.at = -inf
                pool.shutdown(cancel_futures=True)
                raise

    def _fit(self, job: Job, end: Deadline) -> Fit | None:
        before = end.left
        deadline = end.within(min(job.seconds, (1 - _TAIL) * before))
        self._issued.append(deadline)
        if deadline.passed:
            return None
        fitted = job.entrant.family.fit(
            job.entrant.configuration, self.problem, job.train, job.valid, rounds=job.rounds, deadline=deadline
        )
        if fitted is None:
            return None
        predicted = fitted.member.predict(self.problem.matrix[job.asked])
        return Fit(fitted, predicted, len(job.train), before - end.left)


@dataclass(eq=False)
class Race:
    """The state of a race: who ran, what the ensemble of all complete entrants loses, and why it ended."""

    problem: Problem
    course: Course
    budget: Budget
    track: Track
    log: Log
    absolute: bool = False
    entrants: list[Entrant] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    stopped_because: str = ""
    _loss: float = inf
    _unhelpful: int = 0

    def run(self, proposals: Sequence[tuple[ModelFamily, Configuration]]) -> None:
        """Run heats of the proposals in their order until all ran, none helps any more, or the time is up."""
        waiting = [Entrant(*proposal) for proposal in sorted(proposals, key=lambda p: (p[1].rank, p[1].name))]
        cheap = [entrant for entrant in waiting if entrant.family.name in _NEVER_DROPPED]
        rest = [entrant for entrant in waiting if entrant.family.name not in _NEVER_DROPPED]
        self._run_heat(cheap, CHEAP_HEAT_SHARE * self.budget.spare(self.course, 0.0))
        needed = self._pilot(rest[0]) if rest and self.complete() else None
        width = 1  # The first learner runs alone: what it shows lets the others spend their time better.
        while rest:
            spare = self.budget.spare(self.course, self._promised())
            if needed is not None and needed * width > spare:
                width = 1
            heats_left = -(-len(rest) // _HEAT)
            seconds = self.budget.heat_seconds(spare, needed and needed * width, heats_left=heats_left)
            if seconds <= 0 and self._has_learner():
                self.stopped_because = "The time was up."
                return
            heat, rest = rest[:width], rest[width:]
            before = self.budget.deadline.left
            self._run_heat(heat, seconds or spare)
            if not all(entrant.dropped for entrant in heat):
                needed = (before - self.budget.deadline.left) / len(heat)
            self.log.progress(1 - len(rest) / len(waiting), f"{', '.join(e.name for e in heat)} fitted")
            if self._unhelpful >= _patience(self.course.rows):
                self.stopped_because = "More candidates no longer helped."
                return
            width = _HEAT
        self.stopped_because = "Every configuration was tried." if self.complete() else "The time was up."

    def _has_learner(self) -> bool:
        """Say whether a candidate that is worth waiting for is complete, or was given its chance."""
        return not self.complete() or any(entrant.family.name not in _NEVER_DROPPED for entrant in self.entrants)

    def _pilot(self, entrant: Entrant) -> float | None:
        """Fit a few rounds, and return the wall seconds in which a configuration could run its choosing folds."""
        fold = max(self.course.choosing, key=lambda fold: len(fold.train))
        slot = CHEAP_HEAT_SHARE * self.budget.spare(self.course, 0.0)
        job = Job(entrant, fold.train, None, fold.valid[:1], slot, _PILOT_ROUNDS)
        fit = self.track.run([job], self.budget.racing(0.0))[0]
        if fit is None or not fit.fitted.rounds:
            return None
        round_and_row = fit.seconds / fit.fitted.rounds / fit.train_rows
        return _FEWEST_ROUNDS * round_and_row * self.course.choosing_work / self.track.workers

    def complete(self) -> list[Entrant]:
        """Return the entrants that ran all choosing folds."""
        return [entrant for entrant in self.entrants if entrant.complete(self.course)]

    def _run_heat(self, heat: list[Entrant], seconds: float) -> None:
        self.entrants += heat
        end = self.budget.racing(self._promised())
        # Folds in order of size, largest first: workers then end at about the same time.
        order = sorted(range(len(self.course.choosing)), key=lambda at: -len(self.course.choosing[at].train))
        first = max(self.track.workers // len(heat), 1)
        turns = [order[:first], order[first:]]
        sizes = [[len(self.course.choosing[at].train) for at in turn for _ in heat] for turn in turns]
        for turn in turns:
            runners = [entrant for entrant in heat if not entrant.dropped]
            places = [(entrant, at) for at in turn for entrant in runners]
            fits = self.track.run([self._job(entrant, at, seconds, sizes) for entrant, at in places], end)
            for (entrant, at), fit in zip(places, fits, strict=True):
                if fit is None:
                    entrant.dropped = entrant.dropped or "no time for a useful fit"
                else:
                    entrant.fits[at] = fit
            if turn is turns[0]:
                self._drop_hopeless(runners, order[0])
        self._weigh(len(heat))

    def _job(self, entrant: Entrant, at: int, seconds: float, sizes: list[list[int]]) -> Job:
        fold: Fold = self.course.choosing[at]
        return Job(entrant, fold.train, fold.valid, fold.valid, self.budget.slot(seconds, len(fold.train), sizes))

    def _drop_hopeless(self, runners: list[Entrant], at: int) -> None:
        for entrant in runners:
            if not entrant.dropped and self._is_hopeless(entrant, at):
                entrant.dropped = "far behind on the first fold"

    def _is_hopeless(self, entrant: Entrant, at: int) -> bool:
        """Say whether the entrant loses far more than the best on a fold, beyond what luck could do."""
        if entrant.family.name in _NEVER_DROPPED:
            return False
        target = self.problem.target[self.course.choosing[at].valid]
        others = [e for e in self.entrants if at in e.fits]
        losses = {e.name: self._row_losses(target, e.fits[at].predicted) for e in others}
        best = min(losses.values(), key=lambda loss: float(loss.mean()))
        excess = losses[entrant.name] - best
        error = float(excess.std()) / np.sqrt(len(excess))
        return bool(excess.mean() > max(2 * error, _HOPELESS * float(best.mean())))

    def _row_losses(self, target: NDArray[Any], predicted: Floats) -> Floats:
        losses: Floats = Pool.of(self.problem.task, target, [predicted], absolute=self.absolute).row_losses()[0]
        return losses

    def _weigh(self, ran: int) -> None:
        """Choose weights among all complete entrants, and count how many came without helping."""
        ready = self.complete()
        if not ready:
            return
        pool = self.pool(ready)
        chosen = choose_weights(pool)
        self.weights = {e.name: float(w) for e, w in zip(ready, chosen, strict=True) if w > 0}
        loss = pool.loss(chosen)
        helped = loss < self._loss - _LEAST_GAIN * abs(self._loss) if np.isfinite(self._loss) else True
        self._unhelpful = 0 if helped else self._unhelpful + ran
        self._loss = min(loss, self._loss)

    def pool(self, entrants: Sequence[Entrant]) -> Pool:
        """Return the choosing folds' predictions of some entrants, ready to be mixed."""
        target = np.concatenate([self.problem.target[fold.valid] for fold in self.course.choosing])
        return Pool.of(self.problem.task, target, [e.predicted() for e in entrants], absolute=self.absolute)

    def _promised(self) -> float:
        """Return the wall seconds that the closing fits of the entrants now chosen will take."""
        chosen = [e for e in self.entrants if e.name in self.weights]
        return sum(e.pace for e in chosen) * self.course.closing_work / self.track.workers


def _patience(rows: int) -> int:
    """Return how many unhelpful configurations end the race: few rows are soon overfitted by choosing."""
    return next((most for limit, most in _PATIENCE if rows < limit), _MOST_PATIENCE)
