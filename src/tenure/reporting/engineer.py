"""The engineer's part of the page: candidates, validation, calibration, findings, the decision, the lineage."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np

from tenure.core.metrics import METRICS
from tenure.core.modelling import Candidate, Scheme, Task
from tenure.reporting import charts
from tenure.reporting.blocks import Block, Cell, Drawings, Pairs, Paragraph, Section, Table
from tenure.reporting.figures import Figure, figure
from tenure.reporting.findings import finding_table, findings_section, quality_section
from tenure.reporting.lineage import dictionary_section, lineage_section
from tenure.reporting.story import Story
from tenure.reporting.words import (
    Estimate,
    chance,
    metric_in_words,
    milliseconds,
    number,
    number_range,
    scored,
    seconds_in_words,
    sentence,
    whole,
)
from tenure.reporting.worth import reliability

_CANDIDATES_DRAWN: Final = 14


def engineer_sections(story: Story) -> tuple[Section, ...]:
    """Return the engineer's sections in reading order."""
    sections = (
        _decision(story),
        _candidates(story),
        _validation(story),
        _calibration(story),
        findings_section("robustness", "Robustness checks", story.robustness),
        quality_section(story),
        lineage_section(story),
        dictionary_section(story),
    )
    return tuple(section for section in sections if section.blocks)


def _label(metric: str) -> str:
    return METRICS[metric].label if metric in METRICS else metric


def _decision(story: Story) -> Section:
    decision = story.decision
    blocks: list[Block] = [
        Paragraph(f"{decision.outcome.value.capitalize()}: {sentence(decision.reason)}", decision.digest)
    ]
    comparison = decision.comparison
    if comparison is not None:
        gain = Estimate(comparison.gain, comparison.low, comparison.high)
        metric = _label(comparison.metric)
        items = [
            ("Challenger", scored(comparison.challenger)),
            (f"Against {comparison.against}", scored(comparison.champion)),
            ("Gain (positive is better)", f"{number(gain.value)} ({number_range(gain)})"),
            ("On the same rows", whole(comparison.rows)),
            ("Smallest gain asked for", number(story.project.promotion.min_gain)),
        ]
        if comparison.value_gain is not None:
            low, high = (v if v is not None else math.nan for v in (comparison.value_low, comparison.value_high))
            worth = Estimate(comparison.value_gain, low, high)
            items.append(
                (
                    f"Gain in {story.project.value.currency} per 1,000 decisions",
                    f"{number(worth.value)} ({number_range(worth)})",
                )
            )
        blocks.append(Pairs(tuple(items), decision.digest))
        if all(map(math.isfinite, (gain.value, gain.low, gain.high))):
            blocks.append(Drawings((_gain_figure(gain, comparison.against, metric, decision.digest),)))
    if decision.because:
        blocks.append(finding_table("Findings that the decision names", decision.because, decision.digest))
    return Section("decision", "Decision of the gate", tuple(blocks))


def _gain_figure(gain: Estimate, against: str, metric: str, source: str) -> Figure:
    return figure(
        "gain",
        partial(charts.intervals, [f"against {against}"], [gain], title="gain; right of 0 is better", zero=True),
        title=f"Gain of the new model in {metric}, with its 95\u00a0% interval",
        alt=f"One interval: {number(gain.value)}, from {number(gain.low)} to {number(gain.high)}. "
        "Only when all of it lies right of zero is the new model promoted.",
        source=source,
    )


def _candidates(story: Story) -> Section:
    board = story.leaderboard
    better = METRICS[board.metric].greater_is_better if board.metric in METRICS else True
    ranked = sorted(board.candidates, key=lambda c: _rank(c, better))
    metric = _label(board.metric)
    expected = (
        [("Expected on new rows", scored(board.expected)), ("Why so", board.expected_says)] if board.expected else []
    )
    row_time = [("Time for one row", f"about {milliseconds(board.row_us)}, by estimate")] if board.row_us else []
    items = (
        ("Metric", metric),
        ("In words", metric_in_words(board.score)),
        ("Honest score of the model", scored(board.score)),
        *expected,
        ("Best candidate’s own score", scored(board.naive_score)),
        ("Baseline on the same rows", scored(board.baseline)),
        ("Budget", f"{seconds_in_words(board.budget_seconds)}, training used {seconds_in_words(board.seconds)}"),
        ("Stopped because", board.stopped_because or "not stated"),
        *row_time,
        *([("Kept within the limit for a row", board.trim.says)] if board.trim else []),
    )
    drawn = [c for c in ranked if math.isfinite(c.score.value)][:_CANDIDATES_DRAWN]
    pictures = (Drawings((_candidates_figure(drawn, metric, board.digest, better=better),)),) if drawn else ()
    return Section("candidates", "Candidates", (Pairs(items, board.digest), *pictures, _all(ranked, board.digest)))


