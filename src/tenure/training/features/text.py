"""Fits the numbers of a text column: topics by a truncated SVD of hashed tf-idf, and linear scores for the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Deadline
from tenure.model.operations import TextTopics
from tenure.model.text import BUCKETS, LONGEST_TEXT, PARTS_FROM, Terms, TopicModel, terms_of
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.scores import fit_scores

TOPICS: Final = 64
_KEPT_EACH: Final = 1 << 14
_LEAST_TEXTS: Final = 2
_LENGTHS: Final = (LONGEST_TEXT, 2_000, 500, 150)
_TIMED: Final = 200
_PASSES: Final = 3.0
"""A text is read, folded and looked at, which takes about three times what reading takes."""
_TERMS_A_SECOND: Final = 400_000
_FEWEST_TERMS: Final = 200_000
_POWER_ITERATIONS: Final = 2

Narrow = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of texts is read: the first `longest` characters of each, and `terms` to learn from."""

    longest: int = LONGEST_TEXT
    terms: int = 6_000_000


def affordable(
    texts: pl.Series, deadline: Deadline, seconds: float, *, read: Callable[[str, int], object] = terms_of
) -> Reading | None:
    """Return how much of a text column can be read and learned from in about `seconds`; None where nothing can.

    Some texts are read, to see how long that takes. Endless seconds leave nothing out, whatever the clock says.
    """
    if seconds == inf:
        return Reading()
    known = texts.drop_nulls()
    some = known.gather_every(max(len(known) // _TIMED, 1)).head(_TIMED).to_list()
    for text in some:  # fills the cache of words
        read(text, LONGEST_TEXT)
    for longest in _LENGTHS:
        before = deadline.now
        for text in some:
            read(text, longest)
        if _PASSES * (deadline.now - before) * len(known) <= seconds * len(some):
            return Reading(longest, int(np.clip(_TERMS_A_SECOND * seconds, _FEWEST_TERMS, Reading().terms)))
    return None


def fit_text(
    texts: pl.Series,
    name: str,
    outcomes: Outcomes | None,
    *,
    rng: np.random.Generator,
    rows: int = 50_000,
    reading: Reading = Reading(),
) -> tuple[TextTopics, Floats] | None:
    """Return the topics and scores of a text column, and its numbers for learning; None where no term comes twice.

    In the numbers for learning (n, topics + scores) each row's score comes from a model that has not seen the row.
    Learns from at most `rows` texts drawn by `rng`, and from the terms that `reading` allows (half of them for the
    topics, fewer the more scores there are), which bounds the time. Randomised SVD: Halko, Martinsson and Tropp 2011,
    with two power iterations.
    """
    texts = texts.str.slice(0, reading.longest)
    sample = _Sample.of(texts, rng, rows, reading.terms)
    kept, idf = _kept(sample.documents)
    topics = min(TOPICS, len(kept) - 1, len(sample.documents) - 1)
    if topics < 1:
        return None
    weights = _weights(sample.documents, TopicModel(kept, idf, np.empty((len(kept), 0), dtype=np.float32)))
    some = _first(weights, reading.terms // 2)
    topics = min(topics, some.shape[0])
    _, _, found = randomized_svd(some, topics, n_iter=_POWER_ITERATIONS, random_state=int(rng.integers(2**31 - 1)))
    components = np.ascontiguousarray(found.T, dtype=np.float32)
    if outcomes is None or not outcomes.outputs:
        operation = TextTopics(name, TopicModel(kept, idf, components), longest=reading.longest)
        return operation, sample.fold(texts, operation.model)
    scores = _scores(weights, sample.rows, outcomes, reading.terms)
    served = np.concatenate([components, scores[:, :, -1]], axis=1)
    operation = TextTopics(name, TopicModel(kept, idf, served), outcomes.outputs, reading.longest)
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
    def of(cls, texts: pl.Series, rng: np.random.Generator, rows: int, most_terms: int) -> _Sample:
        """Draw texts until there are enough terms."""
        known = np.flatnonzero(texts.is_not_null().to_numpy())
        drawn = rng.permutation(known)[:rows]
        documents: list[Terms] = []
        terms = 0
        for text in texts.gather(drawn):
            document = terms_of(text)
            terms += len(document[0])
            if documents and terms > most_terms:
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


def _scores(weights: csr_matrix, rows: Indices, outcomes: Outcomes, terms: int) -> Narrow:
    """Return what each term adds to each score: (terms, outputs, folds + 1), the last by all rows."""
    some = _first(weights, 2 * terms // max(outcomes.outputs, 2))
    at = rows[: some.shape[0]]
    learns, applies = outcomes.learns[at], outcomes.fold_of[at]
    columns = [fit_scores(some, outcome, learns, applies, outcomes.task) for outcome in outcomes.columns[at].T]
    return np.stack(columns, axis=1)


def _first(weights: csr_matrix, terms: int) -> csr_matrix:
    """Return the first rows that have so many terms together, and at least one."""
    return weights[: max(int(np.searchsorted(weights.indptr, terms, side="right")) - 1, 1)]
