"""Whom to act on: the cut-off in words, what capacity allows, and the ranked cases in groups."""

from __future__ import annotations

from functools import partial
from typing import Final

from tenure.reporting import charts
from tenure.reporting.blocks import Block, Cell, Drawings, Paragraph, Section, Table
from tenure.reporting.figures import Figure, figure
from tenure.reporting.story import Story
from tenure.reporting.words import GAP, chance, hundredths, of_100, of_100_range, seconds_in_words, sentence, whole
from tenure.reporting.worth import Curve, Reach, near_cut, ranked_groups

_FAR_OFF: Final = 0.05
_FAR_OFF_SHARE: Final = 0.35


def whom_section(story: Story, who: Reach, threshold: float, curve: Curve) -> Section:
    """Return the section about whom to act on."""
    text = (
        f"Act when the score is {chance(who.cut)} or more. In these data that is {of_100(who.flagged)} cases, "
        f"{whole(who.flagged_rows)} of {whole(story.answers.count)}. {_score_in_words(story, who)}"
    )
    blocks: list[Block] = [Paragraph(text), *_capacity(story, who), *_reason(story, who, threshold)]
    blocks += [_groups(story, who), Drawings((_gains_figure(story, who, curve),))]
    return Section("whom", "Whom to act on", tuple(blocks))


def _score_in_words(story: Story, who: Reach) -> str:
    """Say whether the score may be read as a chance, from the cases that lie nearest to the cut-off."""
    stated, seen = near_cut(story.answers.target == 1, story.answers.score, who.cut)
    says = f"of cases scored about {chance(stated)}, {of_100(seen)} were a yes"
    if abs(stated - seen) > max(_FAR_OFF, _FAR_OFF_SHARE * stated):
        return f"The score ranks cases; do not read it as a chance: {says}."
    return f"You can read the score as a chance: {says}."


def _groups(story: Story, who: Reach) -> Table:
    groups = ranked_groups(story.answers.target == 1, story.answers.score)
    total = max(sum(g.yes.value * g.rows for g in groups), 1e-12)
    top = max(max(g.yes.value for g in groups), 1e-12)
    reached, rows = 0.0, []
    for group in groups:
        reached += group.yes.value * group.rows / total
        tone = "" if (group.low + group.high) / 2 >= who.cut else "quiet"
        rows.append(
            (
                Cell(f"{group.first}–{group.last}" if group.first < group.last else str(group.last), "number"),
                Cell(_scores(group.low, group.high), "number"),
                Cell(hundredths(group.yes.value), "bar", share=group.yes.value / top, tone=tone),
                Cell(of_100_range(group.yes, rare=False), "number"),
                Cell(hundredths(reached), "number"),
            )
        )
    return Table(
        "Of 100 cases ranked by score, who is a yes",
        ("Rank", "Score", "Yes, of 100", "Likely", "Reached"),
        tuple(rows),
        story.leaderboard.oof,
        note=f"Yes: {story.yes}. Full colour: acted on. Likely: the truth lies between these, 95{GAP}% sure. "
        f"Reached: of 100 {story.yes}, how many are reached by acting down to this rank.",
        dense=True,
    )


def _scores(low: float, high: float) -> str:
    return f"{low:.2f}–{high:.2f}" if high >= 0.05 else f"{low:.3f}–{high:.3f}"


def _gains_figure(story: Story, who: Reach, curve: Curve) -> Figure:
    return figure(
        "gains",
        partial(charts.gains, curve.share, curve.found, chosen=(who.flagged, who.found.value), yes=story.yes),
        title=f"Acting on {of_100(who.flagged)} cases reaches {of_100(who.found.value)} with {story.yes}",
        alt=f"Curve of the share of {story.yes} reached against the share of cases acted on, highest scores first, "
        f"above the straight line that acting at random would give.",
        note="Dashed: acting at random.",
        source=story.leaderboard.oof,
    )


def _reason(story: Story, who: Reach, threshold: float) -> list[Paragraph]:
    reason = story.leaderboard.threshold_reason
    if not reason:
        return []
    limited = who.cut > threshold
    head = f"Without that limit the cut-off would be {chance(threshold)}" if limited else "Why this cut-off"
    return [Paragraph(f"{head}: {sentence(reason)}", story.leaderboard.digest)]


def _capacity(story: Story, who: Reach) -> list[Paragraph]:
    capacity = story.project.value.capacity
    if capacity is None:
        return []
    window = story.project.monitoring
    seconds = window.window_seconds
    per = f"{whole(window.window_rows)} cases" if window.window_rows is not None else seconds_in_words(seconds or 0.0)
    if story.room is None:
        return [
            Paragraph(
                f"You can act on {whole(capacity)} cases per window ({per}). Take the highest scores first; how far "
                "down that reaches depends on how many cases come in."
            )
        ]
    ends = "That ends it before the cut-off does." if who.flagged >= story.room * 0.99 else "The cut-off ends it first."
    return [
        Paragraph(
            f"You can act on {whole(capacity)} cases per window ({per}), which is room for the highest "
            f"{of_100(story.room)}. {ends}"
        )
    ]
