"""`tenure report`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.core.errors import RecordMissingError
from tenure.core.lifecycle import Dossier
from tenure.engine.publish import publish
from tenure.engine.recall import record_in, records_of, version_named
from tenure.engine.workspace import Workspace, open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def report(
    project: ProjectOption = HERE,
    version: Annotated[
        str | None, typer.Option(help="The dossier of this version; left out: of the newest run.")
    ] = None,
    as_json: JsonOption = False,
) -> Reply:
    """Say where the dossier lies, writing it again if it is gone."""
    with open_workspace(project) as workspace:
        dossier = _newest(workspace) if version is None else _of_version(workspace, version)
        written = publish(workspace.context, dossier)
    return Reply(
        result={
            "title": dossier.title,
            "headline": dossier.headline,
            "page": str(written.page),
            "card": str(written.card),
        },
        shows=[dossier.headline, f"Report: {written.page}", f"Model card: {written.card}"],
        artifacts=[str(written.page), str(written.card)],
    )


def _newest(workspace: Workspace) -> Dossier:
    for run in workspace.ledger.runs(limit=100):
        dossier = records_of(workspace, run.id).get("dossier")
        if isinstance(dossier, Dossier):
            return dossier
    raise RecordMissingError("There is no dossier yet.", where=str(workspace.folder), hint="Run first: tenure run")


def _of_version(workspace: Workspace, text: str) -> Dossier:
    return record_in(records_of(workspace, version_named(workspace, text).run_id), "dossier", Dossier)
