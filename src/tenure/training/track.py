"""Run fits on worker threads: what runs (an entrant), what one fit is (a job), and what came of it.

Threads instead of processes: the libraries release the interpreter lock, and all fits share one encoded matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from tenure.core.modelling import Configuration, Floats, Indices
from tenure.core.ports import Deadline, Fitted, ModelFamily, Problem
from tenure.training.budget import Course

_ENOUGH_ROUNDS: Final = 0.8
_TAIL: Final = 0.08
"""Part of the time before the end that a fit leaves for turning what it learned into a member and asking it."""


@dataclass(frozen=True, eq=False)
class Fit:
    """One fitted member: what it said of its fold's validated rows, and what it cost."""

    fitted: Fitted
    predicted: Floats
    train_rows: int
    seconds: float

    def is_grown(self, job: Job) -> bool:
        """Say whether it had the time for nearly all of the rounds it was to have."""
        return job.rounds is None or (self.fitted.rounds or 0) >= _ENOUGH_ROUNDS * job.rounds


@dataclass(eq=False)
class Entrant:
    """One configuration in the race, and its fits by number of the choosing fold.

    `look` is a cheap first fit of the largest fold, `report` what is said of the reporting fold, `seed` what makes
    another of the same configuration.
    """

    family: ModelFamily
    configuration: Configuration
    fits: dict[int, Fit] = field(default_factory=dict)
    look: Fit | None = None
    report: Fit | None = None
    dropped: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """Return the configuration's name."""
        return self.configuration.name

    @property
    def seconds(self) -> float:
        """Return the seconds of all fits so far."""
        told = 0.0 if self.report is None else self.report.seconds
        return sum(fit.seconds for fit in self.fits.values()) + told

    @property
    def pace(self) -> float:
        """Return the seconds a training row took in the largest fit."""
        fits = [*self.fits.values()] if self.report is None else [*self.fits.values(), self.report]
        largest = max(fits, key=lambda fit: fit.train_rows)
        return largest.seconds / largest.train_rows

    def complete(self, course: Course) -> bool:
        """Say whether every choosing fold was fitted, and the reporting fold answered for."""
        return len(self.fits) == len(course.choosing) and (course.reporting is None or self.report is not None)

    def predicted(self) -> Floats:
        """Return what was said of all choosing folds' rows, in fold order."""
        return np.concatenate([self.fits[at].predicted for at in sorted(self.fits)])

    def rounds(self, train_rows: int) -> int | None:
        """Return the rounds for a fit on that many rows: a little more than fewer rows needed.

        Folds count by the cube of their size, so that the largest (which is most like the fit to come) speaks loudest.
        """
        known = [(f.fitted.rounds, f.train_rows) for f in self.fits.values() if f.fitted.rounds is not None]
        if not known:
            return None
        rounds, rows = (np.array(part, dtype=np.float64) for part in zip(*known, strict=True))
        mean_rows = float(np.average(rows, weights=rows))
        growth = float(np.clip(train_rows / mean_rows, 1.0, 4.0)) ** 0.25
        wanted: float = float(np.average(rounds, weights=rows**3)) * growth
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
    seed: int = 0
    """Added to the seeds of the problem and of the entrant."""


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
        started = end.now
        deadline = end.within(min(job.seconds, (1 - _TAIL) * end.left))
        self._issued.append(deadline)
        if deadline.passed:
            return None
        problem = replace(self.problem, seed=self.problem.seed + job.entrant.seed + job.seed)
        fitted = job.entrant.family.fit(
            job.entrant.configuration, problem, job.train, job.valid, rounds=job.rounds, deadline=deadline
        )
        if fitted is None:
            return None
        predicted = fitted.member.predict(self.problem.matrix[job.asked])
        return Fit(fitted, predicted, len(job.train), end.now - started)
