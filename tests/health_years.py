"""A year of health made by hand: weekly windows with a broken feed, drift, a fall, young windows and refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.health import (
    AlarmRate,
    Audit,
    Change,
    Course,
    Estimate,
    Health,
    HealthReport,
    Price,
    Reading,
    SliceFall,
    Span,
    WindowHealth,
)
from tenure.core.modelling import Score

START = datetime(2025, 1, 6, tzinfo=UTC)
WEEKS = 53
EXPECTED = Score("roc_auc", 0.845, 0.836, 0.854, 7043)
FAULT = "missing-values: income"
_DRIFTED_FROM, _FELL_FROM, _YOUNG_FROM = 34, 40, 49


def monday(week: int) -> str:
    return (START + timedelta(days=7 * week)).isoformat()


def year(*, money: bool = True) -> tuple[WindowHealth, ...]:
    """Return 53 weeks: a broken feed in 12 and 13, drift from 34, a fall from 40, young from 49, refused 44 and 45."""
    rng = np.random.default_rng(7)
    windows = []
    for week in range(WEEKS):
        truth = 0.845 - (0.045 if week >= _FELL_FROM else 0.0) - (0.06 if week in (12, 13) else 0.0)
        rows = int(rng.integers(820, 980))
        ripe = week < _YOUNG_FROM
        matured = float(1.0 if ripe else (0.8, 0.55, 0.2, 0.0)[week - _YOUNG_FROM])
        half = 0.024 / max(np.sqrt(matured), 0.3)
        score = truth + rng.normal() * 0.011
        guess = truth + rng.normal() * 0.008 + (0.012 if week >= _FELL_FROM else 0.0)
        estimated = Estimate("roc_auc", rows, "reweighted-cbpe", guess, guess - 0.019, guess + 0.019, audited=week)
        if week in (44, 45):
            estimated = Estimate("roc_auc", rows, refused="only 3 of 100 rows look like rows that were learned from.")
        best = rows * 13.0 * matured
        share = 0.74 - (0.16 if week >= _FELL_FROM else 0.0) - (0.3 if week in (12, 13) else 0.0)
        quiet = abs(float(rng.normal())) * 0.02 + 0.015
        windows.append(
            WindowHealth(
                start=monday(week),
                end=monday(week + 1),
                rows=rows,
                matured=matured,
                versions=(1,) if week < 20 else (2,),
                realised=Score("roc_auc", score, score - half, score + half, int(rows * matured)) if matured else None,
                value=best * (share + rng.normal() * 0.03) if money and matured else None,
                value_best=best if money and matured else None,
                drifted=("balance", "region") if week >= _DRIFTED_FROM else ("region",) if week >= 28 else (),
                mean_prediction=0.26 + rng.normal() * 0.01,
                faults=(FAULT,) if week in (12, 13) else (),
                ripe=ripe,
                estimated=estimated,
                drift=quiet * 3.2 ** max(week - _DRIFTED_FROM, 0) if week < 44 else 50.0,
            )
        )
    return tuple(windows)


CHANGES = (
    Change(
        "balance",
        "its median went from 1,200 to 1,450",
        since=monday(_DRIFTED_FROM),
        psi=Span(0.31, 0.24, 0.39),
        importance=0.22,
        price=Price(Reading.INSTRUMENT, Span(0.017, 0.010, 0.024), Span(0.05, 0.03, 0.07), Span(120.0, 80.0, 160.0)),
    ),
    Change(
        "all columns together",
        "2 columns moved together",
        since=monday(_DRIFTED_FROM),
        price=Price(Reading.WORLD, Span(0.006, -0.002, 0.013), Span(0.018, -0.006, 0.038), Span(40.0, -10.0, 90.0)),
    ),
    Change(
        "partner_code",
        "the share of values that were rare or unknown before went from 0 % to 30 %",
        since=monday(51),
        psi=Span(0.2, 0.1, 0.3),
        importance=0.01,
        unpriced="no reference row has these levels",
    ),
    Change(
        "region",
        "the share of 'north' went from 31 % to 44 %",
        since=monday(28),
        psi=Span(0.12, 0.1, 0.15),
        importance=0.004,
        price=Price(Reading.WORLD, Span(0.0003, -0.0004, 0.0012), Span(0.001, -0.001, 0.004), Span(1.0, -3.0, 6.0)),
        harmless=True,
    ),
)
FALLS = (
    SliceFall("contract", "Month-to-month", 812, Span(0.09, 0.05, 0.13), 0.58),
    SliceFall("balance", "1,900 and more", 440, Span(0.05, 0.01, 0.09), 0.21),
)
RATE = AlarmRate(1.0, 52.0, 52.0, known=52, needed=8, learning=False, measured=Span(0.0, 0.0, 0.9), replayed=52)
LEARNING = AlarmRate(1.0, 52.0, 52.0, known=5, needed=8, learning=True)


def found(check: str, verdict: Verdict, says: str, *, subject: str | None = None, hint: str = "") -> Finding:
    measured = Measurement(check, 0.05, subject=subject, says=says, hint=hint, low=0.02, high=0.08)
    return Finding(check, verdict, measured, Threshold(0.01, 0.02))


def skipped(check: str, subject: str, reason: str) -> Finding:
    return Finding(check, Verdict.SKIPPED, Measurement(check, 0.0, subject=subject, skipped=reason))


FINDINGS = (
    found(
        "realised-score",
        Verdict.FAIL,
        "In the latest 4 windows, ROC AUC was 0.801 on 3,610 known outcomes; 0.845 was promised.",
        subject="the latest 4 windows",
        hint="Retrain on newer rows, or roll back if a promotion came just before.",
    ),
    found(
        "psi",
        Verdict.WARN,
        "'balance' moved: its median went from 1,200 to 1,450.",
        subject="balance",
        hint="Look at it.",
    ),
    found("volume", Verdict.PASS, "The latest window holds 912 predictions; about 900 are usual."),
    skipped("psi", "notes", "all 912 values are empty."),
    skipped("psi", "fax", "it has one value only."),
)


def courses() -> tuple[Course, ...]:
    rng = np.random.default_rng(11)
    starts = tuple(monday(week) for week in range(WEEKS))

    def numeric(name: str, usual: float, wide: float, *, to: float = 0.0, empty: float = 0.0) -> Course:
        shift = np.array([to if week >= _DRIFTED_FROM else 0.0 for week in range(WEEKS)])
        middle = usual + shift + rng.normal(size=WEEKS) * wide * 0.04
        missing = np.clip(empty + rng.normal(size=WEEKS) * empty * 0.2, 0, 1)
        if name == "income":
            missing[12:14] = 0.4
        return Course(
            name,
            starts,
            tuple(map(float, middle)),
            tuple(map(float, missing)),
            tuple(map(float, middle - wide)),
            tuple(map(float, middle + wide)),
            usual_middle=usual,
            usual_low=usual - wide,
            usual_high=usual + wide,
            usual_missing=empty,
        )

    share = np.clip(0.31 + np.where(np.arange(WEEKS) >= 28, 0.13, 0.0) + rng.normal(size=WEEKS) * 0.012, 0, 1)
    region = Course(
        "region", starts, tuple(map(float, share)), (0.0,) * WEEKS, level="north", usual_middle=0.31, usual_missing=0.0
    )
    gone = Course("notes", starts, (None,) * WEEKS, (1.0,) * WEEKS, usual_middle=3.0, usual_missing=0.97)
    holed = numeric("tenure_months", 29.0, 20.0)
    holed = replace(holed, middle=(*holed.middle[:20], None, None, *holed.middle[22:30], None, *holed.middle[31:]))
    return (
        holed,
        numeric("the prediction", 0.26, 0.2),
        numeric("income", 2_900.0, 900.0, empty=0.03),
        region,
        numeric("balance", 1_200.0, 700.0, to=250.0),
        gone,
        *(numeric(f"usage_{i}", 10.0 * i, 3.0 * i) for i in range(1, 11)),
    )


RICH = HealthReport(
    FINDINGS,
    version=2,
    status=Health.ILL,
    headline=(
        "The model is worse than promised. In the latest 4 windows, ROC AUC was 0.801 on 3,610 known outcomes; "
        "0.845 was promised."
    ),
    expected=EXPECTED,
    windows=year(),
    made_from=("a" * 64, "b" * 64),
    tolerance=0.007,
    alarms=RATE,
    changes=CHANGES,
    falls=FALLS,
    courses=courses(),
    audit=Audit(windows=47, held=43, error=0.0093, still=0.0152),
)
