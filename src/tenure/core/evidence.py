"""Measuring and judging are two things: a check measures, a threshold judges, a broken check blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tenure.core.records import Record


class Verdict(StrEnum):
    """What a threshold says of a measurement."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    """The check itself broke, so nothing is known; that blocks."""
    SKIPPED = "skipped"
    """The check does not apply here; the finding says why."""

    @property
    def blocks(self) -> bool:
        """Say whether a finding with this verdict stops a promotion."""
        return self in (Verdict.FAIL, Verdict.ERROR)


SEVERITY: Final = {Verdict.SKIPPED: 0, Verdict.PASS: 1, Verdict.WARN: 2, Verdict.FAIL: 3, Verdict.ERROR: 4}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number that a check found, about one subject.

    `subject` is usually a column or slice; `says` is a plain sentence about the value, `hint` what to do about it;
    `low` and `high` bound the value (95 % unless `evidence` says otherwise); `evidence` carries further plain values.
    `skipped` gives the reason where the check does not apply to the subject.
    """

    name: str
    value: float
    subject: str | None = None
    says: str = ""
    hint: str = ""
    low: float | None = None
    high: float | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """Larger is worse: up to `warn` passes, above `fail` fails, NaN is an error."""

    warn: float
    fail: float = math.inf

    def judge(self, measurement: Measurement, *, check: str) -> Finding:
        """Turn a measurement into a finding of `check`."""
        return Finding(check, self._verdict(measurement), measurement, self)

    def _verdict(self, measurement: Measurement) -> Verdict:
        if measurement.skipped is not None:
            return Verdict.SKIPPED
        if math.isnan(measurement.value):
            return Verdict.ERROR
        if measurement.value > self.fail:
            return Verdict.FAIL
        if measurement.value > self.warn:
            return Verdict.WARN
        return Verdict.PASS


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, judged."""

    check: str
    verdict: Verdict
    measurement: Measurement
    threshold: Threshold | None = None

    @property
    def subject(self) -> str | None:
        """Return what the finding is about."""
        return self.measurement.subject

    @property
    def says(self) -> str:
        """Return the finding as one plain sentence."""
        if self.measurement.skipped is not None:
            return f"Not applicable: {self.measurement.skipped}"
        return self.measurement.says or f"{self.measurement.name} is {self.measurement.value:.4g}"


def blocking(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that stop a promotion, worst first."""
    return tuple(sorted((f for f in findings if f.verdict.blocks), key=lambda f: -SEVERITY[f.verdict]))


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the most severe verdict, `PASS` when there is none."""
    return max((f.verdict for f in findings), key=SEVERITY.__getitem__, default=Verdict.PASS)


def judged(
    name: str,
    threshold: Threshold,
    measure: Callable[[], Iterable[Measurement]],
    *,
    seen: Callable[[str], None],
) -> tuple[Finding, ...]:
    """Run one check and judge what it measures; a check that breaks gives one ERROR finding, which blocks.

    `seen` is told the text of an exception, so that it reaches the log as well as the record.
    """
    findings: list[Finding] = []
    try:
        findings.extend(threshold.judge(measurement, check=name) for measurement in measure())
    except Exception as error:
        # A check is a plug-in, and a broken one must block, not crash.
        findings.append(broken_check(name, error, threshold, seen=seen))
    return tuple(findings)


def broken_check(
    name: str, error: Exception, threshold: Threshold | None = None, *, seen: Callable[[str], None]
) -> Finding:
    """Return the finding of a check that raised `error`: it blocks, as nothing is known."""
    text = f"{type(error).__name__}: {error}"
    seen(f"check {name} broke: {text}")
    broken = Measurement(
        name,
        math.nan,
        says=f"The check {name} broke: {text}",
        hint="Fix or remove the check; until then it blocks.",
    )
    return Finding(name, Verdict.ERROR, broken, threshold)


@dataclass(frozen=True, slots=True)
class Report(Record):
    """A record that is a list of findings."""

    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return the most severe verdict of the report."""
        return worst(self.findings)

    def of(self, check: str) -> tuple[Finding, ...]:
        """Return the findings of one check."""
        return tuple(f for f in self.findings if f.check == check)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Rows set aside for one reason: how many, and where they are kept (artifact digest)."""

    rule: str
    column: str | None
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class QualityReport(Report):
    """What is wrong with the data.

    `clean` is the snapshot's table without quarantined rows (artifact digest); `rows` counts it.
    `contract` is the artifact digest of the inferred contract (JSON), `quarantined` that of the rows set aside.
    `dropped` maps columns that models will not see to the reason in words.
    """

    clean: str = ""
    rows: int = 0
    contract: str = ""
    quarantine: tuple[Quarantine, ...] = ()
    quarantined: str | None = None
    quarantined_rows: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RobustnessReport(Report):
    """Where the leading model breaks. `seconds` is how long the probing took."""

    model: str = ""
    seconds: float = 0.0
    made_from: tuple[str, ...] = ()
