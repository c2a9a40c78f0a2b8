"""The estimators in the hands of users: frames and arrays, labels, weights, order, searches, files."""

from __future__ import annotations

import copy
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tenure
from tenure.core.errors import BudgetError, BundleError, ConfigError, UnknownPluginError
from tenure.core.modelling import Task
from tenure.estimators.classifier import TenureClassifier
from tenure.estimators.regressor import TenureRegressor
from tenure.training.race import BASELINE, Race

QUICK: dict[str, Any] = {"trials": 1, "families": ["linear", "lightgbm"], "folds": 3, "random_state": 0}


def numbers(n: int = 240, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (two that matter, one of noise, with gaps), a yes or no, and a value."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    value = 2 * X[:, 0] + np.where(X[:, 1] > 0, 3.0, 0.0) + 0.3 * rng.normal(size=n)
    X[rng.random((n, 3)) < 0.05] = np.nan
    return X, value > 1.5, value


def mixed(n: int = 300, seed: int = 5) -> tuple[pl.DataFrame, np.ndarray]:
    """Return columns of every kind, of which all but the last matter, and a value."""
    rng = np.random.default_rng(seed)
    level = rng.choice(["low", "middle", "high"], n)
    days = rng.integers(0, 700, n)
    flag = rng.random(n) < 0.5
    amount = rng.normal(size=n).round(3)
    value = np.select([level == "low", level == "high"], [0.0, 4.0], 2.0) + flag + 2 * amount
    frame = pl.DataFrame(
        {
            "level": level,
            "plan": pl.Series(rng.choice(["a", "b"], n)).cast(pl.Categorical),
            "flag": flag,
            "amount": pl.Series([f"{a:.3f}" for a in amount]),
            "since": pl.Series(np.datetime64("2023-01-01") + days.astype("timedelta64[D]")),
            "gap": pl.Series(rng.normal(size=n)).set(pl.Series(rng.random(n) < 0.3), None),
        }
    )
    return frame, value


@pytest.fixture(scope="module")
def classifier() -> TenureClassifier:
    X, y, _ = numbers()
    return TenureClassifier(**QUICK).fit(X, y)


@pytest.fixture(scope="module")
def regressor() -> TenureRegressor:
    X, _, y = numbers()
    return TenureRegressor(**QUICK).fit(X, y)


def test_the_estimators_are_at_the_front_door() -> None:
    assert tenure.TenureClassifier is TenureClassifier
    assert tenure.TenureRegressor is TenureRegressor


def test_equal_seeds_and_trials_give_identical_predictions(classifier: TenureClassifier) -> None:
    X, y, _ = numbers()
    again = TenureClassifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(again.feature_importances_, classifier.feature_importances_)


def test_arrays_and_both_kinds_of_frames_give_the_same_predictions(regressor: TenureRegressor) -> None:
    X, _, y = numbers()
    names = ["one", "two", "three"]
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        fitted = TenureRegressor(**QUICK).fit(frame, y)
        np.testing.assert_array_equal(fitted.predict(frame), regressor.predict(X))
        assert fitted.feature_names_in_.tolist() == names


def test_columns_of_every_kind_are_read_alike_from_polars_and_pandas() -> None:
    frame, y = mixed()
    other = pd.DataFrame({name: frame[name].to_list() for name in frame.columns}).astype({"plan": "category"})
    ours, theirs = (TenureRegressor(**QUICK).fit(X, y) for X in (frame, other))
    np.testing.assert_allclose(ours.predict(frame), theirs.predict(other), rtol=1e-12)
    np.testing.assert_allclose(ours.predict(other), ours.predict(frame), rtol=1e-12)
    assert ours.score(frame, y) > 0.9
    assert ours.model_.schema["amount"].kind == "numeric"
    assert ours.model_.schema["since"].kind == "datetime"
    assert set(np.argsort(ours.feature_importances_)[-2:]) == {0, 3}


def test_a_position_may_be_called_categorical() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, 400)
    X, y = np.column_stack([codes, rng.normal(size=400)]), rng.normal(size=12)[codes]
    fitted = TenureRegressor(**QUICK | {"families": ["linear"]}, categorical_features=[0]).fit(X, y)
    assert fitted.model_.schema["x0"].kind == "categorical"
    assert fitted.score(X, y) > 0.9
    with pytest.raises(ValueError, match="no such column"):
        TenureRegressor(**QUICK, categorical_features=["nowhere"]).fit(X, y)


