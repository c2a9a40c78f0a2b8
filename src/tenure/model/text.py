"""Text as numbers: hashed words and word parts, weighted by rarity, folded into a few topics.

Terms are single words, word pairs and the three to five letter parts of each word with its borders (scikit-learn's
`char_wb`). They are hashed by CRC-32, so the same text gives the same terms in every process.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

BUCKETS: Final = 1 << 18
_LONGEST_TEXT: Final = 20_000
_LONGEST_WORD: Final = 64
_WORD: Final = re.compile(r"\w+")
_PAIR_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_PAIR_SHIFT: Final = np.uint64(64 - 18)


@lru_cache(maxsize=50_000)
def _word_terms(word: str) -> tuple[int, NDArray[np.int64]]:
    """Return a word's hash and the buckets of the word and its parts; texts repeat words, hence the cache."""
    framed = f" {word} "
    parts = [framed[at : at + n] for n in (3, 4, 5) for at in range(max(len(framed) - n + 1, 1))]
    hashed = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    buckets = [zlib.crc32(part.encode("utf-8", "surrogatepass"), 1) % BUCKETS for part in parts]
    return hashed, np.array([hashed % BUCKETS, *buckets], dtype=np.int64)


def terms_of(text: str) -> NDArray[np.int64]:
    """Return the buckets of all terms of `text`, with repeats."""
    words = [word[:_LONGEST_WORD] for word in _WORD.findall(text[:_LONGEST_TEXT].lower())]
    if not words:
        return np.empty(0, dtype=np.int64)
    hashes, parts = zip(*(_word_terms(word) for word in words), strict=True)
    code = np.array(hashes, dtype=np.uint64)
    pairs = ((code[:-1] * _PAIR_MIX + code[1:]) * _PAIR_MIX) >> _PAIR_SHIFT
    return np.concatenate([*parts, pairs.astype(np.int64)])


@dataclass(frozen=True, eq=False)
class TopicModel:
    """What a text column was folded with.

    `buckets` (int32, sorted) are the hash buckets kept, `idf` (float64) their weights, `components`
    (float32, one row a bucket) what each adds to each topic.
    """

    buckets: NDArray[np.int32]
    idf: Floats
    components: NDArray[np.float32]

    @property
    def topics(self) -> int:
        """Return how many numbers a text becomes."""
        return int(self.components.shape[1])

    @cached_property
    def _place(self) -> NDArray[np.int32]:
        place = np.full(BUCKETS, -1, dtype=np.int32)
        place[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        return place

    def weights(self, text: str) -> tuple[NDArray[np.int32], Floats]:
        """Return the kept terms of `text` (positions in `buckets`) and their weights, of length one together."""
        places = self._place[terms_of(text)]
        found, counts = np.unique(places[places >= 0], return_counts=True)
        weight = (1.0 + np.log(counts)) * self.idf[found]
        norm = float(np.sqrt(np.sum(weight * weight)))
        return found, weight / norm if norm > 0 else weight

    def fold(self, text: str) -> Floats:
        """Return the topics of `text`, (topics,); zeros where no term is known."""
        found, weight = self.weights(text)
        topics: Floats = np.einsum("i,ij->j", weight, self.components[found])
        return topics
