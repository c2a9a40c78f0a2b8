"""Tensors of the Open Inference Protocol: the cells of an input from JSON or bytes, and of an output to either.

Open Inference Protocol, `inference_rest.md`; Triton's "Binary Tensor Data Extension": little-endian, row-major, texts
each after their length in four bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenure.serving.protocols.ask import finite
from tenure.serving.protocols.refusals import RequestError

_LENGTH: Final = struct.Struct("<I")
_NONE: Final[type] = type(None)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a data type stands in bytes, and what JSON may say for it."""

    code: str
    size: int
    types: frozenset[type]
    low: float = -math.inf
    high: float = math.inf


def _integers(code: str, bits: int, *, signed: bool) -> _Form:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return _Form(code, bits // 8, frozenset({int, _NONE}), low, high)


_NUMBERS: Final = frozenset({int, float, _NONE})
_FORMS: Final = {
    "BOOL": _Form("?", 1, frozenset({bool, _NONE})),
    "UINT8": _integers("B", 8, signed=False),
    "UINT16": _integers("H", 16, signed=False),
    "UINT32": _integers("I", 32, signed=False),
    "UINT64": _integers("Q", 64, signed=False),
    "INT8": _integers("b", 8, signed=True),
    "INT16": _integers("h", 16, signed=True),
    "INT32": _integers("i", 32, signed=True),
    "INT64": _integers("q", 64, signed=True),
    "FP16": _Form("e", 2, _NUMBERS),
    "FP32": _Form("f", 4, _NUMBERS),
    "FP64": _Form("d", 8, _NUMBERS),
}
_TEXTS: Final = frozenset({str, _NONE})
DATATYPES: Final = (*_FORMS, "BYTES")


def cells_of_data(data: Any, datatype: str, shape: Sequence[int]) -> list[Any]:
    """Return the cells that JSON says for a tensor, flat or nested, in row-major order; null is a missing cell.

    Raises:
        RequestError: they are not of the data type, or do not fill the shape.
    """
    if type(data) is list and len(shape) == 2 and data and type(data[0]) is list:
        if len(data) != shape[0] or not all(type(row) is list and len(row) == shape[1] for row in data):
            raise _unfilled()
        data = [cell for row in data for cell in row]
    if type(data) is not list or len(data) != math.prod(shape):
        raise _unfilled()
    form = _FORMS.get(datatype)
    if not (_TEXTS if form is None else form.types).issuperset(map(type, data)):
        raise RequestError(
            f"The data of an input are not all of its type {datatype}.",
            where="data",
            hint="Send null for missing cells.",
        )
    if form is not None and form.high < math.inf and not all(c is None or form.low <= c <= form.high for c in data):
        raise RequestError(f"A number lies beyond {datatype}.", where="data", hint="Name a wider data type.")
    return data


def cells_of_bytes(blob: memoryview, datatype: str, shape: Sequence[int]) -> list[Any]:
    """Return the cells that bytes hold for a tensor, in row-major order; NaN is a missing cell.

    Raises:
        RequestError: the bytes do not fill the shape, a number is infinite, or a text is not UTF-8.
    """
    count = math.prod(shape)
    form = _FORMS.get(datatype)
    if form is None:
        return _texts(blob, count)
    if len(blob) != count * form.size:
        raise _unfilled()
    cells = list(struct.unpack(f"<{count}{form.code}", blob))
    return finite(cells, where="data") if form.types is _NUMBERS else cells


def _texts(blob: memoryview, count: int) -> list[str]:
    texts = []
    at = 0
    for _ in range(count):
        if at + _LENGTH.size > len(blob):
            raise _unfilled()
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        if at + length > len(blob):
            raise _unfilled()
        try:
            texts.append(str(blob[at : at + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise RequestError("A text of an input is not UTF-8.", where="data", hint="Send texts as UTF-8.") from error
        at += length
    if at != len(blob):
        raise _unfilled()
    return texts


def _unfilled() -> RequestError:
    return RequestError("The data of an input do not fill its shape.", hint="Check shape and data.", where="data")


def bytes_of_cells(cells: Sequence[Any], datatype: str) -> bytes:
    """Return cells as the bytes of a tensor; a missing number is NaN, a missing text is empty."""
    if datatype == "BYTES":
        texts = [("" if cell is None else cell).encode() for cell in cells]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    numbers = [math.nan if cell is None else cell for cell in cells]
    return struct.pack(f"<{len(numbers)}{_FORMS[datatype].code}", *numbers)