@pytest.mark.parametrize(
    "labels", [[0, 1], [-1, 1], [False, True], ["no", "yes"], [2.0, 5.0], [3, 1, 2], ["b", "a", "c"]], ids=str
)
def test_labels_of_any_type_come_back_in_order(labels: list[Any]) -> None:
    X, _, value = numbers()
    y = np.array(labels)[np.digitize(value, np.quantile(value, np.arange(1, len(labels)) / len(labels)))]
    fitted = TenureClassifier(**QUICK).fit(X, y)
    assert fitted.classes_.tolist() == sorted(labels)
    assert fitted.predict(X).dtype == y.dtype
    probabilities = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[probabilities.argmax(axis=1)])
    assert fitted.score(X, y) > 0.75


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.6))
def test_rows_of_weight_zero_are_as_good_as_absent(seed: int, share: float) -> None:
    X, y, _ = numbers(120, seed)
    weight = np.where(np.random.default_rng(seed).random(120) < share, 0.0, 1.0)
    kept = weight > 0
    weight[kept] += np.arange(kept.sum()) % 3
    weighted = TenureClassifier(**QUICK).fit(X, y, sample_weight=weight)
    without = TenureClassifier(**QUICK).fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


def test_equal_weights_change_nothing(classifier: TenureClassifier) -> None:
    X, y, _ = numbers()
    weighted = TenureClassifier(**QUICK).fit(X, y, sample_weight=np.full(len(y), 2.5))
    np.testing.assert_array_equal(weighted.predict_proba(X), classifier.predict_proba(X))


def test_heavier_rows_pull_the_predictions_their_way(classifier: TenureClassifier) -> None:
    X, y, _ = numbers()
    pulled = TenureClassifier(**QUICK).fit(X, y, sample_weight=np.where(y, 10.0, 1.0))
    assert pulled.predict_proba(X)[:, 1].mean() > classifier.predict_proba(X)[:, 1].mean() + 0.05


