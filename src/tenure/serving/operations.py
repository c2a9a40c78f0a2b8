"""What can be asked of a server: each route with what it does, takes and gives, and examples of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import BaseModel

import tenure
from tenure.core.modelling import Task
from tenure.model.fitted import FittedModel
from tenure.serving import foreign, forms
from tenure.serving.protocols import mlflow, native, open_inference
from tenure.serving.protocols.ask import Ask, Reason, Said, Signature

Data = dict[str, Any]

REFERENCE: Final = "#/components/schemas/"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Family:
    """How the routes of a protocol say what went wrong."""

    tag: str
    error: type[BaseModel]
    media_type: str = _JSON
    has_422: bool = False


OWN: Final = Family("tenure", forms.Problem, native.PROBLEM_TYPE, has_422=True)
MLFLOW: Final = Family("MLflow", foreign.MlflowError)
V2: Final = Family("Open Inference Protocol", foreign.OpenInferenceError)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: what it does, takes and gives. `is_open` where it asks for no token."""

    family: Family
    method: str
    path: str
    name: str
    does: str
    takes: Data = field(default_factory=dict)
    gives: Data = field(default_factory=dict)
    is_open: bool = False
    parameters: tuple[Data, ...] = ()
    reply_headers: Data = field(default_factory=dict)


def operations(model: FittedModel, signature: Signature) -> list[Operation]:
    """Return every route of a server that answers with `model`, with examples that the model would take."""
    examples = _Examples(model, signature)
    return [*_own(examples), *_mlflow(examples), *_open_inference(examples)]


def reference(form: type[BaseModel]) -> Data:
    """Return what refers to the schema of a form."""
    return {"$ref": REFERENCE + form.__name__}


def _json(form: type[BaseModel], example: Any = None) -> Data:
    content: Data = {"schema": reference(form)}
    return {_JSON: content if example is None else content | {"example": example}}


def _text(media_type: str, example: str) -> Data:
    return {media_type: {"schema": {"type": "string"}, "example": example}}


class _Examples:
    """What a request and its answer look like, written by the protocols themselves."""

    def __init__(self, model: FittedModel, signature: Signature) -> None:
        self.row = forms.row_example(model)
        self.signature = signature
        self.said = _said(model, signature)
        self.features = {name: self.row[name] for name in signature.columns}

    def infer_request(self) -> Data:
        metadata = orjson.loads(open_inference.model_metadata(self.signature))
        inputs = [
            {
                "name": one["name"],
                "shape": [1, 1],
                "datatype": one["datatype"],
                "data": [self.features[one["name"]]],
            }
            for one in metadata["inputs"]
        ]
        return {"id": "42", "inputs": inputs, "outputs": [{"name": "predict"}, {"name": "prediction_id"}]}

    def infer_response(self) -> Data:
        ask = Ask([], outputs=(("predict", False), ("prediction_id", False)), echo="42")
        body, _ = open_inference.write(ask, [self.said], self.signature, version=self.signature.version)
        found: Data = orjson.loads(body)
        return found


def _said(model: FittedModel, signature: Signature) -> Said:
    said = Said("7f6c2f0e4c1b4f0bb0a4f4f2c6f1e9d2", 0.0, signature.version, classes=model.classes)
    if model.task is Task.REGRESSION:
        said.prediction, low, high = 12.5, 9.75, 16.0
    else:
        share = 0.38 / (len(model.classes) - 1)
        said.prediction, low, high = model.classes[-1], 0.55, 0.69
        said.probabilities = [*(share for _ in model.classes[1:]), 0.62]
    if signature.has_interval:
        said.low, said.high = low, high
    return said


