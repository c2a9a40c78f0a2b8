"""Money made by the model in office: in the latest window, so far, against never acting and the best possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scipy.special import stdtrit

from tenure.core.health import HealthReport, Span, WindowHealth
from tenure.core.modelling import Task
from tenure.core.project import Project
from tenure.reporting.health_words import ranged, stretch
from tenure.reporting.words import money, money_range, of_100, plural

_PER: Final = 1000
_MONTH_DAYS: Final = 365.25 / 12
_WINDOWS_OF_VOLUME: Final = 8
_LEAST_EARLIER: Final = 5


@dataclass(frozen=True, slots=True)
class Earned:
    """Money over one or more windows, on decisions whose outcome is known; `best` where every window has it."""

    windows: int
    decisions: float
    made: float
    best: float | None

    @property
    def per_1000(self) -> float | None:
        """Return what 1,000 decisions made."""
        return self.made / self.decisions * _PER if self.decisions else None


@dataclass(frozen=True, slots=True)
class Worth:
    """What the model is worth.

    `latest` is the newest window whose outcomes are final (the newest with any, where none is). `change` is how much
    more 1,000 decisions made in it than in the version's earlier windows, with the 90 % range of a difference that
    the wobble between those windows allows; None with fewer than five. `monthly` is the decisions of a month.
    `is_cost` says that the money is what errors cost, `idle_is_nothing` that never acting would have made nothing.
    """

    window: WindowHealth
    latest: Earned
    so_far: Earned
    change: Span | None
    monthly: float | None
    currency: str
    is_cost: bool
    idle_is_nothing: bool

    @property
    def is_down(self) -> bool:
        """Say whether the latest window made less than the wobble between windows explains."""
        return self.change is not None and self.change.high < 0


def worth_of(report: HealthReport, project: Project) -> Worth | None:
    """Return the money of a report; None where no window has any."""
    paid = [w for w in report.windows if w.value is not None]
    if not paid:
        return None
    final = [w for w in paid if w.ripe]
    latest = (final or paid)[-1]
    earlier = [w for w in final if w.start < latest.start and w.versions == latest.versions]
    value = project.value
    return Worth(
        window=latest,
        latest=_earned([latest]),
        so_far=_earned(paid),
        change=_change(latest, earlier),
        monthly=decisions_a_month(report.windows),
        currency=value.currency,
        is_cost=project.project.task is Task.REGRESSION,
        idle_is_nothing=value.is_given and not value.false_negative and not value.true_negative,
    )


def _earned(windows: Sequence[WindowHealth]) -> Earned:
    best = [w.value_best for w in windows if w.value_best is not None]
    return Earned(
        windows=len(windows),
        decisions=sum(w.matured * w.rows for w in windows),
        made=sum(w.value or 0.0 for w in windows),
        best=sum(best) if len(best) == len(windows) else None,
    )


def _change(latest: WindowHealth, earlier: Sequence[WindowHealth]) -> Span | None:
    """Return the difference with a predictive t interval: the wobble between windows is its only measure."""
    rates = [rate for w in earlier if (rate := _earned([w]).per_1000) is not None]
    now = _earned([latest]).per_1000
    if now is None or len(rates) < _LEAST_EARLIER:
        return None
    mean = sum(rates) / len(rates)
    wobble = math.sqrt(sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1))
    half = float(stdtrit(len(rates) - 1, 0.95)) * wobble * math.sqrt(1 + 1 / len(rates))
    return Span(now - mean, now - mean - half, now - mean + half)


def decisions_a_month(windows: Sequence[WindowHealth]) -> float | None:
    """Return how many predictions a month brings, from the latest windows; the last one may not be full."""
    full = (windows[:-1] or windows)[-_WINDOWS_OF_VOLUME:]
    seconds = sum((datetime.fromisoformat(w.end) - datetime.fromisoformat(w.start)).total_seconds() for w in full)
    return sum(w.rows for w in full) / (seconds / 86_400) * _MONTH_DAYS if seconds > 0 else None


def worth_words(worth: Worth) -> tuple[str, ...]:
    """Return the money as sentences: this window, what changed, and so far."""
    return tuple(s for s in (_latest_words(worth), _change_words(worth), _so_far_words(worth)) if s)


def _latest_words(worth: Worth) -> str:
    made, currency = worth.latest.made, worth.currency
    rate = worth.latest.per_1000
    each = f" ({money(abs(rate), currency)} per 1,000 decisions)" if rate is not None else ""
    when = stretch(worth.window)
    if worth.is_cost:
        return f"From {when}, errors cost {money(abs(made), currency)}{each}."
    verb = "made" if made >= 0 else "lost"
    young = "" if worth.window.ripe else " so far, as its outcomes are still coming in"
    text = f"From {when}, decisions {verb} {money(abs(made), currency)}{each}{young}."
    if worth.latest.best is None:
        return text
    idle = "Never acting would have made nothing, the" if worth.idle_is_nothing else "The"
    return f"{text} {idle} best possible decisions {money(worth.latest.best, currency)}."


def _so_far_words(worth: Worth) -> str:
    total, currency = worth.so_far, worth.currency
    if total.windows < 2:
        return ""
    if worth.is_cost:
        return f"In all {plural(total.windows, 'window')} they cost {money(abs(total.made), currency)}."
    verb = "made" if total.made >= 0 else "lost"
    text = f"In all {plural(total.windows, 'window')} so far they {verb} {money(abs(total.made), currency)}"
    if total.best is not None and total.best > 0 and total.made > 0:
        text += f", {of_100(total.made / total.best)} of what the best possible decisions would have made"
    return f"{text}."


def _change_words(worth: Worth) -> str:
    change, currency = worth.change, worth.currency
    if change is None:
        return ""
    if change.low <= 0 <= change.high:
        return "That is within what windows usually differ by."
    if change.low > 0:
        more = "less was lost to errors" if worth.is_cost else "more"
        return f"That is {money(change.value, currency)} {more} per 1,000 decisions than in the windows before."
    loss = Span(-change.value, -change.high, -change.low)
    what = "errors cost" if worth.is_cost else "they made"
    word = "more" if worth.is_cost else "less"
    text = (
        f"Since the windows before, {what} {money(loss.value, currency)} {word} per 1,000 decisions "
        f"({money_range(ranged(loss), currency)}, 90\u00a0% sure)"
    )
    if worth.monthly:
        text += f": about {money(loss.value * worth.monthly / _PER, currency)} a month"
    return f"{text}."
