"""Simulations made by hand: twelve weeks, three policies, with and without money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tenure.core.health import Span
from tenure.core.simulation import Act, Deed, Duel, Measure, Pace, PolicyResult, Reign, Simulation, WindowResult

_START: Final = datetime(2026, 1, 5, tzinfo=UTC)
_WEEK: Final = timedelta(weeks=1)
_COUNT: Final = 12
_ENDS: Final = tuple((_START + _WEEK * (at + 1)).isoformat() for at in range(_COUNT))


def _result(name: str, amounts: list[float], acts: tuple[Act, ...], gain: Span, regret: Span) -> PolicyResult:
    return PolicyResult(
        name=name,
        changes=() if name != "sure" else ("operations.certainty = 0.95",),
        windows=tuple(WindowResult(100, 90, amount, 0.8 - at / 100, 1) for at, amount in enumerate(amounts)),
        acts=acts,
        reigns=(Reign(1, _START.isoformat(), _ENDS[5]), Reign(2, _ENDS[5], None)),
        total=Span(sum(amounts), sum(amounts) - 200, sum(amounts) + 200),
        over_static=gain,
        regret=regret,
        worst=3,
        walks=len(acts),
        seconds={"first walk": 1.0, "looks": 3.0},
    )


_ACTS: Final = (
    Act(Deed.ALARM, _ENDS[4], 4, "A1 opened: It fell <fast> & far.", 1, "a" * 64),
    Act(Deed.RETRAIN, _ENDS[5], 5, "policy: it pays", None, "b" * 64),
    Act(Deed.STEP, _ENDS[5], 5, "v2 answers beside v1, for the log only.", 2, "c" * 64),
    Act(Deed.PROMOTION, _ENDS[6], 6, "After v1 came v2: it did better", 2, "d" * 64),
)
MONEY: Final = Simulation(
    measure=Measure.MONEY,
    unit="EUR",
    metric="roc_auc",
    greater_is_better=True,
    starts=tuple((_START + _WEEK * at).isoformat() for at in range(_COUNT)),
    ends=_ENDS,
    policies=(
        _result("static", [100.0] * _COUNT, (), Span(0.0, 0.0, 0.0), Span(900.0, 500.0, 1300.0)),
        _result("as it is", [160.0] * _COUNT, _ACTS, Span(720.0, 300.0, 1100.0), Span(180.0, 20.0, 400.0)),
        _result("sure", [170.0] * _COUNT, _ACTS[:2], Span(840.0, -20.0, 1600.0), Span(60.0, 0.0, 100.0)),
    ),
    best=tuple([175.0] * _COUNT),
    best_total=Span(2100.0, 2000.0, 2200.0),
    duels=(
        Duel("as it is", "static", Span(720.0, 300.0, 1100.0)),
        Duel("sure", "static", Span(840.0, -20.0, 1600.0)),
        Duel("sure", "as it is", Span(120.0, -90.0, 330.0)),
    ),
    learned=600,
    delay=86_400.0,
    pace=Pace(30.0, 240.0, 0.004, 3600, 4, 5.0, 60.0),
    planned=_COUNT,
)
LOSS: Final = replace(MONEY, measure=Measure.LOSS, unit="log_loss", metric="log_loss", greater_is_better=False)
COST: Final = replace(MONEY, metric="rmse", is_cost=True)
ALONE: Final = replace(MONEY, policies=MONEY.policies[:1], duels=())
CUT: Final = replace(MONEY, planned=20, notes=("It was interrupted: 12 of 20 windows were flown.",))
