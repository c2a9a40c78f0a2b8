"""Tree ensembles through LightGBM's own C library, without importing the `lightgbm` package.

The library is located and loaded by ctypes, so a served model starts in a fraction of the time, and one row is scored
by the library's single-row calls in a few microseconds. See LightGBM's `c_api.h`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from tenure.core.errors import BundleError, ExtraMissingError
from tenure.core.modelling import Floats

_NORMAL: Final = 0
_CONTRIBUTIONS: Final = 3
_FLOAT64: Final = 1
_LIBRARY_NAMES: Final = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


@cache
def _library() -> ctypes.CDLL:
    """Return LightGBM's shared library; where the package is loaded already, it is the same one."""
    spec = importlib.util.find_spec("lightgbm")
    homes = [Path(home) for home in (spec.submodule_search_locations or ())] if spec else []
    for home in homes:
        for name in _LIBRARY_NAMES:
            for path in (home / "lib" / name, home / "bin" / name, home / name):
                if path.exists():
                    library = ctypes.CDLL(str(path))
                    library.LGBM_GetLastError.restype = ctypes.c_char_p
                    return library
    raise ExtraMissingError("LightGBM's library is not installed.", hint="Run: pip install --force-reinstall lightgbm")


def _call(status: int) -> None:
    """Raise what the library says when a call failed."""
    if status != 0:
        said = _library().LGBM_GetLastError().decode("utf-8", "replace")
        raise BundleError(
            f"LightGBM cannot use the stored trees: {said}.",
            where="members",
            hint="The model is damaged or was made by another LightGBM; release it again.",
        )


def _pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class _OneRow:
    """The library's prepared call for one row, with its own buffers; belongs to one thread."""

    def __init__(self, booster: Booster) -> None:
        self._booster = booster
        self._row = np.empty(booster.features)
        self._result = np.empty(booster.outputs)
        self._config = ctypes.c_void_p()
        library = _library()
        _call(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster.handle,
                _NORMAL,
                0,
                -1,
                _FLOAT64,
                ctypes.c_int32(booster.features),
                f"num_threads={booster.threads}".encode(),
                ctypes.byref(self._config),
            )
        )
        self._predict = library.LGBM_BoosterPredictForMatSingleRowFast
        self._free = library.LGBM_FastConfigFree
        self._length = ctypes.c_int64()
        self._arguments = (
            self._config,
            _pointer(self._row),
            ctypes.byref(self._length),
            _pointer(self._result),
        )

    def __call__(self, row: Floats, result: Floats) -> None:
        """Score one row into `result`."""
        self._row[:] = row
        _call(self._predict(*self._arguments))
        result[:] = self._result

    def __del__(self) -> None:
        if self._config:
            self._free(self._config)


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
        _call(
            library.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(iterations), ctypes.byref(self.handle))
        )
        self._free = library.LGBM_BoosterFree
        _call(library.LGBM_BoosterGetNumClasses(self.handle, ctypes.byref(count)))
        self.outputs = count.value
        _call(library.LGBM_BoosterGetNumFeature(self.handle, ctypes.byref(count)))
        self.features = count.value

    def __del__(self) -> None:
        if getattr(self, "_free", None) is not None:
            self._free(self.handle)

    def predict(self, matrix: Floats) -> Floats:
        """Return what the objective gives, (n, outputs): probabilities, or values."""
        if matrix.shape[0] > self.SMALL:
            return self._table(matrix, _NORMAL, self.outputs)
        one_row: _OneRow | None = getattr(self._local, "one_row", None)
        if one_row is None:
            one_row = self._local.one_row = _OneRow(self)
        result = np.empty((matrix.shape[0], self.outputs))
        for row, answer in zip(matrix, result, strict=True):
            one_row(row, answer)
        return result

    def contributions(self, matrix: Floats) -> Floats:
        """Return tree SHAP values in raw-score units, (n, outputs, features + 1); the last one is the base."""
        flat = self._table(matrix, _CONTRIBUTIONS, self.outputs * (self.features + 1))
        return flat.reshape(matrix.shape[0], self.outputs, self.features + 1)

    def _table(self, matrix: Floats, kind: int, width: int) -> Floats:
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        result = np.empty((rows.shape[0], width))
        length = ctypes.c_int64()
        _call(
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
