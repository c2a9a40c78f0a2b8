"""The page that `tenure simulate` writes: policies flown through history, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tenure.core.project import Project
from tenure.core.simulation import Act, Deed, Measure, Pace, PolicyResult, Simulation
from tenure.reporting.blocks import Block, Cell, Drawings, Fact, Facts, Pairs, Paragraph, Section, Table
from tenure.reporting.health_words import day, metric_label
from tenure.reporting.page import Hero, Page
from tenure.reporting.simulation_figures import acts_figure, duels_figure, gain_figure, metric_figure, total_figure
from tenure.reporting.simulation_words import (
    DEED_WORDS,
    WITHOUT,
    ahead_words,
    counted,
    delay_words,
    duel_words,
    figure_of,
    flown,
    headline,
    hindsight_words,
    measure_words,
    pace_words,
    period_words,
    policy_words,
    span_words,
    total_words,
    window_words,
)
from tenure.reporting.words import number, plural, sentence, short, whole

_TONES: Final = {
    Deed.ALARM: "fail",
    Deed.ROLLBACK: "fail",
    Deed.MISSED: "fail",
    Deed.PROMOTION: "pass",
    Deed.ESCALATION: "warn",
    Deed.PROPOSAL: "warn",
}
_VERSION: Final = re.compile(r"v\d")
_LEADS: Final = ("policy: ", "hold: ", "reject: ")
_COUNTED: Final = (
    (Deed.ALARM, "Alarms"),
    (Deed.RETRAIN, "Retrained"),
    (Deed.CORRECTION, "Corrected"),
    (Deed.HELD, "Not good enough"),
    (Deed.PROMOTION, "Took office"),
    (Deed.ROLLBACK, "Rolled back"),
    (Deed.ESCALATION, "Left to a person"),
)


def page_of(simulation: Simulation, project: Project) -> Page:
    """Return a simulation as a page: the answer first, the engineer's numbers below."""
    source = simulation.digest
    chip, tone = _chip(simulation)
    return Page(
        title=f"{project.project.name}: {headline(simulation)}",
        project=project.project.name,
        what="flown through its own history",
        dated=simulation.ends[-1][:10],
        hero=Hero(
            chip=chip,
            tone=tone,
            question=f"What would {period_words(simulation)} have looked like without tenure?",
            headline=headline(simulation),
            lead=tuple(_lead(simulation)),
            facts=Facts(tuple(_facts(simulation, source))),
            next=_next(simulation),
            undo=None,
            source=source,
        ),
        owner=tuple(section for section in _owner(simulation, source) if section.blocks),
        engineer=tuple(section for section in _engineer(simulation, source) if section.blocks),
        engineer_lead="How it was flown, window by window, and how the numbers were made.",
        footer=f"Written by tenure from the simulation record {short(source)}. This file needs no network.",
    )


def _chip(simulation: Simulation) -> tuple[str, str]:
    if simulation.interrupted:
        return "Interrupted", "quiet"
    told = flown(simulation)
    if not told:
        return "Without tenure", "quiet"
    gain = told[0].over_static
    if gain.low > 0:
        return "It paid", ""
    return ("It cost", "alarm") if gain.high < 0 else ("No clear difference", "quiet")


def _lead(simulation: Simulation) -> Iterator[str]:
    told = flown(simulation)
    if told:
        first, label = told[0], measure_words(simulation)
        without = simulation.policies[0].total
        yield (
            f"Without tenure, the first model would have stayed; {label}: {total_words(simulation, without)}. "
            f"With {policy_words(first.name)}: {total_words(simulation, first.total)}."
        )
        yield counted(first)
        best = max(told, key=lambda policy: policy.over_static.value)
        if best is not first:
            gain = next(duel.gain for duel in simulation.duels if (duel.one, duel.other) == (best.name, first.name))
            yield duel_words(simulation, best.name, first.name, gain)
    yield from (sentence(note) for note in simulation.notes)


def _facts(simulation: Simulation, source: str) -> Iterator[Fact]:
    told = flown(simulation)
    if not told:
        return
    first = told[0]
    unit = "" if simulation.measure is Measure.MONEY else f" in {metric_label(simulation.metric)}"
    yield Fact(figure_of(simulation, first.over_static.value), f"ahead of no tenure{unit}", source)
    yield Fact(figure_of(simulation, first.regret.value), "short of the best in hindsight, at most", source)
    yield Fact(whole(first.count(Deed.RETRAIN)), f"retrainings in {plural(len(simulation.starts), 'window')}", source)


