"""`tenure monitor`."""

from __future__ import annotations

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, OK, Reply, answers, table
from tenure.cli.progress import told
from tenure.core.evidence import Verdict
from tenure.core.files import write_whole
from tenure.core.health import Health, HealthReport
from tenure.engine.reasons import score_words
from tenure.engine.watch import examine
from tenure.engine.workspace import REPORTS_FOLDER, open_workspace
from tenure.reporting.health_page import health_page

app = typer.Typer(add_completion=False)


@app.command()
@answers
def monitor(project: ProjectOption = HERE, quiet: QuietOption = False, as_json: JsonOption = False) -> Reply:
    """Judge recent traffic: data quality, drift, realised performance and value."""
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        health = examine(workspace)
        page = workspace.folder / REPORTS_FOLDER / "health.html"
        write_whole(page, health_page(health, workspace.project).encode())
    return Reply(
        result={"health": health, "page": str(page)},
        shows=[*health_shows(health), f"Page: {page}"],
        exit_code=ALARM if health.status is Health.ILL else OK,
        artifacts=[str(page)],
    )


def health_shows(health: HealthReport) -> list[RenderableType]:
    """Return what a person sees of a health report: the headline, what was found, the latest windows."""
    notable = [f for f in health.findings if f.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    shows: list[RenderableType] = [f"{health.status.value}: {health.headline}"]
    if notable:
        shows += [
            "",
            table(
                "verdict",
                "check",
                "about",
                "what was found",
                rows=[(f.verdict.value, f.check, f.subject, f.says) for f in notable],
            ),
        ]
    if health.windows:
        rows = [
            (
                w.start[:10],
                f"{w.rows:,}",
                ", ".join(f"v{v}" for v in w.versions),
                f"{w.matured:.0%}",
                "" if w.realised is None else score_words(w.realised),
                "" if w.value is None else f"{w.value:,.0f}",
                ", ".join(w.drifted[:4]),
            )
            for w in health.windows[-12:]
        ]
        shows += [
            "",
            table("window from", ">rows", "answered by", ">outcomes", ">realised", ">value", "moved", rows=rows),
        ]
    return shows
