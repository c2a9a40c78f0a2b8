"""MLflow's scoring protocol: POST /invocations with JSON or CSV, and the texts of /ping and /version.

MLflow documentation, "Deploy MLflow Model as a Local Inference Server".
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, Final

import orjson

from tenure.core.data import Kind
from tenure.serving.protocols import native
from tenure.serving.protocols.ask import (
    Ask,
    Said,
    Signature,
    check_count,
    check_flag,
    check_known,
    check_reasons,
    check_rows,
    loaded,
    media_type,
    rows_in_order,
    rows_of_columns,
    shown,
)
from tenure.serving.protocols.refusals import MalformedError, Refusal, RequestError

CONTENT_TYPE: Final = "application/json"
PING: Final = b"\n"
"""What MLflow's server says on /ping and /health."""
_JSON: Final = "application/json"
_ACCEPTED: Final = (_JSON, "text/csv", "application/csv")
_FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
_KEYS: Final = frozenset({*_FORMS, "params"})
_SPLIT_KEYS: Final = frozenset({"columns", "data", "index"})
_PARAMS: Final = frozenset({"reasons", "action", "output"})
_OUTPUTS: Final = ("predict", "proba", "full")
# What pandas writes for a missing cell, and what our own reader of CSV takes for one.
_EMPTY: Final = frozenset({"", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"})
_EXACT: Final = 2**53
"""Below it every whole number is a float of its own."""
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_ERROR_CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}


def read(body: bytes, content_type: str | None, signature: Signature, *, max_rows: int, reasons: int = 0) -> Ask:
    """Return what a body of POST /invocations asks: exactly one of the four JSON forms, or CSV with a header.

    `params` may hold `reasons`, `action` and `output` (predict, proba or full). MLflow ignores params that a model does
    not know; here they are refused, for a client that asked for something should not have to find out that it is
    missing. `reasons` is how many a full answer has where the request does not say.

    Raises:
        RequestError: it asks nothing that can be answered; malformed bodies and other media types are of this kind.
    """
    if media_type(content_type, _ACCEPTED) != _JSON:
        return Ask(_csv_rows(body, signature, max_rows), form="predict")
    asked = loaded(body, nan=True)
    check_known(asked, _KEYS, where="body")
    given = [name for name in _FORMS if name in asked]
    if len(given) != 1:
        raise RequestError(
            f"The body holds {len(given)} of the keys {', '.join(_FORMS)}.", where="body", hint="Send exactly one."
        )
    ask = _with_params(asked.get("params"), reasons)
    ask.rows = _READERS[given[0]](asked[given[0]], signature, max_rows)
    return ask


def _with_params(params: Any, usual: int) -> Ask:
    if params is None:
        return Ask([], form="predict")
    if type(params) is not dict:
        raise RequestError("params is no object.", where="params", hint='Send: {"output": "proba"}')
    check_known(params, _PARAMS, where="params")
    reasons = check_reasons(params.get("reasons", 0), where="params.reasons")
    action = check_flag(params.get("action", False), where="params.action")
    form = params.get("output", "full" if reasons or action else "predict")
    if form not in _OUTPUTS:
        hint = f"Send one of: {', '.join(_OUTPUTS)}."
        raise RequestError("params.output is no form of output.", where="params.output", hint=hint)
    if form != "full" and (reasons or action):
        hint = "Leave output out, or send: full."
        raise RequestError("Only the full output has reasons and action.", where="params.output", hint=hint)
    return Ask([], reasons=reasons if form != "full" or "reasons" in params else usual, action=action, form=form)


def _split(given: Any, signature: Signature, most: int) -> list[dict[str, Any]]:
    """Read `{"columns": [...], "data": [[...]]}`; without columns, cells are in the order of the model's."""
    where = "dataframe_split"
    if type(given) is not dict or type(given.get("data")) is not list or not given["data"]:
        raise RequestError(f"{where} has no rows.", where=where, hint='Send: {"columns": [...], "data": [[...]]}')
    check_known(given, _SPLIT_KEYS, where=where)
    data, columns, index = given["data"], given.get("columns"), given.get("index")
    check_count(len(data), most, where)
    if index is not None and (type(index) is not list or len(index) != len(data)):
        hint = "Send one for each row, or leave it out."
        raise RequestError("The index is no list with one entry for each row.", where=f"{where}.index", hint=hint)
    if columns is None:
        return check_rows(rows_in_order(data, signature.columns, where=f"{where}.data"), most=most, where=where)
    if type(columns) is not list or not all(type(name) is str for name in columns) or len(set(columns)) != len(columns):
        raise RequestError("The columns are no list of different names.", where=f"{where}.columns", hint="Name each.")
    for at, row in enumerate(data):
        if type(row) is not list or len(row) != len(columns):
            raise RequestError(
                "A row does not have a cell for each column.", where=f"{where}.data.{at}", hint="Send null for none."
            )
    return check_rows([dict(zip(columns, row, strict=True)) for row in data], most=most, where=where)


def _records(given: Any, signature: Signature, most: int) -> list[dict[str, Any]]:
    return check_rows(given, most=most, where="dataframe_records")


def instances(given: Any, signature: Signature, most: int, where: str = "instances") -> list[dict[str, Any]]:
    """Return rows from a list of objects, of lists in the order of the model's columns, or of cells of its only column.

    Raises:
        RequestError: it is none of these.
    """
    if type(given) is list and given and type(given[0]) is not dict:
        check_count(len(given), most, where)
        cells = [row if type(row) is list else [row] for row in given]
        given = rows_in_order(cells, signature.columns, where=where)
    return check_rows(given, most=most, where=where)


def _inputs(given: Any, signature: Signature, most: int) -> list[dict[str, Any]]:
    """Read columns of cells, each a list of cells or of lists of one cell; one row of cells; or a list as instances."""
    where = "inputs"
    if type(given) is not dict:
        return instances(given, signature, most, where)
    if not any(type(cells) is list for cells in given.values()):
        return check_rows([given], most=most, where=where)
    if not all(type(cells) is list for cells in given.values()) or len({len(cells) for cells in given.values()}) != 1:
        raise RequestError("The columns are not lists of the same length.", where=where, hint="Send null for none.")
    columns = {
        name: [cell[0] if type(cell) is list and len(cell) == 1 else cell for cell in cells]
        for name, cells in given.items()
    }
    return check_rows(rows_of_columns(columns), most=most, where=where)


_READERS: Final = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": instances,
    "inputs": _inputs,
}


