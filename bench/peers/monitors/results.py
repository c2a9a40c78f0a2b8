"""One JSON line for each finished job, so that a campaign which was stopped goes on where it ended."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Results:
    """The results file of a campaign; `keys` are the fields that tell its jobs apart."""

    def __init__(self, out: Path, keys: Sequence[str]) -> None:
        self._out, self._keys = out, tuple(keys)
        out.parent.mkdir(parents=True, exist_ok=True)
        self._done = {self._key(record) for record in read([out])}

    def has(self, **job: Any) -> bool:
        """Say whether a job stands in the file."""
        return self._key(job) in self._done

    def add(self, record: Record) -> None:
        """Append what came of a job, with the time and the load of the machine."""
        record = record | {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load": round(os.getloadavg()[0], 2),
        }
        with self._out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self._done.add(self._key(record))

    def _key(self, record: Record) -> tuple[Any, ...]:
        return tuple(record.get(name) for name in self._keys)


def read(files: Sequence[Path]) -> list[Record]:
    """Return all records of results files; a line that a kill cut short is passed over."""
    records = []
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else ():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records
