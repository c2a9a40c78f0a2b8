"""The Open Inference Protocol (KServe V2 over REST) with binary tensors, and V1's :predict for old clients.

Open Inference Protocol, `inference_rest.md`; Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

import tenure
from tenure.core.data import Kind
from tenure.core.errors import did_you_mean
from tenure.serving.protocols import mlflow, native
from tenure.serving.protocols.ask import (
    JSON,
    Ask,
    Said,
    Signature,
    check_count,
    check_flag,
    check_known,
    check_reasons,
    loaded,
    media_type,
    rows_in_order,
    rows_of_columns,
    shown,
)
from tenure.serving.protocols.refusals import MalformedError, Refusal, RequestError
from tenure.serving.protocols.tensors import DATATYPES, bytes_of_cells, cells_of_bytes, cells_of_data

CONTENT_TYPE: Final = "application/json"
BINARY_TYPE: Final = "application/octet-stream"
LENGTH_HEADER: Final = "Inference-Header-Content-Length"
"""How many bytes of a body are JSON; binary tensors follow. In requests and answers that have any."""
PLATFORM: Final = "tenure"
LIVE: Final = b'{"live":true}'
READY: Final = b'{"live":true,"ready":true}'
"""The protocol's text calls the key `live`, its readers look for `ready`."""
_ACCEPTED: Final = ("application/json", BINARY_TYPE)
_USUAL_REASONS: Final = 5
_DATATYPES: Final = {Kind.NUMERIC: "FP64", Kind.BOOLEAN: "BOOL"}
_V1_KEYS: Final = frozenset({"instances", "signature_name", "parameters"})


def read(
    body: bytes,
    content_type: str | None,
    signature: Signature,
    *,
    max_rows: int,
    json_length: str | None = None,
    reasons: int = 0,
) -> Ask:
    """Return what a body of POST /v2/models/{m}/infer asks.

    Each input is a column of shape [n] or [n, 1]; or the only input is [n, k], with the model's k columns in order.
    `json_length` is the header `Inference-Header-Content-Length`, `reasons` how many to give where the request neither
    says so nor chooses its outputs. Tritonclient names no content type at all, so none is
    as good as JSON. Keys that are not known are passed over, for the protocol lets extensions add some.

    Raises:
        RequestError: it asks nothing that can be answered; malformed bodies and other media types are of this kind.
    """
    if content_type is not None:
        media_type(content_type, _ACCEPTED)
    asked, blobs = _parted(body, json_length)
    parameters = _object(asked, "parameters")
    rows = _rows(asked.get("inputs"), blobs, signature, max_rows)
    if blobs.left:
        raise MalformedError("The body is longer than its binary inputs.", hint="Check each binary_data_size.")
    wanted = check_reasons(
        parameters.get("reasons", 0 if asked.get("outputs") else reasons), where="parameters.reasons"
    )
    action = check_flag(parameters.get("action", False), where="parameters.action")
    binary = check_flag(parameters.get("binary_data_output", False), where="parameters.binary_data_output")
    outputs = _outputs(asked.get("outputs"), signature, binary=binary)
    names = [name for name, _ in outputs]
    if "reasons" in names:
        wanted = wanted or _USUAL_REASONS
    action = action or "action" in names
    if not outputs:
        outputs = tuple((name, binary) for name in _usual_outputs(signature, reasons=wanted > 0, action=action))
    return Ask(rows, reasons=wanted, action=action, outputs=outputs, echo=_echo(asked.get("id")))


class _Blobs:
    """The binary tensors of a body, taken one after the other."""

    __slots__ = ("_at", "_view")

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    @property
    def left(self) -> int:
        return len(self._view) - self._at

    def take(self, size: Any) -> memoryview:
        if type(size) is not int or not 0 <= size <= self.left:
            hint = f"Say in {LENGTH_HEADER} where the JSON ends, and send so many bytes after it."
            where = "parameters.binary_data_size"
            raise RequestError("binary_data_size is no length within the body.", where=where, hint=hint)
        self._at += size
        return self._view[self._at - size : self._at]


def _parted(body: bytes, json_length: str | None) -> tuple[dict[str, Any], _Blobs]:
    """Return the JSON of a body and the bytes that follow it."""
    view = memoryview(body)
    if json_length is None:
        return loaded(body, nan=True), _Blobs(view[:0])
    length = int(json_length) if json_length.isascii() and json_length.isdigit() and len(json_length) < 16 else 0
    if not 0 < length <= len(body):
        raise MalformedError(f"{LENGTH_HEADER} is no length within the body.", hint="Say how many bytes are JSON.")
    return loaded(view[:length], nan=True), _Blobs(view[length:])


