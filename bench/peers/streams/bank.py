"""A bank of models: what one learned from some rows answers to all later rows is kept, in memory and on disk.

A model that is learned from the rows up to some window depends neither on the delay of labels nor on the policy that
asks for it. So each is fitted once, and every policy is replayed from the bank. What a model cost to fit is kept beside
its answers, so that a policy can be charged for all it asked for.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from peers.streams.stream import Stream
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Probe, Prober, Problem
from tenure.core.retraining import Way
from tenure.training.probes import QuickProber

_MOST_BYTES: Final = 2_000_000_000
_MOST_PROBES: Final = 16


@dataclass(frozen=True, eq=False)
class Kept:
    """A model of the bank, by how it was made; fitted only when it must be.

    `first` is the first row after all that it, or what it was made from, has learned from. `seconds` of CPU are those
    of its own last step.
    """

    bank: Bank
    key: str
    first: int
    make: tuple[Any, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """Return the CPU seconds that fitting it took."""
        return self.bank.entry(self).seconds

    def predict(self, matrix: Floats) -> Floats:
        """Return the answers to rows of the stream's matrix, kept ones where they were not learned from."""
        return self.bank.answer(self, matrix)

    def answers(self, rows: slice) -> Floats:
        """Return the answers to rows of the stream, by position: (m, k) or (m,)."""
        if rows.start < self.first:
            return np.asarray(self.bank.probe(self).predict(self.bank.stream.problem.matrix[rows]))
        kept = self.bank.entry(self).answers[rows.start - self.first : rows.stop - self.first]
        return _spread_out(kept, self.bank.stream.problem.task)


@dataclass(frozen=True, eq=False)
class _Entry:
    answers: NDArray[np.float32]
    seconds: float