def test_time_and_groups_decide_how_models_are_judged() -> None:
    X, y, _ = numbers()
    when = pd.date_range("2024-01-01", periods=len(y), freq="D")
    groups = np.repeat(np.arange(len(y) // 6), 6)
    with_time = TenureClassifier(**QUICK).fit(X, y, time=when)
    in_order = TenureClassifier(**QUICK, time_ordered=True).fit(X, y)
    assert with_time.validation_.splitter == in_order.validation_.splitter == "time-blocks"
    np.testing.assert_array_equal(with_time.predict_proba(X), in_order.predict_proba(X))
    backwards = TenureClassifier(**QUICK).fit(X[::-1], y[::-1], time=when[::-1])
    np.testing.assert_array_equal(backwards.predict_proba(X), with_time.predict_proba(X))
    assert TenureClassifier(**QUICK).fit(X, y, groups=groups).validation_.splitter == "group-k-fold"
    both = TenureClassifier(**QUICK).fit(X, y, time=when, groups=groups)
    assert both.validation_.splitter == "group-time-blocks"
    assert both.n_features_in_ == 3
    with pytest.raises(ValueError, match="number or a date for every row"):
        TenureClassifier(**QUICK).fit(X, y, time=np.full(len(y), np.nan))


def test_what_was_learned_can_be_read(classifier: TenureClassifier, regressor: TenureRegressor) -> None:
    for fitted in (classifier, regressor):
        assert fitted.feature_importances_.shape == (3,)
        assert fitted.feature_importances_.sum() == pytest.approx(1.0)
        assert fitted.feature_importances_.argmin() == 2
        assert fitted.score_.low <= fitted.score_.value <= fitted.score_.high
        assert {"baseline", "linear", "lightgbm"} <= set(fitted.leaderboard_["family"])
        assert fitted.leaderboard_["weight"].sum() == pytest.approx(1.0)
    assert classifier.model_.task is Task.BINARY


def test_explanations_add_up(classifier: TenureClassifier) -> None:
    X, _, value = numbers()
    only = TenureRegressor(**QUICK | {"families": ["linear"]}).fit(X, value)
    assert only.explain(X).shape == (len(X), 4)
    np.testing.assert_allclose(only.explain(X).sum(axis=1), only.predict(X), atol=1e-6)
    effects = classifier.explain(X)
    assert np.corrcoef(effects[:, 0], np.nan_to_num(X[:, 0]))[0, 1] > 0.8


def test_intervals_cover_about_what_they_say(regressor: TenureRegressor) -> None:
    X, _, y = numbers(2000, seed=99)
    low, high = regressor.predict_interval(X).T
    assert (low < regressor.predict(X)).all()
    assert 0.8 < np.mean((low <= y) & (y <= high)) < 0.99


def _pickled(estimator: Any) -> Any:
    return pickle.loads(pickle.dumps(estimator))  # noqa: S301 - the bytes were made here


@pytest.mark.parametrize("copied", [_pickled, copy.deepcopy])
def test_a_copy_predicts_the_same(classifier: TenureClassifier, copied: Callable[[Any], Any]) -> None:
    X, _, _ = numbers()
    again = copied(classifier)
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.get_params() == classifier.get_params()
    assert again.leaderboard_.equals(classifier.leaderboard_)


def test_a_pickle_holds_files_and_no_live_model(classifier: TenureClassifier) -> None:
    state = classifier.__getstate__()
    assert "model_" not in state
    assert {type(content) for content in state["_files"].values()} == {bytes}
    assert "bundle.json" in state["_files"]


def test_a_bundle_is_written_and_read_again(
    classifier: TenureClassifier, regressor: TenureRegressor, tmp_path: Path
) -> None:
    X, _, _ = numbers()
    again = TenureRegressor.from_bundle(regressor.to_bundle(tmp_path / "values"))
    np.testing.assert_array_equal(again.predict(X), regressor.predict(X))
    labels = TenureClassifier.from_bundle(classifier.to_bundle(tmp_path / "classes"))
    assert labels.classes_.tolist() == ["false", "true"]
    np.testing.assert_array_equal(labels.predict_proba(X), classifier.predict_proba(X))
    with pytest.raises(FileExistsError):
        classifier.to_bundle(tmp_path / "classes")
    with pytest.raises(BundleError, match="binary"):
        TenureRegressor.from_bundle(tmp_path / "classes")
    (tmp_path / "classes" / "plan.json").write_text("{}")
    with pytest.raises(BundleError):
        TenureClassifier.from_bundle(tmp_path / "classes")


@pytest.mark.parametrize(("container", "library"), [("pandas", pd), ("polars", pl)])
def test_answers_come_in_the_container_asked_for(classifier: TenureClassifier, container: str, library: Any) -> None:
    X, _, _ = numbers()
    asked = copy.deepcopy(classifier).set_output(transform=container)
    probabilities = asked.predict_proba(X)
    assert isinstance(probabilities, library.DataFrame)
    assert list(probabilities.columns) == ["false", "true"]
    np.testing.assert_array_equal(probabilities.to_numpy(), classifier.predict_proba(X))
    assert isinstance(asked.predict(X), library.Series)
    assert list(asked.explain(X).columns) == ["x0", "x1", "x2", "base"]
    assert isinstance(asked.set_output(transform="default").predict(X), np.ndarray)
    with pytest.raises(ValueError, match="set_output knows"):
        asked.set_output(transform="paper")


def test_a_clone_answers_in_the_same_container_and_keeps_the_index(regressor: TenureRegressor) -> None:
    X, _, y = numbers()
    frame = pd.DataFrame(X, columns=list("abc"), index=np.arange(len(X)) * 7)
    fitted = clone(regressor.__class__(**QUICK).set_output(transform="pandas")).fit(frame, y)
    assert fitted.predict(frame).index.tolist() == frame.index.tolist()
    assert list(fitted.predict_interval(frame).columns) == ["low", "high"]


def test_scikit_learn_can_search_and_cross_validate() -> None:
    X, y, _ = numbers(150)
    groups = np.arange(150) // 5
    assert cross_val_score(TenureClassifier(**QUICK), X, y, cv=2, scoring="roc_auc").min() > 0.8
    assert cross_val_score(TenureClassifier(**QUICK), X, y, groups=groups, cv=GroupKFold(2)).min() > 0.7
    search = GridSearchCV(TenureClassifier(**QUICK), {"families": [["linear"], ["lightgbm"]]}, cv=2).fit(X, y)
    assert search.best_estimator_.predict(X).shape == (150,)
    pipeline = make_pipeline(StandardScaler(), TenureClassifier(**QUICK)).set_output(transform="pandas").fit(X, y)
    assert pipeline.score(X, y) > 0.8


def test_weights_time_and_groups_can_be_routed() -> None:
    X, y, _ = numbers(120)
    with config_context(enable_metadata_routing=True):
        asked = TenureClassifier(**QUICK).set_fit_request(sample_weight=True, time=True, groups=False)
        steps = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asked)
        pipeline = steps.fit(X, y, time=np.arange(120), sample_weight=np.ones(120))
    assert pipeline[-1].validation_.splitter == "time-blocks"


def test_infinite_numbers_count_as_missing_and_a_warning_says_so(regressor: TenureRegressor) -> None:
    X, _, value = numbers()
    endless = np.where(np.isnan(X), np.inf, X)
    assert np.isinf(endless).any()
    np.testing.assert_array_equal(regressor.predict(endless), regressor.predict(X))
    with pytest.warns(UserWarning, match=r"read as missing, in: x\d"):
        TenureRegressor(**QUICK | {"families": ["linear"]}).fit(endless, value)


def test_input_that_cannot_be_used_is_refused_as_scikit_learn_does(regressor: TenureRegressor) -> None:
    X, y, value = numbers()
    frame = pd.DataFrame(X, columns=list("abc"))
    fitted = TenureRegressor(**QUICK | {"families": ["linear"]}).fit(frame, value)
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(frame[["b", "a", "c"]])
    with pytest.raises(ValueError, match="now missing"):
        fitted.predict(frame[["a", "b"]])
    with pytest.raises(ValueError, match="features"):
        regressor.predict(X[:, :2])
    with pytest.raises(TypeError, match="Sparse"):
        TenureRegressor(**QUICK).fit(sparse.csr_array(np.nan_to_num(X)), value)
    with pytest.raises(ValueError, match="one class"):
        TenureClassifier(**QUICK).fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative"):
        TenureClassifier(**QUICK).fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="inconsistent"):
        TenureClassifier(**QUICK).fit(X, y, groups=np.ones(3))
    with pytest.raises(NotFittedError):
        TenureClassifier().predict(X)


