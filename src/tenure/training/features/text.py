"""Fits the topics of a text column: hashed tf-idf, then a truncated SVD."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from tenure.core.modelling import Floats
from tenure.model.text import BUCKETS, TopicModel, terms_of

TOPICS: Final = 64
_KEPT_BUCKETS: Final = 1 << 15
_LEAST_TEXTS: Final = 2
_MOST_TERMS: Final = 3_000_000
_POWER_ITERATIONS: Final = 2


def fit_topics(texts: pl.Series, *, rng: np.random.Generator, rows: int = 50_000) -> TopicModel | None:
    """Return the topics of a text column; None where no term comes twice.

    Learns from at most `rows` texts drawn by `rng`, and from at most three million terms, which bounds the time.
    Randomised SVD: Halko, Martinsson and Tropp 2011, with two power iterations.
    """
    known = texts.drop_nulls()
    drawn = rng.permutation(len(known))[:rows]
    documents = _documents(known.gather(drawn))
    seen = np.zeros(BUCKETS, dtype=np.int64)
    for buckets, _ in documents:
        seen[buckets] += 1
    repeated = np.flatnonzero(seen >= _LEAST_TEXTS)
    often = repeated[np.argsort(-seen[repeated], kind="stable")[:_KEPT_BUCKETS]]
    kept: NDArray[np.int32] = np.sort(often).astype(np.int32)
    topics = min(TOPICS, len(kept) - 1, len(documents) - 1)
    if topics < 1:
        return None
    idf: Floats = np.log((1 + len(documents)) / (1 + seen[kept])) + 1.0
    weights = _weights(documents, kept, idf)
    seed = int(rng.integers(2**31 - 1))
    _, _, components = randomized_svd(weights, topics, n_iter=_POWER_ITERATIONS, random_state=seed)
    return TopicModel(kept, idf, np.ascontiguousarray(components.T, dtype=np.float32))


def _documents(texts: pl.Series) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the buckets of each text with their counts, until there are enough terms."""
    documents: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    terms = 0
    for text in texts:
        document = np.unique(terms_of(text), return_counts=True)
        terms += len(document[0])
        if documents and terms > _MOST_TERMS:
            break
        documents.append(document)
    return documents


def _weights(
    documents: list[tuple[NDArray[np.int64], NDArray[np.int64]]], kept: NDArray[np.int32], idf: Floats
) -> csr_matrix:
    """Return the tf-idf matrix (texts, kept): sublinear counts, rows of length one, as `TopicModel.weights` gives."""
    place = np.full(BUCKETS, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    columns, values, ends = [], [], [0]
    for buckets, counts in documents:
        found = place[buckets]
        inside = found >= 0
        weight = (1.0 + np.log(counts[inside])) * idf[found[inside]]
        norm = np.sqrt(np.sum(weight * weight))
        columns.append(found[inside])
        values.append(weight / norm if norm > 0 else weight)
        ends.append(ends[-1] + len(weight))
    shape = (len(documents), len(kept))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape)
