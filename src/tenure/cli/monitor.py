"""`tenure monitor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, OK, Reply, answers, table
from tenure.cli.progress import told
from tenure.core.evidence import Verdict
from tenure.core.files import write_whole
from tenure.core.health import AlarmRate, Health, HealthReport, WindowHealth
from tenure.core.modelling import Score
from tenure.core.project import Project
from tenure.engine.alerts.delivery import deliver
from tenure.engine.reasons import score_words
from tenure.engine.watch import compare_rows, examine
from tenure.engine.workspace import REPORTS_FOLDER, open_workspace
from tenure.reporting.health_changes import entries_of, falls_words, skipped_words
from tenure.reporting.health_page import health_page
from tenure.reporting.health_tables import window_remarks
from tenure.reporting.health_value import decisions_a_month, worth_of, worth_words
from tenure.reporting.health_words import alarm_words, audit_words
from tenure.reporting.words import number, plain_spaces

app = typer.Typer(add_completion=False)

_WINDOWS_SHOWN: Final = 12


@app.command()
@answers
def monitor(
    project: ProjectOption = HERE,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Say how often the drift alarm is wrong here, and how that was found.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the page; left out: reports/health.html of the project.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Hold the rows of this file against the training rows, and nothing else.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Judge recent traffic: data quality, drift, realised performance and value."""
    if rows is not None:
        return _of_file(project, rows, quiet=quiet)
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        health = examine(workspace)
        deliver(workspace)
        page = out if out is not None else workspace.folder / REPORTS_FOLDER / "health.html"
        write_whole(page, health_page(health, workspace.project).encode())
        worth = worth_of(health, workspace.project)
        shows = _calibration_shows(health) if calibrate else health_shows(health, workspace.project)
    return Reply(
        result={"health": health, "worth": worth, "page": str(page)},
        shows=[*shows, f"Page: {page}"],
        exit_code=ALARM if health.status is Health.ILL else OK,
        artifacts=[str(page)],
    )


def _of_file(project: Path, path: Path, *, quiet: bool) -> Reply:
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        count, findings = compare_rows(workspace, path)
    moved = [finding for finding in findings if finding.verdict is Verdict.WARN]
    moved.sort(key=lambda finding: -float(finding.measurement.evidence.get("importance", 0.0)))
    shows: list[RenderableType] = [f"{count:,} rows; {len(moved)} of {len(findings)} columns moved."]
    if moved:
        rows = [(f.subject, f"{f.measurement.value:.2f}", f.says) for f in moved]
        shows += ["", table("column", ">shift (psi)", "what was found", rows=rows)]
    return Reply(result={"rows": count, "findings": findings}, shows=shows)


def health_shows(health: HealthReport, project: Project | None = None) -> list[RenderableType]:
    """Return what a person sees of a health report: the headline, money, what changed, the dial, the latest windows.

    Without the `project`, amounts have no currency and money is not summed up.
    """
    shows: list[RenderableType] = [f"{health.status.value}: {health.headline}"]
    worth = worth_of(health, project) if project is not None else None
    if worth is not None:
        shows.append(plain_spaces(f"Value: {' '.join(worth_words(worth))}"))
    shows += _change_shows(health, project.value.currency if project is not None else "")
    if health.alarms is not None:
        shows += ["", plain_spaces(f"Alarm: {' '.join(alarm_words(health.alarms))}")]
    if health.audit is not None and health.audit.windows:
        shows.append(plain_spaces(f"Estimates: {audit_words(health.audit, None)}"))
    return [*shows, *_window_shows(health)]


def _change_shows(health: HealthReport, currency: str) -> list[RenderableType]:
    entries = entries_of(health, source="", currency=currency, monthly=decisions_a_month(health.windows))
    further = [plain_spaces(text) for text in (falls_words(health), skipped_words(health)) if text]
    shows: list[RenderableType] = []
    if entries:
        rows = [tuple(map(plain_spaces, (e.title, e.badge, f"{e.says} {e.cost}".strip(), e.todo))) for e in entries]
        shows += ["", table("what changed", "upshot", "what was found, and its price", "what to do", rows=list(rows))]
    return shows + (["", *further] if further else [])


def _window_shows(health: HealthReport) -> list[RenderableType]:
    if not health.windows:
        return []
    head = ("window from", ">rows", "answered by", ">outcomes", ">estimated (90 %)", ">came true (95 %)", ">value")
    rows = [_window_row(window) for window in health.windows[-_WINDOWS_SHOWN:]]
    shows: list[RenderableType] = ["", table(*head, ">drift", "broken or moved", rows=rows)]
    young = any(not window.ripe for window in health.windows[-_WINDOWS_SHOWN:])
    return [*shows, "* outcomes are still coming in"] if young else shows


def _window_row(window: WindowHealth) -> tuple[Any, ...]:
    return (
        window.start[:16].replace("T", " ").removesuffix(" 00:00"),
        f"{window.rows:,}",
        ", ".join(f"v{v}" for v in window.versions),
        f"{window.matured:.0%}{'' if window.ripe else '*'}",
        _estimate_words(window),
        "" if window.realised is None else score_words(window.realised),
        "" if window.value is None else f"{window.value:,.0f}",
        "" if window.drift is None else plain_spaces(number(window.drift, digits=2)),
        window_remarks(window),
    )


def _estimate_words(window: WindowHealth) -> str:
    guess = window.estimated
    if guess is None:
        return ""
    if guess.refused is not None or guess.value is None:
        return "refused"
    low = guess.low if guess.low is not None else guess.value
    high = guess.high if guess.high is not None else guess.value
    return score_words(Score(guess.metric, guess.value, low, high, guess.rows))


def _calibration_shows(health: HealthReport) -> list[RenderableType]:
    """Return what the owner's dial means here and how that was found."""
    alarms = health.alarms
    shows: list[RenderableType] = [plain_spaces(" ".join(alarm_words(alarms)))]
    if alarms is None:
        return shows
    return [*shows, "", table("how it was found", "", rows=_calibration_rows(alarms))]


def _calibration_rows(alarms: AlarmRate) -> list[tuple[Any, ...]]:
    measured = alarms.measured
    found = (
        "not measured yet" if measured is None else f"{measured.value:.2g} ({measured.low:.2g} to {measured.high:.2g})"
    )
    return [
        ("false alarms a year asked for", f"{alarms.allowed:g} (monitoring.false_alarms_per_year)"),
        ("windows a year", f"{alarms.windows_per_year:.3g}"),
        ("mean run between false alarms", f"{alarms.run_length:.3g} windows"),
        ("windows known to be normal", f"{alarms.known:,} ({alarms.needed:,} are needed)"),
        ("false alarms a year, measured (95 %)", found),
        ("windows replayed", f"{alarms.replayed:,}, each judged as if it had just come in"),
    ]
