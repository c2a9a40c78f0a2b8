"""The member that prepares features and asks a LightGBM model about the encoded and the prepared columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tenure.core.modelling import Floats
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.preparation import Preparation


class PreparedMember:
    """Predicts with trees that read prepared features after the encoded columns."""

    kind: ClassVar[str] = "prepared"

    def __init__(self, preparation: Preparation, trees: LightGBMMember) -> None:
        self.preparation = preparation
        self.trees = trees

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        return self.trees.predict(self._prepared(matrix))

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): tree SHAP values in raw-score units, the base last.

        What a prepared column adds is shared equally by the columns it is made of.
        """
        columns = self.preparation.columns
        found = self.trees.contributions(self._prepared(matrix))
        shares = np.concatenate([found[:, :columns], found[:, -1:]], axis=1)
        for at, sources in enumerate(self.preparation.sources()):
            for source in sources:
                shares[:, source] += found[:, columns + at] / len(sources)
        return shares

    def _prepared(self, matrix: Floats) -> Floats:
        return np.concatenate([matrix, self.preparation.transform(matrix)], axis=1)

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write the trees and the preparation's arrays, and return what `load` needs."""
        arrays = self.preparation.arrays()
        for name, array in arrays.items():
            np.save(folder / f"{stem}-{name}.npy", array, allow_pickle=False)
        files = {name: f"{stem}-{name}.npy" for name in arrays}
        return {"trees": self.trees.save(folder, stem), "files": files} | self.preparation.to_dict()

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again."""
        arrays = {name: np.load(folder / file, allow_pickle=False) for name, file in spec["files"].items()}
        return cls(Preparation.from_dict(spec, arrays), LightGBMMember.load(folder, spec["trees"]))
