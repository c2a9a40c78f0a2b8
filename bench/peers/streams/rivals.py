"""The policies that need other people's software: ADWIN and the adaptive forest of river, and Evidently's alarm."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from peers.streams.bank import Bank
from peers.streams.child import Child
from peers.streams.policies import OnAlarm
from peers.streams.replay import Course, View
from peers.streams.stream import Stream
from tenure.core.modelling import Floats

TREES: Final = 10
MOST_REFERENCE: Final = 5_000


class Adwin:
    """Rings when ADWIN fires on the errors of the model in office, row by row as labels become known."""

    def __init__(self, peers: Path | None) -> None:
        self._child = Child(peers, "river", "river_adwin")
        self._anew = True

    def __call__(self, view: View) -> bool:
        """Say whether it fired on the labels that have just become known."""
        fired = False
        for window in view.newly:
            told = self._child.ask(errors=view.errors(window).tolist(), anew=self._anew)
            self._anew = False
            view.spent += told["seconds"]
            fired |= told["fired"]
        return fired

    def close(self) -> None:
        """Let the peer end."""
        self._child.close()


class Evidently:
    """Rings when half of the columns of the last window drifted from what the model in office has learned from.

    What it said is kept beside the bank: it depends on the rows alone. The prediction is not among the columns.
    """

    def __init__(self, peers: Path | None, bank: Bank) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        rows = Path(self._folder.name) / "rows.parquet"
        _as_table(bank.stream).write_parquet(rows)
        self._child = Child(peers, "evidently", "evidently_alarm", str(rows))
        self._file = None if bank.folder is None else bank.folder / "evidently.jsonl"
        self._told: dict[tuple[int, int], tuple[bool, float]] = {}
        if self._file is not None and self._file.exists():
            for line in self._file.read_text().splitlines():
                learned, window, drifted, seconds = json.loads(line)
                self._told[learned, window] = (drifted, seconds)
        self.policy: OnAlarm | None = None

    def __call__(self, view: View) -> bool:
        """Say whether the last window drifted."""
        assert self.policy is not None
        learned = max(self.policy.learned, view.stream.first - 1)
        key = (int(view.stream.edges[learned + 1]), view.window - 1)
        if view.window == view.stream.first:
            return False
        if key not in self._told:
            rows = view.stream.rows(view.window - 1)
            told = self._child.ask(learned=key[0], window=[rows.start, rows.stop], most=MOST_REFERENCE)
            self._told[key] = (told["drifted"], told["seconds"])
            if self._file is not None:
                with self._file.open("a") as file:
                    file.write(json.dumps([*key, *self._told[key]]) + "\n")
        drifted, seconds = self._told[key]
        view.spent += seconds
        return drifted

    def close(self) -> None:
        """Let the peer end."""
        self._child.close()
        self._folder.cleanup()


def run_forest(peers: Path | None, stream: Stream, delay: int) -> Course:
    """Return the course of river's adaptive random forest: it learns each row as soon as its label is known."""
    child = Child(peers, "river", "river_forest")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        order, out = Path(place) / "order.npz", Path(place) / "said.npy"
        np.savez(
            order,
            matrix=_without_gaps(stream),
            target=stream.problem.target,
            edges=stream.edges,
            first=np.array(stream.first),
            classes=np.array(stream.problem.classes),
            known=np.array([stream.edges[stream.known_through(w, delay) + 1] for w in stream.judged]),
        )
        told = child.ask(order=str(order), out=str(out), trees=TREES)
        said = np.load(out)
    child.close()
    begin = int(stream.edges[stream.first])
    losses = stream.losses(slice(begin, len(stream.times)), said)
    course = Course([float(part.sum()) for part in np.split(losses, stream.edges[stream.first + 1 : -1] - begin)])
    course.own = told["seconds"]
    return course


def _without_gaps(stream: Stream) -> Floats:
    """Return the matrix with medians of the warm part for missing values, 0 where all of them are missing."""
    warm = stream.problem.matrix[: stream.edges[stream.first]]
    present = np.isfinite(warm).any(axis=0)
    middle = np.zeros(warm.shape[1])
    middle[present] = np.nanmedian(warm[:, present], axis=0)
    return np.where(np.isfinite(stream.problem.matrix), stream.problem.matrix, middle)


def _as_table(stream: Stream) -> pl.DataFrame:
    """Return the matrix as a table, codes of levels as texts."""
    columns = {}
    for name, values, coded in zip(
        stream.problem.names, stream.problem.matrix.T, stream.problem.categorical, strict=True
    ):
        series = pl.Series(name, values).fill_nan(None)
        columns[name] = series.cast(pl.Int64).cast(pl.String) if coded else series
    return pl.DataFrame(columns)
