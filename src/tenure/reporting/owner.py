"""The owner's part of the page: what it is worth, whom to act on, what drives it, where it is weak, what next."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import SEVERITY, Finding, Verdict
from tenure.core.modelling import Task
from tenure.reporting import charts
from tenure.reporting.advice import Advice
from tenure.reporting.binary import tell_binary
from tenure.reporting.blocks import Bar, Bars, Block, Drawings, Paragraph, Remarks, Section, Steps, remark
from tenure.reporting.drivers import Driver, drivers
from tenure.reporting.figures import Drawer, Figure, figure
from tenure.reporting.multiclass import tell_multiclass
from tenure.reporting.regression import tell_regression
from tenure.reporting.story import Story, Told
from tenure.reporting.words import hundredths, number, of_100, plural

_TOLD: Final = {Task.BINARY: tell_binary, Task.MULTICLASS: tell_multiclass, Task.REGRESSION: tell_regression}
_DRAWN: Final = 4
_REMARKS: Final = 4
_LEAST_SHARE: Final = 0.0005


def tell(story: Story) -> Told:
    """Return what this task tells its owner."""
    return _TOLD[story.task](story)


def headline(story: Story, told: Told) -> str:
    """Say in one sentence who is in office, and what that is worth where the new model is the one."""
    if story.office.arrived or (story.office.holder is not None and story.decision.same_model):
        if story.office.alarm:
            return f"{story.office.says}."
        return f"{story.office.says} and {told.earns}."
    return f"{story.office.says}."


def lead(story: Story, told: Told) -> tuple[str, ...]:
    """Return the sentences under the headline."""
    if story.office.arrived or story.decision.same_model:
        return told.lead
    return (f"The new model {told.earns}, measured on cases it had not seen.", *told.lead)


def owner_sections(story: Story, told: Told, advice: tuple[Advice, ...]) -> tuple[Section, ...]:
    """Return the owner's sections in reading order."""
    return (
        *told.sections,
        _drivers_section(story),
        _weak_section(story),
        Section(
            "next",
            "What to do next",
            (Steps(advice),) if advice else (Paragraph("Nothing needs doing."),),
        ),
    )


def _drivers_section(story: Story) -> Section:
    found = [
        d for d in drivers(story.answers, story.snapshot.schema, story.leaderboard.importance) if d.share > _LEAST_SHARE
    ]
    if not found:
        text = "No single column was found to carry the answers."
        return Section("drivers", "What drives it", (Paragraph(text, story.leaderboard.digest),))
    top = max(max(d.share for d in found), 1e-12)
    bars = Bars(
        "Share of the model’s skill that is lost without each column",
        tuple(
            Bar(d.feature, max(d.share, 0.0) / top, f"{hundredths(max(d.share, 0.0))} of 100", d.says) for d in found
        ),
        story.leaderboard.digest,
    )
    pictured = [d for d in found if len(d.points) > 1][:_DRAWN]
    drawn = tuple(_partial(story, d, place) for place, d in enumerate(pictured, 1))
    caution = "These pictures show what goes together in your data. They do not show what causes what."
    blocks: list[Block] = [bars]
    if drawn:
        blocks += [Drawings(drawn, small=True), Paragraph(caution)]
    return Section("drivers", "What drives it", tuple(blocks))


def _partial(story: Story, driver: Driver, place: int) -> Figure:
    shares = story.task.is_classification
    averages = [p.answers for p in driver.points]
    peak, floor = float(np.max(averages)), float(np.min(averages))
    if story.task is Task.BINARY:
        label = f"chance of {story.yes}, of 100"
    else:
        label = "chance of the class, of 100" if shares else f"average answer ({story.target})"
    say = of_100 if shares else number
    values = "; ".join(f"{p.label}: {', '.join(say(v) for v in p.answers)}" for p in driver.points)
    shared: dict[str, Any] = {"shares": shares, "reach": (0.0 if shares else min(0.0, floor), peak), "label": label}
    draw: Drawer = (
        partial(
            charts.partial_line,
            [p.place for p in driver.points],
            driver.lines,
            averages,
            dates=story.snapshot.schema[driver.feature].kind is Kind.DATETIME,
            **shared,
        )
        if driver.ordered
        else partial(charts.partial_bars, [p.label for p in driver.points], driver.lines, averages, **shared)
    )
    return figure(
        f"driver-{place}",
        draw,
        title=driver.feature,
        alt=f"Average answer by {driver.feature}. {driver.says} {values}.",
        source=story.leaderboard.oof,
        small=True,
    )


def _weak_section(story: Story) -> Section:
    reports = ((story.robustness.findings, story.robustness.digest), (story.quality.findings, story.quality.digest))
    judged = [(f, source) for findings, source in reports for f in findings if f.verdict is not Verdict.SKIPPED]
    poor = [(f, source) for f, source in judged if f.verdict is not Verdict.PASS]
    poor.sort(key=lambda pair: (-SEVERITY[pair[0].verdict], not _about_slices(pair[0])))
    blocks: list[Block] = []
    if not judged:
        blocks.append(Paragraph("No check was run, so nothing is known about its weak spots."))
    elif not poor:
        blocks.append(Paragraph(f"Nothing gave way: {plural(len(judged), 'check')} ran and all passed."))
    else:
        failed = sum(f.verdict.blocks for f, _ in poor)
        looks = len(poor) - failed
        parts = [f"{failed} failed"] if failed else []
        parts += [f"{looks} {'asks' if looks == 1 else 'ask'} for a look"] if looks else []
        blocks.append(Paragraph(f"Of {plural(len(judged), 'check')}, {' and '.join(parts)}."))
        blocks.append(Remarks(tuple(remark(f, source) for f, source in poor[:_REMARKS])))
        if len(poor) > _REMARKS:
            blocks.append(Paragraph(f"{plural(len(poor) - _REMARKS, 'more finding')}: see the engineer’s part."))
    slices = [f for f, _ in judged if _about_slices(f) and f.verdict is Verdict.PASS]
    if slices and not any(_about_slices(f) for f, _ in poor):
        blocks.append(Paragraph(slices[0].says, story.robustness.digest))
    return Section("weak", "Where it is weak", tuple(blocks))


def _about_slices(finding: Finding) -> bool:
    return "slice" in finding.check
