"""Records of whole runs on real data, built by hand with quick models, to try the reporting room alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
from sklearn.model_selection import KFold, StratifiedKFold

from tenure.core.data import Column, Kind, Role, Schema, Snapshot
from tenure.core.evidence import Finding, Measurement, QualityReport, Quarantine, RobustnessReport, Threshold, Verdict
from tenure.core.lifecycle import Alias, AliasMove, Comparison, GateDecision, Outcome, Release
from tenure.core.metrics import metric_named
from tenure.core.modelling import Candidate, Importance, Leaderboard, Scheme, Score, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.uncertainty import measured_on, score_with_interval

AT = "2026-01-01T09:30:00+00:00"


@dataclass(frozen=True, slots=True)
class Walk:
    """The records of one run, in the order of `write_dossier`'s arguments."""

    snapshot: Snapshot
    quality: QualityReport
    plan: ValidationPlan
    leaderboard: Leaderboard
    robustness: RobustnessReport
    decision: GateDecision
    release: Release

    @property
    def records(self) -> tuple[Any, ...]:
        return (
            self.snapshot,
            self.quality,
            self.plan,
            self.leaderboard,
            self.robustness,
            self.decision,
            self.release,
        )


def project_text(name: str, task: str, target: str, *, more: str = "") -> str:
    return f'[project]\nname = "{name}"\ntask = "{task}"\n[data]\nsource = "rows.parquet"\ntarget = "{target}"\n{more}'


def churn_project(*, value: bool = True, more: str = "") -> str:
    money = (
        '[value]\naction = "call with an offer"\ncurrency = "EUR"\ntrue_positive = 60.0\nfalse_positive = -20.0\n'
        if value
        else ""
    )
    return (
        '[project]\nname = "churn"\ntask = "binary"\nquestion = "Which customers leave within 30 days?"\n'
        'owner = "Ada Shop"\n[data]\nsource = "customers.parquet"\ntarget = "Churn"\npositive = "Yes"\n'
        f'key = "customerID"\n{money}{more}'
    )


def schema_of(frame: pl.DataFrame, target: str, *, ignored: tuple[str, ...] = ()) -> Schema:
    columns = []
    for name, dtype in frame.schema.items():
        kind = Kind.NUMERIC if dtype.is_numeric() else Kind.DATETIME if dtype.is_temporal() else Kind.CATEGORICAL
        role = Role.TARGET if name == target else Role.IGNORED if name in ignored else Role.FEATURE
        columns.append(
            Column(name, str(dtype), kind, role, nulls=frame[name].null_count(), distinct=frame[name].n_unique())
        )
    return Schema(tuple(columns))


