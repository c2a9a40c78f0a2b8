"""Fits the numbers of a text column: topics by a truncated SVD of hashed tf-idf, and linear scores for the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from tenure.core.modelling import Floats, Indices
from tenure.model.operations import TextTopics
from tenure.model.text import BUCKETS, PARTS_FROM, Terms, TopicModel, terms_of
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.scores import fit_scores

TOPICS: Final = 64
_KEPT_EACH: Final = 1 << 14
_LEAST_TEXTS: Final = 2
_MOST_TERMS: Final = 6_000_000
_TOPIC_TERMS: Final = 3_000_000
_POWER_ITERATIONS: Final = 2

Narrow = NDArray[np.float32]


def fit_text(
    texts: pl.Series, name: str, outcomes: Outcomes | None, *, rng: np.random.Generator, rows: int = 50_000
) -> tuple[TextTopics, Floats] | None:
    """Return the topics and scores of a text column, and its numbers for learning; None where no term comes twice.

    In the numbers for learning (n, topics + scores) each row's score comes from a model that has not seen the row.
    Learns from at most `rows` texts drawn by `rng`, and from at most six million terms (three for the topics, fewer the
    more scores there are), which bounds the time. Randomised SVD: Halko, Martinsson and Tropp 2011, with two power
    iterations.
    """
    sample = _Sample.of(texts, rng, rows)
    kept, idf = _kept(sample.documents)
    topics = min(TOPICS, len(kept) - 1, len(sample.documents) - 1)
    if topics < 1:
        return None
    weights = _weights(sample.documents, TopicModel(kept, idf, np.empty((len(kept), 0), dtype=np.float32)))
    some = _first(weights, _TOPIC_TERMS)
    topics = min(topics, some.shape[0])
    _, _, found = randomized_svd(some, topics, n_iter=_POWER_ITERATIONS, random_state=int(rng.integers(2**31 - 1)))
    components = np.ascontiguousarray(found.T, dtype=np.float32)
    if outcomes is None or not outcomes.outputs:
        operation = TextTopics(name, TopicModel(kept, idf, components))
        return operation, sample.fold(texts, operation.model)
    scores = _scores(weights, sample.rows, outcomes)
    served = np.concatenate([components, scores[:, :, -1]], axis=1)
    operation = TextTopics(name, TopicModel(kept, idf, served), outcomes.outputs)
    wide = np.concatenate([components, scores[:, :, :-1].reshape(len(kept), -1)], axis=1)
    numbers = sample.fold(texts, TopicModel(kept, idf, wide))
    by_fold = numbers[:, topics:].reshape(len(texts), outcomes.outputs, -1)
    own = by_fold[np.arange(len(texts)), :, outcomes.fold_of]
    return operation, np.concatenate([numbers[:, :topics], own], axis=1)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The rows whose texts are learned from, and their terms."""

    rows: Indices
    documents: list[Terms]

    @classmethod
    def of(cls, texts: pl.Series, rng: np.random.Generator, rows: int) -> _Sample:
        """Draw texts until there are enough terms."""
        known = np.flatnonzero(texts.is_not_null().to_numpy())
        drawn = rng.permutation(known)[:rows]
        documents: list[Terms] = []
        terms = 0
        for text in texts.gather(drawn):
            document = terms_of(text)
            terms += len(document[0])
            if documents and terms > _MOST_TERMS:
                break
            documents.append(document)
        return cls(drawn[: len(documents)], documents)

    def fold(self, texts: pl.Series, model: TopicModel) -> Floats:
        """Return what `model` makes of all texts, NaN for no text; the terms of the sample are not looked for again."""
        numbers = np.full((len(texts), model.width), np.nan)
        for row, document in zip(self.rows, self.documents, strict=True):
            numbers[row] = model.fold(document)
        others = np.ones(len(texts), dtype=bool)
        others[self.rows] = False
        for row in np.flatnonzero(others & texts.is_not_null().to_numpy()):
            numbers[row] = model.fold(terms_of(texts[int(row)]))
        return numbers


def _kept(documents: list[Terms]) -> tuple[NDArray[np.int32], Floats]:
    """Return the buckets that come in two texts at least, the most frequent words and parts, and their idf."""
    seen = np.zeros(BUCKETS, dtype=np.int64)
    for buckets, _ in documents:
        seen[buckets] += 1
    often = []
    for half in (np.arange(PARTS_FROM), np.arange(PARTS_FROM, BUCKETS)):
        repeated = half[seen[half] >= _LEAST_TEXTS]
        often.append(repeated[np.argsort(-seen[repeated], kind="stable")[:_KEPT_EACH]])
    kept: NDArray[np.int32] = np.sort(np.concatenate(often)).astype(np.int32)
    return kept, np.log((1 + len(documents)) / (1 + seen[kept])) + 1.0


def _weights(documents: list[Terms], model: TopicModel) -> csr_matrix:
    """Return the tf-idf matrix (texts, kept) float32."""
    rows = [model.weights(document) for document in documents]
    ends = np.cumsum([0, *(len(found) for found, _ in rows)])
    values = np.concatenate([weight for _, weight in rows]).astype(np.float32)
    return csr_matrix(
        (values, np.concatenate([found for found, _ in rows]), ends), shape=(len(rows), len(model.buckets))
    )


def _scores(weights: csr_matrix, rows: Indices, outcomes: Outcomes) -> Narrow:
    """Return what each term adds to each score: (terms, outputs, folds + 1), the last by all rows."""
    some = _first(weights, 2 * _MOST_TERMS // max(outcomes.outputs, 2))
    at = rows[: some.shape[0]]
    learns, applies = outcomes.learns[at], outcomes.fold_of[at]
    columns = [fit_scores(some, outcome, learns, applies, outcomes.task) for outcome in outcomes.columns[at].T]
    return np.stack(columns, axis=1)


def _first(weights: csr_matrix, terms: int) -> csr_matrix:
    """Return the first rows that have so many terms together, and at least one."""
    return weights[: max(int(np.searchsorted(weights.indptr, terms, side="right")) - 1, 1)]
