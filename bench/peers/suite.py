"""Read a folder of data sets and split each one, once, into the tables that every system gets.

The folder holds Parquet files and a `catalog.toml` with one `[[dataset]]` for each: `name`, `file`, `target`, `task`
(guessed where it is missing), and where they apply `time`, `positive`, `id_columns`, `leakage`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from tenure.core.metrics import DEFAULT_METRIC, METRICS, Metric
from tenure.core.modelling import Floats, Task
from tenure.ingest.target import guess_task
from tenure.model.target import encode_target

LEARNED_SHARE: Final = 0.75


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue."""

    name: str
    path: Path
    target: str
    task: Task
    time: str | None
    positive: str | None
    withheld: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """Return the metric by which the set is judged."""
        return METRICS[DEFAULT_METRIC[self.task]]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from and rows kept away, with the same columns; the rows' own order is that of time or of chance.

    `classes` are those seen in `learn` (the positive one last), `kept` has no others.
    """

    entry: Entry
    learn: pl.DataFrame
    kept: pl.DataFrame
    classes: tuple[str, ...]

    @property
    def truth(self) -> NDArray[Any]:
        """Return the targets kept away: class codes or values, shape (n,)."""
        return self._encoded(self.kept)

    def constant(self) -> Floats:
        """Return what a model without features says of the kept rows: class shares (n, k) or the mean (n,)."""
        learned = self._encoded(self.learn)
        if self.entry.task is Task.REGRESSION:
            return np.full(self.kept.height, learned.mean())
        shares = np.bincount(learned, minlength=len(self.classes)) / len(learned)
        return np.tile(shares, (self.kept.height, 1))

    def _encoded(self, rows: pl.DataFrame) -> NDArray[Any]:
        encoded: NDArray[Any] = encode_target(rows[self.entry.target], self.entry.task, self.classes)
        return encoded


def catalogue(folder: Path, names: Sequence[str] = ()) -> list[Entry]:
    """Return the data sets of a folder, or those named, in the order of the catalogue."""
    listed = tomllib.loads((folder / "catalog.toml").read_text())["dataset"]
    unknown = set(names) - {spec["name"] for spec in listed}
    if unknown:
        raise SystemExit(f"{folder}/catalog.toml has no data set {', '.join(sorted(unknown))}.")
    return [_entry(folder, spec) for spec in listed if not names or spec["name"] in names]


def _entry(folder: Path, spec: dict[str, Any]) -> Entry:
    path = folder / spec.get("file", f"{spec['name']}.parquet")
    task = Task(spec["task"]) if "task" in spec else guess_task(pl.read_parquet(path)[spec["target"]])[0]
    return Entry(
        name=spec["name"],
        path=path,
        target=spec["target"],
        task=task,
        time=spec.get("time"),
        positive=spec.get("positive"),
        withheld=(*spec.get("id_columns", ()), *spec.get("leakage", ())),
    )


def split(entry: Entry, seed: int) -> Split:
    """Return the first three quarters and the last one: by time where there is a time column, else drawn by `seed`.

    The time column, other dates, identifiers and columns known only after the target are left out.
    """
    table = pl.read_parquet(entry.path).filter(pl.col(entry.target).is_not_null())
    if entry.time is None:
        table = table[np.random.default_rng(seed).permutation(table.height)]
    else:
        table = table.sort(entry.time, maintain_order=True)
    table = plain(table.drop([name for name in (entry.time, *entry.withheld) if name is not None]), entry)
    cut = round(LEARNED_SHARE * table.height)
    learn, kept = table[:cut], table[cut:]
    classes = classes_of(entry, learn)
    return Split(entry, learn, kept.filter(pl.col(entry.target).is_in(classes)) if classes else kept, classes)


def classes_of(entry: Entry, learn: pl.DataFrame) -> tuple[str, ...]:
    """Return the classes seen in rows to learn from, the positive one last; none for regression."""
    if entry.task is Task.REGRESSION:
        return ()
    return tuple(sorted(learn[entry.target].unique(), key=lambda name: (name == entry.positive, name)))


def plain(table: pl.DataFrame, entry: Entry) -> pl.DataFrame:
    """Return only numbers and texts: what every system reads alike."""
    answer = pl.Float64 if entry.task is Task.REGRESSION else pl.String
    features = table.drop(entry.target).drop(cs.temporal())
    gaps = [name for name in features.columns if features[name].null_count()]
    return features.with_columns(
        cs.boolean().cast(pl.Int8),
        cs.decimal().cast(pl.Float64),
        (~(cs.numeric() | cs.boolean())).cast(pl.String),
    ).with_columns((cs.numeric() & cs.by_name(gaps)).cast(pl.Float64), table[entry.target].cast(answer))