def _object(holder: dict[str, Any], key: str, where: str | None = None) -> dict[str, Any]:
    found = holder.get(key)
    if found is None:
        return {}
    if type(found) is not dict:
        raise RequestError(f"{key} is no object.", where=where or key, hint="Send an object, or leave it out.")
    return found


def _rows(tensors: Any, blobs: _Blobs, signature: Signature, most: int) -> list[dict[str, Any]]:
    if type(tensors) is not list or not tensors:
        raise RequestError("The body has no inputs.", where="inputs", hint="Send one input for each column.")
    columns: dict[str, list[Any]] = {}
    height = width = 0
    for at, tensor in enumerate(tensors):
        try:
            name, shape, cells = _tensor(tensor, blobs)
            if name in columns:
                raise RequestError(f"Two inputs are named {shown(name)}.", hint="Name each column once.")
            if columns and shape[0] != height:
                raise RequestError("The inputs have different numbers of rows.", hint="Check the shapes.")
            height, width = shape[0], shape[1] if len(shape) == 2 else 1
            if width != 1 and len(tensors) > 1:
                hint = "Send columns of shape [n] or [n, 1], or all of them as the only input."
                raise RequestError("One of several inputs is no column.", hint=hint)
        except RequestError as error:
            raise error.within(f"inputs.{at}") from None
        columns[name] = cells
    check_count(height, most, "inputs")
    if len(columns) == 1 and (width != 1 or (len(signature.columns) == 1 and name not in signature.kinds)):
        table = [cells[at : at + width] for at in range(0, len(cells), width)]
        return rows_in_order(table, signature.columns, where="inputs.0")
    return rows_of_columns(columns)


def _tensor(tensor: Any, blobs: _Blobs) -> tuple[str, list[int], list[Any]]:
    """Return name, shape and cells of an input."""
    if type(tensor) is not dict or type(tensor.get("name")) is not str:
        raise RequestError("An input is no object with a name.", hint="Send name, shape, datatype, data.")
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if type(shape) is not list or len(shape) not in (1, 2) or {*map(type, shape)} != {int} or min(shape) < 1:
        raise RequestError("The shape of an input is not [n] or [n, k].", where="shape", hint="Send [n, 1].")
    if datatype not in DATATYPES:
        hint = f"Send one of: {', '.join(DATATYPES)}."
        raise RequestError("The data type of an input is not known.", where="datatype", hint=hint)
    parameters = _object(tensor, "parameters")
    if "shared_memory_region" in parameters:
        raise RequestError("Shared memory is not read.", where="parameters", hint="Send the data in the body.")
    if "binary_data_size" not in parameters:
        cells = cells_of_data(tensor.get("data"), datatype, shape)
    elif "data" in tensor:
        raise RequestError("An input has both data and bytes.", where="data", hint="Send one of them.")
    else:
        cells = cells_of_bytes(blobs.take(parameters["binary_data_size"]), datatype, shape)
    return tensor["name"], shape, cells


def _echo(given: Any) -> str | None:
    if given is not None and type(given) is not str:
        raise RequestError("The id is no text.", where="id", hint="Send text, or leave it out.")
    return given


def _usual_outputs(signature: Signature, *, reasons: bool, action: bool) -> list[str]:
    """Return what is answered where no outputs are chosen."""
    found = {
        "predict": True,
        "predict_proba": signature.task.is_classification,
        "interval": signature.has_interval,
        "action": action,
        "reasons": reasons,
        "prediction_id": True,
    }
    return [name for name, there in found.items() if there]


def _outputs(chosen: Any, signature: Signature, *, binary: bool) -> tuple[tuple[str, bool], ...]:
    """Return the chosen outputs, each with whether it goes out as bytes."""
    if chosen is None:
        return ()
    if type(chosen) is not list:
        raise RequestError("outputs is no list.", where="outputs", hint='Send: [{"name": "predict"}]')
    there = _usual_outputs(signature, reasons=True, action=True)
    found: dict[str, bool] = {}
    for at, output in enumerate(chosen):
        where = f"outputs.{at}"
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or name not in there:
            hint = did_you_mean(str(name)[:60], there)
            raise RequestError("There is no such output.", where=where, hint=hint)
        parameters = _object(output, "parameters", f"{where}.parameters")
        if "classification" in parameters or "shared_memory_region" in parameters:
            hint = "Ask for predict_proba in the body."
            raise RequestError("Class lists and shared memory are not written.", where=where, hint=hint)
        found[name] = check_flag(parameters.get("binary_data", binary), where=f"{where}.parameters.binary_data")
    return tuple(found.items())


