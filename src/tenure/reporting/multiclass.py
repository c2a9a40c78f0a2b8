"""What a model of several classes tells its owner: how often it is right, and what it mixes up."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.reporting import charts
from tenure.reporting.accuracy import ClassResult, class_results, confusion, most_confused
from tenure.reporting.blocks import Bar, Bars, Drawings, Fact, Paragraph, Section
from tenure.reporting.figures import figure
from tenure.reporting.story import Story, Told
from tenure.reporting.words import Estimate, chance, hundredths, listing, of_100, of_100_range, plural, whole
from tenure.reporting.worth import wilson

_AT_EACH_END: Final = 5
_MOST_CLASSES: Final = 12
_SURE: Final = 0.9


def tell_multiclass(story: Story) -> Told:
    """Return headline, facts and sections of a model that answers with one of several classes."""
    answers = story.answers
    target = answers.target.astype(np.int64)
    right = answers.predicted.argmax(axis=1) == target
    overall = wilson(int(right.sum()), len(right))
    blind = float(np.mean(answers.baseline.argmax(axis=1) == target))
    results = class_results(target, answers.predicted, answers.classes)
    sure = answers.score >= _SURE
    when_sure = wilson(int(right[sure].sum()), int(sure.sum()))
    source = story.leaderboard.oof
    facts = [
        Fact(of_100(overall.value), f"answers are right ({of_100_range(overall)})", source),
        Fact(of_100(blind), "would be right by always giving the most common class", source),
    ]
    if sure.any():
        facts.append(
            Fact(
                of_100(when_sure.value),
                f"are right when it is at least {chance(_SURE)} sure ({of_100(sure.mean())} answers)",
                source,
            )
        )
    return Told(
        earns=f"is right in about {of_100(overall.value)} cases",
        lead=_lead(story, overall, blind, results),
        facts=tuple(facts),
        sections=(_right_section(story, overall, results), _mix_section(story, target, answers.predicted)),
    )


def _lead(story: Story, overall: Estimate, blind: float, results: tuple[ClassResult, ...]) -> tuple[str, ...]:
    first = (
        f"Of 100 answers for {story.target}, about {hundredths(overall.value)} are right "
        f"({of_100_range(overall, rare=False)}). Always giving the most common class would get "
        f"{hundredths(blind)}."
    )
    if len(results) < 2:
        return (first,)
    best, worst = results[0], results[-1]
    second = (
        f"It knows “{best.name}” best ({of_100(best.right.value)}) "
        f"and “{worst.name}” least ({of_100(worst.right.value)})."
    )
    return (first, second)


def _right_section(story: Story, overall: Estimate, results: tuple[ClassResult, ...]) -> Section:
    shown = results if len(results) <= 2 * _AT_EACH_END + 2 else (*results[:_AT_EACH_END], *results[-_AT_EACH_END:])
    left_out = len(results) - len(shown)
    text = (
        f"There are {plural(len(story.answers.classes), 'class', 'classes')}. "
        f"Over all of them, {of_100(overall.value)} answers are right."
    )
    bars = Bars(
        "Of 100 cases of each class, recognised",
        tuple(_bar(result) for result in shown),
        story.leaderboard.oof,
        note=f"The five best and the five hardest; {left_out} classes in between are left out." if left_out else "",
    )
    return Section("worth", "How often it is right", (Paragraph(text), bars, Paragraph(story.basis)))


def _bar(result: ClassResult) -> Bar:
    says = f"{of_100_range(result.right)} on {plural(result.rows, 'case')}"
    if result.taken_for is not None:
        says += f"; most often taken for “{result.taken_for}” ({hundredths(result.taken_share)} of 100)"
    return Bar(result.name, result.right.value, of_100(result.right.value), says)


def _mix_section(story: Story, target: Indices, predicted: Floats) -> Section:
    classes = story.answers.classes
    table = confusion(target, predicted)
    wrong = table - np.diag(np.diag(table))
    if wrong.sum() == 0:
        return Section("mix", "What it mixes up", (Paragraph("Nothing: every answer was right on these cases."),))
    codes = most_confused(table, _MOST_CLASSES)
    pairs = np.argsort(-wrong.ravel(), kind="stable")[:3]
    worst = [
        f"“{classes[p // len(classes)]}” taken for “{classes[p % len(classes)]}” "
        f"({plural(int(wrong.ravel()[p]), 'time')})"
        for p in pairs
        if wrong.ravel()[p]
    ]
    text = f"The most frequent mix-ups in {whole(len(target))} cases: {listing(worst)}."
    drawn = figure(
        "mix-ups",
        partial(charts.mix_ups, table, codes, classes),
        title="Of 100 cases of each class, what the model said",
        alt=f"Table of colours, true class down and answered class across, for the {len(codes)} classes mixed up most. "
        f"{text}",
        note=f"The {len(codes)} classes mixed up most, of {len(classes)}. Empty: fewer than 1 of 200."
        if len(codes) < len(classes)
        else "Empty: fewer than 1 of 200.",
        source=story.leaderboard.oof,
    )
    return Section("mix", "What it mixes up", (Paragraph(text), Drawings((drawn,))))