def _candidates_figure(drawn: list[Candidate], metric: str, source: str, *, better: bool) -> Figure:
    return figure(
        "candidates",
        partial(
            charts.candidates,
            [c.name for c in drawn],
            [Estimate(c.score.value, c.score.low, c.score.high) for c in drawn],
            [c.fold_scores for c in drawn],
            used=[c.weight > 0 for c in drawn],
            metric=metric,
        ),
        title="Candidates with their intervals; ticks are single folds, colour means in use",
        alt="; ".join(f"{c.name}: {scored(c.score)}" for c in drawn),
        note="More is better." if better else "Less is better.",
        source=source,
    )


def _all(ranked: list[Candidate], source: str) -> Table:
    rows = tuple(
        (
            Cell(c.name),
            Cell(c.family),
            Cell(scored(c.score) + ("" if c.complete else ", not finished"), "number"),
            Cell(", ".join(number(s, digits=4) if math.isfinite(s) else "–" for s in c.fold_scores), "number"),
            Cell(f"{c.weight:.2f}" if c.weight else "–", "number"),
            Cell("–" if c.rounds is None else whole(c.rounds), "number"),
            Cell(seconds_in_words(c.seconds), "number"),
            Cell(", ".join(f"{k}={v}" for k, v in c.params.items()) or "–", "code"),
        )
        for c in ranked
    )
    head = ("Candidate", "Family", "Score (95 %)", "Folds", "Weight", "Rounds", "Time", "Parameters")
    return Table("All candidates", head, rows, source, folded=True)


def _rank(candidate: Candidate, better: bool) -> float:
    value = candidate.score.value
    return math.inf if math.isnan(value) else (-value if better else value)


def _validation(story: Story) -> Section:
    plan, board = story.plan, story.leaderboard
    scheme = "every block is validated once" if plan.scheme is Scheme.CROSS else "later blocks judge earlier ones"
    items = [
        ("Reason", sentence(plan.reason)),
        ("Split", f"{plan.splitter}, {plan.block_count} blocks; {scheme}"),
        ("Time, group", f"{plan.time or 'none'}, {plan.group or 'none'}"),
        ("Embargo", seconds_in_words(plan.embargo_seconds) if plan.embargo_seconds else "none"),
        ("Rows behind the score", whole(board.score.rows)),
    ]
    if plan.naive_says:
        items.append(("Careless against honest", plan.naive_says))
    blocks: list[Block] = [Pairs(tuple(items), plan.digest)]
    pairs = [
        (label, score)
        for label, score in (
            ("plain random split", plan.naive),
            ("this plan", plan.planned),
        )
        if score is not None and all(map(math.isfinite, (score.value, score.low, score.high)))
    ]
    if len(pairs) == 2:
        estimates = [Estimate(s.value, s.low, s.high) for _, s in pairs]
        blocks.append(
            Drawings(
                (
                    figure(
                        "naive",
                        partial(
                            charts.intervals, [label for label, _ in pairs], estimates,
                            title=_label(pairs[0][1].metric),
                        ),
                        title="What the same quick model claims under a careless and under this plan",
                        alt="; ".join(f"{label}: {scored(s)}" for label, s in pairs),
                        source=plan.digest,
                    ),
                )
            )
        )  # fmt: skip
    return Section("validation", "How it was judged", tuple(blocks))


def _calibration(story: Story) -> Section:
    board = story.leaderboard
    if story.task is Task.REGRESSION:
        return Section("calibration", "Calibration", ())
    answers = story.answers
    binary = story.task is Task.BINARY
    true = answers.target == 1 if binary else answers.predicted.argmax(axis=1) == answers.target
    bins = reliability(true, answers.score)
    items = [("Method", board.calibration), ("Reason", board.calibration_reason or "not stated")]
    if binary:
        cut = chance(board.threshold) if board.threshold is not None else "not set"
        items += [("Threshold", cut), ("Reason for it", board.threshold_reason or "not stated")]
    gap = float(np.average([abs(stated - e.value) for stated, e, _ in bins], weights=[n for _, _, n in bins]))
    items.append(("Mean gap between stated and true", f"{gap * 100:.1f} of 100"))
    drawn = figure(
        "calibration",
        partial(charts.calibration, np.array([b[0] for b in bins]), [b[1] for b in bins]),
        title="Stated chance against what came true" if binary else "How sure it was against how often it was right",
        alt="; ".join(f"stated {s * 100:.0f}, came true {e.value * 100:.0f} of 100" for s, e, _ in bins),
        note="Dashed: perfectly honest chances. Bars: 95 % intervals of equally large groups.",
        source=board.oof,
    )
    title = "Calibration and threshold" if binary else "Calibration"
    return Section("calibration", title, (Pairs(tuple(items), board.digest), Drawings((drawn,))))