def _own(examples: _Examples) -> list[Operation]:
    version, said = examples.signature.version, examples.said
    answer = orjson.loads(native.write([said], version=version))
    name, value = next(iter(examples.features.items()))
    explained = native.Explained(-0.4, [Reason(name, value, 0.9)], said.classes[-1] if said.classes else None)
    explanation = orjson.loads(native.write_explained([explained], version=version))
    again: Data = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request that is sent again under the same key gets the answer of the first.",
        "schema": {"type": "string", "minLength": 1, "maxLength": native.LONGEST_KEY},
    }
    one_id: Data = {"X-Prediction-Id": {"description": "The id, where one row was sent.", "schema": {"type": "string"}}}
    outcome = {"outcomes": [{"id": said.id, "outcome": said.prediction, "known_at": "2026-02-01T08:00:00Z"}]}
    counts = {"joined": 1, "repeated": 0, "corrected": 0, "waiting": 0}
    return [
        Operation(
            OWN,
            "post",
            "/predict",
            "predict",
            "Answer rows with the model in office.",
            takes=_json(forms.PredictRequest, {"rows": [examples.row]}),
            gives=_json(forms.PredictResponse, answer),
            parameters=(again,),
            reply_headers=one_id,
        ),
        Operation(
            OWN,
            "post",
            "/explain",
            "explain",
            "Say what each column adds to the score of each row.",
            takes=_json(forms.ExplainRequest, {"rows": [examples.row]}),
            gives=_json(forms.ExplainResponse, explanation),
        ),
        Operation(
            OWN,
            "post",
            "/outcomes",
            "recordOutcomes",
            "Record what came true; late, repeated and corrected outcomes are all welcome.",
            takes=_json(forms.OutcomeRequest, outcome),
            gives=_json(forms.OutcomeResponse, counts),
        ),
        Operation(
            OWN,
            "get",
            "/schema",
            "rowSchema",
            "Give the JSON schema of one row, from the contract of the model in office.",
            gives={_JSON: {"schema": {"type": "object"}}},
        ),
        Operation(
            OWN,
            "get",
            "/health",
            "health",
            "Say that the server answers, and with which version.",
            gives=_json(forms.HealthResponse),
            is_open=True,
        ),
        Operation(
            OWN,
            "get",
            "/metrics",
            "metrics",
            "Give what the server counted, for Prometheus.",
            gives=_text("text/plain", "tenure_predictions_total 1.0"),
        ),
    ]


def _mlflow(examples: _Examples) -> list[Operation]:
    features = examples.features
    split = {"columns": list(features), "data": [list(features.values())]}
    table = f"{','.join(features)}\n{','.join(str(cell) for cell in features.values())}\n"
    takes = _json(foreign.InvocationsRequest, {"dataframe_split": split})
    return [
        Operation(
            MLFLOW,
            "post",
            "/invocations",
            "invocations",
            "Answer a table as MLflow's server does.",
            takes=takes | _text("text/csv", table) | _text("application/csv", table),
            gives=_json(foreign.Predictions, orjson.loads(mlflow.write(Ask([], form="predict"), [examples.said]))),
        ),
        Operation(
            MLFLOW,
            "get",
            "/ping",
            "ping",
            "Say with the status alone that a model is in office.",
            gives=_text("text/plain", mlflow.PING.decode()),
            is_open=True,
        ),
        Operation(
            MLFLOW,
            "get",
            "/version",
            "version",
            "Give the version of the software.",
            gives=_text("text/plain", tenure.__version__),
        ),
    ]


def _open_inference(examples: _Examples) -> list[Operation]:
    length: Data = {
        "name": open_inference.LENGTH_HEADER,
        "in": "header",
        "description": "How many bytes of the body are JSON, where binary tensors follow.",
        "schema": {"type": "integer", "minimum": 1},
    }
    binary: Data = {open_inference.BINARY_TYPE: {}}
    found = [
        Operation(
            V2,
            "get",
            "/v2",
            "serverMetadata",
            "Say what the server is.",
            gives=_json(foreign.ServerMetadata, orjson.loads(open_inference.server_metadata(examples.signature.name))),
        ),
        *(
            Operation(
                V2,
                "get",
                f"/v2/health/{what}",
                f"server{what.capitalize()}",
                f"Say whether the server is {what}.",
                gives=_json(foreign.ServerReady, orjson.loads(body)),
                is_open=True,
            )
            for what, body in (("live", open_inference.LIVE), ("ready", open_inference.READY))
        ),
    ]
    for path, suffix in (("/v2/models/{model}", ""), ("/v2/models/{model}/versions/{version}", "Version")):
        found += [
            Operation(
                V2,
                "get",
                path,
                f"model{suffix}Metadata",
                "Say what the model in office takes and gives.",
                gives=_json(foreign.ModelMetadata, orjson.loads(open_inference.model_metadata(examples.signature))),
            ),
            Operation(
                V2,
                "get",
                f"{path}/ready",
                f"model{suffix}Ready",
                "Say that the model answers.",
                gives=_json(foreign.ModelReady, orjson.loads(open_inference.model_ready(examples.signature))),
            ),
            Operation(
                V2,
                "post",
                f"{path}/infer",
                f"infer{suffix}",
                "Answer columns, as JSON or as binary tensors.",
                takes=_json(foreign.InferRequest, examples.infer_request()) | binary,
                gives=_json(foreign.InferResponse, examples.infer_response()) | binary,
                parameters=(length,),
            ),
        ]
    found.append(
        Operation(
            V2,
            "post",
            "/v1/models/{model}:predict",
            "predictV1",
            "Answer instances, for clients of the protocol's first version.",
            takes=_json(foreign.InstancesRequest, {"instances": [examples.row]}),
            gives=_json(foreign.Predictions, orjson.loads(open_inference.write_v1([examples.said]))),
        )
    )
    return found
