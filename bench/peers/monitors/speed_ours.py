"""Time ours, or the plain scan that is the limit, in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import polars as pl
import polars.selectors as cs

_SAMPLE = 50_000


def main() -> None:
    """Print one JSON line: seconds of all, without the import of libraries."""
    system, reference, current = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    work = {"polars": _scanned, "tenure": _both, "tenure-window": _window}[system]
    print(json.dumps({"version": pl.__version__ if system == "polars" else _version()} | work(reference, current)))


def _scanned(reference: Path, current: Path) -> dict[str, float]:
    """Scan one file and aggregate every column: counts, means, deviations, extremes, numbers of levels."""
    frame = pl.scan_parquet(current)
    wanted = [
        *(cs.numeric().mean().name.suffix(" mean"), cs.numeric().std().name.suffix(" std")),
        *(cs.all().min().name.suffix(" min"), cs.all().max().name.suffix(" max")),
        *(cs.all().null_count().name.suffix(" nulls"), cs.string().n_unique().name.suffix(" levels")),
    ]
    started = time.perf_counter()
    aggregates = frame.select(wanted).collect(engine="streaming").width
    return {"seconds": time.perf_counter() - started, "aggregates": aggregates}


def _both(reference: Path, current: Path) -> dict[str, float]:
    """Do what the peers do: learn the reference file, sketch the other one, and judge every column."""
    from tenure.monitoring.evidence import evidence
    from tenure.monitoring.sketch_files import sketch_file

    started = time.perf_counter()
    layout = _layout(reference)
    (known,), (came,) = (sketch_file(path, layout) for path in (reference, current))
    judged = evidence(known, came, layout)
    return {"seconds": time.perf_counter() - started, "judged": len(judged)}


def _window(reference: Path, current: Path) -> dict[str, float]:
    """Sketch one file, as every window is."""
    from tenure.monitoring.sketch_files import sketch_file

    layout = _layout(reference)
    started = time.perf_counter()
    (came,) = sketch_file(current, layout)
    return {"seconds": time.perf_counter() - started, "sketched": came.rows}


def _layout(reference: Path):
    from tenure.core.data import Column, Kind, Schema
    from tenure.monitoring.layout import layout_of

    sample = pl.scan_parquet(reference).head(_SAMPLE).collect()
    kinds = {True: Kind.NUMERIC, False: Kind.CATEGORICAL}
    schema = Schema(tuple(Column(n, str(t), kinds[t.is_numeric()]) for n, t in sample.schema.items()))
    return layout_of(sample, schema)


def _version() -> str:
    from tenure import __version__

    return __version__


if __name__ == "__main__":
    main()
