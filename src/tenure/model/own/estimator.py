"""A fitted estimator with scikit-learn's methods, kept as data in skops' format: arrays and JSON, never pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from tenure.core.errors import ConfigError
from tenure.core.modelling import Floats, Task
from tenure.model.own.code import library, owners_code, refuse_untrusted

_PRIOR_SHARE: Final = 1e-3
"""Of the class shares mixed in: many estimators say 0 of what they have not seen, and 0 cannot be judged."""
_SCHEMA: Final = "schema.json"


class EstimatorModel:
    """Answers with `predict_proba` or `predict`. `shares` are the classes' shares among the rows it learned from."""

    kind: ClassVar[str] = "estimator"

    def __init__(self, task: Task, path: str, estimator: Any, *, shares: Sequence[float], trust: Sequence[str]) -> None:
        self.task = task
        self.path = path
        self.shares: Floats = np.array(shares, dtype=np.float64)
        self.trust = tuple(trust)
        self._estimator = estimator
        self._stored: bytes | None = None

    def answer(self, table: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,) of a prepared table."""
        if self.task is Task.REGRESSION:
            return np.asarray(self._estimator.predict(table), dtype=np.float64).reshape(-1)
        said = np.asarray(self._estimator.predict_proba(table), dtype=np.float64)
        every = np.zeros((len(table), len(self.shares)))
        every[:, np.asarray(self._estimator.classes_, dtype=np.int64)] = said
        every = np.clip(every, 0.0, 1.0)
        every /= every.sum(axis=1, keepdims=True)
        mixed: Floats = (1 - _PRIOR_SHARE) * every + _PRIOR_SHARE * self.shares
        return mixed

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>.skops` and return what `load` needs.

        Raises:
            ConfigError: the estimator cannot be kept as data, or only with types that the owner does not trust.
        """
        if self._stored is None:  # what was read would be written in other bytes
            self._stored = self._as_data()
        name = f"{stem}.skops"
        (folder / name).write_bytes(self._stored)
        about = {"file": name, "shares": self.shares.tolist(), "trust": list(self.trust)}
        return {"task": self.task.value, "path": self.path, **about}

    def _as_data(self) -> bytes:
        skops = library("skops.io", needed_for=f"Storing {self.path}")
        try:
            stored: bytes = skops.dumps(self._estimator)
        except (TypeError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"{self.path} cannot be stored as data: {error}.",
                where=f"training.own: {self.path}",
                hint="Let the fitted estimator hold numbers, text, arrays and other estimators only.",
            ) from error
        refuse_untrusted(self.path, skops.get_untrusted_types(data=stored), self.trust)
        return _settled(stored)

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the estimator again; only types that skops or the owner trusts are made."""
        skops = library("skops.io", needed_for=f"A stored {spec['path']}")
        stored = (folder / spec["file"]).read_bytes()
        refuse_untrusted(spec["path"], skops.get_untrusted_types(data=stored), spec["trust"])
        with owners_code(spec["path"], "being read"):
            estimator = skops.loads(stored, trusted=list(spec["trust"]))
        model = cls(Task(spec["task"]), spec["path"], estimator, shares=spec["shares"], trust=spec["trust"])
        model._stored = stored
        return model


def _settled(stored: bytes) -> bytes:
    """Return the same archive with running numbers for memory addresses, and one date: equal models, equal bytes."""
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        files = {name: archive.read(name) for name in archive.namelist() if name != _SCHEMA}
    numbers: dict[Any, int] = {}
    names: dict[str, str] = {}

    def settle(part: Any) -> Any:
        if isinstance(part, list):
            return [settle(item) for item in part]
        if not isinstance(part, dict):
            return part
        made: dict[str, Any] = {}
        for key, value in part.items():
            if key == "__id__":
                made[key] = numbers.setdefault(value, len(numbers))
            elif key == "file" and isinstance(value, str) and value in files:
                made[key] = names.setdefault(value, f"{len(names):05d}{Path(value).suffix}")
            else:
                made[key] = settle(value)
        return made

    described = json.dumps(settle(schema))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for old, new in names.items():
            archive.writestr(zipfile.ZipInfo(new), files[old])
        archive.writestr(zipfile.ZipInfo(_SCHEMA), described)
    return buffer.getvalue()
