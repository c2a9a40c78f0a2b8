"""What a model of numbers tells its owner: how far off it is, and where."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.reporting import charts
from tenure.reporting.accuracy import Closeness, closeness
from tenure.reporting.blocks import Cell, Drawings, Fact, Paragraph, Section, Table
from tenure.reporting.figures import Figure, figure
from tenure.reporting.story import Story, Told
from tenure.reporting.words import money, money_range, number, number_range, of_100, of_100_range, whole

_DRAWN: Final = 420
_BANDS: Final = 16


def tell_regression(story: Story) -> Told:
    """Return headline, facts and sections of a model that answers with a number."""
    answers = story.answers
    close = closeness(answers.target.astype(np.float64), answers.predicted, answers.baseline, scheme=story.plan.scheme)
    source = story.leaderboard.oof
    facts = (
        Fact(
            f"± {number(close.usual.value)}",
            f"half of the answers are nearer than this ({number_range(close.usual)})",
            source,
        ),
        Fact(
            f"± {number(close.large.value)}",
            f"9 of 10 answers are nearer than this ({number_range(close.large)})",
            source,
        ),
        *_money_fact(story, close),
        Fact(
            of_100(close.inside.value),
            f"truths fall in the range given with each answer, meant to be 90 ({of_100_range(close.inside)})",
            source,
        ),
    )
    return Told(
        earns=f"is usually within {number(close.usual.value)} of the truth",
        lead=_lead(story, close),
        facts=facts[:3],
        sections=(_worth_section(story, close), _size_section(story, close)),
    )


def _lead(story: Story, close: Closeness) -> tuple[str, ...]:
    sentences = [
        f"Half of its answers for {story.target} are nearer to the truth than {number(close.usual.value)} "
        f"({number_range(close.usual)}), 9 of 10 nearer than {number(close.large.value)}.",
        f"Giving the same answer every time would usually be off by {number(close.baseline_usual)}.",
    ]
    cost = story.project.value.error_cost
    if cost is not None:
        saved = (close.baseline_mean_error - close.mean_error.value) * cost * 1000
        per = "saves" if saved >= 0 else "costs"
        sentences.append(
            f"Against that it {per} about {money(abs(saved), story.project.value.currency)} per 1,000 answers."
        )
    return tuple(sentences)


def _money_fact(story: Story, close: Closeness) -> tuple[Fact, ...]:
    cost = story.project.value.error_cost
    if cost is None:
        return ()
    currency = story.project.value.currency
    lost = close.mean_error.times(cost * 1000)
    return (
        Fact(
            money(lost.value, currency),
            f"lost to errors per 1,000 answers ({money_range(lost, currency)})",
            story.leaderboard.oof,
        ),
    )


def _worth_section(story: Story, close: Closeness) -> Section:
    better = 1 - close.usual.value / close.baseline_usual if close.baseline_usual > 0 else 0.0
    text = (
        f"Without a model, the best single guess for {story.target} is usually off by {number(close.baseline_usual)}. "
        f"The model is usually off by {number(close.usual.value)}"
        + (f": {better * 100:.0f} % nearer." if better > 0 else ", which is no better.")
    )
    coverage = (
        f"With each answer comes a range meant to hold the truth 90 times of 100. On cases it had not seen, it held "
        f"{of_100(close.inside.value)} ({of_100_range(close.inside)})."
    )
    return Section(
        "worth",
        "How close it comes",
        (Paragraph(text), Drawings((_drawn(story, close),)), Paragraph(coverage), Paragraph(story.basis)),
    )


def _drawn(story: Story, close: Closeness) -> Figure:
    predicted, actual = story.answers.predicted, story.answers.target.astype(np.float64)
    step = max(len(actual) // _DRAWN, 1)
    drawn = len(actual[::step])
    centres, low, high = _band(predicted, actual)
    return figure(
        "predicted-actual",
        partial(charts.predicted_actual, predicted[::step], actual[::step], centres, low, high, unit=story.target),
        title="The nearer to the dashed line, the better the answer",
        alt=f"Cloud of {drawn} cases: the model's answer against the truth, along the line of perfect "
        f"answers. Half lie within {number(close.usual.value)} of it, 9 of 10 within {number(close.large.value)}.",
        note=f"Each dot is one case ({whole(drawn)} of {whole(len(actual))} drawn). The shade holds 9 of 10.",
        source=story.leaderboard.oof,
    )


def _band(predicted: Floats, actual: Floats) -> tuple[Floats, Floats, Floats]:
    """Return centres of equally large groups by answer, and the 5 % and 95 % points of the truth in each."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // 30, 1, _BANDS)))
    centres = np.array([np.median(predicted[part]) for part in parts])
    ends = np.array([np.quantile(actual[part], [0.05, 0.95]) for part in parts])
    return centres, ends[:, 0], ends[:, 1]


def _size_section(story: Story, close: Closeness) -> Section:
    top = max(max(g.usual for g in close.groups), 1e-12)
    rows = tuple(
        (
            Cell(f"{number(g.low)} to {number(g.high)}"),
            Cell(whole(g.rows), "number"),
            Cell(number(g.usual), "bar", share=g.usual / top),
            Cell(number(g.large), "number"),
            Cell(of_100(g.inside.value), "number"),
        )
        for g in close.groups
    )
    worst = max(close.groups, key=lambda g: g.usual)
    best = min(close.groups, key=lambda g: g.usual)
    text = (
        f"It is nearest when it answers {number(best.low)} to {number(best.high)} "
        f"(usually off by {number(best.usual)}), and farthest when it answers {number(worst.low)} to "
        f"{number(worst.high)} (off by {number(worst.usual)})."
        if len(close.groups) > 1
        else f"It is usually off by {number(best.usual)}."
    )
    table = Table(
        "How far off, by the size of the answer",
        ("When it answers", "Cases", "Usually off by", "9 of 10 within", "Truths in its range"),
        rows,
        story.leaderboard.oof,
        note="The range is as wide for every answer; where it holds fewer than 90 of 100, take more care.",
    )
    return Section("size", "When to rely on it", (Paragraph(text), table))
