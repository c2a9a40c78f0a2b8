"""Businesses by name, each with one kind of change in it, and a year that has everything; and a project for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from tenure.core.modelling import Task
from tenure.testing.businesses import KEY, TIME, Business
from tenure.testing.faults import BrokenFeed, LateOutcomes, NoTraffic, WrongLabels
from tenure.testing.planted import BaseRate, ConceptChange, Event, InputsMove, Season

OPENING: Final = datetime(2025, 1, 6, tzinfo=UTC)
_WEEK: Final = timedelta(weeks=1)
_Planned = Callable[[Callable[[float], datetime], Task], tuple[Event, ...]]


def named_business(
    name: str,
    *,
    task: Task = Task.BINARY,
    seed: int = 0,
    weekly_rows: int = 1_000,
    history: int = 13,
    weeks: int = 52,
    delay: timedelta = _WEEK,
) -> Business:
    """Return one of `NAMES`: `history` weeks of rows before the opening on 6 January 2025, `weeks` after it.

    What is planted stands at the same share of the weeks after the opening, whatever their number; only `year` has
    dates, and is made for 52 weeks.

    Raises:
        KeyError: there is none of this name.
    """

    def part(share: float) -> datetime:
        """Return the start of the week at a share of the weeks after the opening."""
        return OPENING + round(share * weeks) * _WEEK

    return Business(
        name=name,
        start=OPENING - history * _WEEK,
        opening=OPENING,
        end=OPENING + weeks * _WEEK,
        task=task,
        weekly_rows=weekly_rows,
        delay=delay,
        events=_PLANNED[name](part, task),
        seed=seed,
    )


def _quiet(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return ()


def _sudden(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (ConceptChange(start=part(0.3), size=0.6),)


def _gradual(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (ConceptChange(start=part(0.2), shape="gradual", over=part(0.7) - part(0.2), size=0.7),)


def _incremental(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (ConceptChange(start=part(0.1), shape="incremental", over=part(1.0) - part(0.1), size=0.7),)


def _recurring(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (ConceptChange(start=part(0.2), shape="recurring", over=part(0.2) - part(0.0), to=2),)


def _moving_inputs(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (
        InputsMove(start=part(0.15), column="noise"),
        InputsMove(start=part(0.4), column="spend", by=2.5, ramp=part(0.5) - part(0.4), harms=True),
    )


def _base_rate(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    return (BaseRate(start=part(0.35), amounts=task is Task.REGRESSION),)


def _year(part: Callable[[float], datetime], task: Task) -> tuple[Event, ...]:
    week = datetime(2025, 6, 9, tzinfo=UTC)
    return (
        Season(rate=0.1),
        Season(period=_WEEK, top=datetime(2025, 1, 8, 12, tzinfo=UTC), traffic=0.3, spend=0.0, rate=0.0),
        ConceptChange(start=datetime(2025, 3, 10, tzinfo=UTC), size=0.6),
        InputsMove(start=datetime(2025, 5, 5, tzinfo=UTC), column="noise"),
        BrokenFeed(start=week, end=week + _WEEK, column="spend", how="unit"),
        BrokenFeed(start=week, end=week + _WEEK, column="visits", how="zeros"),
        WrongLabels(start=week, end=week + _WEEK),
        LateOutcomes(start=datetime(2025, 7, 1, tzinfo=UTC), end=datetime(2025, 8, 1, tzinfo=UTC)),
        NoTraffic(start=datetime(2025, 8, 20, tzinfo=UTC), end=datetime(2025, 8, 21, tzinfo=UTC)),
        ConceptChange(
            start=datetime(2025, 9, 8, tzinfo=UTC),
            end=datetime(2025, 12, 1, tzinfo=UTC),
            to=2,
            shape="recurring",
            over=timedelta(weeks=4),
        ),
    )


_PLANNED: Final[dict[str, _Planned]] = {
    "quiet": _quiet,
    "sudden": _sudden,
    "gradual": _gradual,
    "incremental": _incremental,
    "recurring": _recurring,
    "moving_inputs": _moving_inputs,
    "base_rate": _base_rate,
    "year": _year,
}
NAMES: Final = tuple(_PLANNED)
"""The names of the businesses that `named_business` knows."""


def project_text(
    business: Business, *, source: str = "history.parquet", autonomy: str = "auto", window: str = "7d", more: str = ""
) -> str:
    """Return a project file for a business whose history lies in `source`; `more` is added at the end.

    A yes acted on is worth 40 and a no acted on costs 10; the model is a small one that learns in a second.
    """
    lines = [
        f'[project]\nname = "{business.name.replace("_", "-")}"\ntask = "{business.task.value}"',
        f'[data]\nsource = "{source}"\ntarget = "{business.target}"\nkey = "{KEY}"\ntime = "{TIME}"',
        f'outcome_delay = "{_told(business.delay)}"',
    ]
    if business.task is Task.BINARY:
        lines.insert(2, 'positive = "yes"')
        lines.append("[value]\ntrue_positive = 40.0\nfalse_positive = -10.0")
    lines.append('[training]\nbudget = "20s"\ntrials = 2\nfamilies = ["baseline", "linear", "lightgbm"]')
    lines.append(f'[monitoring]\nwindow = "{window}"')
    lines.append(f'[operations]\nautonomy = "{autonomy}"')
    return "\n".join([*lines, more, ""])


def _told(span: timedelta) -> str:
    return f"{span.days}d" if span == timedelta(days=span.days) else f"{span // timedelta(seconds=1)}s"