def _csv_rows(body: bytes, signature: Signature, most: int) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        hint = "Send comma-separated UTF-8 text with a line of column names."
        raise MalformedError(f"The body is no CSV: {error}.", hint=hint) from error
    header, *rows = [line for line in lines if line] or [[]]
    if not rows:
        raise RequestError("The CSV has no rows.", where="body", hint="Send a line of column names, and then the rows.")
    if len(set(header)) != len(header):
        raise RequestError("Two columns of the CSV share one name.", where="body", hint="Name each once.")
    check_count(len(rows), most, "body")
    for at, row in enumerate(rows):
        if len(row) != len(header):
            hint = "Put cells that hold commas in quotes."
            raise RequestError("A row of the CSV is longer or shorter than its header.", where=f"body.{at}", hint=hint)
    kinds = [signature.kinds.get(name) for name in header]
    return [
        {name: _cell(cell, kind, at) for name, cell, kind in zip(header, row, kinds, strict=True)}
        for at, row in enumerate(rows)
    ]


def _cell(text: str, kind: Kind | None, row: int) -> Any:
    """Return a cell as JSON would say it: CSV has only text. Text in a column of numbers stays what it is."""
    if text in _EMPTY:
        return None
    if kind is Kind.BOOLEAN:
        return _TRUTHS.get(text, text)
    if kind is not Kind.NUMERIC or "_" in text:
        return text
    try:
        number = float(text)
    except ValueError:
        return _TRUTHS.get(text, text)
    if not math.isfinite(number):
        raise RequestError(f"{shown(text)} is not finite.", where=f"body.{row}", hint="Leave missing cells empty.")
    return int(text) if abs(number) < _EXACT and text.lstrip("+-").isdecimal() else number


def write(ask: Ask, said: Sequence[Said]) -> bytes:
    """Return `{"predictions": [...]}`: labels or values, rows of probabilities in class order, or full answers."""
    predictions: list[Any]
    if ask.form == "full":
        predictions = [native.answer(one) for one in said]
    elif ask.form == "proba":
        predictions = [one.probabilities or one.prediction for one in said]
    else:
        predictions = [one.prediction for one in said]
    return orjson.dumps({"predictions": predictions})


def write_refusal(refusal: Refusal) -> tuple[int, bytes]:
    """Return the HTTP status and `{"error_code", "message"}`; what does not fit is 400, as MLflow's server says."""
    status = 400 if refusal.status == 422 else refusal.status
    code = _ERROR_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return status, native.dumped({"error_code": code, "message": spoken(refusal)})


def spoken(refusal: Refusal) -> str:
    """Return a refusal as one text, for protocols whose errors are one text."""
    at = f" ({refusal.where})" if refusal.where else ""
    return f"{refusal.detail}{at} {refusal.hint}" if refusal.hint else f"{refusal.detail}{at}"
