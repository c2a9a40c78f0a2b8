"""What speaks against each suspect: broken feeds, moved columns, promotions, worse answers, missing outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from tenure.core.diagnosis import Sureness, Suspect
from tenure.core.evidence import Finding, Verdict
from tenure.core.health import Change, FallParts, HealthReport, Price, Reading, Span, WindowHealth
from tenure.core.lifecycle import Alias, AliasMove
from tenure.core.metrics import METRICS
from tenure.core.modelling import Score
from tenure.monitoring.alarm import REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.figures import figure
from tenure.monitoring.prices import ALL_TOGETHER, TOLERANCE
from tenure.monitoring.rules import RULES

TELL: Final = "tenure monitor"
RETRAIN: Final = "tenure run"
ROLL_BACK: Final = "tenure rollback"
_COMPARED: Final = 4
_STILL_WINDOWS: Final = 2
_USUAL_MATURITY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a diagnosis looks at: the health, the two parts of a fall, and who held the office when."""

    health: HealthReport
    moves: tuple[AliasMove, ...] = ()
    parts: FallParts | None = None

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Return the findings that make the model ill."""
        return tuple(finding for finding in self.health.findings if finding.verdict.blocks)

    @property
    def fall(self) -> Finding | None:
        """Return the finding that the realised score fell beyond chance and tolerance."""
        return next((finding for finding in self.blocking if finding.check == REALISED_SCORE), None)

    @property
    def promotion(self) -> AliasMove | None:
        """Return the latest change of the version in office, None where the first one still holds it."""
        moves = [move for move in self.moves if move.alias is Alias.CHAMPION and move.before is not None]
        return moves[-1] if moves else None

    def change_of(self, subject: str | None) -> Change | None:
        """Return what is known of how a column moved."""
        return next((change for change in self.health.changes if change.subject == subject), None)


def since_of(finding: Finding) -> str | None:
    """Return when a finding began, where it knows."""
    since = finding.measurement.evidence.get("since")
    return since if isinstance(since, str) else None


def feed_suspects(evidence: Evidence) -> Iterator[Suspect]:
    """Yield what arrives broken: each column once, with the price of it where one is known."""
    broken: dict[str, list[Finding]] = {}
    for finding in evidence.blocking:
        if finding.check in RULES:
            broken.setdefault(finding.subject or "the rows", []).append(finding)
    for column, findings in broken.items():
        first = findings[0]
        change = evidence.change_of(column)
        price = None if change is None else change.price
        cost = "" if price is None else f" It costs {share_words(price.skill)} of the model's skill."
        yield Suspect(
            "feed",
            what=first.says,
            where=f"column {column}",
            sureness=Sureness.CERTAIN,
            why_sure=f"The contract's rule {first.check!r} is broken beyond what chance explains.{cost}",
            todo=first.measurement.hint,
            command=TELL,
            since=min((since for f in findings if (since := since_of(f))), default=None),
            numbers={
                "rules": [f.check for f in findings],
                "value": first.measurement.value,
                "limit": None if first.threshold is None else first.threshold.fail,
                **_price_numbers(price),
            },
        )


def other_faults(evidence: Evidence) -> Iterator[Suspect]:
    """Yield what else blocks: checks that broke, rows that the model knows nothing of, decisions that lose money."""
    known = {*RULES, REALISED_SCORE}
    moved = {change.subject for change in evidence.health.changes}
    for finding in evidence.blocking:
        if finding.verdict is Verdict.ERROR:
            kind, command = "check", TELL
        elif finding.check == REALISED_VALUE:
            kind, command = "value", "tenure report"
        elif finding.check in known or finding.subject in moved:
            continue
        else:
            kind, command = "support" if "support" in finding.check else "rows", RETRAIN
        measured = finding.measurement
        yield Suspect(
            kind,
            what=finding.says,
            where=finding.subject or "all rows",
            sureness=Sureness.CERTAIN if kind == "check" else Sureness.LIKELY,
            why_sure=f"The check {finding.check!r} says so{_interval(measured.low, measured.high)}.",
            todo=measured.hint or "Look at the page of the model's health.",
            command=command,
            since=since_of(finding),
            numbers={"value": None if finding.verdict is Verdict.ERROR else measured.value},
        )


def moved_suspects(evidence: Evidence) -> Iterator[Suspect]:
    """Yield the columns that moved and are not surely harmless; broken ones are told by their feed."""
    broken = {finding.subject for finding in evidence.blocking if finding.check in RULES}
    for change in evidence.health.changes:
        if change.harmless or change.subject in broken:
            continue
        yield Suspect(
            "column" if change.price is None or change.price.reading is Reading.INSTRUMENT else "rows",
            what=change.says,
            where=change.subject if change.subject == ALL_TOGETHER else f"column {change.subject}",
            sureness=Sureness.LIKELY if change.harmful else Sureness.POSSIBLE,
            why_sure=_priced(change),
            todo=_todo(change),
            command=RETRAIN if change.price is not None and change.price.reading is Reading.WORLD else TELL,
            since=change.since,
            numbers={"importance": change.importance, **_price_numbers(change.price)},
        )


def _priced(change: Change) -> str:
    price = change.price
    if price is None:
        return f"What it costs is not known: {change.unpriced or 'it was not priced.'}"
    read = "is measured or sent differently" if price.reading is Reading.INSTRUMENT else "brings other rows"
    told = "at least" if price.skill.low > TOLERANCE else "perhaps"
    share = max(price.skill.low if told == "at least" else price.skill.value, 0.0)
    least = f"{told} {share:.1%}" if share <= 1 else "more than all"
    ends = f" ({share_words(price.skill)})" if price.skill.value <= 1 else ""
    return f"If it {read}, it costs {least} of the model's skill{ends}; {TOLERANCE:.0%} is borne."


def _todo(change: Change) -> str:
    if change.price is not None and change.price.reading is Reading.WORLD:
        return "Other rows come than in training: train again once enough of their outcomes are known."
    return (
        f"Ask whoever delivers {change.subject!r} whether it is still measured and sent as before. Mend it there; "
        "do not retrain on rows that are wrong."
    )


def _price_numbers(price: Price | None) -> dict[str, object]:
    if price is None:
        return {}
    numbers: dict[str, object] = {"reading": price.reading.value, "skill": spanned(price.skill)}
    return numbers if price.money is None else numbers | {"money_per_1000": spanned(price.money)}


def spanned(span: Span) -> dict[str, float]:
    """Return a span for programs."""
    return {"value": span.value, "low": span.low, "high": span.high}


def promotion_suspect(evidence: Evidence) -> Suspect | str | None:
    """Return whether the fall began with a change of the version in office: a suspect, why not, or None if untold."""
    move, fall = evidence.promotion, evidence.fall
    if move is None:
        return "No version was replaced: the first one is still in office."
    told = f"v{move.before} was replaced by v{move.after} on {day(move.at)}"
    if fall is None:
        return f"{told}, and the realised score keeps what was promised."
    before, after = _around(evidence.health.windows, move)
    worse = _worse(before, after)
    if worse is None:
        return None
    if worse.low <= 0:
        return f"{told}, and the windows after it are not worse than those before beyond chance."
    if (delay := _windows_between(evidence.health.windows, move.at, since_of(fall))) > 1:
        return f"{told}, and {delay} windows went well before the fall began."
    return Suspect(
        "promotion",
        what=f"The realised score fell when {told}.",
        where=f"v{move.after}",
        sureness=Sureness.LIKELY,
        why_sure=(
            f"In {len(after)} windows after it the score is {figure(worse.value)} worse than in {len(before)} before "
            f"({figure(worse.low)} to {figure(worse.high)})."
        ),
        todo=f"Put v{move.before} back in office; then see in the history why v{move.after} was promoted.",
        command=ROLL_BACK,
        since=move.at,
        numbers={"worse": spanned(worse), "before": move.before, "after": move.after},
    )


def _around(windows: Sequence[WindowHealth], move: AliasMove) -> tuple[list[Score], list[Score]]:
    """Return the realised scores of the last windows before a move and the first after it."""
    moved = moment(move.at)
    before = [
        w.realised
        for w in windows
        if w.realised is not None and moment(w.end) <= moved and w.versions == (move.before,)
    ]
    after = [w.realised for w in windows if w.realised is not None and w.versions == (move.after,)]
    return before[-_COMPARED:], after[:_COMPARED]


def _worse(before: Sequence[Score], after: Sequence[Score]) -> Span | None:
    """Return how much worse scores became (95 %); None where there is nothing to hold against."""
    if not before or not after or before[0].metric not in METRICS:
        return None
    was, now = (float(np.mean([score.value for score in scores])) for scores in (before, after))
    error = float(
        np.hypot(*(np.sqrt(sum((s.high - s.low) ** 2 for s in scores)) / 2 / len(scores) for scores in (before, after)))
    )
    drop = METRICS[before[0].metric].gain(was, now)
    return Span(drop, drop - error, drop + error)


def _windows_between(windows: Sequence[WindowHealth], at: str, since: str | None) -> int:
    """Return how many whole windows lie between a moment and the start of a fall."""
    if since is None:
        return 0
    return sum(moment(at) <= moment(w.start) and moment(w.end) <= moment(since) for w in windows)


def concept_suspects(evidence: Evidence) -> Iterator[Suspect]:
    """Yield worse answers on the same rows, and other rows, where the realised score fell."""
    fall, parts, falls = evidence.fall, evidence.parts, evidence.health.falls
    if fall is None:
        return
    tolerance = evidence.health.tolerance or 0.0
    where = "; ".join(f"{one.slice} ({one.share:.0%} of the fall)" for one in falls[:3]) or "all rows alike"
    is_concept = parts is not None and parts.concept is not None and parts.concept.low > tolerance
    if is_concept or (falls and (parts is None or parts.concept is None)):
        told = "the known outcomes lie there" if parts is None or parts.concept is None else _part(parts.concept, parts)
        yield Suspect(
            "concept",
            what="The same rows are answered worse than at release: what the model learned no longer holds.",
            where=where,
            sureness=Sureness.LIKELY if is_concept else Sureness.POSSIBLE,
            why_sure=f"{fall.says} Of that, {told}.",
            todo="Train again on newer rows; if the rows that fell share a cause that will pass, wait for it to.",
            command=RETRAIN,
            since=since_of(fall),
            numbers={
                "slices": [{"slice": one.slice, "fall": spanned(one.fall), "share": one.share} for one in falls],
                **({} if parts is None or parts.concept is None else {"concept": spanned(parts.concept)}),
            },
        )
    if parts is not None and parts.composition is not None and parts.composition.low > tolerance:
        yield Suspect(
            "rows",
            what="Other rows come than in training, and they are harder to answer.",
            where="all columns together",
            sureness=Sureness.LIKELY,
            why_sure=f"{fall.says} Of that, {_part(parts.composition, parts)}.",
            todo="Train again once enough outcomes of such rows are known.",
            command=RETRAIN,
            since=since_of(fall),
            numbers={"composition": spanned(parts.composition)},
        )


def unexplained(evidence: Evidence) -> Suspect | None:
    """Return the fall itself, for where nothing that was looked at explains it."""
    fall = evidence.fall
    if fall is None:
        return None
    measured = fall.measurement
    return Suspect(
        "unexplained",
        what=fall.says,
        where=fall.subject or "all rows",
        sureness=Sureness.POSSIBLE,
        why_sure=f"The fall is beyond chance{_interval(measured.low, measured.high)}, and nothing here explains it.",
        todo=measured.hint or "Train again on newer rows.",
        command=RETRAIN,
        since=since_of(fall),
        numbers={"fall": measured.value, "low": measured.low, "high": measured.high},
    )


def missing_outcomes(evidence: Evidence) -> Suspect | None:
    """Return that outcomes stopped coming, where earlier windows had theirs and the latest have none at all."""
    windows = evidence.health.windows
    silent = 0
    for window in reversed(windows):
        if window.matured > 0:
            break
        silent += 1
    earlier = [window.matured for window in windows[: len(windows) - silent]]
    if silent < _STILL_WINDOWS or not earlier or float(np.median(earlier)) < _USUAL_MATURITY:
        return None
    return Suspect(
        "outcomes",
        what=f"No outcome came for the latest {silent} windows.",
        where="the outcome feed",
        sureness=Sureness.POSSIBLE,
        why_sure=f"Of the windows before, {float(np.median(earlier)):.0%} of the outcomes are known. They may be late.",
        todo="Ask whoever delivers outcomes; until they come, nobody can see the model get worse.",
        command="tenure log status",
        since=windows[-silent].start,
        numbers={"silent_windows": silent, "usual_share": float(np.median(earlier))},
    )


def _part(part: Span, parts: FallParts) -> str:
    return f"{figure(part.value)} of {figure(parts.whole.value)} ({figure(part.low)} to {figure(part.high)}) is this"


def share_words(span: Span) -> str:
    """Return a share of the skill in words."""
    value, low, high = (max(bound, 0.0) for bound in (span.value, span.low, span.high))
    return f"{value:.1%} ({low:.1%} to {high:.1%})" if value <= 1 else "more than all"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({figure(low)} to {figure(high)})"


def day(at: str) -> str:
    """Return the day of an ISO moment."""
    return at[:10]


def moment(at: str) -> datetime:
    """Return an ISO moment as a time."""
    return datetime.fromisoformat(at)
