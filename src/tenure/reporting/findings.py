"""Findings as tables for the engineer: what did not pass first, the rest folded."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Final

from tenure.core.evidence import SEVERITY, Finding, Report, Verdict
from tenure.reporting.blocks import Block, Cell, Paragraph, Section, Table, badge
from tenure.reporting.story import Story
from tenure.reporting.words import number, plural, short, whole

_PASSES_SHOWN: Final = 150
_COLUMNS_SHOWN: Final = 250
_FOLDED_FROM: Final = 12


def findings_section(name: str, title: str, report: Report) -> Section:
    """Return every finding of a report: what did not pass first, the rest folded."""
    if not report.findings:
        return Section(name, title, (Paragraph("No findings were recorded.", report.digest),))
    quiet = (Verdict.PASS, Verdict.SKIPPED)
    loud = [f for f in report.findings if f.verdict not in quiet]
    rest = sorted((f for f in report.findings if f.verdict in quiet), key=lambda f: -SEVERITY[f.verdict])
    passed = sum(f.verdict is Verdict.PASS for f in rest)
    skipped = len(rest) - passed
    text = f"{whole(passed)} passed, {whole(len(loud))} did not, {whole(skipped)} did not apply."
    blocks: list[Block] = [Paragraph(text, report.digest)]
    if loud:
        ordered = sorted(loud, key=lambda f: -SEVERITY[f.verdict])
        blocks.append(finding_table("Failed, broke, or asks for a look", ordered[:_PASSES_SHOWN], report.digest))
    if rest:
        more = len(rest) - _PASSES_SHOWN
        note = f"{whole(more)} more are in the record {short(report.digest)}." if more > 0 else ""
        blocks.append(
            finding_table("Passed or did not apply", rest[:_PASSES_SHOWN], report.digest, note=note, folded=True)
        )
    return Section(name, title, tuple(blocks))


def finding_table(
    caption: str, findings: Iterable[Finding], source: str, *, note: str = "", folded: bool = False
) -> Table:
    """Return findings as rows: verdict, check, value, limits, and what it says."""
    rows = tuple(
        (
            badge(f.verdict),
            Cell(f.check + (f": {f.subject}" if f.subject else "")),
            Cell(_measured(f), "number"),
            Cell(_limits(f), "number"),
            Cell(f.says + (f" {f.measurement.hint}" if f.measurement.hint and f.verdict is not Verdict.PASS else "")),
        )
        for f in findings
    )
    return Table(caption, ("Verdict", "Check", "Value", "Look, fail above", "Says"), rows, source, note, folded)


def _measured(finding: Finding) -> str:
    m = finding.measurement
    if m.skipped is not None or math.isnan(m.value):
        return "–"
    if m.low is not None and m.high is not None:
        return f"{number(m.value)} ({number(m.low)} to {number(m.high)})"
    return number(m.value)


def _limits(finding: Finding) -> str:
    if finding.threshold is None:
        return "–"
    fail = finding.threshold.fail
    return f"{number(finding.threshold.warn)}, " + ("never" if fail >= sys.float_info.max else number(fail))


def quality_section(story: Story) -> Section:
    """Return the findings about the data, the rows set aside and the columns left out."""
    quality = story.quality
    found = findings_section("quality", "Data quality", quality)
    blocks: list[Block] = list(found.blocks)
    if quality.quarantine:
        rows = tuple(
            (Cell(q.rule), Cell(q.column or "–"), Cell(whole(q.rows), "number"), Cell(q.reason))
            for q in quality.quarantine
        )
        note = f"{plural(quality.quarantined_rows, 'row')} in all, kept as {short(quality.quarantined or 'none')}."
        blocks.append(Table("Rows set aside", ("Rule", "Column", "Rows", "Reason"), rows, quality.digest, note))
    else:
        blocks.append(Paragraph(f"No row was set aside; {whole(quality.rows)} rows were used.", quality.digest))
    if quality.dropped:
        dropped = tuple((Cell(name), Cell(reason)) for name, reason in list(quality.dropped.items())[:_COLUMNS_SHOWN])
        blocks.append(
            Table(
                "Columns that the model may not see",
                ("Column", "Reason"),
                dropped,
                quality.digest,
                folded=len(dropped) > _FOLDED_FROM,
            )
        )
    return Section(found.name, found.title, tuple(blocks))
