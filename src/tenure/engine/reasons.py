"""Say in one sentence what a record decided, for the ledger and for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport, RobustnessReport, Verdict
from tenure.core.lifecycle import Dossier, GateDecision, Release
from tenure.core.modelling import Leaderboard, Score, ValidationPlan
from tenure.core.records import Record


def score_words(score: Score) -> str:
    """Return a score with its interval, rounded to what the interval allows."""
    digits = 0 if abs(score.value) >= 1000 else 1 if abs(score.value) >= 100 else 4
    return f"{score.value:,.{digits}f} ({score.low:,.{digits}f} to {score.high:,.{digits}f})"


def _counted(report: QualityReport | RobustnessReport) -> str:
    counts = {verdict: sum(f.verdict is verdict for f in report.findings) for verdict in Verdict}
    parts = [
        f"{counts[v]} {v.value}" for v in (Verdict.ERROR, Verdict.FAIL, Verdict.WARN, Verdict.SKIPPED) if counts[v]
    ]
    passed = f"{counts[Verdict.PASS]} of {len(report.findings)} findings pass"
    return ", ".join([passed, *parts])


def _snapshot(record: Snapshot) -> str:
    return f"{record.rows:,} rows and {len(record.schema.columns)} columns from {record.source}"


def _quality(record: QualityReport) -> str:
    parts = [_counted(record)]
    if record.quarantined_rows:
        parts.append(f"{record.quarantined_rows:,} rows set aside")
    if record.dropped:
        parts.append("kept from models: " + ", ".join(record.dropped))
    return "; ".join(parts)


def _leaderboard(record: Leaderboard) -> str:
    trimmed = "" if record.trim is None else f"{record.trim.way.value} to answer a row in time; "
    return (
        f"{len(record.candidates)} candidates; {record.metric} {score_words(record.score)}, "
        f"baseline {score_words(record.baseline)}; {trimmed}{record.stopped_because}"
    ).rstrip("; ")


def _release(record: Release) -> str:
    return record.reason or ("nothing changed" if record.version is None else f"v{record.version} registered")


_WORDS: Final[dict[type[Record], Callable[[Any], str]]] = {
    Snapshot: _snapshot,
    QualityReport: _quality,
    ValidationPlan: lambda record: f"{record.splitter}: {record.reason}",
    Leaderboard: _leaderboard,
    RobustnessReport: _counted,
    GateDecision: lambda record: f"{record.outcome.value}: {record.reason}",
    Release: _release,
    Dossier: lambda record: record.headline,
}


def reason_of(record: Record) -> str:
    """Return the one sentence that the ledger keeps with `record`."""
    return _WORDS[type(record)](record)
