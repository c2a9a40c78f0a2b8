"""Register versions and move the offices; rollback is the same door backwards.

A bundle is loaded and made to reproduce its stored rows before any alias moves, so a damaged model never takes office.
"""

from __future__ import annotations

from tenure.core.errors import ArtifactError, BundleError, NoPreviousError, ProjectBusyError
from tenure.core.lifecycle import Alias, AliasMove, GateDecision, ModelVersion, Outcome, Release
from tenure.core.modelling import Leaderboard
from tenure.core.ports import Context
from tenure.model.scorer import Scorer
from tenure.state.registry import Registry


def release(ctx: Context, decision: GateDecision, leaderboard: Leaderboard, registry: Registry, run_id: str) -> Release:
    """Carry out what the gate decided.

    Promote: the candidate becomes champion and the champion previous, in one transaction. Hold: the candidate is
    registered as challenger, so that it can be looked at. Reject, or a candidate that already holds the office: nothing
    changes. A promotion is good only against the champion that the gate saw: where another took office meanwhile, the
    candidate is held.

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
    _verify(ctx, leaderboard.model, "the candidate")
    version = registry.register(
        leaderboard.model,
        run_id=run_id,
        leaderboard=ctx.artifacts.put_record(leaderboard),
        actor=ctx.actor,
        note=decision.reason,
    )
    outcome, reason = decision.outcome, decision.reason
    moves = None
    if outcome is Outcome.PROMOTE:
        moves = _promoted(ctx, decision, registry, version, run_id)
        if moves is None:
            outcome, reason = Outcome.HOLD, _office_changed(decision)
    if moves is None:
        challenger = {Alias.CHALLENGER: version.number}
        moves = registry.move(challenger, actor=ctx.actor, reason=reason, cause=decision.digest, run_id=run_id)
    return Release(
        version=version.number,
        outcome=outcome,
        moves=moves or (),
        rollback_to=_number(registry.holder(Alias.PREVIOUS)),
        model=version.model,
        reason=reason,
        made_from=made_from,
    )


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


def rollback(ctx: Context, registry: Registry, *, to: int | None, reason: str, cause: str | None) -> Release:
    """Give the office back to version `to`, or to the previous holder; the one it is taken from becomes previous.

    The target is loaded and verified first, so that a rollback that fails leaves everything as it was, and one that
    went through can itself be rolled back.

    Raises:
        NoPreviousError: there is no previous holder, or the version already holds the office.
        RecordMissingError: there is no version `to`.
        BundleError: the target's bundle is damaged.
        ProjectBusyError: the office changed meanwhile; nothing was moved.
    """
    champion = registry.holder(Alias.CHAMPION)
    target = rollback_target(registry, to)
    _verify(ctx, target.model, target.label)
    wanted = _into_office(target, _number(champion))
    if _number(registry.holder(Alias.CHALLENGER)) == target.number:
        wanted[Alias.CHALLENGER] = None
    seen = {Alias.CHAMPION: _number(champion)}
    moves = registry.move(wanted, actor=ctx.actor, reason=reason, cause=cause, provided=seen)
    if moves is None:
        raise ProjectBusyError(
            "The office changed while the model was being verified; nothing was moved.",
            where=target.label,
            hint="Look who holds it with tenure status, then roll back again if that is still wanted.",
        )
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


def _verify(ctx: Context, model: str, whose: str) -> None:
    """Load a bundle and make it reproduce its stored rows.

    Raises:
        BundleError: it is missing or damaged, or does not reproduce them.
    """
    try:
        Scorer.load(ctx.artifacts.get_tree(model), verify=True)
    except (ArtifactError, BundleError) as error:
        raise BundleError(
            f"The stored model of {whose} cannot take office, and nothing was changed. {error.message}",
            where=error.where,
            hint="Choose another version (tenure history lists them), or train a new one with: tenure run",
        ) from error


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
