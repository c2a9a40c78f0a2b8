"""Everything that is known about a run, in one place, and what a task makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport, RobustnessReport
from tenure.core.lifecycle import GateDecision, Release
from tenure.core.modelling import Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.project import Project
from tenure.core.value import share_of_actions
from tenure.reporting.answers import Answers, load_answers
from tenure.reporting.blocks import Fact, Section
from tenure.reporting.office import Office, office_of
from tenure.reporting.words import whole


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """The records of a run, the answers they name, who is in office, and how many actions there is room for."""

    project: Project
    snapshot: Snapshot
    quality: QualityReport
    plan: ValidationPlan
    leaderboard: Leaderboard
    robustness: RobustnessReport
    decision: GateDecision
    release: Release
    answers: Answers
    clean: pl.DataFrame
    office: Office
    room: float | None

    @property
    def task(self) -> Task:
        """Return what kind of answer is predicted."""
        return self.answers.task

    @property
    def target(self) -> str:
        """Return the name of the target column."""
        return self.project.data.target

    @property
    def yes(self) -> str:
        """Return how a yes is written: the target's name and its positive value."""
        return f"{self.target} = {self.snapshot.classes[-1]}"

    @property
    def basis(self) -> str:
        """Say on how many unseen rows the numbers rest."""
        untouched = " and that no choice between models looked at" if self.answers.untouched else ""
        return (
            f"All numbers come from {whole(self.answers.count)} cases whose outcome is known, each answered by models "
            f"that had not seen it{untouched}."
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What a task has to tell the owner: `earns` completes the headline after who is in office."""

    earns: str
    lead: tuple[str, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]


def gather(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    robustness: RobustnessReport,
    decision: GateDecision,
    release: Release,
) -> Story:
    """Read what the records name, and say who is in office.

    Raises:
        ArtifactError: a table that a record names is missing or damaged.
    """
    clean = ctx.artifacts.get_table(quality.clean)
    times = clean[plan.time].to_numpy() if plan.time is not None else None
    return Story(
        project=ctx.project,
        snapshot=snapshot,
        quality=quality,
        plan=plan,
        leaderboard=leaderboard,
        robustness=robustness,
        decision=decision,
        release=release,
        answers=load_answers(ctx.artifacts, clean, snapshot, plan, leaderboard),
        clean=clean,
        office=office_of(decision, release),
        room=share_of_actions(ctx.project.value, ctx.project.monitoring, times, rows=clean.height),
    )
