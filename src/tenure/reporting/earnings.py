"""What acting on a yes/no model earns: against nobody and everybody, and over every share acted on."""

from __future__ import annotations

from functools import partial

from tenure.reporting import charts
from tenure.reporting.blocks import Cell, Drawings, Paragraph, Section, Table
from tenure.reporting.figures import Figure, figure
from tenure.reporting.story import Story
from tenure.reporting.words import GAP, hundredths, money, money_range, of_100
from tenure.reporting.worth import Curve, Reach, Worth


def worth_section(story: Story, worth: Worth | None, who: Reach, curve: Curve) -> Section:
    """Return the section about money, or about counts where the owner gave no values."""
    if worth is None:
        blocks = (Paragraph(_counts(story, who)), Paragraph(_ASK), Paragraph(story.basis))
        return Section("worth", "What it is worth", blocks)
    drawn = Drawings((_profit_figure(story, worth, who, curve),))
    table = _policies(story, worth, who)
    return Section("worth", "What it is worth", (Paragraph(_amounts(story)), table, drawn, Paragraph(story.basis)))


_ASK = "You have not said yet what a right and a wrong decision are worth, so this page counts cases instead of money."


def _counts(story: Story, who: Reach) -> str:
    return (
        f"Without it, {of_100(who.base)} cases are {story.yes}, and nobody knows which. It flags "
        f"{of_100(who.flagged)} cases and finds {of_100(who.found.value)} with {story.yes} that way; "
        f"picking as many at random would find {hundredths(who.flagged)}."
    )


def _policies(story: Story, worth: Worth, who: Reach) -> Table:
    currency = story.project.value.currency
    everybody = "Act on everyone" if story.room is None else "Act on as many as there is room for, blindly"
    policies = (
        (f"Act as the model says ({of_100(who.flagged)})", worth.model),
        ("Act on nobody", worth.nobody),
        (everybody, worth.everybody),
    )
    top = max(max(e.value for _, e in policies), 1e-9)
    rows = tuple(
        (
            Cell(name),
            Cell(money(e.value, currency), "bar", share=max(e.value / top, 0.0), tone="" if i == 0 else "quiet"),
            Cell(money_range(e, currency) if e.high > e.low else "exact", "number"),
        )
        for i, (name, e) in enumerate(policies)
    )
    head = ("What you do", "Worth", f"95{GAP}% sure between")
    return Table("Money per 1,000 decisions, on the same cases", head, rows, story.leaderboard.oof)


def _profit_figure(story: Story, worth: Worth, who: Reach, curve: Curve) -> Figure:
    currency = story.project.value.currency
    left, right = curve.plateau()
    plateau = f"Acting on {left * 100:.0f} to {right * 100:.0f} of 100"
    bound = story.room is not None and story.room < left
    title = (
        f"{plateau} would earn most, if there were room for it"
        if bound
        else f"{plateau} earns within 2{GAP}% of the best"
    )
    chosen = (who.flagged, worth.model.value)
    return figure(
        "profit",
        partial(charts.profit, curve.share, curve.worth, curve.low, curve.high, chosen=chosen, currency=currency),
        title=title,
        alt=f"Line of money per 1,000 decisions against the share of cases acted on. At the cut-off in use, "
        f"{of_100(who.flagged)}, it is {money(worth.model.value, currency)}. Acting on everyone gives "
        f"{money(float(curve.worth[-1]), currency)}.",
        note="The shade holds the truth in 80 of 100 such estimates.",
        source=story.leaderboard.oof,
    )


def _amounts(story: Story) -> str:
    """Repeat what the owner said that decisions are worth."""
    value = story.project.value
    says = (
        f"You said: to {value.action} is worth {money(value.true_positive, value.currency)} when the case is "
        f"{story.yes} and {money(value.false_positive, value.currency)} when it is not."
    )
    if value.false_negative or value.true_negative:
        says += (
            f" To leave it is worth {money(value.false_negative, value.currency)} and "
            f"{money(value.true_negative, value.currency)}."
        )
    return says
