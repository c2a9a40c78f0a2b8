"""Ask a server with Triton's own client over HTTP: TRITON_PYTHON triton.py ADDRESS MODEL ROWS.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

_TYPES = {"FP64": np.float64, "BOOL": np.bool_, "BYTES": np.object_}


def main() -> None:
    """Print what was done, seen, and whether it was right."""
    address, model, file = sys.argv[1:]
    rows = json.loads(Path(file).read_text())[:50]
    client = triton.InferenceServerClient(address)
    say("live, ready, model ready", f"{(alive := _alive(client, model))}", alive == [True, True, True])
    server = client.get_server_metadata()
    say("server metadata", str(server), "binary_tensor_data" in server["extensions"])
    inputs = client.get_model_metadata(model)["inputs"]
    outputs = [one["name"] for one in client.get_model_metadata(model)["outputs"]]
    say("model metadata", f"{len(inputs)} inputs, outputs {', '.join(outputs)}", len(inputs) > 1)
    one = client.get_model_metadata(model, "1")["versions"]
    say("metadata of version 1", f"versions {one}", one == ["1"])
    first = None
    for binary, name in ((False, "JSON"), (True, "binary")):
        for count in (1, len(rows)):
            answer = client.infer(model, _tensors(inputs, rows[:count], binary=binary))
            chances = answer.as_numpy("predict_proba")
            labels = answer.as_numpy("predict")
            right = chances.shape[0] == count == len(labels) and np.allclose(chances.sum(axis=1), 1)
            if first is None:
                first = chances[0]
            right = right and bool(np.allclose(chances[0], first))
            say(f"infer, {name} tensors, {count} rows", f"predict_proba {chances.shape}, first {chances[0]}", right)
    chosen = [
        triton.InferRequestedOutput("predict_proba", binary_data=True),
        triton.InferRequestedOutput("prediction_id", binary_data=False),
    ]
    answer = client.infer(
        model, _tensors(inputs, rows[:3], binary=True), outputs=chosen, request_id="7", model_version="1"
    )
    names = [one["name"] for one in answer.get_response()["outputs"]]
    right = names == ["predict_proba", "prediction_id"] and answer.get_response()["id"] == "7"
    say("two outputs chosen, one binary, version 1, id 7", f"{names}, id {answer.get_response()['id']}", right)
    answer = client.infer(model, _tensors(inputs, rows[:1], binary=True), parameters={"reasons": 2})
    reasons = json.loads(answer.as_numpy("reasons")[0])
    say("two reasons", ", ".join(one["column"] for one in reasons), len(reasons) == 2)
    for what, ask in (
        ("an output that is not there", lambda: client.infer(
            model, _tensors(inputs, rows[:1], binary=True), outputs=[triton.InferRequestedOutput("nothing")])),
        ("a model that is not there", lambda: client.infer("nobody", _tensors(inputs, rows[:1], binary=True))),
        ("a column that is missing", lambda: client.infer(model, _tensors(inputs[1:], rows[:1], binary=True))),
        ("a compressed body", lambda: client.infer(
            model, _tensors(inputs, rows[:1], binary=True), request_compression_algorithm="gzip")),
    ):  # fmt: skip
        refuse(what, ask)


def _alive(client: Any, model: str) -> list[bool]:
    return [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)]


def _tensors(inputs: list[dict[str, Any]], rows: list[dict[str, Any]], *, binary: bool) -> list[Any]:
    found = []
    for one in inputs:
        kind = _TYPES[one["datatype"]]
        empty: Any = np.nan if kind is np.float64 else ""
        cells = [row[one["name"]] for row in rows]
        table = np.array([[empty if cell is None else cell] for cell in cells], dtype=kind)
        tensor = triton.InferInput(one["name"], list(table.shape), one["datatype"])
        tensor.set_data_from_numpy(table, binary_data=binary)
        found.append(tensor)
    return found


def say(what: str, seen: str, kept: bool) -> None:
    """Print a line."""
    print(json.dumps([what, seen, bool(kept)]), flush=True)


def refuse(what: str, ask: Any) -> None:
    """Print how the client told of a refusal."""
    try:
        ask()
    except InferenceServerException as error:
        say(
            what,
            f"InferenceServerException {error.status()}: {error.message()}",
            error.status() in ("400", "404", "415"),
        )
    else:
        say(what, "answered", kept=False)


if __name__ == "__main__":
    main()
