"""The member that is a model of the owner's own: an estimator with scikit-learn's methods, or a network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from tenure.core.errors import BundleError, ConfigError, ExtraMissingError
from tenure.core.modelling import Floats
from tenure.model.design import LinearDesign
from tenure.model.own.estimator import EstimatorModel
from tenure.model.own.network import NetworkModel

_MOST: Final = 3e38
"""Many estimators hold numbers in 32 bits."""
_READERS: Final[dict[str, Callable[[Path, Mapping[str, Any]], EstimatorModel | NetworkModel]]] = {
    EstimatorModel.kind: EstimatorModel.load,
    NetworkModel.kind: NetworkModel.load,
}


class OwnMember:
    """Prepares the encoded matrix and asks the owner's model.

    With a `design` the model gets standardised numbers without gaps; without one the encoded matrix itself, NaN where
    missing. `classes` is 0 for values.
    """

    kind: ClassVar[str] = "own"

    def __init__(self, model: EstimatorModel | NetworkModel, *, classes: int, design: LinearDesign | None) -> None:
        self.model = model
        self.classes = classes
        self.design = design

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        if not len(matrix):
            return np.empty((0, self.classes) if self.model.task.is_classification else 0)
        return self.model.answer(prepared(self.design, matrix))

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write the model's files and those of the design, and return what `load` needs."""
        arrays = {} if self.design is None else self.design.arrays()
        files = {name: f"{stem}-design-{name.replace('_', '-')}.npy" for name in arrays}
        for name, file in files.items():
            np.save(folder / file, arrays[name], allow_pickle=False)
        spec = self.model.save(folder, stem)
        return {"kind": self.model.kind, "model": spec, "classes": self.classes, "design": files or None}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again.

        Raises:
            BundleError: the owner's code is not here, failed, or is not trusted by name in what is stored.
        """
        files = spec["design"]
        arrays = {name: np.load(folder / file, allow_pickle=False) for name, file in (files or {}).items()}
        try:
            model = _READERS[spec["kind"]](folder, spec["model"])
        except ExtraMissingError:
            raise
        except (ConfigError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"A model of the owner's own cannot be read: {error}",
                where=str(folder),
                hint="Install its package, or put its module into the project folder, as it was when it learned.",
            ) from error
        return cls(model, classes=spec["classes"], design=LinearDesign(**arrays) if files else None)


def prepared(design: LinearDesign | None, matrix: Floats) -> Floats:
    """Return the table that the owner's model gets for an encoded matrix."""
    if design is None:
        return np.clip(matrix, -_MOST, _MOST)
    table: Floats = design.transform(matrix)
    return table