def walk_on(
    ctx: Context,
    frame: pl.DataFrame,
    target: str,
    task: Task,
    *,
    positive: str | None = None,
    ignored: tuple[str, ...] = (),
    rounds: int = 20,
    folds: int = 3,
    outcome: Outcome = Outcome.PROMOTE,
    against: str = "baseline",
) -> Walk:
    """Fit a quick model on folds and write the records that the rooms would have written."""
    schema = schema_of(frame, target, ignored=ignored)
    features = [c.name for c in schema.features]
    matrix = np.column_stack([_floats(frame[name]) for name in features])
    classes: tuple[str, ...] = ()
    if task.is_classification:
        classes = tuple(sorted(frame[target].cast(pl.String).unique().to_list(), key=lambda c: (c == positive, c)))
        code = {name: i for i, name in enumerate(classes)}
        truth: Any = np.array([code[t] for t in frame[target].cast(pl.String)], dtype=np.int64)
    else:
        truth = frame[target].cast(pl.Float64).to_numpy()
    block, predicted, baseline, scores, gains = _fit(matrix, truth, task, len(classes), rounds, folds)
    metric = metric_named({"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task.value], task=task)
    score = score_with_interval(metric, truth, predicted)
    base = score_with_interval(metric, truth, baseline)
    table = ctx.artifacts.put_table(frame)
    snapshot = Snapshot(table, frame.height, schema, f"file:{ctx.project.project.name}.parquet", classes)
    quality = _quality(table, frame, snapshot, features)
    blocks = np.column_stack([block, np.zeros_like(block)]).astype(np.int16)
    naive = replace(score, value=metric_up(score, metric.greater_is_better, 0.02))
    plan = ValidationPlan(
        Scheme.CROSS, "stratified-k-fold" if task.is_classification else "k-fold", folds,
        ctx.artifacts.put_array(blocks), metric.name, "rows are independent, no time or groups",
        naive=replace(naive, low=naive.value - 0.006, high=naive.value + 0.006), planned=score,
        naive_says="A plain random split claims a little more.", made_from=(snapshot.digest, quality.digest),
    )  # fmt: skip
    board = Leaderboard(
        task.value, metric.name, _candidates(score, scores), "b" * 64, _oof(ctx, truth, predicted),
        _oof(ctx, truth, baseline), score, base, naive,
        tuple(Importance(f, float(s)) for f, s in zip(features, gains / gains.sum(), strict=True)),
        threshold=_threshold(ctx, task, truth, predicted),
        threshold_reason="acting pays from this chance on" if task is Task.BINARY else "",
        calibration="temperature", calibration_reason="cross-fitted log-loss falls by 0.002",
        budget_seconds=60.0, seconds=38.2, stopped_because="budget used", clean=table,
        made_from=(snapshot.digest, quality.digest, plan.digest),
        expected=measured_on(score, frame.height // 3), expected_says="Members answer together.",
    )  # fmt: skip
    robustness = _robustness(board, features, outcome)
    decision, release = decided(board, robustness, outcome, against)
    return Walk(snapshot, quality, plan, board, robustness, decision, release)


def metric_up(score: Score, greater: bool, by: float) -> float:
    return score.value * (1 + by) if greater else score.value * (1 - by)


def _floats(series: pl.Series) -> np.ndarray:
    if series.dtype.is_numeric():
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return series.cast(pl.String).rank("dense").cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _fit(
    matrix: Any, truth: Any, task: Task, k: int, rounds: int, folds: int
) -> tuple[Any, Any, Any, list[float], Any]:
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task.value]
    params: dict[str, Any] = {
        "objective": objective,
        "verbosity": -1,
        "num_threads": 1,
        "seed": 0,
        "learning_rate": 0.15,
    }
    if task is Task.MULTICLASS:
        params |= {"num_class": k, "num_leaves": 15}
    splitter = StratifiedKFold if task.is_classification else KFold
    block = np.zeros(len(truth), dtype=np.int16)
    predicted = np.zeros((len(truth), k)) if task.is_classification else np.zeros(len(truth))
    baseline = np.zeros_like(predicted)
    metric = metric_named({"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task.value], task=task)
    scores, gains = [], np.zeros(matrix.shape[1])
    for b, (train, valid) in enumerate(splitter(folds, shuffle=True, random_state=0).split(matrix, truth)):
        booster = lightgbm.train(params, lightgbm.Dataset(matrix[train], truth[train]), rounds)
        said = np.asarray(booster.predict(matrix[valid]))
        predicted[valid] = np.column_stack([1 - said, said]) if task is Task.BINARY else said
        baseline[valid] = (
            np.bincount(truth[train], minlength=k) / len(train) if task.is_classification else np.median(truth[train])
        )
        block[valid] = b
        scores.append(metric(truth[valid], predicted[valid]))
        gains += booster.feature_importance("gain")
    return block, predicted, baseline, scores, gains + 1e-9


def _threshold(ctx: Context, task: Task, truth: Any, predicted: Any) -> float | None:
    if task is not Task.BINARY:
        return None
    value = ctx.project.value
    return value.break_even if value.is_given else float(np.quantile(predicted[:, 1], 1 - truth.mean()))


def _oof(ctx: Context, truth: Any, predicted: Any) -> str:
    said = predicted if predicted.ndim == 2 else predicted[:, None]
    n = len(truth)
    columns: dict[str, Any] = {
        "row": np.arange(n), "row_id": [f"r{i}" for i in range(n)], "reported": np.zeros(n, dtype=bool),
        "target": truth,
    }  # fmt: skip
    return ctx.artifacts.put_table(pl.DataFrame(columns | {f"p_{c}": said[:, c] for c in range(said.shape[1])}))


def _candidates(score: Score, folds: list[float]) -> tuple[Candidate, ...]:
    made = []
    spread = 0.02 * abs(score.value)
    for i, (name, family, weight) in enumerate(
        (
            ("lightgbm-small", "lightgbm", 0.6),
            ("catboost-depth-6", "catboost", 0.4),
            ("linear-ridge", "linear", 0.0),
            ("lightgbm-extra-trees", "lightgbm", 0.0),
            ("baseline", "baseline", 0.0),
        )
    ):
        worse = spread * i * (-1 if score.metric in ("roc_auc",) else 1)
        one = replace(score, value=score.value + worse, low=score.low + worse, high=score.high + worse)
        made.append(
            Candidate(
                name, family, {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20}, one,
                tuple(f + worse for f in folds), 3.5 + i, rounds=120 + i if i < 4 else None, weight=weight,
            )
        )  # fmt: skip
    return tuple(made)


def _found(
    check: str, verdict: Verdict, value: float, says: str, hint: str = "", subject: str | None = None
) -> Finding:
    return Finding(check, verdict, Measurement(check, value, subject, says, hint), Threshold(0.05, 0.15))


def _quality(table: str, frame: pl.DataFrame, snapshot: Snapshot, features: list[str]) -> QualityReport:
    leak = Measurement("target_copy", 1.0, "CancelReason", "“CancelReason” knows the answer. It was left out.",
                       evidence={"leaks": ["CancelReason"]})  # fmt: skip
    findings = (
        Finding("target_copy", Verdict.WARN, leak, Threshold(0.9)),
        _found(
            "missing-values", Verdict.WARN, 0.11, f"11 of 100 cells of “{features[-1]}” are empty.",
            "Fill the column where it is made, or leave it out.", features[-1],
        ),
        _found("leakage", Verdict.PASS, 0.01, f"“{features[0]}” does not know the answer.", "", features[0]),
        _found("duplicates", Verdict.PASS, 0.003, "3 of 1,000 rows repeat an earlier one."),
        Finding("time-order", Verdict.SKIPPED, Measurement("time-order", 0.0, skipped="there is no time column")),
    )  # fmt: skip
    return QualityReport(
        findings, clean=table, rows=frame.height, contract="c" * 64,
        quarantine=(Quarantine("target-empty", snapshot.schema.target, 7, "the target is empty"),
                    Quarantine("range", features[0], 4, "the value lies far outside everything seen")),
        quarantined="d" * 64, quarantined_rows=11,
        dropped={"CancelReason": "it knows the answer: known only after the outcome"}, made_from=(snapshot.digest,),
    )  # fmt: skip


def _blocking() -> tuple[Finding, ...]:
    bad = _found("unit_slip", Verdict.FAIL, 0.4, "If one column came in other units, nobody would notice.",
                 "Give the column hard limits in the contract.", "MonthlyCharges")  # fmt: skip
    broken = Measurement("stability", float("nan"), says="The check stability broke: ValueError: no rows")
    return bad, Finding("stability", Verdict.ERROR, broken)


def _robustness(board: Leaderboard, features: list[str], outcome: Outcome) -> RobustnessReport:
    findings = (
        _found(
            "worst_slice", Verdict.WARN, 0.31,
            f"Among the 412 cases with a high {features[0]}, it is wrong 1.4 times as often as elsewhere.",
            "Collect more such cases, or let a person look at them.", f"{features[0]} is high",
        ),
        _found("noise", Verdict.PASS, 0.01, "Small measuring errors change 1 of 100 answers."),
        _found("column_gone", Verdict.WARN, 0.12, f"Without “{features[-1]}”, 12 of 100 parts of skill are lost.",
               "Watch that this column keeps arriving.", features[-1]),
        _found("latency", Verdict.PASS, 0.4, "One answer takes 0.4 ms; 5 ms are allowed."),
        _found("calibration", Verdict.PASS, 0.012, "Stated chances are off by 1 of 100."),
        *(_blocking() if outcome is Outcome.REJECT else ()),
    )  # fmt: skip
    return RobustnessReport(findings, model=board.model, seconds=4.2, made_from=(board.digest,))


def decided(
    board: Leaderboard, robustness: RobustnessReport, outcome: Outcome, against: str = "baseline"
) -> tuple[GateDecision, Release]:
    """Return a decision and its release of the wanted outcome."""
    gain = abs(board.score.value - board.baseline.value)
    comparison = Comparison(
        board.metric, against, board.score, board.baseline, gain, gain * 0.9, gain * 1.1, board.score.rows
    )
    reason, because = f"Better than {against} beyond doubt on {board.score.rows:,} rows.", ()
    if outcome is Outcome.HOLD:
        old = replace(board.score, value=board.score.value * 0.998)
        comparison = replace(comparison, champion=old, gain=0.0017, low=-0.0021, high=0.0055)
        reason = f"Not better than {against} beyond doubt."
    if outcome is Outcome.REJECT:
        because, reason = _blocking(), "2 findings block."
    decision = GateDecision(
        outcome, reason, because, comparison, board.model, made_from=(board.digest, robustness.digest)
    )
    promoted = outcome is Outcome.PROMOTE
    moves = (AliasMove(Alias.CHAMPION, 1, 2, AT, "tenure", reason),) if promoted else ()
    release = Release(
        version=None if outcome is Outcome.REJECT else 2,
        outcome=outcome, moves=moves, rollback_to=1 if promoted else None,
        model=board.model, reason=reason, made_from=(decision.digest, board.digest),
    )  # fmt: skip
    return decision, release


def churn_walk(ctx: Context, path: Path, **more: Any) -> Walk:
    return walk_on(ctx, pl.read_parquet(path), "Churn", Task.BINARY, positive="Yes", ignored=("customerID",), **more)


def housing_walk(ctx: Context, path: Path, **more: Any) -> Walk:
    return walk_on(ctx, pl.read_parquet(path).sample(6000, seed=0), "median_house_value", Task.REGRESSION, **more)


def letter_walk(ctx: Context, path: Path, **more: Any) -> Walk:
    frame = pl.read_parquet(path).head(3000)
    return walk_on(ctx, frame, "letter", Task.MULTICLASS, rounds=8, folds=2, **more)
