"""The Open Inference Protocol: every data type as JSON and as bytes, both ways, and a real client's bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.serving.protocols import open_inference as v2
from tenure.serving.protocols.ask import Ask, Said, Signature
from tenure.serving.protocols.refusals import RequestError, refusal_of
from tenure.serving.protocols.tensors import DATATYPES, bytes_of_cells, cells_of_bytes

DTYPES: Final = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


def _read(body: Any, signature: Signature, **more: Any) -> Ask:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return v2.read(sent, "application/json", signature, max_rows=10, **more)


def _column(name: str = "age", datatype: str = "FP64", data: Any = (1.5, 2.5), **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data), 1], "datatype": datatype, "data": list(data)} | more


def _refused(body: Any, signature: Signature, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        _read(body, signature, **more)
    return caught.value


def _numbers(datatype: str) -> st.SearchStrategy[Any]:
    kind = np.dtype(DTYPES[datatype])
    if kind.kind == "b":
        return st.booleans()
    if kind.kind == "f":
        return st.floats(width=kind.itemsize * 8, allow_nan=False, allow_infinity=False)
    return st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))


@pytest.mark.parametrize("datatype", DATATYPES)
@given(data=st.data())
def test_every_data_type_says_the_same_in_json_and_in_bytes(
    datatype: str, signature: Signature, data: st.DataObject
) -> None:
    element = st.text() if datatype == "BYTES" else _numbers(datatype)
    cells = data.draw(st.lists(element, min_size=1, max_size=5))
    plain = _read({"inputs": [_column(datatype=datatype, data=cells)]}, signature)
    blob = bytes_of_cells(cells, datatype)
    if datatype != "BYTES":
        assert (
            blob == np.array(cells, dtype=DTYPES[datatype]).astype(f"<{np.dtype(DTYPES[datatype]).str[1:]}").tobytes()
        )
    tensor = {"name": "age", "shape": [len(cells)], "datatype": datatype, "parameters": {"binary_data_size": len(blob)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    binary = _read(head + blob, signature, json_length=str(len(head)))
    assert [row["age"] for row in plain.rows] == [row["age"] for row in binary.rows] == cells
    assert [type(row["age"]) for row in binary.rows] == [type(cell) for cell in cells]


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BOOL", "FP16", "FP32", "FP64"}))
def test_a_whole_number_beyond_its_type_is_refused(datatype: str, signature: Signature) -> None:
    info = np.iinfo(DTYPES[datatype])
    for number in (int(info.min) - 1, int(info.max) + 1):
        assert "inputs.0.data" in str(
            _refused({"inputs": [_column(datatype=datatype, data=[number])]}, signature).where
        )


@pytest.mark.parametrize(
    ("datatype", "cell"), [("FP64", "1"), ("FP64", True), ("INT8", 1.0), ("BOOL", 1), ("BYTES", 1)]
)
def test_data_of_another_type_are_refused(datatype: str, cell: Any, signature: Signature) -> None:
    assert datatype in _refused({"inputs": [_column(datatype=datatype, data=[cell])]}, signature).message


@pytest.mark.parametrize("datatype", DATATYPES)
def test_null_is_a_missing_cell_of_every_type(datatype: str, signature: Signature) -> None:
    assert _read({"inputs": [_column(datatype=datatype, data=[None])]}, signature).rows == [{"age": None}]


def test_nan_is_a_missing_cell_and_infinity_is_refused(signature: Signature) -> None:
    assert _read(b'{"inputs":[{"name":"age","shape":[1],"datatype":"FP64","data":[NaN]}]}', signature).rows == [
        {"age": None}
    ]
    for datatype in ("FP16", "FP32", "FP64"):
        blob = memoryview(np.array([np.nan, 1.5], dtype=DTYPES[datatype]).tobytes())
        assert cells_of_bytes(blob, datatype, [2]) == [None, 1.5]
        blob = memoryview(np.array([np.inf, 1.5], dtype=DTYPES[datatype]).tobytes())
        with pytest.raises(RequestError, match="infinite"):
            cells_of_bytes(blob, datatype, [2])


@pytest.mark.parametrize(
    "tensor",
    [
        {"shape": [2, 3], "data": [31, 1, 0, 45, 2, 1]},
        {"shape": [2, 3], "data": [[31, 1, 0], [45, 2, 1]]},
    ],
)
def test_one_input_of_all_columns_is_read_in_the_models_order(tensor: dict[str, Any], signature: Signature) -> None:
    ask = _read({"inputs": [{"name": "input", "datatype": "INT64"} | tensor]}, signature)
    assert ask.rows == [{"age": 31, "plan": 1, "on": 0}, {"age": 45, "plan": 2, "on": 1}]


def test_nested_columns_and_further_inputs_and_keys_are_read(signature: Signature) -> None:
    body = {
        "id": "42",
        "parameters": {"content_type": "pd"},
        "model_name": "churn",
        "inputs": [
            _column(data=[[31], [45]]),
            _column("plan", "BYTES", ["a", "b"], parameters={"content_type": "str"}),
            {"name": "customer", "shape": [2], "datatype": "BYTES", "data": ["c1", "c2"]},
        ],
    }
    ask = _read(body, signature)
    assert ask.echo == "42"
    assert ask.rows == [{"age": 31, "plan": "a", "customer": "c1"}, {"age": 45, "plan": "b", "customer": "c2"}]


def _client_requests() -> list[dict[str, Any]]:
    text = (Path(__file__).parent / "tritonclient.json").read_text()
    found: list[dict[str, Any]] = json.loads(text)["requests"]
    return found


@pytest.mark.parametrize("at", range(3))
def test_what_tritonclient_sends_is_read(at: int, signature: Signature) -> None:
    """Recorded from tritonclient 2.73: all inputs binary; all as JSON; binary with chosen outputs."""
    sent = _client_requests()[at]
    ask = v2.read(
        bytes.fromhex(sent["body"]), sent["content_type"], signature, max_rows=10, json_length=sent["json_length"]
    )
    rows = [
        {"age": 31.0, "plan": "a", "on": True, "n": 1, "h": 1.5, "u": 1},
        {"age": 45.5, "plan": "ü", "on": False, "n": -2, "h": 2.0, "u": 255},
    ]
    if at == 1:
        rows = [{name: cell for name, cell in row.items() if name != "h"} for row in rows]
    assert ask.rows == rows
    usual = (("predict", True), ("predict_proba", True), ("interval", True), ("prediction_id", True))
    chosen = (usual, (("predict_proba", False),), (("predict", True), ("predict_proba", True)))
    assert ask.outputs == chosen[at]
    assert (ask.reasons, ask.echo) == ((3 if at == 2 else 0), ("42" if at == 1 else None))


def test_tritonclients_single_table_is_read(signature: Signature) -> None:
    sent = _client_requests()[3]
    ask = v2.read(bytes.fromhex(sent["body"]), None, signature, max_rows=10, json_length=sent["json_length"])
    assert ask.rows == [{"age": 1.0, "plan": 2.0, "on": 3.0}]


HEAD: Final = {"name": "age", "shape": [1], "datatype": "FP64"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": {}},
        {"inputs": [7]},
        {"inputs": [{"name": "age"}]},
        {"inputs": [HEAD]},
        {"inputs": [HEAD | {"data": 1.5}]},
        {"inputs": [HEAD | {"data": [1, 2]}]},
        {"inputs": [HEAD | {"data": [[1], [2]]}]},
        {"inputs": [HEAD | {"data": [1], "shape": []}]},
        {"inputs": [HEAD | {"data": [1], "shape": [0]}]},
        {"inputs": [HEAD | {"data": [1], "shape": [-1]}]},
        {"inputs": [HEAD | {"data": [1], "shape": [1, 1, 1]}]},
        {"inputs": [HEAD | {"data": [1], "shape": [10**18]}]},
        {"inputs": [HEAD | {"data": [1], "shape": [True]}]},
        {"inputs": [HEAD | {"data": [1], "datatype": "fp64"}]},
        {"inputs": [HEAD | {"data": [1], "datatype": []}]},
        {"inputs": [HEAD | {"data": [1], "parameters": 3}]},
        {"inputs": [HEAD | {"data": [1], "parameters": {"shared_memory_region": "r"}}]},
        {"inputs": [HEAD | {"data": [1], "parameters": {"binary_data_size": 0}}]},
        {"inputs": [HEAD | {"parameters": {"binary_data_size": 8}}]},
        {"inputs": [HEAD | {"data": [1]}] * 2},
        {"inputs": [_column(), _column("plan", data=[1])]},
        {"inputs": [_column(), {"name": "plan", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4]}]},
        {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]},
        {"inputs": [_column()], "id": 7},
        {"inputs": [_column()], "parameters": []},
        {"inputs": [_column()], "parameters": {"reasons": -1}},
        {"inputs": [_column()], "parameters": {"action": "yes"}},
        {"inputs": [_column()], "parameters": {"binary_data_output": 1}},
        {"inputs": [_column()], "outputs": {}},
        {"inputs": [_column()], "outputs": [{}]},
        {"inputs": [_column()], "outputs": ["predict"]},
        {"inputs": [_column()], "outputs": [{"name": "probability"}]},
        {"inputs": [_column()], "outputs": [{"name": "predict", "parameters": {"classification": 2}}]},
        {"inputs": [_column()], "outputs": [{"name": "predict", "parameters": {"binary_data": "yes"}}]},
    ],
)
def test_what_does_not_fit_is_refused(body: Any, signature: Signature) -> None:
    status, sent = v2.write_refusal(refusal_of(_refused(body, signature)))
    assert status == 400
    assert set(json.loads(sent)) == {"error"}


def _binary(datatype: str, blob: bytes, size: Any, *, shape: list[int] | None = None) -> tuple[bytes, str]:
    tensor = {"name": "age", "shape": shape or [1], "datatype": datatype, "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + blob, str(len(head))


@pytest.mark.parametrize(
    ("datatype", "blob", "size"),
    [
        ("FP64", b"\0" * 7, 7),
        ("FP64", b"\0" * 8, 9),
        ("FP64", b"\0" * 9, 8),
        ("FP64", b"\0" * 8, -8),
        ("FP64", b"\0" * 8, "8"),
        ("BYTES", b"\x01\0\0", 3),
        ("BYTES", b"\x02\0\0\0a", 5),
        ("BYTES", b"\x01\0\0\0ab", 6),
        ("BYTES", b"\xff\xff\xff\xffa", 5),
        ("BYTES", b"\x01\0\0\0\xff", 5),
    ],
)
def test_bytes_that_do_not_fill_the_shape_are_refused(
    datatype: str, blob: bytes, size: Any, signature: Signature
) -> None:
    body, length = _binary(datatype, blob, size)
    assert refusal_of(_refused(body, signature, json_length=length)).status in (400, 422)


@pytest.mark.parametrize("length", ["", "0", "-1", "x", "²", "99999", "9" * 5000, "1.0"])
def test_a_json_length_outside_the_body_is_refused(length: str, signature: Signature) -> None:
    assert _refused({"inputs": [_column()]}, signature, json_length=length).status == 400


@given(data=st.data())
def test_any_bytes_are_read_or_refused_with_a_4xx(signature: Signature, data: st.DataObject) -> None:
    cells = st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=3)
    tensor = st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["age", "plan", "input", ""]),
            "shape": st.lists(st.integers(-1, 3), max_size=3),
            "datatype": st.sampled_from(DATATYPES),
            "data": st.lists(cells | st.lists(cells, max_size=3), max_size=4),
            "parameters": st.dictionaries(st.just("binary_data_size"), st.integers(-1, 20)),
        },
    )
    head = data.draw(st.fixed_dictionaries({"inputs": st.lists(tensor, min_size=1, max_size=3)}).map(json.dumps))
    tail = data.draw(st.binary(max_size=40))
    body, length = data.draw(
        st.sampled_from([(head.encode() + tail, str(len(head))), (head.encode(), None), (tail, None), (tail, "5")])
    )
    try:
        ask = v2.read(body, None, signature, max_rows=3, json_length=length)
    except RequestError as error:
        status, _ = v2.write_refusal(refusal_of(error))
        assert status == 400
    else:
        assert ask.rows
        assert all(ask.rows)


def test_answers_hold_the_chosen_outputs_and_echo_the_id(signature: Signature, said: list[Said]) -> None:
    outputs = ["predict", "predict_proba", "interval", "prediction_id", "action", "reasons"]
    ask = _read({"id": "7", "inputs": [_column()], "outputs": [{"name": name} for name in outputs]}, signature)
    assert (ask.action, ask.reasons) == (True, 5)
    body, headers = v2.write(ask, said, signature, version="v3")
    assert headers == {}
    reasons = json.loads(body)["outputs"].pop()["data"]
    assert json.loads(reasons[0]) == [{"column": "age", "value": 31, "contribution": 0.5}]
    assert json.loads(body)["outputs"][:-1] == [
        {"name": "predict", "shape": [2], "datatype": "BYTES", "data": ["yes", "no"]},
        {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.25, 0.75, 0.9, 0.1]},
        {"name": "interval", "shape": [2, 2], "datatype": "FP64", "data": [0.7, 0.8, 0.05, 0.2]},
        {"name": "prediction_id", "shape": [2], "datatype": "BYTES", "data": ["a1", "a2"]},
        {"name": "action", "shape": [2], "datatype": "BYTES", "data": ["call", None]},
    ]
    assert {name: json.loads(body)[name] for name in ("model_name", "model_version", "id")} == {
        "model_name": "churn",
        "model_version": "3",
        "id": "7",
    }


def test_binary_answers_hold_the_same_as_json(signature: Signature, said: list[Said]) -> None:
    asked = {"inputs": [_column()], "parameters": {"binary_data_output": True, "action": True, "reasons": 2}}
    body, headers = v2.write(_read(asked, signature), said, signature, version="v3")
    plain = json.loads(
        v2.write(
            _read(asked | {"parameters": {"action": True, "reasons": 2}}, signature), said, signature, version="v3"
        )[0]
    )
    assert headers["Content-Type"] == "application/octet-stream"
    at = int(headers["Inference-Header-Content-Length"])
    head = json.loads(body[:at])
    for output, same in zip(head["outputs"], plain["outputs"], strict=True):
        blob = memoryview(body)[at : at + output["parameters"]["binary_data_size"]]
        at += len(blob)
        cells = cells_of_bytes(blob, output["datatype"], output["shape"])
        assert (output["name"], output["shape"], output["datatype"]) == (same["name"], same["shape"], same["datatype"])
        assert cells == ["" if cell is None else cell for cell in same["data"]]
    assert at == len(body)


def test_values_go_out_as_numbers_without_what_they_do_not_have(values: Signature) -> None:
    ask = _read({"inputs": [_column(data=[1.0])]}, values)
    found = json.loads(v2.write(ask, [Said("x", 2.5, "v3")], values, version="v3")[0])
    assert [(one["name"], one["datatype"], one["data"]) for one in found["outputs"]] == [
        ("predict", "FP64", [2.5]),
        ("prediction_id", "BYTES", ["x"]),
    ]


def test_the_metadata_name_what_can_be_sent_and_chosen(signature: Signature) -> None:
    found = json.loads(v2.model_metadata(signature))
    assert found["versions"] == ["3"]
    assert [(one["name"], one["datatype"]) for one in found["inputs"]] == [
        ("age", "FP64"),
        ("plan", "BYTES"),
        ("on", "BOOL"),
    ]
    for output in found["outputs"]:
        assert _read({"inputs": [_column()], "outputs": [{"name": output["name"]}]}, signature).outputs == (
            (output["name"], False),
        )
    assert json.loads(v2.server_metadata("churn"))["extensions"] == ["binary_tensor_data"]
    assert json.loads(v2.model_ready(signature)) == {"name": "churn", "ready": True}
    assert json.loads(v2.READY)["ready"] is json.loads(v2.LIVE)["live"] is True


def test_v1_reads_instances_and_answers_predictions(signature: Signature, said: list[Said]) -> None:
    ask = v2.read_v1(b'{"instances": [[31, "a", true], [NaN, "b", false]]}', None, signature, max_rows=10)
    assert ask.rows == [{"age": 31, "plan": "a", "on": True}, {"age": None, "plan": "b", "on": False}]
    assert json.loads(v2.write_v1(said)) == {"predictions": ["yes", "no"]}
    with pytest.raises(RequestError):
        v2.read_v1(b'{"inputs": []}', None, signature, max_rows=10)


def test_the_usual_number_of_reasons_is_given_where_nothing_else_is_chosen(signature: Signature) -> None:
    asked = {"inputs": [_column()]}
    ask = v2.read(json.dumps(asked).encode(), None, signature, max_rows=10, reasons=4)
    assert (ask.reasons, ("reasons", False) in ask.outputs) == (4, True)
    chosen = json.dumps(asked | {"outputs": [{"name": "predict"}]}).encode()
    assert v2.read(chosen, None, signature, max_rows=10, reasons=4).reasons == 0
