"""Tree ensembles through LightGBM's own C library, without importing the `lightgbm` package.

The library is located and loaded by ctypes, so a served model starts in a fraction of the time, and one row is scored
by the library's single-row calls in a few microseconds. See LightGBM's `c_api.h`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from array import array
from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np

from tenure.core.errors import BundleError, ExtraMissingError
from tenure.core.modelling import Floats

_NORMAL: Final = 0
_CONTRIBUTIONS: Final = 3
_FLOAT64: Final = 1
_READERS: Final = ("\nsplit_feature=", "\nleaf_features=")
"""Lines of a model's text that list the features a tree reads."""
_LIBRARY_NAMES: Final = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


@cache
def _library() -> ctypes.CDLL:
    """Return LightGBM's shared library; where the package is loaded already, it is the same one."""
    library = ctypes.CDLL(str(_library_path()))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


@cache
def _locking_library() -> ctypes.PyDLL:
    """Return the same library, with calls that keep Python's lock.

    One row takes microseconds; letting the lock go could mean to wait until another thread gives it back.
    """
    return ctypes.PyDLL(str(_library_path()))


def _library_path() -> Path:
    spec = importlib.util.find_spec("lightgbm")
    homes = [Path(home) for home in (spec.submodule_search_locations or ())] if spec else []
    for home in homes:
        for name in _LIBRARY_NAMES:
            for path in (home / "lib" / name, home / "bin" / name, home / name):
                if path.exists():
                    return path
    raise ExtraMissingError("LightGBM's library is not installed.", hint="Run: pip install --force-reinstall lightgbm")


def check(status: int) -> None:
    """Raise what the library says of a call that failed (any status but 0).

    Raises:
        BundleError: the call failed.
    """
    if status != 0:
        said = _library().LGBM_GetLastError().decode("utf-8", "replace")
        raise BundleError(
            f"LightGBM cannot use the stored trees: {said}.",
            where="members",
            hint="The model is damaged or was made by another LightGBM; release it again.",
        )


def _pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class _FastConfig(ctypes.c_void_p):
    """The library's handle for rows that lie in one place; it goes with the last call that could use it."""

    def __init__(self, booster: Booster, row: array[float], result: array[float]) -> None:
        super().__init__()
        self._kept = booster, row, result
        self._free = _library().LGBM_FastConfigFree

    def __del__(self) -> None:
        if self.value:
            self._free(self)


class Booster:
    """A tree ensemble from LightGBM's model text. Safe to share between threads.

    `threads` is used for tables. LightGBM keeps one setting a process and crashes where threads of the process ask for
    different ones, so all of ours ask for one.
    """

    SMALL: Final = 16
    """Tables up to this many rows go row by row, which is no slower and needs no thread."""

    def __init__(self, text: str, *, threads: int = 1) -> None:
        self.text = text
        self.threads = threads
        self.handle = ctypes.c_void_p()
        self._local = threading.local()
        library = _library()
        iterations, count = ctypes.c_int(), ctypes.c_int()
        check(
            library.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(iterations), ctypes.byref(self.handle))
        )
        self._free = library.LGBM_BoosterFree
        check(library.LGBM_BoosterGetNumClasses(self.handle, ctypes.byref(count)))
        self.outputs = count.value
        check(library.LGBM_BoosterGetNumFeature(self.handle, ctypes.byref(count)))
        self.features = count.value

    def __del__(self) -> None:
        if getattr(self, "_free", None) is not None:
            self._free(self.handle)

    def predict(self, matrix: Floats) -> Floats:
        """Return what the objective gives, (n, outputs): probabilities, or values."""
        if matrix.shape[0] > self.SMALL:
            return self._table(matrix, _NORMAL, self.outputs)
        if not hasattr(self._local, "score"):
            self._local.row = array("d", bytes(8 * self.features))
            self._local.score, self._local.result = self.on_row(self._local.row)
        row, said = np.frombuffer(self._local.row), np.frombuffer(self._local.result)
        result = np.empty((matrix.shape[0], self.outputs))
        for numbers, answer in zip(matrix, result, strict=True):
            row[:] = numbers
            check(self._local.score())
            answer[:] = said
        return result

    def on_row(self, row: array[float], start: int = 0) -> tuple[Callable[[], int], array[float]]:
        """Return what scores the features that lie in `row` from `start` on, and where the answer is written.

        To be called in one thread only; the status it returns is for `check`.
        """
        library = _locking_library()
        result = array("d", bytes(8 * self.outputs))
        config = _FastConfig(self, row, result)
        check(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                self.handle,
                _NORMAL,
                0,
                -1,
                _FLOAT64,
                ctypes.c_int32(self.features),
                f"num_threads={self.threads}".encode(),
                ctypes.byref(config),
            )
        )
        score: Callable[[], int] = partial(
            library.LGBM_BoosterPredictForMatSingleRowFast,
            config,
            ctypes.c_void_p(row.buffer_info()[0] + start * row.itemsize),
            ctypes.byref(ctypes.c_int64()),
            ctypes.c_void_p(result.buffer_info()[0]),
        )
        return score, result

    @cached_property
    def used(self) -> frozenset[int]:
        """Return the features that some split, or some line in a leaf, reads."""
        lines = [part.partition("\n")[0] for key in _READERS for part in self.text.split(key)[1:]]
        return frozenset(int(feature) for feature in {word for line in lines for word in line.split()})

    def contributions(self, matrix: Floats) -> Floats:
        """Return tree SHAP values in raw-score units, (n, outputs, features + 1); the last one is the base."""
        flat = self._table(matrix, _CONTRIBUTIONS, self.outputs * (self.features + 1))
        return flat.reshape(matrix.shape[0], self.outputs, self.features + 1)

    def _table(self, matrix: Floats, kind: int, width: int) -> Floats:
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        result = np.empty((rows.shape[0], width))
        length = ctypes.c_int64()
        check(
            _library().LGBM_BoosterPredictForMat(
                self.handle,
                _pointer(rows),
                _FLOAT64,
                ctypes.c_int32(rows.shape[0]),
                ctypes.c_int32(rows.shape[1]),
                1,
                kind,
                0,
                -1,
                f"num_threads={self.threads}".encode(),
                ctypes.byref(length),
                _pointer(result),
            )
        )
        return result