def _next(simulation: Simulation) -> str:
    ranked = sorted(flown(simulation), key=lambda policy: -policy.over_static.value)
    if len(ranked) > 1 and ranked[0].changes:
        return (
            f"Nothing was changed. {policy_words(ranked[0].name)} did best; to take it, write what it changes into "
            "tenure.toml."
        )
    return "Nothing was changed: all of it happened in a folder that is gone, and nobody was told of any alarm."


def _owner(simulation: Simulation, source: str) -> Iterator[Section]:
    gain = gain_figure(simulation, source)
    yield Section(
        "policies",
        "Policy against policy",
        (
            _policies_table(simulation, source),
            *_drawn(gain),
            *_duels(simulation, source),
            *_deeds_table(simulation, source),
        ),
    )
    for at, policy in enumerate(flown(simulation)):
        yield Section(f"did-{at}", _title(simulation, policy), tuple(_story(simulation, policy, at, source)))
    yield Section(
        "trust",
        "How far to trust this",
        (
            Paragraph(
                f"The first model learned from the {whole(simulation.learned)} rows before "
                f"{day(simulation.starts[0])}; the rows after it came window by window, and {delay_words(simulation)}. "
                "What came is what really came: a flight cannot know how the world would have answered to other "
                "decisions.",
                source,
            ),
            Paragraph(hindsight_words(simulation), source),
            Paragraph(pace_words(simulation), source),
        ),
    )


def _title(simulation: Simulation, policy: PolicyResult) -> str:
    return "What it did, and why" if len(flown(simulation)) == 1 else f"What {policy_words(policy.name)} did, and why"


def _drawn(*figures: object) -> tuple[Block, ...]:
    return tuple(Drawings((one,)) for one in figures if one is not None)  # type: ignore[arg-type]


def _duels(simulation: Simulation, source: str) -> Iterator[Block]:
    if len(simulation.policies) > 2:
        yield from _drawn(duels_figure(simulation, source))
    for duel in simulation.duels:
        if WITHOUT in (duel.one, duel.other):
            continue  # the table has it
        yield Paragraph(duel_words(simulation, duel.one, duel.other, duel.gain), source)


def _policies_table(simulation: Simulation, source: str) -> Table:
    rows = tuple(
        (
            Cell(_upper(policy_words(policy.name))),
            Cell(total_words(simulation, policy.total), "range"),
            Cell("" if policy is simulation.policies[0] else ahead_words(simulation, policy.over_static), "range"),
            Cell(_worst(simulation, policy)),
        )
        for policy in simulation.policies
    )
    head = ("Policy", f"{_upper(measure_words(simulation))} (95 %)", "Ahead of no tenure (95 %)", "Worst window")
    return Table("What each policy came to", head, rows, source)


def _deeds_table(simulation: Simulation, source: str) -> Iterator[Table]:
    told = flown(simulation)
    shown = [(deed, name) for deed, name in _COUNTED if any(policy.count(deed) for policy in told)]
    if shown:
        head = ("Policy", *(name for _, name in shown), "Worse than before")
        rows = tuple(
            (
                Cell(_upper(policy_words(policy.name))),
                *(Cell(whole(policy.count(deed)), "number") for deed, _ in shown),
                Cell(whole(policy.bad_promotions), "number"),
            )
            for policy in told
        )
        note = "Worse than before: versions that took office and did worse than what they replaced, beyond chance."
        yield Table("How often each did what", head, rows, source, note)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _worst(simulation: Simulation, policy: PolicyResult) -> str:
    window = policy.windows[policy.worst]
    if simulation.measure is Measure.MONEY:
        amount = figure_of(simulation, -window.amount if simulation.is_cost else window.amount)
    else:
        amount = number(window.metric) if window.metric is not None else "unknown"
    return f"{amount}, {window_words(simulation, policy.worst)}"


def _story(simulation: Simulation, policy: PolicyResult, at: int, source: str) -> Iterator[Block]:
    if len(flown(simulation)) > 1:
        yield Paragraph(counted(policy), source)
    if policy.changes:
        yield Pairs(tuple(tuple(change.split(" = ", 1)) for change in policy.changes), source)  # type: ignore[misc]
    yield from _drawn(acts_figure(simulation, policy, at, source))
    if policy.acts:
        yield _acts_table(simulation, policy, source, folded=at > 0)


