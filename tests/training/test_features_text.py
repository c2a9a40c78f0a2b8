from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tenure.core.metrics import metric_named
from tenure.core.modelling import Fold, Task
from tenure.core.ports import Deadline
from tenure.model.operations import OPERATIONS
from tenure.model.text import LONGEST_TEXT
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.text import TOPICS, Reading, affordable, fit_text


def outcomes(task: Task, target: np.ndarray, classes: int = 2) -> Outcomes:
    return Outcomes.of(task, classes, target, rng=np.random.default_rng(0))


def notes(target: np.ndarray, words: tuple[str, ...] = ("dull", "fine", "superb")) -> pl.Series:
    """Return texts of which six in ten have a word that follows the target."""
    rng = np.random.default_rng(1)
    said = [words[int(t)] if rng.random() < 0.6 else "so" for t in target]
    return pl.Series([f"word{rng.integers(40)} {word} other{rng.integers(40)}" for word in said])


@pytest.mark.parametrize(("task", "scores"), [(Task.BINARY, 1), (Task.MULTICLASS, 3), (Task.REGRESSION, 1)])
def test_scores_follow_the_target_out_of_fold_and_when_served(task: Task, scores: int) -> None:
    classes = 2 if task is Task.BINARY else 3
    target = np.random.default_rng(0).integers(0, classes, 600)
    texts = notes(target)
    found = fit_text(texts, "note", outcomes(task, target, classes), rng=np.random.default_rng(0))
    assert found is not None
    operation, numbers = found
    served = operation.encode(pl.DataFrame({"note": texts}))
    assert operation.names[-scores:] == tuple(f"note (score{f' {s + 1}' if scores > 1 else ''})" for s in range(scores))
    topics = len(operation.names) - scores
    np.testing.assert_allclose(served[:, :topics], numbers[:, :topics], atol=1e-6)
    for column in (numbers[:, -1], served[:, -1]):
        assert np.corrcoef(column, target == classes - 1)[0, 1] > 0.4


def test_a_score_has_not_seen_its_own_row() -> None:
    """Half the texts have words that only their neighbour shares; a score that had seen them would tell the target."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 800)
    texts = pl.concat([notes(target[:400]), pl.Series([f"name{at // 2} code{at // 2}" for at in range(400)])])
    found = fit_text(texts, "note", outcomes(Task.BINARY, target), rng=rng)
    assert found is not None
    operation, numbers = found
    served = operation.encode(pl.DataFrame({"note": texts}))
    assert abs(np.corrcoef(numbers[400:, -1], target[400:])[0, 1]) < 0.15
    assert np.corrcoef(served[400:, -1], target[400:])[0, 1] > 0.3


def test_texts_that_tell_nothing_score_zero() -> None:
    rng = np.random.default_rng(0)
    texts = notes(rng.integers(0, 2, 400))
    found = fit_text(texts, "note", outcomes(Task.BINARY, rng.integers(0, 2, 400)), rng=rng)
    assert found is not None
    assert not found[1][:, -1].any()


def test_rows_beyond_the_sample_get_the_score_of_their_fold() -> None:
    target = np.random.default_rng(0).integers(0, 2, 600)
    texts = notes(target).to_frame("note").with_columns(pl.when(pl.int_range(600) % 50 > 0).then("note"))["note"]
    found = fit_text(texts, "note", outcomes(Task.BINARY, target), rng=np.random.default_rng(0), rows=200)
    assert found is not None
    numbers = found[1]
    missing = texts.is_null().to_numpy()
    assert np.isnan(numbers[missing]).all()
    assert np.corrcoef(numbers[~missing, -1], target[~missing])[0, 1] > 0.3


@pytest.mark.parametrize(("seconds", "longest"), [(1e3, LONGEST_TEXT), (8.0, 2_000), (2.0, 500), (0.6, 150), (0.1, 0)])
def test_long_texts_are_cut_to_what_there_is_time_to_read(seconds: float, longest: int) -> None:
    now = [0.0]

    def read(text: str, most: int) -> None:
        now[0] += 1e-6 * len(text[:most])

    texts = pl.Series(["tea or coffee? " * 400] * 1_000)
    found = affordable(texts, Deadline(1e9, lambda: now[0]), seconds, read=read)
    assert (0 if found is None else found.longest) == longest


def test_what_was_cut_while_learning_is_cut_when_served() -> None:
    target = np.random.default_rng(0).integers(0, 2, 300)
    texts = notes(target)
    long = texts + pl.Series([" and so on" * 50] * 300)
    rng = np.random.default_rng(0)
    found = fit_text(long, "note", outcomes(Task.BINARY, target), rng=rng, reading=Reading(longest=40))
    assert found is not None
    again = OPERATIONS[found[0].op].from_dict(found[0].to_dict(), found[0].arrays())
    cut, whole = (again.encode(pl.DataFrame({"note": each})) for each in (long.str.slice(0, 40), long))
    np.testing.assert_array_equal(cut, whole)


def test_without_a_target_there_are_topics_only() -> None:
    found = fit_text(notes(np.arange(300) % 2), "note", None, rng=np.random.default_rng(0))
    assert found is not None
    assert found[0].scores == 0
    assert found[1].shape == (300, TOPICS)


def test_given_folds_keep_later_rows_out_of_earlier_scores() -> None:
    """The second half speaks in words of its own, which models of the first half cannot know."""
    half = np.arange(600) >= 300
    target = np.random.default_rng(0).integers(0, 2, 600)
    texts = pl.concat([notes(target[:300]), notes(target[300:], ("awful", "great"))])
    folds = (Fold(np.flatnonzero(~half), np.flatnonzero(half)),)
    made = Outcomes.of(Task.BINARY, 2, target, rng=np.random.default_rng(0), folds=folds)
    found = fit_text(texts, "note", made, rng=np.random.default_rng(0))
    assert found is not None
    operation, numbers = found
    served = operation.encode(pl.DataFrame({"note": texts}))
    assert np.corrcoef(numbers[~half, -1], target[~half])[0, 1] > 0.3
    assert abs(np.corrcoef(numbers[half, -1], target[half])[0, 1]) < 0.15
    assert np.corrcoef(served[half, -1], target[half])[0, 1] > 0.3


def test_real_reviews_are_scored(real_data: Callable[[str], Path]) -> None:
    frame = pl.read_parquet(real_data("fine_food_reviews"))
    target = (frame["score"] == "great").to_numpy().astype(np.int64)
    train = np.arange(frame.height) % 4 > 0
    rng = np.random.default_rng(0)
    found = fit_text(frame["review"].filter(train), "review", outcomes(Task.BINARY, target[train]), rng=rng)
    assert found is not None
    score = found[0].encode(frame.filter(~train))[:, -1]
    shares = 1 / (1 + np.exp(-score))
    auc = metric_named("roc_auc", task=Task.BINARY)(target[~train], np.column_stack([1 - shares, shares]))
    assert auc > 0.85
