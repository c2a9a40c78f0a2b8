"""Quality: infer the contract, set rows aside that break it, and look for what would fool a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tenure.core.data import Column, Role, Snapshot
from tenure.core.evidence import Finding, Measurement, QualityReport, Threshold, Verdict, judged
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Context, Deadline
from tenure.core.project import DataSection
from tenure.model.target import encode_target
from tenure.quality.contract import SetAside, infer_contract, set_aside
from tenure.quality.evidence import QualityEvidence

_SHARE_OF_BUDGET: Final = 0.08
_LEAST_SECONDS: Final = 1.5
_MOST_ROWS: Final = 30_000
_MOST_CELLS: Final = 6_000_000
_FEWEST_ROWS: Final = 10
_SALT: Final = 2


def assess_quality(ctx: Context, snapshot: Snapshot) -> QualityReport:
    """Say what is wrong with the snapshot's rows and columns, and keep the clean part of both.

    Returns the report with the clean table (sorted by time, where there is one), the contract, the rows set aside and
    the columns that models will not see. It never raises for bad data: a FAIL finding says so, the runner decides.
    """
    deadline = ctx.deadline(max(_LEAST_SECONDS, _SHARE_OF_BUDGET * ctx.project.training.budget))
    table = ctx.artifacts.get_table(snapshot.table)
    contract = infer_contract(table, snapshot.schema, made_from=(snapshot.digest,))
    regression = not ctx.project.project.task.is_classification
    cut = set_aside(table, snapshot.schema, contract, regression=regression)
    if snapshot.schema.time is not None:
        cut = dataclasses.replace(cut, clean=cut.clean.sort(snapshot.schema.time, maintain_order=True))
    ctx.log.note(f"{cut.clean.height} of {table.height} rows keep the contract")
    clean = ctx.artifacts.put_table(cut.clean)
    findings = [*_about_rows(ctx, snapshot, cut)]
    dropped = _unwanted(snapshot.schema.columns, ctx.project.data)
    if not any(f.verdict.blocks for f in findings):
        # However long a large table took to read: the checks get a moment of their own.
        found, left_out = _run_checks(ctx, snapshot, cut, dropped, ctx.deadline(max(deadline.left, _LEAST_SECONDS)))
        findings += found
        dropped |= left_out
    return QualityReport(
        findings=tuple(findings),
        clean=clean,
        rows=cut.clean.height,
        contract=ctx.artifacts.put_record(contract),
        quarantine=cut.reasons,
        quarantined=ctx.artifacts.put_table(cut.rows) if cut.rows.height else None,
        quarantined_rows=cut.rows.height,
        dropped=dropped,
        made_from=(snapshot.digest,),
    )


def _unwanted(columns: Iterable[Column], data: DataSection) -> dict[str, str]:
    """Return the columns that the project file keeps away from models, with the reason."""
    dropped = {}
    for column in columns:
        spec = data.columns.get(column.name)
        if spec is None or column.role not in (Role.FEATURE, Role.IGNORED):
            continue
        if spec.available == "after":
            dropped[column.name] = "is known only after the outcome, says the project file"
        elif not spec.use:
            dropped[column.name] = "is not to be used, says the project file"
    return dropped


def _about_rows(ctx: Context, snapshot: Snapshot, cut: SetAside) -> Iterable[Finding]:
    """Yield the findings about rows set aside, and whether what is left can be learned."""
    most = ctx.project.quality.max_quarantine_share
    share = cut.rows.height / max(snapshot.rows, 1)
    reasons = "; ".join(f"{q.rows} x {q.reason}" for q in sorted(cut.reasons, key=lambda q: -q.rows)[:5])
    says = f"{cut.rows.height} of {snapshot.rows} rows were set aside" + (f": {reasons}." if reasons else ".")
    yield Threshold(warn=min(0.01, most), fail=most).judge(
        Measurement(
            "quarantine",
            share,
            says=says,
            hint="Look at the rows set aside, and mend their source or allow more in quality.max_quarantine_share.",
        ),
        check="quarantine",
    )
    for name, count in cut.emptied.items():
        yield Threshold(warn=0.0).judge(
            Measurement(
                "infinite_values",
                count / max(snapshot.rows, 1),
                subject=name,
                says=f"{name!r} is infinite in {count} rows; these cells are read as empty.",
                hint="A division by zero? Mend the source, or leave the column out.",
            ),
            check="infinite_values",
        )
    target = cut.clean[snapshot.schema.target or cut.clean.columns[0]]
    if cut.clean.height < _FEWEST_ROWS or target.n_unique() < 2:
        left = f"{cut.clean.height} clean rows with {target.n_unique()} different targets are left"
        yield Threshold(warn=0.0, fail=0.0).judge(
            Measurement(
                "enough_rows",
                1.0,
                says=f"Nothing can be learned: {left}.",
                hint=f"At least {_FEWEST_ROWS} rows and two different targets are needed.",
            ),
            check="enough_rows",
        )


def _run_checks(
    ctx: Context, snapshot: Snapshot, cut: SetAside, unwanted: dict[str, str], deadline: Deadline
) -> tuple[list[Finding], dict[str, str]]:
    """Run every quality check, cheapest first; return the findings and the columns that they leave out."""
    evidence = _evidence(ctx, snapshot, cut, unwanted, deadline)
    names = plugin_names("quality-check", project=ctx.folder)
    checks = [plugin("quality-check", name, project=ctx.folder)() for name in names]
    checks.sort(key=lambda check: (getattr(check, "rank", 50), check.name))
    findings: list[Finding] = []
    dropped: dict[str, str] = {}
    for done, check in enumerate(checks):
        ctx.log.progress(done / len(checks), check.name)
        if deadline.passed:
            skipped = Measurement(check.name, 0.0, skipped="There was no time left for this check.")
            findings.append(check.threshold.judge(skipped, check=check.name))
            continue
        blamed: set[str] = set()
        for finding in judged(check.name, check.threshold, _measuring(check, evidence), seen=ctx.log.note):
            finding, leaving = _settled(finding, ctx, keep_one_of={c.name for c in evidence.columns})
            findings.append(finding)
            dropped |= {name: why for name, why in leaving.items() if name not in dropped}
            blamed |= set(leaving) | set(finding.measurement.evidence.get("leaks", ()))
        left = tuple(column for column in evidence.columns if column.name not in blamed)
        evidence = dataclasses.replace(evidence, columns=left or evidence.columns)
    return findings, dropped


def _measuring(check: Any, evidence: QualityEvidence) -> Any:
    return lambda: check.measure(evidence)


def _evidence(
    ctx: Context, snapshot: Snapshot, cut: SetAside, unwanted: dict[str, str], deadline: Deadline
) -> QualityEvidence:
    """Draw the sample (in the order of the clean table) and encode its target."""
    task, schema = ctx.project.project.task, snapshot.schema
    rng = ctx.rng(_SALT)
    most = min(_MOST_ROWS, max(3_000, _MOST_CELLS // max(len(schema.columns), 1)))
    frame = cut.clean
    if frame.height > most:
        frame = frame[np.sort(rng.choice(frame.height, most, replace=False))]
    return QualityEvidence(
        frame=frame,
        table=cut.clean,
        schema=schema,
        columns=tuple(column for column in schema.features if column.name not in unwanted),
        task=task,
        classes=snapshot.classes,
        target=encode_target(frame[schema.target or ""], task, snapshot.classes),
        rng=rng,
        deadline=deadline,
    )


def _settled(finding: Finding, ctx: Context, *, keep_one_of: set[str]) -> tuple[Finding, dict[str, str]]:
    """Apply the project's word on leakage; return the finding as it stands and the columns to leave out, with reasons.

    A column said to be available when predicting is never blamed. The last columns are never left out: with them a
    person can still see what happened, without them there is nothing to learn from.
    """
    noted = finding.measurement.evidence
    if finding.verdict in (Verdict.ERROR, Verdict.SKIPPED):
        return finding, {}
    because = str(noted.get("because", finding.says))
    if useless := noted.get("useless"):
        return finding, dict.fromkeys(useless, because)
    named = [*noted.get("leaks", ()), *noted.get("suspects", ())]
    specs = ctx.project.data.columns
    open_case = [name for name in named if name not in specs or specs[name].available != "at_prediction"]
    if named and not open_case:
        return _as(finding, Verdict.PASS, "The project file says it is known when predicting."), {}
    leaks = [name for name in noted.get("leaks", ()) if name in open_case]
    if not leaks:
        return finding, {}
    policy = ctx.project.quality.on_leakage
    if policy == "block":
        return _as(finding, Verdict.FAIL, "quality.on_leakage = 'block' stops the run."), {}
    if policy == "warn":
        return _as(finding, Verdict.WARN, "quality.on_leakage = 'warn' keeps it."), {}
    if keep_one_of <= set(leaks):
        return _as(finding, Verdict.WARN, "It was kept, because nothing else is left to learn from."), {}
    return _as(finding, Verdict.WARN, "It was left out."), dict.fromkeys(leaks, because)


def _as(finding: Finding, verdict: Verdict, addition: str) -> Finding:
    measurement = dataclasses.replace(finding.measurement, says=f"{finding.measurement.says} {addition}")
    return dataclasses.replace(finding, verdict=verdict, measurement=measurement)
