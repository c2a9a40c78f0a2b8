"""The page that `tenure monitor` writes: how the model in office is doing, in the look of the dossier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import Action
from tenure.core.modelling import Score
from tenure.core.project import Project
from tenure.reporting.blocks import Block, Drawings, Entries, Entry, Fact, Facts, Pairs, Paragraph, Section
from tenure.reporting.figures import Figure
from tenure.reporting.findings import findings_section
from tenure.reporting.health_changes import entries_of, falls_words, skipped_words
from tenure.reporting.health_figures import (
    audit_figure,
    course_figures,
    drift_figure,
    maturity_figure,
    metric_of,
    performance_figure,
    price_figure,
    told,
    value_figure,
)
from tenure.reporting.health_tables import changes_table, courses_table, events_table, falls_table, windows_tables
from tenure.reporting.health_value import Worth, decisions_a_month, worth_of, worth_words
from tenure.reporting.health_words import (
    Harm,
    alarm_words,
    audit_words,
    harm_of,
    metric_figure,
    metric_figures,
    stretch,
)
from tenure.reporting.page import Hero, Page, render
from tenure.reporting.words import metric_in_words, money, of_100, plural, scored, short, whole

CHIPS: Final = {
    Health.LEARNING: ("Too early to tell", "quiet"),
    Health.HEALTHY: ("Healthy", ""),
    Health.CHANGED: ("Something changed", "quiet"),
    Health.ILL: ("Needs attention", "alarm"),
}
_NEXT: Final = {
    Health.LEARNING: "Nothing needs doing. Judging starts when enough predictions and outcomes have come in.",
    Health.HEALTHY: "Nothing needs doing. The next window is looked at in the same way.",
    Health.CHANGED: "Watching goes on. A change alone is no harm; what it costs and what comes true decide.",
    Health.ILL: "Somebody should look. What changed stands below, with what to do about it; the most urgent first.",
}
_ENTRIES: Final = 7


@dataclass(frozen=True, slots=True)
class _Told:
    """A report with what is read off it more than once."""

    report: HealthReport
    project: Project
    source: str
    action: Action | None
    worth: Worth | None
    entries: tuple[Entry, ...]

    @property
    def currency(self) -> str:
        return self.project.value.currency


def health_page(report: HealthReport, project: Project, *, action: Action | None = None) -> str:
    """Return the health of the model in office as one self-contained HTML page.

    `action` is what the loop chose because of this report, where it has chosen.
    """
    monthly = decisions_a_month(report.windows)
    source = report.digest
    entries = entries_of(report, source=source, currency=project.value.currency, monthly=monthly)
    it = _Told(report, project, source, action, worth_of(report, project), entries)
    chip, tone = CHIPS[report.status]
    version = f"v{report.version}" if report.version is not None else "no model"
    page = Page(
        title=f"{project.project.name}: {chip.lower()}",
        project=project.project.name,
        what=f"health of {version}",
        dated=report.windows[-1].end[:10] if report.windows else "",
        hero=Hero(
            chip=chip,
            tone=tone,
            question=project.project.question,
            headline=report.headline or chip,
            lead=_lead(report),
            facts=Facts(tuple(_facts(it))),
            next=_next(report, action),
            undo="puts the version before back in office, if there is one." if report.version is not None else None,
            source=source,
        ),
        owner=tuple(s for s in (_value(it), _changed(it), _trust(it)) if s.blocks),
        engineer=tuple(s for s in _engineer(it) if s.blocks),
        engineer_lead="The numbers behind it, window by window, with the records they rest on.",
        footer=f"Written by tenure from the health record {short(source)}. This file needs no network.",
    )
    return render(page)


def _lead(report: HealthReport) -> tuple[str, ...]:
    """Say what was promised, what came true lately, and what is thought of the newest window."""
    sentences = []
    if report.expected is not None:
        sentences.append(f"Promised when it took office: {_lower(metric_in_words(report.expected))}")
    own: list[tuple[WindowHealth, Score]] = [
        (w, w.realised) for w in report.windows if w.realised is not None and w.versions == (report.version,)
    ]
    ripe = [pair for pair in own if pair[0].ripe] or own
    if ripe:
        window, score = ripe[-1]
        came = metric_figures(score.metric, score.value, score.low, score.high) + "."
        if report.expected is None:
            came = _lower(metric_in_words(score))
        sentences.append(f"Came true from {stretch(window)}: {came}")
    sentences += _thought(report, after=ripe[-1][0].start if ripe else "")
    return tuple(sentences)


def _thought(report: HealthReport, *, after: str) -> list[str]:
    """Return what is thought of the newest window, where it is newer than what came true."""
    if not report.windows or report.windows[-1].estimated is None or report.windows[-1].start <= after:
        return []
    newest, guess = report.windows[-1], report.windows[-1].estimated
    if guess.refused is not None:
        return [
            f"Of {stretch(newest)} nothing can be expected before its outcomes are known: {guess.refused.rstrip('.')}."
        ]
    number = told(newest)
    if number is None:
        return []
    thought = metric_figures(guess.metric, number.value, number.low, number.high)
    return [f"Expected of {stretch(newest)}, whose outcomes are not all known yet: {thought}."]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _facts(it: _Told) -> Iterator[Fact]:
    """Give at most three numbers: money so far, money now, and what a change costs or else what is known."""
    report, worth, source = it.report, it.worth, it.source
    if worth is not None:
        yield from _money_facts(worth, source)
    dear = next((c for c in report.changes if harm_of(c, report.tolerance) is Harm.COSTS), None)
    if worth is not None and dear is not None and dear.price is not None and dear.price.money is not None:
        says = f"lost per 1,000 decisions because “{dear.subject}” moved"
        yield Fact(money(dear.price.money.value, it.currency), says, source)
    elif report.windows:
        rows = sum(w.rows for w in report.windows)
        known = sum(w.matured * w.rows for w in report.windows)
        says = f"outcomes are known, of {whole(rows)} predictions in {plural(len(report.windows), 'window')}"
        yield Fact(of_100(known / rows if rows else 0.0), says, source)


def _money_facts(worth: Worth, source: str) -> Iterator[Fact]:
    verb = "lost to errors" if worth.is_cost else "made"
    sign = -1 if worth.is_cost else 1
    total, rate = worth.so_far, worth.latest.per_1000
    says = f"{verb} so far, by decisions whose outcome is known, in {plural(total.windows, 'window')}"
    yield Fact(money(sign * total.made, worth.currency), says, source)
    if rate is not None:
        yield Fact(money(sign * rate, worth.currency), f"{verb} per 1,000 decisions, {stretch(worth.window)}", source)


def _next(report: HealthReport, action: Action | None) -> str:
    if action is None:
        return _NEXT[report.status]
    done = "Done" if action.carried_out else "Chosen"
    command = f" To do it: {action.proposal}" if action.proposal else ""
    return f"{done}: {action.verb.value}. {action.reason}{command}"


def _drawn(*figures: Figure | None) -> tuple[Block, ...]:
    return tuple(Drawings((figure,)) for figure in figures if figure is not None)


def _value(it: _Told) -> Section:
    if it.worth is None:
        return Section("worth", "What it is worth", (Paragraph(_no_worth(it), it.source),))
    words = [Paragraph(text, it.source) for text in worth_words(it.worth)]
    return Section("worth", "What it is worth", (*words, *_drawn(value_figure(it.report, it.source, it.worth))))


def _no_worth(it: _Told) -> str:
    value = it.project.value
    if value.is_given or value.error_cost is not None:
        return "No outcome is known yet, so nothing can be said of the money it makes."
    known = any(w.realised is not None for w in it.report.windows)
    lead = "" if known else "No outcome is known yet. "
    return (
        f"{lead}What right and wrong decisions are worth was not said; fill [value] in tenure.toml to see money here."
    )


def _changed(it: _Told) -> Section:
    report = it.report
    blocks: list[Block] = []
    shown = it.entries[:_ENTRIES]
    if any(change.price is not None for change in report.changes):
        blocks.append(
            Paragraph(
                "Dearest first. The skill is how much better the model is than the simplest rule; "
                "a change that costs little of it is harmless.",
                it.source,
            )
        )
    if shown:
        blocks.append(Entries(shown))
    else:
        passed = sum(f.verdict.value == "pass" for f in report.findings)
        text = f"Nothing stands out; {plural(passed, 'check')} passed." if passed else "Nothing could be checked yet."
        blocks.append(Paragraph(text, it.source))
    rest = [
        f"{plural(len(it.entries) - len(shown), 'more entry', 'more entries')} below."
        if len(it.entries) > len(shown)
        else "",
        falls_words(report),
        skipped_words(report),
    ]
    blocks += [Paragraph(text, it.source) for text in rest if text]
    return Section("changed", "What changed", tuple(blocks))


def _trust(it: _Told) -> Section:
    report = it.report
    if report.alarms is None and report.audit is None:
        return Section("trust", "How far to trust this", ())
    blocks = [Paragraph(" ".join(alarm_words(report.alarms)), it.source)]
    if report.audit is not None:
        blocks.append(Paragraph(audit_words(report.audit, metric_of(report)), it.source))
    return Section("trust", "How far to trust this", tuple(blocks))


def _engineer(it: _Told) -> Iterator[Section]:
    report, source = it.report, it.source
    yield Section(
        "course", "How well it answers", _drawn(performance_figure(report, source), audit_figure(report, source))
    )
    yield Section("drift", "Drift and faults", _drawn(drift_figure(report, source)))
    maturity = _drawn(maturity_figure(report, source))
    yield Section("maturity", "Outcomes", maturity)
    if report.changes:
        table = changes_table(report, source, it.currency)
        yield Section("prices", "What changes cost", (*_drawn(price_figure(report, source)), table))
    if report.falls:
        yield Section("falls", "Where a fall comes from", (falls_table(report, source),))
    yield _columns(report, source)
    events = events_table(report, source)
    yield Section("timeline", "Timeline", (events,) if events is not None else ())
    yield findings_section("findings", "All findings", report)
    if report.windows:
        yield Section("windows", "Windows", windows_tables(report, source, it.currency))
    yield _lineage(it)


def _columns(report: HealthReport, source: str) -> Section:
    figures = course_figures(report, source)
    rest = courses_table(report, source, len(figures))
    blocks: list[Block] = []
    if figures:
        text = (
            "Line: the median, or the share of the most telling level. Band: 8 of 10 values lie in it. "
            "Grey: what was usual in the reference. Bars below: empty cells."
        )
        blocks += [Paragraph(text, source), Drawings(figures, small=True)]
    return Section("columns", "Columns", (*blocks, *((rest,) if rest is not None else ())))


def _lineage(it: _Told) -> Section:
    report, action = it.report, it.action
    items = [("Health record", it.source)]
    items += [(f"Made from ({i})", digest) for i, digest in enumerate(report.made_from, 1)]
    if report.expected is not None:
        items.append(("Promised", scored(report.expected)))
    if report.tolerance is not None and report.expected is not None:
        items.append(("Tolerated fall", metric_figure("", report.tolerance)))
    if action is not None:
        items.append(("Action record", action.digest))
    return Section("lineage", "Where it all comes from", (Pairs(tuple(items), it.source),))
