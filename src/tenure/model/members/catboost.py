"""The member that is a CatBoost model (extra `catboost`, imported only when such a model is used)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tenure.core.errors import ExtraMissingError
from tenure.core.modelling import Floats, Task


def catboost_library() -> Any:
    """Return the catboost package.

    Raises:
        ExtraMissingError: it is not installed.
    """
    try:
        return importlib.import_module("catboost")
    except ModuleNotFoundError as error:
        raise ExtraMissingError.from_extra("catboost", needed_for="A CatBoost model") from error


def catboost_rows(matrix: Floats, categorical: Sequence[bool]) -> Any:
    """Return an encoded matrix as CatBoost reads it: numbers first (float32), then codes as text, -1 for missing."""
    codes = np.array(categorical, dtype=bool)
    kinds: dict[str, Any] = {}
    if not codes.all():
        with np.errstate(over="ignore"):  # what is too large for 32 bits is infinite to CatBoost
            kinds["num_feature_data"] = np.ascontiguousarray(matrix[:, ~codes], dtype=np.float32)
    if codes.any():
        whole = np.nan_to_num(matrix[:, codes], nan=-1.0).astype(np.int64)
        kinds["cat_feature_data"] = whole.astype(np.bytes_).astype(object)
    return catboost_library().FeaturesData(**kinds)


class CatBoostMember:
    """Predicts with a CatBoost model that was fitted on `catboost_rows`."""

    kind: ClassVar[str] = "catboost"

    def __init__(self, task: Task, model: Any, categorical: Sequence[bool], *, threads: int = -1) -> None:
        self.task = task
        self.categorical = tuple(categorical)
        self._model = model
        self._threads = threads
        self._stored: bytes | None = None

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        answer_kind = "Probability" if self.task.is_classification else "RawFormulaVal"
        answer: Floats = self._model.predict(
            catboost_rows(matrix, self.categorical), prediction_type=answer_kind, thread_count=self._threads
        )
        return answer if self.task.is_classification else answer.reshape(-1)

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): SHAP values in raw-score units, the base last."""
        pool = catboost_library().Pool(catboost_rows(matrix, self.categorical))
        found = np.asarray(self._model.get_feature_importance(pool, type="ShapValues"), dtype=np.float64)
        found = found[:, None, :] if found.ndim == 2 else found
        codes = np.array(self.categorical, dtype=bool)
        order = np.concatenate([np.flatnonzero(~codes), np.flatnonzero(codes), [len(codes)]])
        shares = np.empty((matrix.shape[0], matrix.shape[1] + 1, found.shape[1]))
        shares[:, order, :] = found.swapaxes(1, 2)
        return shares

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>.cbm` and return what `load` needs."""
        name = f"{stem}.cbm"
        if self._stored is not None:  # CatBoost writes a model that was read in other bytes
            (folder / name).write_bytes(self._stored)
        else:
            about = self._model.get_metadata()
            for key in ("model_guid", "train_finish_time"):  # random and dated: equal models must be equal files
                about[key] = ""
            self._model.save_model(str(folder / name), format="cbm")
        return {"task": self.task.value, "file": name, "categorical": list(self.categorical)}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again."""
        library = catboost_library()
        task = Task(spec["task"])
        model = library.CatBoostClassifier() if task.is_classification else library.CatBoostRegressor()
        stored = (folder / spec["file"]).read_bytes()
        model.load_model(blob=stored)
        member = cls(task, model, spec["categorical"])
        member._stored = stored
        return member
