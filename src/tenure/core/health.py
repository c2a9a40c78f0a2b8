"""How a model in office is doing: windows, estimates, what changed and what it costs, and the report of it all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tenure.core.evidence import Report
from tenure.core.modelling import Score


@dataclass(frozen=True, slots=True)
class Span:
    """A number with its interval: 90 % unless its owner says otherwise."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the metric of a window is thought to be before its outcomes are known.

    `value` and `low`, `high` (90 %) are None where the estimate is refused; `refused` then says why in words. With few
    expected positives only the interval is told. `method` is one of cbpe, label-shift, dle. `effective_rows` is how
    many rows of the reference speak for the window once they are weighted to look like it. `raw` is the estimate before
    what past estimates got wrong was taken off, told for refusals too. `audited` counts the past estimates that the
    interval was learned from.
    """

    metric: str
    rows: int
    method: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    raw: float | None = None
    effective_rows: float = 0.0
    audited: int = 0
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """How past estimates did against what came true.

    `held` counts those whose 90 % interval held the realised metric, of `windows`; `error` is the mean absolute error
    of the estimates, `still` that of saying that nothing changed since release. All in units of the metric.
    """

    windows: int = 0
    held: int = 0
    error: float | None = None
    still: float | None = None


class Reading(StrEnum):
    """How a shift of the inputs may be read."""

    INSTRUMENT = "instrument"
    """The column is measured or sent differently, and the world is as it was."""
    WORLD = "world"
    """The rows that come are other ones, each measured as before."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a shift costs if it is read as `reading`.

    `drop` is how much worse the metric becomes (positive is worse, units of the metric), `skill` the same as a share of
    the skill over the baseline; `money` what is lost per 1,000 decisions, None where the owner gave no values.
    """

    reading: Reading
    drop: Span
    skill: Span
    money: Span | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that moved: a column, the prediction, or all columns together (`subject`).

    `since` is the start of the unbroken run of windows in which it moved. `psi` is the bias-corrected index of the
    latest window. `importance` is the column's share of the model's skill. `price` is the dearest reading, None where
    it could not be priced (`unpriced` says why). `harmless` says that even its upper bound lies within the tolerance.
    """

    subject: str
    says: str
    since: str | None = None
    psi: Span | None = None
    importance: float | None = None
    price: Price | None = None
    unpriced: str | None = None
    harmless: bool = False
    harmful: bool = False


@dataclass(frozen=True, slots=True)
class SliceFall:
    """Where a fall of the realised metric comes from: one slice of the rows.

    `fall` is how much worse the mean loss of its rows became (95 %), `share` the part of the whole fall that it
    explains (0 to 1), `rows` how many of its outcomes are known.
    """

    column: str
    slice: str
    rows: int
    fall: Span
    share: float


@dataclass(frozen=True, slots=True)
class FallParts:
    """A fall of the realised metric in two: other rows came, and the same rows are answered worse.

    All in units of the metric, positive is worse, 90 % intervals; `whole` is their sum. `composition` and `concept` are
    None where the reference cannot speak for the rows that came; `refused` says why.
    """

    metric: str
    whole: Span
    composition: Span | None = None
    concept: Span | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """How one column, or the prediction, ran over windows, for a chart; NaN-free, None where a window has nothing.

    Numbers: `middle`, `low`, `high` are the median and the 10 % and 90 % quantiles, roughly (from bins). Categories:
    `level` is the level whose share `middle` is, `low` and `high` are empty. `missing` is the share of empty cells.
    The `usual_...` are those of the reference.
    """

    subject: str
    starts: tuple[str, ...]
    middle: tuple[float | None, ...]
    missing: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    level: str | None = None
    usual_middle: float | None = None
    usual_low: float | None = None
    usual_high: float | None = None
    usual_missing: float | None = None


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """The owner's dial, and what it means here.

    `allowed` false alarms a year were asked for, so the detector waits for a mean run of `run_length` windows.
    `measured` is how many a year it raised when the reference's own windows were replayed (95 %), over `replayed`
    windows; None while too few windows are known. `known` windows count as normal so far; with fewer than `needed` the
    detector is `learning` and raises nothing.
    """

    allowed: float
    windows_per_year: float
    run_length: float
    known: int
    needed: int
    learning: bool
    measured: Span | None = None
    replayed: int = 0


@dataclass(frozen=True, slots=True)
class WindowHealth:
    """One window of traffic: when, how much, and how it went.

    `realised` is the score on the rows whose outcome is known, `value` the owner's money made in the window on
    those rows, `value_best` what the right decisions would have made, `matured` their share. `ripe` says that the
    outcomes can be taken as final; until then young outcomes are weighted by how likely it was to know them by now.
    `estimated` was told before the outcomes. `drifted` names the columns that moved, `faults` the rules of the contract
    that broke ("rule: column"). `drift` is how far the drift detector stood on its way to an alarm (1 is one).
    """

    start: str
    end: str
    rows: int
    matured: float
    versions: tuple[int, ...] = ()
    realised: Score | None = None
    value: float | None = None
    value_best: float | None = None
    drifted: tuple[str, ...] = ()
    mean_prediction: float | None = None
    faults: tuple[str, ...] = ()
    ripe: bool = True
    estimated: Estimate | None = None
    drift: float | None = None


class Health(StrEnum):
    """The health of a model in one word."""

    LEARNING = "learning"
    HEALTHY = "healthy"
    CHANGED = "changed"
    """Something moved, and no harm is shown."""
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class HealthReport(Report):
    """How the model in office is doing: findings of the latest window, and every window so far.

    `expected` is the score that was promised at release, `tolerance` how far below it counts as harm (units of the
    metric). `status` and `headline` are for people. `alarms` is the owner's dial and what it was measured to mean.
    `changes` holds what moved, dearest first; `falls` where a fall of the realised metric comes from, `parts` how it
    splits; `courses` how columns ran; `audit` how past estimates did.
    """

    version: int | None = None
    status: Health = Health.LEARNING
    headline: str = ""
    expected: Score | None = None
    windows: tuple[WindowHealth, ...] = ()
    made_from: tuple[str, ...] = ()
    tolerance: float | None = None
    alarms: AlarmRate | None = None
    changes: tuple[Change, ...] = ()
    falls: tuple[SliceFall, ...] = ()
    courses: tuple[Course, ...] = ()
    audit: Audit | None = None
    parts: FallParts | None = None
