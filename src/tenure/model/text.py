"""Text as numbers: hashed words and word parts, weighted by rarity, folded into a few numbers.

Terms are single words with `!` and `?`, pairs of neighbours, and the three to five letter parts of each word with its
borders (scikit-learn's `char_wb`). They are hashed by CRC-32, so the same text gives the same terms in every process.
Words and pairs have the lower half of the buckets, parts the upper half.
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
PARTS_FROM: Final = BUCKETS // 2
"""The first bucket of word parts."""

LONGEST_TEXT: Final = 20_000
"""Characters of a text that are read at most."""
_LONGEST_WORD: Final = 64
_WORD: Final = re.compile(r"\w+|[!?]")
_PAIR_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_PAIR_SHIFT: Final = np.uint64(64 - 17)
_PARTS_LENGTH: Final = 0.5

Terms = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The buckets of a text's terms, sorted, and how often each comes."""


@lru_cache(maxsize=50_000)
def _word_terms(word: str) -> tuple[int, NDArray[np.int64]]:
    """Return a word's hash and the buckets of the word and its parts; texts repeat words, hence the cache."""
    hashed = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    parts: list[int] = []
    if word not in ("!", "?"):
        framed = f" {word} "
        pieces = (framed[at : at + n] for n in (3, 4, 5) for at in range(max(len(framed) - n + 1, 1)))
        parts = [PARTS_FROM + zlib.crc32(p.encode("utf-8", "surrogatepass"), 1) % PARTS_FROM for p in pieces]
    return hashed, np.array([hashed % PARTS_FROM, *parts], dtype=np.int64)


def terms_of(text: str, longest: int = LONGEST_TEXT) -> Terms:
    """Return the buckets of the terms in the first `longest` characters, sorted, and how often each comes."""
    words = [word[:_LONGEST_WORD] for word in _WORD.findall(text[:longest].lower())]
    if not words:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    hashes, buckets = zip(*map(_word_terms, words), strict=True)
    code = np.array(hashes, dtype=np.uint64)
    pairs = ((code[:-1] * _PAIR_MIX + code[1:]) * _PAIR_MIX) >> _PAIR_SHIFT
    return np.unique(np.concatenate([*buckets, pairs.astype(np.int64)]), return_counts=True)


@dataclass(frozen=True, eq=False)
class TopicModel:
    """What a text column was folded with.

    `buckets` (int32, sorted) are the hash buckets kept, `idf` (float64) their weights, `components`
    (float32, one row a bucket) what each adds to each number.
    """

    buckets: NDArray[np.int32]
    idf: Floats
    components: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Return how many numbers a text becomes."""
        return int(self.components.shape[1])

    @cached_property
    def _place(self) -> NDArray[np.int32]:
        place = np.full(BUCKETS, -1, dtype=np.int32)
        place[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        return place

    @cached_property
    def _first_part(self) -> int:
        return int(np.searchsorted(self.buckets, PARTS_FROM))

    def weights(self, terms: Terms) -> tuple[NDArray[np.int32], Floats]:
        """Return the kept terms of a text (positions in `buckets`) and their weights.

        Words and pairs are of length one together, parts of length one half: alone they would drown the words.
        """
        buckets, counts = terms
        places = self._place[buckets]
        kept = places >= 0
        found = places[kept]
        weight = (1.0 + np.log(counts[kept])) * self.idf[found]
        parts = int(np.searchsorted(found, self._first_part))
        for half, length in ((weight[:parts], 1.0), (weight[parts:], _PARTS_LENGTH)):
            norm = float(np.sqrt(np.sum(half * half)))
            half *= length / norm if norm > 0 else 0.0
        return found, weight

    def fold(self, terms: Terms) -> Floats:
        """Return the numbers of a text, (numbers,); zeros where no term is known."""
        found, weight = self.weights(terms)
        folded: Floats = np.einsum("i,ij->j", weight, self.components[found])
        return folded