def write(ask: Ask, said: Sequence[Said], signature: Signature, *, version: str) -> tuple[bytes, dict[str, str]]:
    """Return the body of the answer and its headers where they are not those of JSON; `version` is a label.

    Where binary tensors follow the JSON, they are `Content-Type` and `Inference-Header-Content-Length`.
    """
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in ask.outputs:
        datatype, width, cells = _tensor_of(name, said)
        output: dict[str, Any] = {
            "name": name,
            "shape": [len(said)] if width is None else [len(said), width],
            "datatype": datatype,
        }
        if binary:
            blobs.append(bytes_of_cells(cells, datatype))
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = cells
        outputs.append(output)
    head: dict[str, Any] = {"model_name": signature.name, "model_version": _number(version)}
    if ask.echo is not None:
        head["id"] = ask.echo
    head["outputs"] = outputs
    text = orjson.dumps(head)
    if not blobs:
        return text, {}
    return b"".join((text, *blobs)), {"Content-Type": BINARY_TYPE, LENGTH_HEADER: str(len(text))}


def _tensor_of(name: str, said: Sequence[Said]) -> tuple[str, int | None, list[Any]]:
    """Return data type, width (None for one dimension) and cells of an output."""
    if name == "predict":
        cells: list[Any] = [one.prediction for one in said]
        return ("BYTES" if isinstance(cells[0], str) else "FP64"), None, cells
    if name == "predict_proba":
        return "FP64", len(said[0].probabilities), [chance for one in said for chance in one.probabilities]
    if name == "interval":
        return "FP64", 2, [end for one in said for end in (one.low, one.high)]
    if name == "action":
        return "BYTES", None, [one.action for one in said]
    if name == "reasons":
        return "BYTES", None, [orjson.dumps(one.reasons or []).decode() for one in said]
    return "BYTES", None, [one.id for one in said]


def _number(version: str) -> str:
    """Return a version as the protocol's paths have it: "3" for v3."""
    return version.removeprefix("v")


def write_refusal(refusal: Refusal) -> tuple[int, bytes]:
    """Return the HTTP status and `{"error"}`; what does not fit is 400."""
    return 400 if refusal.status == 422 else refusal.status, native.dumped({"error": mlflow.spoken(refusal)})


def server_metadata(name: str) -> bytes:
    """Return the body of GET /v2."""
    return orjson.dumps({"name": name, "version": tenure.__version__, "extensions": ["binary_tensor_data"]})


def model_metadata(signature: Signature) -> bytes:
    """Return the body of GET /v2/models/{m}: the version in office, its columns, and all outputs to choose from."""
    text, number = "BYTES", "FP64"
    forms = {
        "predict": (text if signature.task.is_classification else number, [-1]),
        "predict_proba": (number, [-1, len(signature.classes)]),
        "interval": (number, [-1, 2]),
    }
    outputs = [(name, *forms.get(name, (text, [-1]))) for name in _usual_outputs(signature, reasons=True, action=True)]
    return orjson.dumps(
        {
            "name": signature.name,
            "versions": [_number(signature.version)],
            "platform": PLATFORM,
            "inputs": [
                {"name": name, "datatype": _DATATYPES.get(signature.kinds[name], text), "shape": [-1, 1]}
                for name in signature.columns
            ],
            "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in outputs],
        }
    )


def model_ready(signature: Signature) -> bytes:
    """Return the body of GET /v2/models/{m}/ready, for a model in office."""
    return orjson.dumps({"name": signature.name, "ready": True})


def read_v1(body: bytes, content_type: str | None, signature: Signature, *, max_rows: int) -> Ask:
    """Return what a body of POST /v1/models/{m}:predict asks: `{"instances": [...]}` as in MLflow's protocol.

    Raises:
        RequestError: it asks nothing that can be answered; malformed bodies and other media types are of this kind.
    """
    if content_type is not None:
        media_type(content_type, JSON)
    asked = loaded(body, nan=True)
    check_known(asked, _V1_KEYS, where="body")
    return Ask(mlflow.instances(asked.get("instances"), signature, max_rows), form="predict")


def write_v1(said: Sequence[Said]) -> bytes:
    """Return `{"predictions": [...]}`: labels or values."""
    return orjson.dumps({"predictions": [one.prediction for one in said]})