class Bank:
    """Fits models on a stream, each one once.

    `made` changes when the stream or the learner does. With a folder models outlive the process; `fits` counts what was
    really fitted, `fitting` its CPU seconds. `asked` holds the CPU seconds of every model asked for since
    `forget_what_was_asked`, fitted now or long ago.
    """

    def __init__(self, stream: Stream, folder: Path | None, prober: Prober | None = None) -> None:
        self.stream, self.prober = stream, prober or QuickProber()
        self.made = f"{stream.fingerprint}-{_told(self.prober)}"
        self.folder = None
        if folder is not None:
            self.folder = folder / f"{stream.name}-{self.made}"
            self.folder.mkdir(parents=True, exist_ok=True)
        self.fits, self.fitting = 0, 0.0
        self.asked: dict[str, float] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._probes: OrderedDict[str, Any] = OrderedDict()
        self._bytes = 0

    def forget_what_was_asked(self) -> None:
        """Start to count anew what is asked for."""
        self.asked = {}

    # ---- asking ----

    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> Kept:
        """Return the model learned from rows (positions in the stream, ascending); a bank is a `Prober`.

        Raises:
            ValueError: the problem is not that of the stream.
        """
        if not _is_part(problem.matrix, self.stream.problem.matrix):
            raise ValueError(
                "A bank knows the models of one stream; the problem must be the stream's own, or its start."
            )
        if base is not None and not isinstance(base, Kept):
            raise ValueError("A bank goes on from its own models only.")
        digest = hashlib.sha256(f"{way.value} {mix} {'' if base is None else base.key}".encode())
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        digest.update(rows.tobytes())
        if weight is not None:
            digest.update(np.ascontiguousarray(weight, dtype=np.float64).tobytes())
        first = max(int(rows[-1]) + 1, 0 if base is None else base.first)
        kept = Kept(self, digest.hexdigest()[:24], first, (rows, weight, way, base, mix))
        self.asked[kept.key] = kept.seconds
        return kept

    def newest(self, end: int, share: float = 1.0) -> Kept:
        """Return the model learned from the newest share of the first `end` rows."""
        return self.fit(self.stream.problem, np.arange(end - int(np.ceil(share * end)), end), None)

    def losses(self, model: Kept, window: int) -> Floats:
        """Return the loss of each row of a window."""
        rows = self.stream.rows(window)
        return self.stream.losses(rows, model.answers(rows))

    # ---- keeping ----

    def probe(self, kept: Kept) -> Any:
        """Return the fitted model itself, made again where only its answers were kept."""
        if kept.key in self._probes:
            self._probes.move_to_end(kept.key)
            return self._probes[kept.key]
        probe, _ = self._fitted(kept)
        return probe

    def entry(self, kept: Kept) -> _Entry:
        """Return the answers to all rows from `kept.first` on, and the seconds of the fit."""
        if kept.key in self._entries:
            self._entries.move_to_end(kept.key)
            return self._entries[kept.key]
        entry = self._read(kept) or self._made(kept)
        self._entries[kept.key] = entry
        self._bytes += entry.answers.nbytes
        while self._bytes > _MOST_BYTES and len(self._entries) > 1:
            self._bytes -= self._entries.popitem(last=False)[1].answers.nbytes
        return entry

    def answer(self, kept: Kept, matrix: Floats) -> Floats:
        """Return the answers to rows of the stream's matrix, found again by their content."""
        at = self._positions(matrix)
        if at is None or (at.size and at.min() < kept.first):
            return np.asarray(self.probe(kept).predict(matrix))
        return _spread_out(self.entry(kept).answers[at - kept.first], self.stream.problem.task)

    def _fitted(self, kept: Kept) -> tuple[Any, float]:
        rows, weight, way, base, mix = kept.make
        below = None if base is None else self.probe(base)
        started = time.thread_time()
        probe = self.prober.fit(self.stream.problem, rows, weight, way=way, base=below, mix=mix)
        seconds = time.thread_time() - started
        self.fits += 1
        self.fitting += seconds
        self._probes[kept.key] = probe
        while len(self._probes) > _MOST_PROBES:
            self._probes.popitem(last=False)
        return probe, seconds

    def _made(self, kept: Kept) -> _Entry:
        probe, seconds = self._fitted(kept)
        rest = self.stream.problem.matrix[kept.first :]
        said = np.asarray(probe.predict(rest)) if len(rest) else np.empty((0, max(self.stream.problem.classes, 1)))
        if self.stream.problem.task is Task.BINARY:
            said = said[:, 1]
        entry = _Entry(said.astype(np.float32), seconds)
        if self.folder is not None:
            place = self.folder / f"{kept.key}.npz"
            fresh = place.with_suffix(f".{os.getpid()}.new")
            with fresh.open("wb") as file:
                np.savez(file, answers=entry.answers, seconds=np.array(seconds), first=np.array(kept.first))
            fresh.replace(place)
        return entry

    def _read(self, kept: Kept) -> _Entry | None:
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{kept.key}.npz") as file:
                return _Entry(file["answers"], float(file["seconds"])) if int(file["first"]) == kept.first else None
        except (OSError, ValueError, KeyError):
            return None

    # ---- finding rows by their content ----

    def _positions(self, matrix: Floats) -> NDArray[np.int64] | None:
        """Return which rows of the stream these are, the last of equal ones; None where one is none of them."""
        hashes, order = self._index
        wanted = self._hashes(matrix)
        at = np.minimum(np.searchsorted(hashes, wanted, side="right"), len(hashes)) - 1
        if at.size and (at.min() < 0 or not np.array_equal(hashes[at], wanted)):
            return None
        return order[at]

    @cached_property
    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        hashes = self._hashes(self.stream.problem.matrix)
        order = np.argsort(hashes, kind="stable")  # of equal rows the last comes last: it is never learned from first
        return hashes[order], order

    def _hashes(self, matrix: Floats) -> NDArray[np.uint64]:
        bits = np.ascontiguousarray(matrix, dtype=np.float64).view(np.uint64)
        odd = np.random.default_rng(7).integers(1, 2**63, matrix.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
            1
        )
        mixed = (bits ^ (bits >> np.uint64(29))) * odd
        return (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)


def _told(prober: Prober) -> str:
    """Return what changes when the prober's settings or the code of its module do; comments do not count."""
    code = ast.dump(ast.parse(inspect.getsource(inspect.getmodule(type(prober)) or type(prober))))
    return hashlib.sha256(repr((sorted(vars(prober).items()), code)).encode()).hexdigest()[:8]


def _is_part(some: Floats, whole: Floats) -> bool:
    """Say whether a matrix is another one, or its first rows, in the same memory."""
    return some.shape[1] == whole.shape[1] and some.ctypes.data == whole.ctypes.data and len(some) <= len(whole)


def _spread_out(kept: NDArray[np.float32], task: Task) -> Floats:
    """Return kept answers as they were given: probabilities (m, k) or values (m,)."""
    said = kept.astype(np.float64)
    return np.column_stack([1 - said, said]) if task is Task.BINARY else said
