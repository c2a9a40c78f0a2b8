"""Put a version on the ladder, move it up, and take it off again.

Where nothing is known against a version its next place follows from the project file alone, so that a file that is
edited half-way holds from the next step on.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenure.core.evidence import Finding
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import GateDecision, ModelVersion
from tenure.core.operations import PromotionSection
from tenure.core.ports import Context
from tenure.release.verify import verify
from tenure.state.ladder import Ladder, withdrawn
from tenure.state.registry import Registry

Place = tuple[Step, float]
"""A step, and the share of the keys that is answered there."""


def places(promotion: PromotionSection) -> tuple[Place, ...]:
    """Return the places from the gate to the office, lowest first; the last one is the office."""
    shadow = [(Step.SHADOW, 0.0)] if "shadow" in promotion.steps else []
    canary = [(Step.CANARY, share) for share in promotion.canary_shares] if "canary" in promotion.steps else []
    return (*shadow, *canary, (Step.OFFICE, 1.0))


def place_above(promotion: PromotionSection, rung: Rung) -> Place:
    """Return the place that follows: the first that answers a larger share than this one."""
    return next(place for place in places(promotion) if place[1] > rung.share)


def climbs(promotion: PromotionSection) -> bool:
    """Say whether anything lies between the gate and the office."""
    return len(places(promotion)) > 1


def enter(
    ctx: Context, ladder: Ladder, version: ModelVersion, decision: GateDecision, *, run_id: str, after: Rung | None
) -> Rung | None:
    """Put a version on its first place, and return the step; None where another was taken meanwhile.

    `after` is the step that stands now, None for nobody.
    """
    if decision.incumbent is None:
        raise ValueError("nobody to climb against: an empty office is taken at once")
    step, share = places(ctx.project.promotion)[0]
    rung = Rung(
        version=version.number,
        against=decision.incumbent,
        step=step,
        share=share,
        since=ctx.clock().isoformat(),
        decision=decision.digest,
        run_id=run_id,
        says=_says_up(version.number, decision.incumbent, (step, share)),
    )
    taken = ladder.step(rung, after=after, actor=ctx.actor)
    return None if taken is None else taken[0]


def rise(
    ctx: Context, registry: Registry, rung: Rung, place: Place, *, evidence: Sequence[Finding], why: str = ""
) -> Rung | None:
    """Move the version that stands on `rung` up to `place`; return the step, None where another was taken meanwhile.

    Into office only after its model was verified. Where the champion changed, it is withdrawn instead.

    Raises:
        BundleError: the stored model is damaged; it stays where it is.
    """
    if place[0] is Step.OFFICE:
        verify(ctx, registry.version(rung.version).model, f"v{rung.version}")
    says = _says_up(rung.version, rung.against, place)
    step = Rung(
        version=rung.version,
        against=rung.against,
        step=place[0],
        share=place[1],
        since=ctx.clock().isoformat(),
        decision=rung.decision,
        run_id=rung.run_id,
        says=f"{says} {why}".strip(),
        evidence=tuple(evidence),
    )
    taken = Ladder(registry).step(step, after=rung, actor=ctx.actor)
    return None if taken is None else taken[0]


def withdraw(
    ctx: Context, registry: Registry, rung: Rung, *, because: str, evidence: Sequence[Finding] = ()
) -> Rung | None:
    """Take the version that stands on `rung` off the ladder, and return the step; None where another was taken."""
    step = withdrawn(rung, because, since=ctx.clock().isoformat(), evidence=evidence)
    taken = Ladder(registry).step(step, after=rung, actor=ctx.actor)
    return None if taken is None else taken[0]


def _says_up(version: int, against: int, place: Place) -> str:
    step, share = place
    if step is Step.SHADOW:
        return f"v{version} answers beside v{against}, for the log only."
    if step is Step.CANARY:
        return f"v{version} answers {share:.0%} of the keys in earnest, v{against} the others."
    return f"v{version} takes office from v{against}."
