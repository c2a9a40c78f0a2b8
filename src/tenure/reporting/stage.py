"""Write the dossier of a run: one page for two readers, and a model card."""

from __future__ import annotations

from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport, RobustnessReport
from tenure.core.lifecycle import Dossier, GateDecision, Release
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.core.ports import Context
from tenure.reporting.advice import advise
from tenure.reporting.model_card import model_card
from tenure.reporting.page import dossier_page, render
from tenure.reporting.story import gather
from tenure.reporting.words import plain_spaces


def write_dossier(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    robustness: RobustnessReport,
    decision: GateDecision,
    release: Release,
) -> Dossier:
    """Write the page and the model card of a run from its records, and keep both as artifacts.

    Equal records give equal bytes: the only dates are those that the release carries.

    Raises:
        ArtifactError: a table that a record names is missing or damaged.
    """
    ctx.log.progress(0.05, "reading the honest answers")
    story = gather(ctx, snapshot, quality, plan, leaderboard, robustness, decision, release)
    advice = advise(ctx.project, snapshot, quality, plan, leaderboard, robustness, decision)
    ctx.log.progress(0.2, "drawing")
    page, told = dossier_page(story, advice)
    html = render(page)
    card = model_card(story, told)
    ctx.log.progress(1.0, "written")
    return Dossier(
        page=ctx.artifacts.put_bytes(html.encode()),
        card=ctx.artifacts.put_bytes(plain_spaces(card).encode()),
        title=plain_spaces(page.title),
        headline=plain_spaces(page.hero.headline),
        made_from=tuple(
            record.digest for record in (snapshot, quality, plan, leaderboard, robustness, decision, release)
        ),
    )
