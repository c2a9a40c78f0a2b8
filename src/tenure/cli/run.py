"""`tenure run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import OK, REJECTED, Reply, answers, sentence, table
from tenure.cli.plan import plan_reply
from tenure.cli.progress import told
from tenure.cli.values import seconds_option
from tenure.core.evidence import QualityReport, RobustnessReport, Verdict
from tenure.core.lifecycle import Dossier, Outcome
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.engine.reasons import score_words
from tenure.engine.runner import UP_TO_DATE, Walk, run_walk
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def run(
    project: ProjectOption = HERE,
    budget: Annotated[str | None, typer.Option(help="Wall clock of the run, such as 60s or 10m.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take no earlier record again.")] = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Walk from the data to a decision: train, test, decide, release, report."""
    seconds = seconds_option(budget, "--budget")
    with told(quiet=quiet) as log, open_workspace(project, log=log, budget_seconds=seconds) as workspace:
        if dry_run:
            return plan_reply(workspace, fresh=fresh)
        walk = run_walk(workspace, fresh=fresh)
    return Reply(
        result=_result(walk),
        shows=_shows(walk),
        exit_code=OK if walk.outcome in (UP_TO_DATE, Outcome.PROMOTE.value, Outcome.LADDER.value) else REJECTED,
        artifacts=[] if walk.published is None else [str(walk.published.page), str(walk.published.card)],
    )


def _result(walk: Walk) -> dict[str, Any]:
    board = walk.records.get("leaderboard")
    result: dict[str, Any] = {
        "run": walk.run_id,
        "resumed": walk.resumed,
        "outcome": walk.outcome,
        "reason": walk.reason,
        "version": None if walk.version is None else f"v{walk.version}",
        "stages": walk.steps,
    }
    if isinstance(board, Leaderboard):
        result |= {"task": board.task, "score": board.score, "baseline": board.baseline, "row_us": board.row_us}
        if board.trim is not None:
            result["trim"] = board.trim
    plan = walk.records.get("plan")
    if isinstance(plan, ValidationPlan):
        result |= {"splitter": plan.splitter, "split_reason": plan.reason, "naive": plan.naive_says}
    for name in ("quality", "robustness"):
        report = walk.records.get(name)
        if isinstance(report, QualityReport | RobustnessReport):
            result[f"{name}_findings"] = [
                {"check": f.check, "verdict": f.verdict, "subject": f.subject, "says": f.says}
                for f in report.findings
                if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)
            ]
    quality = walk.records.get("quality")
    if isinstance(quality, QualityReport):
        result |= {"dropped": quality.dropped, "quarantine": quality.quarantine}
    return result


def _shows(walk: Walk) -> list[RenderableType]:
    if walk.outcome == UP_TO_DATE:
        return [f"Nothing to do: {sentence(walk.reason)}", "To train again all the same: tenure run --fresh"]
    shows: list[RenderableType] = [
        table(
            "stage",
            ">seconds",
            "what came of it",
            rows=[(s.stage, "kept" if s.reused else f"{s.seconds:.1f}", s.reason) for s in walk.steps],
        ),
        "",
    ]
    board = walk.records.get("leaderboard")
    if isinstance(board, Leaderboard):
        shows.append(f"Score: {board.metric} {score_words(board.score)}; baseline {score_words(board.baseline)}.")
        if board.trim is not None:
            shows.append(board.trim.says)
    shows.append(_decision_words(walk))
    dossier = walk.records.get("dossier")
    if isinstance(dossier, Dossier) and dossier.headline:
        shows.append(dossier.headline)
    if walk.published is not None:
        shows.append(f"Report: {_short(walk.published.page)}")
    return shows


def _decision_words(walk: Walk) -> str:
    if walk.outcome == Outcome.PROMOTE.value:
        return f"Promoted: v{walk.version} is now in office. {sentence(walk.reason)}"
    if walk.outcome == Outcome.LADDER.value:
        return f"On the ladder: {sentence(walk.reason)}"
    verb = "Held" if walk.outcome == Outcome.HOLD.value else "Rejected"
    return f"{verb}: {sentence(walk.reason)} Nothing changed in office."


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
