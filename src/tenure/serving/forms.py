"""What goes over the wire, as pydantic models, and the schema of one row from the model's contract."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tenure.core.contract import ColumnRule
from tenure.core.data import Kind
from tenure.model.bundle import FittedModel

Cell = str | int | float | bool | None
_TYPES: Final = {
    Kind.NUMERIC: "number",
    Kind.BOOLEAN: "boolean",
    Kind.CATEGORICAL: "string",
    Kind.TEXT: "string",
    Kind.DATETIME: "string",
}


class PredictRequest(BaseModel):
    """Rows to answer, each with the columns that `/schema` names; ids are optional and must be new."""

    model_config = ConfigDict(extra="forbid")
    rows: list[dict[str, Cell]] = Field(min_length=1)
    ids: list[str] | None = None


class Answer(BaseModel):
    """The answer for one row. `probability` for binary, `probabilities` for multiclass.

    `interval` is between what the value lies (regression, 90 %), or the probability (binary).
    """

    id: str
    prediction: str | float
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    interval: tuple[float, float] | None = None
    version: str


class PredictResponse(BaseModel):
    """The answers in the order of the rows, and the version in office.

    An answer names its own version: a row whose id was answered before keeps that answer.
    """

    version: str
    predictions: list[Answer]


class OutcomeItem(BaseModel):
    """What came true for one prediction, found by id or by key."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    key: str | int | float | None = Field(None, description="Keys are text: 7 and 7.0 are the key 7, 007 is another.")
    outcome: bool | int | float | str
    known_at: str | None = Field(None, description="ISO 8601; left out: now.")


class OutcomeRequest(BaseModel):
    """Outcomes; sending one again does no harm, a later `known_at` corrects an earlier one."""

    model_config = ConfigDict(extra="forbid")
    outcomes: list[OutcomeItem] = Field(min_length=1)


class OutcomeResponse(BaseModel):
    """How many outcomes joined a prediction, repeated or corrected an earlier outcome, or wait for their prediction."""

    joined: int
    repeated: int
    corrected: int
    waiting: int


class HealthResponse(BaseModel):
    """That the server answers, and with which version."""

    status: str
    project: str
    version: str
    predictions: int


def row_schema(model: FittedModel) -> dict[str, Any]:
    """Return the JSON schema of one row that the model answers, from its contract."""
    names = [column.name for column in model.schema.features]
    extra = [name for name in (model.key, model.time) if name is not None and name not in names]
    rules = {rule.name: rule for rule in model.contract.columns}
    return {
        "type": "object",
        "title": "Row",
        "properties": {
            name: _column_schema(rules[name], model.schema[name].format) for name in [*extra, *names] if name in rules
        },
        "required": names,
        "additionalProperties": True,
    }


def _column_schema(rule: ColumnRule, date_format: str) -> dict[str, Any]:
    kind = "integer" if rule.integer and rule.kind is Kind.NUMERIC else _TYPES[rule.kind]
    schema: dict[str, Any] = {"type": [kind, "null"]}
    if rule.kind is Kind.DATETIME:
        schema |= {"description": f"ISO 8601 or {date_format}"} if date_format else {"format": "date-time"}
    if rule.levels is not None and rule.kind is Kind.CATEGORICAL:
        schema["description"] = "Seen so far: " + ", ".join(rule.levels[:30])
        schema["examples"] = [rule.levels[0]]
    elif rule.q50 is not None:
        schema["examples"] = [int(rule.q50) if kind == "integer" else rule.q50]
    return schema
