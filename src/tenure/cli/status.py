"""`tenure status`."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import RenderableType

from tenure.cli.freeze import freeze_facts
from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.core.lifecycle import Alias
from tenure.core.modelling import Leaderboard
from tenure.engine.approvals import waiting
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.ladder_words import standing_words
from tenure.engine.reasons import score_words
from tenure.engine.recall import record_in, records_of
from tenure.engine.workspace import Workspace, open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def status(project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Show the model in office and how it is doing."""
    with open_workspace(project) as workspace:
        result = _result(workspace)
    return Reply(result=result, shows=_shows(result))


def _result(workspace: Workspace) -> dict[str, Any]:
    champion = workspace.registry.holder(Alias.CHAMPION)
    runs = workspace.ledger.runs(limit=1)
    health = workspace.ledger.events(kind=HEALTH_EVENT, newest_first=True, limit=1)
    result: dict[str, Any] = {
        "project": workspace.project.project.name,
        "question": workspace.project.project.question,
        "autonomy": workspace.project.operations.autonomy,
        "frozen": freeze_facts(workspace),
        "waiting": [f"{one.label}: {one.verb}" for one in waiting(workspace)],
        "champion": None,
        "versions": len(workspace.registry.versions()),
        "predictions": workspace.traffic.prediction_count(),
        "outcomes": workspace.traffic.outcome_count(),
        "last_run": None,
        "last_health": None,
        "ladder": standing_words(workspace),
    }
    if champion is not None:
        board = record_in(records_of(workspace, champion.run_id), "leaderboard", Leaderboard)
        moved = [move for move in workspace.registry.moves() if move.alias is Alias.CHAMPION]
        result["champion"] = {
            "version": champion.label,
            "since": moved[-1].at,
            "because": moved[-1].reason,
            "score": board.score,
            "baseline": board.baseline,
        }
        for alias in (Alias.CHALLENGER, Alias.PREVIOUS):
            holder = workspace.registry.holder(alias)
            result[alias.value] = None if holder is None else holder.label
    if runs:
        result["last_run"] = {"run": runs[0].id, "status": runs[0].status, "reason": runs[0].reason}
    if health:
        result["last_health"] = {"at": health[0].at, **health[0].data}
    return result


def _shows(result: dict[str, Any]) -> list[RenderableType]:
    champion = result["champion"]
    rows: list[tuple[Any, ...]] = [("project", result["project"])]
    if champion is None:
        rows.append(("in office", "no model yet; train one with: tenure run"))
    else:
        score = champion["score"]
        rows += [
            ("in office", f"{champion['version']} since {champion['since']}"),
            ("because", champion["because"]),
            ("score", f"{score.metric} {score_words(score)}; baseline {score_words(champion['baseline'])}"),
            ("to go back to", result["previous"] or "nothing yet"),
        ]
        if result["ladder"]:
            rows.append(("on the ladder", result["ladder"]))
        elif result["challenger"]:
            rows.append(("challenger", result["challenger"]))
    rows += [("predictions", f"{result['predictions']:,}"), ("outcomes", f"{result['outcomes']:,}")]
    if result["last_run"]:
        rows.append(
            ("last run", f"{result['last_run']['run']} {result['last_run']['status']}: {result['last_run']['reason']}")
        )
    if result["last_health"]:
        rows.append(("health", f"{result['last_health']['headline']} (since {result['last_health']['at']})"))
    if result["frozen"]:
        rows.append(("frozen", result["frozen"]["says"]))
    if result["waiting"]:
        rows.append(("waits for you", f"{', '.join(result['waiting'])}; see tenure approvals"))
    return [table("", "", rows=rows)]