def _acts_table(simulation: Simulation, policy: PolicyResult, source: str, *, folded: bool) -> Table:
    rows = tuple(
        (
            Cell(day(act.at), "number"),
            Cell(DEED_WORDS[act.deed], "badge", tone=_TONES.get(act.deed, "")),
            Cell(_why(act)),
            Cell(_window_figure(simulation, policy, act), "number"),
        )
        for act in policy.acts
    )
    unit = simulation.unit if simulation.measure is Measure.MONEY else metric_label(simulation.metric)
    head = ("When", "What", "Why", f"Window ({unit})")
    note = f"All in the ledger's own words; {plural(len(rows), 'act')}."
    return Table(f"What {policy_words(policy.name)} did", head, rows, source, note, folded=folded)


def _why(act: Act) -> str:
    """Return the reason without the word that the badge beside it says already."""
    says = act.says
    for lead in _LEADS:
        says = says.removeprefix(lead)
    return says if _VERSION.match(says) else sentence(says)


def _window_figure(simulation: Simulation, policy: PolicyResult, act: Act) -> str:
    if not 0 <= act.window < len(policy.windows):
        return ""
    window = policy.windows[act.window]
    if simulation.measure is Measure.MONEY:
        return number(window.amount)
    return "" if window.metric is None else number(window.metric)


def _engineer(simulation: Simulation, source: str) -> Iterator[Section]:
    yield Section("totals", "Totals", _drawn(total_figure(simulation, source), metric_figure(simulation, source)))
    yield Section("regret", "Regret and promotions", (_regret_table(simulation, source),))
    yield Section("windows", "Windows", (_windows_table(simulation, source),))
    yield Section("seconds", "Where the time went", (_seconds_table(simulation, source),))
    items = [
        ("Simulation record", source),
        ("Measure", simulation.measure.value),
        ("Metric", metric_label(simulation.metric)),
        ("Rows learned from at first", whole(simulation.learned)),
        ("Windows flown", f"{len(simulation.starts)} of {simulation.planned}"),
        ("Budget of a walk", _budget(simulation.pace)),
    ]
    yield Section("lineage", "Where it all comes from", (Pairs(tuple(items), source),))


def _budget(pace: Pace) -> str:
    if pace.walk_budget is None or pace.whole_budget is None:
        return "as many trials as the project says"
    return f"{pace.walk_budget:g} s ({pace.whole_budget:g} s in the project)"


def _regret_table(simulation: Simulation, source: str) -> Table:
    static = simulation.policies[0].regret.value
    rows = tuple(
        (
            Cell(_upper(policy_words(policy.name))),
            Cell(span_words(simulation, policy.regret), "range"),
            Cell("" if static <= 0 else f"{policy.regret.value / static:.2f}", "number"),
            Cell(whole(policy.count(Deed.PROMOTION)), "number"),
            Cell(whole(policy.bad_promotions), "number"),
            Cell(whole(policy.walks), "number"),
            Cell(whole(policy.reused), "number"),
        )
        for policy in simulation.policies
    )
    head = (
        "Policy",
        "Regret (95 %)",
        "Share of no tenure's",
        "Promotions",
        "of them bad",
        "Walks",
        "taken from another flight",
    )
    note = (
        "Regret: how far from the best in hindsight. A promotion is bad where the new version did worse than the "
        "one it replaced on the same rows, by more than chance (95 %), over the policy's horizon."
    )
    return Table("Regret and bad promotions", head, rows, source, note)


def _windows_table(simulation: Simulation, source: str) -> Table:
    def told(policy: PolicyResult, at: int) -> str:
        window = policy.windows[at]
        value = window.amount if simulation.measure is Measure.MONEY else window.metric
        return f"{'' if value is None else number(value)} v{window.version}".strip()

    rows = tuple(
        (
            Cell(window_words(simulation, at)),
            Cell(whole(simulation.policies[0].windows[at].rows), "number"),
            *(Cell(told(policy, at), "number") for policy in simulation.policies),
            Cell(number(simulation.best[at]) if simulation.measure is Measure.MONEY else "", "number"),
        )
        for at in range(len(simulation.starts))
    )
    head = ("Window", "Rows", *(_upper(policy_words(p.name)) for p in simulation.policies), "Best in hindsight")
    return Table("Every window, and who answered most of it", head, rows, source, folded=True, dense=True)


def _seconds_table(simulation: Simulation, source: str) -> Table:
    parts = list(dict.fromkeys(part for policy in simulation.policies for part in policy.seconds))
    rows = tuple(
        (Cell(_upper(policy_words(p.name))), *(Cell(f"{p.seconds.get(part, 0.0):.1f}", "number") for part in parts))
        for p in simulation.policies
    )
    return Table("Seconds", ("Policy", *parts), rows, source)