def test_wishes_that_cannot_be_met_are_refused() -> None:
    X, y, _ = numbers(60)
    with pytest.raises(UnknownPluginError):
        TenureClassifier(**QUICK | {"families": ["lightgbn"]}).fit(X, y)
    with pytest.raises(ConfigError, match="rmse"):
        TenureClassifier(**QUICK, metric="rmse").fit(X, y)
    with pytest.raises(ValueError, match="duration"):
        TenureClassifier("a while").fit(X, y)
    with pytest.raises(ValueError, match="trials"):
        TenureClassifier(trials=0).fit(X, y)
    with pytest.raises(BudgetError):
        TenureClassifier(1e-6).fit(X, y)


def test_a_bundle_knows_the_columns_by_name(tmp_path: Path) -> None:
    frame, y = mixed()
    frame = frame.with_columns(empty=pl.lit(None, dtype=pl.Float64))
    fitted = TenureRegressor(**QUICK).fit(frame, y)
    again = TenureRegressor.from_bundle(fitted.to_bundle(tmp_path / "mixed"))
    assert again.feature_names_in_.tolist() == frame.columns
    np.testing.assert_array_equal(again.predict(frame), fitted.predict(frame))


def test_a_frame_is_left_as_it_was() -> None:
    X, y, _ = numbers(100)
    frame = pl.DataFrame(X, schema=["target", "row", "weight"])
    before = frame.clone()
    fitted = TenureClassifier(**QUICK).fit(frame, pl.Series("target", y), sample_weight=np.arange(100) + 1)
    fitted.predict(frame)
    assert frame.equals(before, null_equal=True)
    assert fitted.feature_names_in_.tolist() == ["target", "row", "weight"]


# The interrupt may land while threadpoolctl reads /proc/self/maps, which then closes the file late.
@pytest.mark.filterwarnings("ignore:unclosed file.*maps:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*/proc/self/maps:pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_fit_keeps_the_best_so_far() -> None:
    X, y, _ = numbers(3000)

    def interrupt(_number: int, frame: FrameType | None) -> None:
        """Press Ctrl-C as soon as the race has chosen a candidate, however long that takes on this machine."""
        while frame is not None:
            race = frame.f_locals.get("self")
            if isinstance(race, Race) and race.weights.keys() - {BASELINE}:
                signal.setitimer(signal.ITIMER_REAL, 0)
                raise KeyboardInterrupt
            frame = frame.f_back

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with pytest.warns(ConvergenceWarning, match="stopped early"):
            fitted = TenureClassifier(60, random_state=0).fit(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert fitted.score(X, y) > 0.8
    assert _pickled(fitted).score(X, y) > 0.8
