"""The doors of the house: what a plug-in or an adapter must offer, in one file.

Everything a room needs from outside arrives in a `Context`; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import WindowPair
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Configuration, DataShape, Floats, Indices, Task, Traits
from tenure.core.project import Project
from tenure.core.records import Record
from tenure.core.retraining import Way

R = TypeVar("R", bound=Record)


class Artifacts(Protocol):
    """A content-addressed store: what is put in is found again by the SHA-256 of its bytes, or not at all."""

    def put_bytes(self, content: bytes) -> str: ...
    def get_bytes(self, digest: str) -> bytes: ...
    def put_table(self, table: pl.DataFrame) -> str: ...
    def get_table(self, digest: str) -> pl.DataFrame: ...
    def put_array(self, array: NDArray[Any]) -> str: ...
    def get_array(self, digest: str) -> NDArray[Any]: ...
    def put_tree(self, folder: Path) -> str: ...
    def get_tree(self, digest: str) -> Path: ...
    def put_record(self, record: Record) -> str: ...
    def get_record(self, kind: type[R], digest: str) -> R: ...


class Log(Protocol):
    """Where a stage tells what it is doing: `note` for a line, `progress` for how far it is (0 to 1)."""

    def note(self, text: str) -> None: ...
    def progress(self, share: float, text: str = "") -> None: ...


class Silent:
    """A log that keeps nothing, for libraries and tests."""

    def note(self, text: str) -> None:
        """Drop a line."""

    def progress(self, share: float, text: str = "") -> None:
        """Drop a progress report."""


class Deadline:
    """A moment after which work must stop. `timer` returns seconds that only grow."""

    __slots__ = ("_timer", "at", "seconds")

    def __init__(self, seconds: float, timer: Callable[[], float]) -> None:
        self._timer = timer
        self.seconds = seconds
        self.at = timer() + seconds

    @property
    def now(self) -> float:
        """Return the timer's seconds."""
        return self._timer()

    @property
    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(self.at - self._timer(), 0.0)

    @property
    def passed(self) -> bool:
        """Say whether the time is up."""
        return self._timer() >= self.at

    def within(self, seconds: float) -> Deadline:
        """Return a deadline after `seconds`, but no later than this one."""
        return Deadline(min(seconds, self.left), self._timer)


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage gets from outside.

    `folder` is the project folder. `clock` gives the time (aware, UTC), `timer` monotonic seconds.
    `actor` is who asked.
    """

    project: Project
    folder: Path
    artifacts: Artifacts
    clock: Callable[[], datetime]
    timer: Callable[[], float]
    log: Log = field(default_factory=Silent)
    seed: int = 0
    actor: str = "tenure"

    def rng(self, *salt: int) -> np.random.Generator:
        """Return a random generator that depends only on the project's seed and `salt`."""
        return np.random.default_rng((self.seed, *salt))

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline that many seconds from now."""
        return Deadline(seconds, self.timer)


class Source(Protocol):
    """Reads one kind of source into a table. The first source whose `accepts` says yes is used."""

    name: ClassVar[str]

    def accepts(self, source: str) -> bool: ...

    def fingerprint(self, source: str, query: str | None, folder: Path) -> str | None:
        """Return what changes when the source's content does; None where only reading tells."""
        ...

    def read(self, source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame: ...


@runtime_checkable
class Member(Protocol):
    """One fitted model as data. `kind` is the file name under `model/members/` that loads it again.

    `predict` takes the encoded matrix (n, d) and gives probabilities (n, k) or values (n,).
    `save` writes files whose names start with `stem` into `folder` and returns what `load` needs, as plain data.
    """

    kind: ClassVar[str]

    def predict(self, matrix: Floats) -> Floats: ...
    def save(self, folder: Path, stem: str) -> dict[str, Any]: ...

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Member: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What every family learns from: one encoded matrix, shared by all configurations and folds.

    `matrix` is (n, d) float64 with NaN for missing; `categorical` marks columns that hold category codes;
    `target` is int64 class codes or float64 values; `weight` is None or (n,) float64.
    `shared` lets a family keep what it builds once (a binned data set, say) under its own name. `in_time` says that
    predictions are for later rows than those learned from.
    """

    task: Task
    classes: int
    matrix: Floats
    names: tuple[str, ...]
    categorical: tuple[bool, ...]
    target: NDArray[Any]
    weight: Floats | None = None
    seed: int = 0
    threads: int = 2
    shared: dict[str, Any] = field(default_factory=dict)
    in_time: bool = False

    @property
    def shape(self) -> DataShape:
        """Return what families look at."""
        rows, features = self.matrix.shape
        return DataShape(self.task, rows, features, sum(self.categorical), self.classes, in_time=self.in_time)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A member, and how many rounds it took where it learns in rounds.

    `chosen` holds parameters that the family settled while fitting (a learning rate that fits the time, say); `leaves`
    is the size of the member's trees, where it has trees.
    """

    member: Member
    rounds: int | None = None
    chosen: dict[str, Any] = field(default_factory=dict)
    leaves: int = 0


class ModelFamily(Protocol):
    """Proposes configurations and fits them; it never scores itself.

    `fit` learns from the rows at `train`; `valid` (None when refitting on all rows) is for early stopping only.
    `rounds` fixes the rounds of a refit. When the deadline passes it returns what it has, or None if that is nothing.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]

    def configurations(self, shape: DataShape) -> Sequence[Configuration]: ...

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None: ...


class Probe(Protocol):
    """A quick model that stands in for one that could be made: it answers an encoded matrix (n, d) as a `Member`."""

    def predict(self, matrix: Floats) -> Floats: ...


class Prober(Protocol):
    """Makes quick models that all learn alike, so that what they learned from can be compared.

    `rows` are ascending positions in the problem, `weight` how much each of them counts. CONTINUE and LEAVES start from
    `base`, which is one of its own; `mix` is how much of an old leaf stays. The same input gives the same probe; what
    cannot be fitted raises.
    """

    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> Probe: ...


E_contra = TypeVar("E_contra", contravariant=True)


class Check(Protocol[E_contra]):
    """Measures one thing about its evidence; the threshold judges. Used by quality and robustness."""

    name: ClassVar[str]
    threshold: ClassVar[Threshold]

    def measure(self, evidence: E_contra) -> Iterable[Measurement]: ...


class DriftTest(Protocol):
    """Measures how far a window moved from the reference, column by column."""

    name: ClassVar[str]
    threshold: ClassVar[Threshold]

    def measure(self, pair: WindowPair) -> Iterable[Measurement]: ...
