"""The OpenAPI 3.1 document of a server: every route, with the row of the model in office and real-looking examples."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import tenure
from tenure.model.fitted import FittedModel
from tenure.serving import foreign, forms
from tenure.serving.operations import MLFLOW, OWN, REFERENCE, V2, Data, Operation, operations, reference
from tenure.serving.protocols.ask import Signature

_FORMS: Final[tuple[type[BaseModel], ...]] = (
    forms.PredictRequest,
    forms.PredictResponse,
    forms.ExplainRequest,
    forms.ExplainResponse,
    forms.OutcomeRequest,
    forms.OutcomeResponse,
    forms.HealthResponse,
    forms.Problem,
    foreign.InvocationsRequest,
    foreign.InstancesRequest,
    foreign.Predictions,
    foreign.MlflowError,
    foreign.InferRequest,
    foreign.InferResponse,
    foreign.ServerMetadata,
    foreign.ServerReady,
    foreign.ModelMetadata,
    foreign.ModelReady,
    foreign.OpenInferenceError,
)
_MAY_BE_NULL: Final[dict[str, Collection[str]]] = {
    "PredictRequest": ("ids",),
    "OutcomeItem": ("id", "key", "known_at"),
    "DataframeSplit": ("columns", "index"),
    "InvocationsRequest": ("params",),
    "InferRequest": ("id", "parameters", "outputs"),
    "InputTensor": ("parameters",),
    "ChosenOutput": ("parameters",),
}
"""Keys of requests that may be null as well as left out."""
_WITH_BODY: Final = (400, 408, 413, 415, 422, 503, 504, 507)
_WITHOUT_BODY: Final = (503,)
_SECURED: Final = (401, 403)
_NAMED: Final = (404,)


def openapi_document(model: FittedModel, name: str, version: str, *, secured: bool, max_rows: int = 10_000) -> Data:
    """Return the document of a server that answers with `model`, of which `version` is the label ("v3").

    With `secured`, every route but those of health asks for a token.
    """
    signature = Signature.of(model, name=name, version=version)
    paths: dict[str, Data] = {}
    for operation in operations(model, signature):
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, secured=secured)
    components: Data = {"schemas": _schemas(model, max_rows)}
    document: Data = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": f"{name} (tenure)",
            "version": tenure.__version__,
            "description": f"Predictions of {model.target} by {version}, the version in office. "
            "A method that a route does not know is answered with 405.",
        },
        "tags": [{"name": family.tag} for family in (OWN, MLFLOW, V2)],
        "paths": paths,
        "components": components,
    }
    if secured:
        components["securitySchemes"] = {
            "bearerAuth": {"type": "http", "scheme": "bearer"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearerAuth": []}, {"apiKey": []}]
    return document


def _schemas(model: FittedModel, max_rows: int) -> Data:
    """Return all schemas; a row is the model's, and what is null by default is described as left out."""
    _, found = models_json_schema([(form, "validation") for form in _FORMS], ref_template=REFERENCE + "{model}")
    schemas: Data = {name: _without_null(schema, _MAY_BE_NULL.get(name, ())) for name, schema in found["$defs"].items()}
    row = {"$ref": REFERENCE + "Row"}
    for name, key in (
        ("PredictRequest", "rows"),
        ("ExplainRequest", "rows"),
        ("InvocationsRequest", "dataframe_records"),
    ):
        schemas[name]["properties"][key] |= {"items": row, "maxItems": max_rows}
    return {"Row": forms.row_schema(model) | {"examples": [forms.row_example(model)]}} | schemas


def _without_null(schema: Data, nullable: Collection[str]) -> Data:
    """Return a schema of an object in which a property that is null by default may be left out, but is not null.

    Those in `nullable` may be null too.
    """
    for name, spec in schema.get("properties", {}).items():
        if name not in nullable and "default" in spec and spec["default"] is None and "anyOf" in spec:
            del spec["default"]
            kept = [choice for choice in spec.pop("anyOf") if choice != {"type": "null"}]
            spec |= kept[0] if len(kept) == 1 else {"anyOf": kept}
    return schema


def _operation(operation: Operation, *, secured: bool) -> Data:
    family = operation.family
    found: Data = {
        "operationId": operation.name,
        "tags": [family.tag],
        "summary": operation.does,
        "description": operation.does,
    }
    parameters = [*_path_parameters(operation.path), *operation.parameters]
    if parameters:
        found["parameters"] = parameters
    if operation.takes:
        found["requestBody"] = {"required": True, "content": operation.takes}
    success: Data = {"description": "Done.", "content": operation.gives}
    if operation.reply_headers:
        success["headers"] = operation.reply_headers
    statuses = [*(_WITH_BODY if operation.takes else _WITHOUT_BODY)]
    statuses += _SECURED if secured and not operation.is_open else ()
    statuses += _NAMED if "{" in operation.path else ()
    content = {family.media_type: {"schema": reference(family.error)}}
    found["responses"] = {"200": success} | {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted(statuses)
        if status != HTTPStatus.UNPROCESSABLE_ENTITY or family.has_422
    }
    if operation.is_open:
        found["security"] = []
    return found


def _path_parameters(path: str) -> list[Data]:
    return [
        {"name": part.split("}")[0], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in path.split("{")[1:]
    ]
