"""`tenure explain`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, sentence, table
from tenure.core.errors import RecordMissingError
from tenure.core.evidence import Finding, QualityReport, Report, RobustnessReport, Verdict
from tenure.core.lifecycle import Alias, Comparison, GateDecision, ModelVersion
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.engine.explain import explain_prediction
from tenure.engine.reasons import score_words
from tenure.engine.recall import record_in, records_of, version_named
from tenure.engine.workspace import Workspace, open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def explain(
    what: Annotated[
        str | None, typer.Argument(help="A version (v3), or a prediction's id. Left out: the champion.")
    ] = None,
    project: ProjectOption = HERE,
    findings: Annotated[bool, typer.Option("--findings", help="Every finding of the newest run instead.")] = False,
    as_json: JsonOption = False,
) -> Reply:
    """Say why a version is in office, or why a prediction came out as it did."""
    with open_workspace(project) as workspace:
        if findings:
            return _findings_reply(_newest_findings(workspace))
        if what is None:
            return _version_reply(workspace, workspace.champion())
        labels = {version.label for version in workspace.registry.versions()}
        if what in labels or f"v{what}" in labels or re.fullmatch(r"v\d+", what) or what in [a.value for a in Alias]:
            return _version_reply(workspace, version_named(workspace, what))
        return _prediction_reply(workspace, what)


def _version_reply(workspace: Workspace, version: ModelVersion) -> Reply:
    records = records_of(workspace, version.run_id)
    decision = record_in(records, "decision", GateDecision)
    board = record_in(records, "leaderboard", Leaderboard)
    plan = record_in(records, "plan", ValidationPlan)
    moves = [m for m in workspace.registry.moves() if version.number in (m.before, m.after)]
    reports: list[Report] = [r for r in records.values() if isinstance(r, QualityReport | RobustnessReport)]
    notable = [f for report in reports for f in report.findings if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    result: dict[str, Any] = {
        "version": version.label,
        "run": version.run_id,
        "decision": decision,
        "validation": {"splitter": plan.splitter, "reason": plan.reason, "naive": plan.naive_says},
        "score": board.score,
        "baseline": board.baseline,
        "importance": board.importance,
        "moves": moves,
        "findings": notable,
    }
    shows: list[RenderableType] = [
        f"{version.label}, made by run {version.run_id}.",
        f"Decision: {decision.outcome.value}, because: {sentence(decision.reason)}",
    ]
    if decision.comparison is not None:
        shows.append(_comparison_words(decision.comparison))
    shows += [
        f"Compared how: {plan.splitter}. {sentence(plan.reason)} {plan.naive_says}".rstrip(),
        f"Score: {board.metric} {score_words(board.score)}; baseline {score_words(board.baseline)}.",
        "",
        table("what drives it", ">share", rows=[(i.feature, f"{i.share:.0%}") for i in board.importance[:10]]),
    ]
    if notable:
        shows += ["", _findings_table(notable)]
    if moves:
        rows = [(m.at[:19].replace("T", " "), m.alias.value, m.actor, m.reason) for m in moves]
        shows += ["", table("when (UTC)", "office", "who", "why it moved", rows=rows)]
    return Reply(result=result, shows=shows)


def _comparison_words(comparison: Comparison) -> str:
    words = (
        f"Against {comparison.against} on the same {comparison.rows:,} rows: gain in {comparison.metric} "
        f"{comparison.gain:+.4g} (between {comparison.low:+.4g} and {comparison.high:+.4g})."
    )
    if comparison.value_gain is not None:
        words += f" Worth {comparison.value_gain:+,.0f} per 1,000 decisions."
    return words


def _newest_findings(workspace: Workspace) -> list[Finding]:
    for run in workspace.ledger.runs(limit=100):
        reports = [r for r in records_of(workspace, run.id).values() if isinstance(r, QualityReport | RobustnessReport)]
        if reports:
            return [finding for report in reports for finding in report.findings]
    raise RecordMissingError("No run has findings yet.", where=str(workspace.folder), hint="Run first: tenure run")


def _findings_reply(findings: list[Finding]) -> Reply:
    return Reply(result={"findings": findings}, shows=[_findings_table(findings)])


def _findings_table(findings: list[Finding]) -> RenderableType:
    rows = [(f.verdict.value, f.check, f.subject, f.says, f.measurement.hint) for f in findings]
    return table("verdict", "check", "about", "what was found", "what to do", rows=rows)


def _prediction_reply(workspace: Workspace, prediction_id: str) -> Reply:
    told = explain_prediction(workspace, prediction_id)
    said = told.record
    rows = [(c.feature, c.value, f"{c.effect:+.3f}") for c in told.contributions[:12]]
    probability = f" (probability {said.probabilities[-1]:.3f} of {told.classes[-1]})" if len(told.classes) == 2 else ""
    shows: list[RenderableType] = [
        f"{prediction_id}: {said.prediction}{probability}, said by v{said.version} at {said.at}.",
        told.threshold_reason,
        f"It starts at {told.base:+.3f}; each feature moves it ({told.unit}):",
        table("feature", "value", ">moves it by", rows=rows),
    ]
    if told.outcome is not None:
        shows.append(f"What came true: {told.outcome}.")
    return Reply(result={"prediction": told}, shows=[line for line in shows if line])
