"""Race configurations over the folds: a quick look at many, then heats of two.

A heat fits the first fold of its configurations (more where workers would idle), drops those that are hopeless on it,
and then fits all other folds. What is dropped depends on finished fits only, so with enough time the same seed gives
the same race.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Configuration, Floats, Fold, Indices
from tenure.core.ports import Deadline, Log, ModelFamily, Problem
from tenure.training.budget import CHEAP_HEAT_SHARE, DISTILLING_SHARE, Budget, Course
from tenure.training.ensemble import Pool, choose_weights, steadied
from tenure.training.row_time import RowLimit, RowTimes
from tenure.training.track import Entrant, Fit, Job, Track

BASELINE: Final = "baseline"
"""The family that always runs, and that every other must beat."""
INTERRUPTED: Final = "It was interrupted, and goes on with the best so far."
_NEVER_DROPPED: Final = (BASELINE, "linear")
"""The floor to beat, and the one unlike all others."""
_HOPELESS: Final = 0.25
_PATIENCE: Final = ((500, 3), (2_500, 4), (10_000, 6))
_MOST_PATIENCE: Final = 10
_LEAST_GAIN: Final = 2e-4
_AGAIN: Final = 3
_LOOK_SHARE: Final = 0.3
"""Of the time for choosing folds, for quick looks."""
_FEWEST_LOOKS: Final = 4
_MOST_LOOKS: Final = 12
_FEWEST_LOOK_ROWS: Final = 10_000
_MOST_TOLD_AT_LOOKS: Final = 20_000
"""Validated rows that looks at a sample are asked about."""
_FAR_AT_LOOK: Final = "far behind at a first look"
_LOOK_HEATS: Final = 5
_LOOK_IS_QUICKER: Final = 2.5
_HASTE: Final = 0.5
"""In time order many candidates at a higher rate are worth more than few at a low one: no past fold tells which."""
_HEAT: Final = 2
"""Configurations in a heat; not the number of workers, so that the race is the same on every machine."""
_PILOT_ROUNDS: Final = 5
_FULL_ROUNDS: Final = 400
"""What a boosted candidate takes at a learning rate of about 0.1."""
_FEWEST_ROUNDS: Final = 80
"""A boosted candidate with fewer rounds than this is seldom worth its time."""


@dataclass(eq=False)
class Race:
    """The state of a race: who ran, what the ensemble of all complete entrants loses, and why it ended.

    Without `looks` the proposals run in their own order.
    """

    problem: Problem
    course: Course
    budget: Budget
    track: Track
    log: Log
    absolute: bool = False
    trials: int | None = None
    limit: RowLimit = field(default_factory=RowLimit)
    looks: bool = True
    entrants: list[Entrant] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    stopped_because: str = ""
    _loss: float = inf
    _unhelpful: int = 0
    row_times: RowTimes = field(init=False)

    def __post_init__(self) -> None:
        self.row_times = RowTimes(self.problem, self.limit, lambda: self.budget.deadline.now)

    def run(self, proposals: Sequence[tuple[ModelFamily, Configuration]]) -> None:
        """Run heats of the proposals in their order until all ran, none helps any more, or the time is up.

        An interrupt ends the race with what it has, if that is anything.
        """
        try:
            self._run(sorted(proposals, key=lambda p: (p[1].rank, p[1].name)))
        except KeyboardInterrupt:
            if not self.complete():
                raise
            self.budget.deadline.at = self.budget.deadline.now
            self._weigh(0)
            self.stopped_because = INTERRUPTED

    def _run(self, proposals: Sequence[tuple[ModelFamily, Configuration]]) -> None:
        floor = [p for p in proposals if p[0].name == BASELINE]
        cheap = [p for p in proposals if p[0].name in _NEVER_DROPPED and p[0].name != BASELINE]
        rest = [Entrant(*p) for p in proposals if p[0].name not in _NEVER_DROPPED][: self.trials]
        self._run_cheap(floor)
        needed = self._pilot(rest[0]) if rest and self.complete() else None
        if needed is not None and self.budget.is_long(self.course, needed * _FULL_ROUNDS / _FEWEST_ROUNDS):
            needed = self._shorten(needed, floor)
        self._run_cheap(cheap)
        if needed is not None and self.looks:
            rest, needed = self._looked_at(rest, needed)
        self._run_heats(rest, needed)

    def _run_heats(self, rest: list[Entrant], needed: float | None) -> None:
        """Run heats until none is left, none helps, or the time is up; `needed` seconds are what one entrant takes."""
        width = 1 if needed is None else _HEAT
        done, repeats = 0, False
        while rest:
            spare = self.budget.spare(self.course, self._promised())
            if needed is not None and needed * width > spare and len(self.course.choosing) > 1:
                width = 1
            heats_left = -(-len(rest) // width)
            useful = None if needed is None else needed * width * self._haste()
            seconds = self.budget.heat_seconds(spare, useful, heats_left=heats_left)
            if seconds <= 0 and self._has_learner():
                self.stopped_because = "The time was up."
                return
            heat, rest = rest[:width], rest[width:]
            before = self.budget.deadline.now
            self._run_heat(heat, seconds or spare)
            if not all(entrant.dropped for entrant in heat):
                needed = (self.budget.deadline.now - before) / len(heat)
            done += len(heat)
            self.log.progress(done / (done + len(rest)), f"{', '.join(e.name for e in heat)} fitted")
            if self._is_enough() and not repeats:
                repeats, rest = True, []
            if not rest and self.trials is None:
                rest = self._again()
            width = _HEAT
        if not self.complete():
            self.stopped_because = "The time was up."
        else:
            self.stopped_because = "More candidates no longer helped." if repeats else "Every configuration was tried."

    def _haste(self) -> float:
        """Return which part of its usual time an entrant gets: in time order less, unless it takes long anyway."""
        return _HASTE if self.course.in_time and len(self.course.choosing) > 1 else 1.0

    def _is_enough(self) -> bool:
        """Say whether so many came without helping that more would only overfit the choice.

        In time order, candidates that do not help on past rows still make the mean steadier on those to come.
        """
        overfits = self.trials is None and not self.course.in_time
        return overfits and self._unhelpful >= _patience(self.course.rows)

    def _again(self) -> list[Entrant]:
        """Return the entrants that help most with another seed: where all was tried, their mean is steadier."""
        known = {entrant.name for entrant in self.entrants}
        chosen = [e for e in self.entrants if e.name in self.weights and e.family.traits.seeded]
        best = sorted(chosen, key=lambda entrant: -self.weights[entrant.name])[:_AGAIN]
        copies = [
            Entrant(
                e.family,
                replace(e.configuration, name=f"{e.name}-again", like=e.configuration.like or e.name),
                seed=e.seed + 1,
            )
            for e in best
            if e.seed < _AGAIN
        ]
        return [copy for copy in copies if copy.name not in known]

    def _looked_at(self, rest: list[Entrant], needed: float) -> tuple[list[Entrant], float]:
        """Look at as many entrants as a part of the time allows, and return all in the order to run them.

        A look is a quick fit of the largest fold (a larger learning rate, say); those that have none of their own run
        that fold in earnest. Where rows are too many for that, all get the same time on a sample of them. The order is
        that of a greedy ensemble on that fold, then of the loss; those that are hopeless are left out. Families that
        nobody could look at follow the first heat: they are unlike the others. Returned too: the seconds that one of
        the first is thought to take.
        """
        at = max(range(len(self.course.choosing)), key=lambda at: len(self.course.choosing[at].train))
        fold = self.course.choosing[at]
        spare = self.budget.spare(self.course, 0.0)
        train = self._rows_to_look_at(fold, 2 * needed / self.course.choosing_work, _LOOK_SHARE * spare, len(rest))
        if train is None:
            return rest, needed
        end = self.budget.racing(0.0).within(_LOOK_SHARE * spare)
        if train is fold.train:
            lookers, told = rest, fold.valid
            slot = self.budget.slot(spare / _LOOK_HEATS, len(fold.train), self._turns(1))
        else:
            lookers = [entrant for entrant in rest if entrant.configuration.look is not None]
            told = fold.valid[:: -(-len(fold.valid) // _MOST_TOLD_AT_LOOKS)]
            slot = _LOOK_SHARE * spare * self.track.workers / max(len(lookers), 1)
        jobs = [Job(_for_a_look(entrant), train, told, told, slot) for entrant in lookers]
        for entrant, fit in zip(lookers, self.track.run(jobs, end), strict=True):
            entrant.look = fit
            if fit is not None and entrant.configuration.look is None:
                entrant.fits[at] = fit
        ordered = self._in_order_of_looks(rest, told)
        seen = [e for e in ordered if e.look is not None][:_LOOK_HEATS]
        self.log.note(f"A quick look at {sum(e.look is not None for e in rest)} of {len(rest)} configurations.")
        per_row = sum(_seconds_in_earnest(entrant) for entrant in seen) / max(len(seen), 1)
        return ordered, per_row * self.course.choosing_work / self.track.workers if seen else needed

    def _rows_to_look_at(self, fold: Fold, per_row: float, seconds: float, looks: int) -> Indices | None:
        """Return the training rows to look at in so many seconds: all, or where rows are many a part of them.

        A look takes `per_row` seconds a row. None where even a part would take too long.
        """
        rows = len(fold.train)
        if rows * per_row <= seconds / min(looks, _FEWEST_LOOKS):
            return fold.train
        part = max(int(seconds / min(looks, _MOST_LOOKS) / per_row), _FEWEST_LOOK_ROWS)
        if part >= rows or part * per_row > seconds / min(looks, _FEWEST_LOOKS):
            return None
        chosen = np.random.default_rng(self.problem.seed).choice(rows, part, replace=False)
        return fold.train[np.sort(chosen)]

    def _in_order_of_looks(self, rest: Sequence[Entrant], told: Indices) -> list[Entrant]:
        looks = [(entrant, entrant.look) for entrant in rest if entrant.look is not None]
        if not looks:
            return list(rest)
        weight = None if self.problem.weight is None else self.problem.weight[told]
        target, answers = self.problem.target[told], [look.predicted for _, look in looks]
        pool = Pool.of(self.problem.task, target, answers, absolute=self.absolute, weight=weight)
        chosen, losses, row_losses = choose_weights(pool), pool.losses(), pool.row_losses()
        best = row_losses[int(np.argmin(losses))]
        order = sorted(range(len(looks)), key=lambda i: (-chosen[i], losses[i]))
        hopeful = [looks[i][0] for i in order if self.course.in_time or not _is_far_behind(row_losses[i], best)]
        for entrant, _ in looks:
            if entrant not in hopeful:
                entrant.dropped = _FAR_AT_LOOK
        self.entrants += [entrant for entrant, _ in looks if entrant.dropped]
        late = [entrant for entrant in rest if entrant.look is None]
        known = {entrant.family.name for entrant, _ in looks}
        unlike = [entrant for entrant in late if entrant.family.name not in known]
        return [*hopeful[:_HEAT], *unlike, *hopeful[_HEAT:], *(e for e in late if e not in unlike)]

    def _run_cheap(self, proposals: Sequence[tuple[ModelFamily, Configuration]]) -> None:
        """Run what is sure to be quick, all at once."""
        if proposals:
            spare = self.budget.spare(self.course, 0.0)
            self._run_heat([Entrant(*p) for p in proposals], CHEAP_HEAT_SHARE * spare)

    def _shorten(self, needed: float, floor: Sequence[tuple[ModelFamily, Configuration]]) -> float:
        """Go on with the shortened course, and return what a configuration needs on that."""
        work, course = self.course.choosing_work, self.course.shortened()
        if course is self.course:
            return needed
        self.course = course
        self.entrants.clear()
        self.weights.clear()
        self._loss = inf
        self.log.note(
            "A configuration takes long on these rows: one fit each, and the chosen ones learn from all rows."
        )
        self._run_cheap(floor)
        return needed * self.course.choosing_work / work

    def _has_learner(self) -> bool:
        """Say whether a candidate that is worth waiting for is complete, or was given its chance."""
        learners = [entrant for entrant in self.entrants if entrant.family.name not in _NEVER_DROPPED]
        return not self.complete() or any(entrant.dropped != _FAR_AT_LOOK for entrant in learners)

    def _pilot(self, entrant: Entrant) -> float | None:
        """Fit a few rounds, and return the wall seconds in which a configuration could run its choosing folds.

        The first round of all is not counted: it also prepares what all fits share.
        """
        end = self.budget.racing(0.0)
        if end.left == inf:
            return None
        fold = max(self.course.choosing, key=lambda fold: len(fold.train))
        slot = CHEAP_HEAT_SHARE * self.budget.spare(self.course, 0.0)
        round_and_row = 0.0
        for rounds in (1, _PILOT_ROUNDS):
            job = Job(entrant, fold.train, None, fold.valid[:1], slot, rounds)
            fit = self.track.run([job], end)[0]
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
        sizes = self._turns(len(heat))
        for turn in turns:
            runners = [entrant for entrant in heat if not entrant.dropped]
            places = [(entrant, at) for at in turn for entrant in runners if at not in entrant.fits]
            fits = self.track.run([self._job(entrant, at, seconds, sizes) for entrant, at in places], end)
            for (entrant, at), fit in zip(places, fits, strict=True):
                if fit is None:
                    entrant.dropped = entrant.dropped or "no time for a useful fit"
                else:
                    entrant.fits[at] = fit
            if turn is turns[0]:
                self._drop_hopeless(runners, order[0])
        if self.course.reporting is not None:
            self._report([e for e in heat if len(e.fits) == len(order)], self.course.reporting, seconds, end)
        self._weigh(len(heat))

    def _report(self, heat: Sequence[Entrant], fold: Fold, seconds: float, end: Deadline) -> None:
        """Fit up to the reporting fold, with the rounds that the choosing folds took, and ask about it.

        The last choosing fold's member answers where it learned from the same rows, or where time is short.
        """
        slot = self.budget.slot(seconds, len(fold.train), self._turns(len(heat)))
        jobs = [Job(e, fold.train, None, fold.valid, slot, e.rounds(len(fold.train))) for e in heat]
        fits = [None] * len(jobs) if self.course.reports_at_once else self.track.run(jobs, end)
        for entrant, job, fit in zip(heat, jobs, fits, strict=True):
            entrant.report = fit if fit is not None and fit.is_grown(job) else self._said_by_last(entrant, fold)

    def _said_by_last(self, entrant: Entrant, fold: Fold) -> Fit:
        last = entrant.fits[max(entrant.fits)]
        return Fit(last.fitted, last.fitted.member.predict(self.problem.matrix[fold.valid]), last.train_rows, 0.0)

    def _turns(self, entrants: int) -> list[list[int]]:
        """Return the training rows of all fits of so many entrants, in the turns that follow each other."""
        sizes = sorted((len(fold.train) for fold in self.course.choosing), reverse=True)
        first = max(self.track.workers // max(entrants, 1), 1)
        turns = [sizes[:first] * entrants, sizes[first:] * entrants]
        if self.course.reporting is not None and not self.course.reports_at_once:
            turns.append([len(self.course.reporting.train)] * entrants)
        return turns

    def _job(self, entrant: Entrant, at: int, seconds: float, sizes: list[list[int]]) -> Job:
        fold: Fold = self.course.choosing[at]
        return Job(entrant, fold.train, fold.valid, fold.valid, self.budget.slot(seconds, len(fold.train), sizes))

    def _drop_hopeless(self, runners: list[Entrant], at: int) -> None:
        for entrant in runners:
            if not entrant.dropped and self._is_hopeless(entrant, at):
                entrant.dropped = "far behind on the first fold"

    def _is_hopeless(self, entrant: Entrant, at: int) -> bool:
        """Say whether the entrant loses far more than the best on a fold, beyond what luck could do.

        In time order nobody is: who was far behind on a past fold was best on the rows to come more than once.
        """
        if entrant.family.name in _NEVER_DROPPED or self.course.in_time:
            return False
        target = self.problem.target[self.course.choosing[at].valid]
        others = [e for e in self.entrants if at in e.fits]
        losses = {e.name: self._row_losses(target, e.fits[at].predicted) for e in others}
        best = min(losses.values(), key=lambda loss: float(loss.mean()))
        return _is_far_behind(losses[entrant.name], best)

    def _row_losses(self, target: NDArray[Any], predicted: Floats) -> Floats:
        losses: Floats = Pool.of(self.problem.task, target, [predicted], absolute=self.absolute).row_losses()[0]
        return losses

    def _weigh(self, ran: int) -> None:
        """Choose weights among all complete entrants, and count how many came without helping."""
        ready = self.complete()
        if not ready:
            return
        pool = self.pool(ready)
        chosen = self.mixture(ready, pool)
        self.weights = {e.name: float(w) for e, w in zip(ready, chosen, strict=True) if w > 0}
        loss = pool.loss(chosen)
        helped = loss < self._loss - _LEAST_GAIN * abs(self._loss) if np.isfinite(self._loss) else True
        self._unhelpful = 0 if helped else self._unhelpful + ran
        self._loss = min(loss, self._loss)

    def mixture(self, entrants: Sequence[Entrant], pool: Pool) -> Floats:
        """Choose the weights of an ensemble; in time order they are drawn to equal ones of all good entrants.

        The baseline is good only where it was chosen.
        """
        weights = choose_weights(pool)
        is_floor = np.array([entrant.family.name == BASELINE for entrant in entrants])
        if not self.course.in_time or is_floor.all() or not is_floor.any():
            return weights
        losses = pool.losses()
        return steadied(weights, np.where(is_floor, np.inf, losses), float(losses[is_floor].min()))

    def pool(self, entrants: Sequence[Entrant]) -> Pool:
        """Return the choosing folds' predictions of some entrants, ready to be mixed."""
        target = self._told(self.problem.target)
        weight = None if self.problem.weight is None else self._told(self.problem.weight)
        answers = [e.predicted() for e in entrants]
        return Pool.of(self.problem.task, target, answers, absolute=self.absolute, weight=weight)

    def _told(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[fold.valid] for fold in self.course.choosing])

    def _promised(self) -> float:
        """Return the wall seconds that closing will take with the entrants now chosen: fits, and a student's if it is
        likely to be needed.
        """
        chosen = [e for e in self.complete() if e.name in self.weights]
        fits = sum(e.pace for e in chosen) * self.course.closing_work / self.track.workers
        if self.budget.seconds == inf or self.row_times.affords(chosen, self.course):
            return fits
        return fits + DISTILLING_SHARE * self.budget.seconds


def _for_a_look(entrant: Entrant) -> Entrant:
    """Return the entrant with the parameters of a quick look, where it has such."""
    look = entrant.configuration.look
    if look is None:
        return entrant
    configuration = entrant.configuration
    return Entrant(
        entrant.family,
        replace(configuration, name=f"{entrant.name}?", like=entrant.name, params=configuration.params | look),
    )


def _seconds_in_earnest(entrant: Entrant) -> float:
    """Return the seconds a training row will take, going by the look."""
    if entrant.look is None:
        return 0.0
    slower = 1.0 if entrant.configuration.look is None else _LOOK_IS_QUICKER
    return slower * entrant.look.seconds / entrant.look.train_rows


def _is_far_behind(losses: Floats, best: Floats) -> bool:
    """Say whether row losses are worse by more than luck, and by a quarter of the best."""
    excess = losses - best
    error = float(excess.std()) / np.sqrt(len(excess))
    return bool(excess.mean() > max(2 * error, _HOPELESS * float(best.mean())))


def _patience(rows: int) -> int:
    """Return how many unhelpful configurations end the race: few rows are soon overfitted by choosing."""
    return next((most for limit, most in _PATIENCE if rows < limit), _MOST_PATIENCE)
