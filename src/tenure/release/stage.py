"""Register versions and move the offices; rollback is the same door backwards.

A bundle is loaded and made to reproduce its stored rows before any alias moves, so a damaged model never takes office.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tenure.core.errors import NoPreviousError, ProjectBusyError
from tenure.core.ladder import Step
from tenure.core.lifecycle import Alias, AliasMove, GateDecision, ModelVersion, Outcome, Release
from tenure.core.modelling import Leaderboard
from tenure.core.ports import Context
from tenure.release.climbing import climbs, enter
from tenure.release.verify import verify
from tenure.state.ladder import Ladder
from tenure.state.registry import Registry


def release(
    ctx: Context,
    decision: GateDecision,
    leaderboard: Leaderboard,
    registry: Registry,
    run_id: str,
    ladder: bool = False,
) -> Release:
    """Carry out what the gate decided.

    Promote: the candidate becomes champion and the champion previous, in one transaction; with `ladder` it goes on the
    first step of the ladder instead, unless the office is empty or the project file names no steps. Hold: the candidate
    is registered as challenger, so that it can be looked at, unless one is on the ladder. Reject, or a candidate that
    already holds the office: nothing changes. One that was withdrawn from the ladder after the same decision is
    rejected. A promotion is good only against the champion that the gate saw: where
    another took office meanwhile, the candidate is held.

    Raises:
        BundleError: the candidate's bundle is damaged; nothing was changed.
    """
    made_from = (decision.digest, leaderboard.digest)
    champion = registry.holder(Alias.CHAMPION)
    if decision.outcome is Outcome.REJECT or decision.same_model:
        return Release(
            version=champion.number if decision.same_model and champion else None,
            outcome=decision.outcome,
            rollback_to=_number(registry.holder(Alias.PREVIOUS)),
            model=leaderboard.model,
            reason=decision.reason,
            made_from=made_from,
        )
    ctx.log.note("loading the bundle and checking that it reproduces its stored rows")
    verify(ctx, leaderboard.model, "the candidate")
    version = registry.register(
        leaderboard.model,
        run_id=run_id,
        leaderboard=ctx.artifacts.put_record(leaderboard),
        actor=ctx.actor,
        note=decision.reason,
    )
    done = _Done(decision.outcome, decision.reason)
    if (
        decision.outcome is Outcome.PROMOTE
        and ladder
        and decision.incumbent is not None
        and climbs(ctx.project.promotion)
    ):
        done = _on_the_ladder(ctx, decision, registry, version, run_id)
    elif decision.outcome is Outcome.PROMOTE:
        moves = _promoted(ctx, decision, registry, version, run_id)
        done = _Done(Outcome.HOLD, _office_changed(decision)) if moves is None else replace(done, moves=moves)
    if done.outcome is Outcome.HOLD and Ladder(registry).standing() is None:
        challenger = {Alias.CHALLENGER: version.number}
        moves = registry.move(challenger, actor=ctx.actor, reason=done.reason, cause=decision.digest, run_id=run_id)
        done = replace(done, moves=moves or ())
    return Release(
        version=version.number,
        outcome=done.outcome,
        moves=done.moves,
        rollback_to=_number(registry.holder(Alias.PREVIOUS)),
        model=version.model,
        reason=done.reason,
        made_from=made_from,
    )


@dataclass(frozen=True, slots=True)
class _Done:
    """What a release came to."""

    outcome: Outcome
    reason: str
    moves: tuple[AliasMove, ...] = ()


def _on_the_ladder(
    ctx: Context, decision: GateDecision, registry: Registry, version: ModelVersion, run_id: str
) -> _Done:
    """Put a version on the ladder, or find it where an earlier try of the same release and the climb since left it."""
    ladder = Ladder(registry)
    rung = ladder.taken(version.number, decision.digest)
    if rung is None:
        rung = enter(ctx, ladder, version, decision, run_id=run_id, after=ladder.standing())
    if rung is None:
        return _Done(Outcome.HOLD, "Another step was taken on the ladder meanwhile; the next run tries again.")
    if rung.step is Step.WITHDRAWN:
        if _number(registry.holder(Alias.CHAMPION)) != decision.incumbent:
            return _Done(Outcome.HOLD, _office_changed(decision))
        return _Done(Outcome.REJECT, f"It was tried on live traffic before. {rung.says}")
    outcome = Outcome.PROMOTE if rung.step is Step.OFFICE else Outcome.LADDER
    return _Done(outcome, f"{decision.reason} {rung.says}")


def _promoted(
    ctx: Context, decision: GateDecision, registry: Registry, version: ModelVersion, run_id: str
) -> tuple[AliasMove, ...] | None:
    """Put a version in office, provided that the champion is the one that the gate saw, or it itself; else None.

    It itself: a release that was cut off after the move is carried out again, and must not make the champion its own
    predecessor.
    """
    champion = _number(registry.holder(Alias.CHAMPION))
    seen = champion if champion == version.number else decision.incumbent
    return registry.move(
        {**_into_office(version, seen), Alias.CHALLENGER: None},
        actor=ctx.actor,
        reason=decision.reason,
        cause=decision.digest,
        run_id=run_id,
        provided={Alias.CHAMPION: seen},
    )


def _office_changed(decision: GateDecision) -> str:
    seen = "an empty office" if decision.incumbent is None else f"v{decision.incumbent}"
    return f"The office changed meanwhile: the candidate was compared with {seen}, which is not what is in office now."


def rollback(
    ctx: Context, registry: Registry, *, to: int | None, reason: str, cause: str | None, seen: int | None = None
) -> Release:
    """Give the office back to version `to`, or to the previous holder; the one it is taken from becomes previous.

    The target is loaded and verified first, so that a rollback that fails leaves everything as it was, and one that
    went through can itself be rolled back. `seen` is the version that it was decided about: another one stays.

    Raises:
        NoPreviousError: there is no previous holder, or the version already holds the office.
        RecordMissingError: there is no version `to`.
        BundleError: the target's bundle is damaged.
        ProjectBusyError: the office changed meanwhile; nothing was moved.
    """
    champion = registry.holder(Alias.CHAMPION)
    if seen is not None and _number(champion) != seen:
        raise _changed(f"v{seen}")
    target = rollback_target(registry, to)
    verify(ctx, target.model, target.label)
    wanted = _into_office(target, _number(champion))
    if _number(registry.holder(Alias.CHALLENGER)) == target.number:
        wanted[Alias.CHALLENGER] = None
    provided = {Alias.CHAMPION: _number(champion)}
    moves = registry.move(wanted, actor=ctx.actor, reason=reason, cause=cause, provided=provided)
    if moves is None:
        raise _changed(target.label)
    left = "an empty office" if champion is None else champion.label
    return Release(
        version=target.number,
        outcome=Outcome.PROMOTE,
        moves=moves,
        rollback_to=_number(champion),
        model=target.model,
        reason=f"Rolled back from {left} to {target.label}: {reason}",
        made_from=() if cause is None else (cause,),
    )


def _changed(where: str) -> ProjectBusyError:
    return ProjectBusyError(
        "The office changed meanwhile; nothing was moved.",
        where=where,
        hint="Look who holds it with tenure status, then roll back again if that is still wanted.",
    )


def rollback_target(registry: Registry, to: int | None) -> ModelVersion:
    """Return the version that a rollback would put in office.

    Raises:
        NoPreviousError: there is no previous holder, or the version already holds the office.
        RecordMissingError: there is no version `to`.
    """
    target = registry.holder(Alias.PREVIOUS) if to is None else registry.version(to)
    if target is None:
        raise NoPreviousError(
            "No earlier version held the office.",
            hint="Name a version (tenure rollback --to 1), or train a new one with: tenure run",
        )
    if _number(registry.holder(Alias.CHAMPION)) == target.number:
        raise NoPreviousError(
            f"The version {target.label} already holds the office.",
            hint="Name another version with: tenure rollback --to NUMBER",
        )
    return target


def _into_office(version: ModelVersion, champion: int | None) -> dict[Alias, int | None]:
    """Return the offices after `version` followed `champion`; nothing moves where they are one."""
    if champion == version.number:
        return {}
    wanted: dict[Alias, int | None] = {Alias.CHAMPION: version.number}
    if champion is not None:
        wanted[Alias.PREVIOUS] = champion
    return wanted


def _number(version: ModelVersion | None) -> int | None:
    return None if version is None else version.number
