"""The OpenAPI document: valid, complete, true to what is read and written, and shown as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.modelling import Task
from tenure.engine.workspace import open_workspace
from tenure.model.fitted import FittedModel
from tenure.model.scorer import Scorer
from tenure.serving import foreign, forms
from tenure.serving.openapi import openapi_document
from tenure.serving.page import docs_page
from tenure.serving.protocols import mlflow, native, open_inference
from tenure.serving.protocols.ask import Signature
from tenure.serving.protocols.refusals import RequestError
from tenure.serving.protocols.tensors import DATATYPES

ROUTES = {
    *("/predict", "/explain", "/outcomes", "/schema", "/health", "/metrics", "/invocations", "/ping", "/version"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v1/models/{model}:predict"),
    *(
        f"/v2/models/{{model}}{version}{what}"
        for version in ("", "/versions/{version}")
        for what in ("", "/ready", "/infer")
    ),
}


@pytest.fixture(scope="module")
def model(_office: Path) -> FittedModel:
    with open_workspace(_office, actor="server") as workspace:
        return workspace.scorer(workspace.champion()).model


def _document(model: FittedModel, *, secured: bool = False) -> dict[str, Any]:
    return openapi_document(model, "churn", "v1", secured=secured)


def _variants(model: FittedModel) -> list[FittedModel]:
    return [
        model,
        replace(model, task=Task.MULTICLASS, classes=("a", "b", "c"), probability_interval=None),
        replace(model, task=Task.REGRESSION, classes=(), probability_interval=None),
    ]


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("secured", [True, False])
def test_the_document_is_valid_and_names_every_route(model: FittedModel, variant: int, secured: bool) -> None:
    document = orjson.loads(orjson.dumps(_document(_variants(model)[variant], secured=secured)))
    OpenAPIV31SpecValidator(document).validate()
    assert set(document["paths"]) == ROUTES
    names = [route["operationId"] for routes in document["paths"].values() for route in routes.values()]
    assert len(set(names)) == len(names) == len(ROUTES)


@pytest.mark.parametrize("variant", range(3))
def test_every_example_is_what_its_schema_says(model: FittedModel, variant: int) -> None:
    document = _document(_variants(model)[variant])
    seen = 0
    for routes in document["paths"].values():
        for route in routes.values():
            for content in (route.get("requestBody", {}).get("content", {}), route["responses"]["200"]["content"]):
                for media in content.values():
                    if "example" in media:
                        schema = media["schema"] | {"components": document["components"]}
                        Draft202012Validator(schema).validate(media["example"])
                        seen += 1
    assert seen > 20


def test_the_examples_are_read_by_the_protocols(model: FittedModel) -> None:
    document = _document(model)
    signature = Signature.of(model, name="churn", version="v1")
    row = forms.row_example(model)
    features = {name: row[name] for name in signature.columns}

    def sent(path: str, kind: str = "application/json") -> bytes:
        example = document["paths"][path]["post"]["requestBody"]["content"][kind]["example"]
        return example.encode() if isinstance(example, str) else json.dumps(example).encode()

    assert native.read(sent("/predict"), "application/json", max_rows=1).rows == [row]
    assert native.read_explain(sent("/explain"), "application/json", max_rows=1).rows == [row]
    for kind in ("application/json", "text/csv"):
        assert mlflow.read(sent("/invocations", kind), kind, signature, max_rows=1).rows == [features]
    infer = sent("/v2/models/{model}/infer")
    assert open_inference.read(infer, "application/json", signature, max_rows=1).rows == [features]
    v1 = sent("/v1/models/{model}:predict")
    assert open_inference.read_v1(v1, "application/json", signature, max_rows=1).rows == [row]
    assert len(Scorer(model).answer(row).probabilities) == 2


def test_the_row_is_the_models_and_its_cells_may_be_null(model: FittedModel) -> None:
    document = _document(model)
    row = document["components"]["schemas"]["Row"]
    assert row == forms.row_schema(model) | {"examples": [forms.row_example(model)]}
    assert row["properties"]["strong"]["type"] == ["number", "null"]
    assert set(row["properties"]["plan"]["examples"]) == {"basic", "plus", "max"}
    rows = document["components"]["schemas"]["PredictRequest"]["properties"]["rows"]
    assert rows["items"] == {"$ref": "#/components/schemas/Row"}


def test_tokens_and_refusals_are_described_where_they_apply(model: FittedModel) -> None:
    document = _document(model, secured=True)
    assert document["security"] == [{"bearerAuth": []}, {"apiKey": []}]
    is_open = {path for path, routes in document["paths"].items() if routes.get("get", {}).get("security") == []}
    assert is_open == {"/health", "/ping", "/v2/health/live", "/v2/health/ready"}
    predict = document["paths"]["/predict"]["post"]["responses"]
    assert set(predict) == {"200", "400", "401", "403", "408", "413", "415", "422", "503", "504", "507"}
    assert predict["422"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    infer = document["paths"]["/v2/models/{model}/infer"]["post"]["responses"]
    assert {"404", "401"} <= set(infer)
    assert "422" not in infer
    unsecured = _document(model)
    assert "security" not in unsecured
    assert "401" not in unsecured["paths"]["/predict"]["post"]["responses"]


def test_the_document_says_where_null_may_stand_and_that_cells_are_flat(model: FittedModel) -> None:
    schemas = _document(model)["components"]["schemas"]
    null = {"type": "null"}
    assert null in schemas["PredictRequest"]["properties"]["ids"]["anyOf"]
    assert null in schemas["InvocationsRequest"]["properties"]["params"]["anyOf"]
    assert schemas["Answer"]["properties"]["probability"] == {"title": "Probability", "type": "number"}
    row = schemas["Row"]
    assert row["properties"]["customer"]["type"] == row["additionalProperties"]["type"]
    keyed, nested = row["examples"][0] | {"customer": 7}, row["examples"][0] | {"more": {"a": 1}}
    rows = Draft202012Validator(row)
    assert rows.is_valid(keyed)
    assert not rows.is_valid(nested)
    assert native.read(orjson.dumps({"rows": [keyed], "ids": None}), "application/json", max_rows=1).ids is None
    with pytest.raises(RequestError):
        native.read(orjson.dumps({"rows": [nested]}), "application/json", max_rows=1)


def test_a_refusal_is_what_its_schema_says(model: FittedModel) -> None:
    components = _document(model)["components"]
    body = native.write_refusal(
        native.Refusal(422, "x", "What.", "Do.", "rows", [{"loc": ["rows"], "msg": "m"}]), instance="/"
    )
    for name, written in (
        ("Problem", body),
        ("MlflowError", mlflow.write_refusal(native.Refusal(422, "x", "What."))[1]),
        ("OpenInferenceError", open_inference.write_refusal(native.Refusal(422, "x", "What."))[1]),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        Draft202012Validator(schema).validate(json.loads(written))


def test_the_data_types_described_are_those_that_are_read() -> None:
    assert get_args(foreign.Datatype) == DATATYPES


RULES = [
    ("when", Kind.DATETIME, {"low": 0.0, "high": 1_767_225_600.0}, ["string", "null"], "2026-01-01T00:00:00Z"),
    ("day", Kind.DATETIME, {"high": 1_767_225_600.0}, ["string", "null"], "01.01.2026"),
    ("count", Kind.NUMERIC, {"integer": True, "q50": 3.0}, ["integer", "null"], 3),
    ("on", Kind.BOOLEAN, {}, ["boolean", "null"], True),
    ("code", Kind.CATEGORICAL, {}, ["string", "null"], "A-1001"),
    ("note", Kind.TEXT, {}, ["string", "null"], "some words"),
    ("empty", Kind.NUMERIC, {}, ["number", "null"], None),
]


@pytest.mark.parametrize(("name", "kind", "rule", "types", "example"), RULES)
def test_each_kind_of_column_has_its_type_and_a_true_example(
    model: FittedModel, name: str, kind: Kind, rule: dict[str, Any], types: list[str], example: Any
) -> None:
    column = Column(name, "String", kind, Role.FEATURE, format="%d.%m.%Y" if name == "day" else "")
    line = ColumnRule(name, kind, Role.FEATURE, "String", required=True, null_share=0, max_null_share=1, **rule)
    other = replace(model, schema=Schema((column,)), contract=Contract((line,), rows=1), key=None, time=None)
    assert forms.row_schema(other)["properties"][name]["type"] == types
    assert forms.row_example(other) == {name: example}


def test_the_page_shows_every_route_and_loads_nothing(model: FittedModel) -> None:
    page = docs_page(_document(model))
    for path in ROUTES:
        assert path in page
    assert "<script" not in page
    assert "Idempotency-Key" in page
    assert "src=" not in page
    assert "<link" not in page
    assert "for example" in page
