"""What goes over the wire, as pydantic models, and the schema of one row from the model's contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tenure.core.contract import ColumnRule
from tenure.core.data import Kind
from tenure.model.fitted import FittedModel
from tenure.serving.protocols.ask import LONGEST_ID, MOST_REASONS, Cell, Reason, Violation

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LEVELS: Final = 30
_CELL_TYPES: Final = ["string", "number", "boolean", "null"]
_TYPES: Final = {
    Kind.NUMERIC: "number",
    Kind.BOOLEAN: "boolean",
    Kind.CATEGORICAL: "string",
    Kind.TEXT: "string",
    Kind.DATETIME: "string",
}


class PredictRequest(BaseModel):
    """Rows to answer, each with the columns that `/schema` names.

    `ids` are one for each row: an id that was answered before gets that answer again. `reasons` is how many columns to
    name that moved the answer most, `action` whether to say what to do by the project's values.
    """

    model_config = ConfigDict(extra="forbid")
    rows: list[dict[str, Cell]] = Field(min_length=1)
    ids: list[Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]] | None = None
    reasons: int = Field(0, ge=0, le=MOST_REASONS)
    action: bool = False


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
    action: str | None = None
    reasons: list[Reason] | None = None
    violations: list[Violation] | None = None


class PredictResponse(BaseModel):
    """The answers in the order of the rows, and the version in office.

    An answer names its own version: a row whose id was answered before keeps that answer.
    """

    version: str
    predictions: list[Answer]


class ExplainRequest(BaseModel):
    """Rows to explain."""

    model_config = ConfigDict(extra="forbid")
    rows: list[dict[str, Cell]] = Field(min_length=1)


class Explanation(BaseModel):
    """What each column adds to the raw score, which is `base` and all contributions together.

    `explains` is the class whose score it is; without it the score is the value.
    """

    base: float
    explains: str | None = None
    contributions: list[Reason]


class ExplainResponse(BaseModel):
    """The explanations in the order of the rows, and the version in office."""

    version: str
    explanations: list[Explanation]


class OutcomeItem(BaseModel):
    """What came true for one prediction, found by id or by key."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    key: str | int | float | None = Field(None, description="Keys are text: 7 and 7.0 are the key 7, 007 is another.")
    outcome: bool | int | float | str
    known_at: str | None = Field(
        None, description="ISO 8601; left out: now.", json_schema_extra={"format": "date-time"}
    )


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


class Problem(BaseModel):
    """What went wrong (RFC 9457): what happened, where, and what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str | None = None
    where: str | None = None
    errors: list[dict[str, Any]] | None = None


def row_schema(model: FittedModel) -> dict[str, Any]:
    """Return the JSON schema of one row that the model answers, from its contract.

    A text that is not among the examples is answered too, so they are no enumeration.
    """
    properties = {name: _column_schema(rule, _format(model, name)) for name, rule in _rules(model).items()}
    if model.key in properties:
        properties[model.key]["type"] = _CELL_TYPES  # a key is kept as text, whatever it came as
    return {
        "type": "object",
        "title": "Row",
        "properties": properties,
        "required": [column.name for column in model.schema.features],
        "additionalProperties": {"type": _CELL_TYPES},
    }


def row_example(model: FittedModel) -> dict[str, Cell]:
    """Return a row that the model answers: medians, the first levels, the latest date."""
    return {name: _example(rule, _format(model, name)) for name, rule in _rules(model).items()}


def _rules(model: FittedModel) -> dict[str, ColumnRule]:
    """Return what the contract says of key, time and features."""
    names = [column.name for column in model.schema.features]
    extra = [name for name in (model.key, model.time) if name is not None and name not in names]
    rules = {rule.name: rule for rule in model.contract.columns}
    return {name: rules[name] for name in [*extra, *names] if name in rules}


def _format(model: FittedModel, name: str) -> str:
    return model.schema[name].format


def _column_schema(rule: ColumnRule, date_format: str) -> dict[str, Any]:
    kind = "integer" if rule.integer and rule.kind is Kind.NUMERIC else _TYPES[rule.kind]
    schema: dict[str, Any] = {"type": [kind, "null"]}
    if rule.kind is Kind.DATETIME:
        schema |= {"description": f"ISO 8601 or {date_format}"} if date_format else {"format": "date-time"}
    if rule.levels and rule.kind is Kind.CATEGORICAL:
        schema["description"] = "Seen so far: " + ", ".join(rule.levels[:_MOST_LEVELS])
        schema["examples"] = list(rule.levels[:_MOST_LEVELS])
    elif (example := _example(rule, date_format)) is not None:
        schema["examples"] = [example]
    return schema


def _example(rule: ColumnRule, date_format: str) -> Cell:
    if rule.kind is Kind.NUMERIC:
        return int(rule.q50) if rule.integer and rule.q50 is not None else rule.q50
    if rule.kind is Kind.BOOLEAN:
        return True
    if rule.kind is Kind.DATETIME:
        moment = _EPOCH + timedelta(seconds=round(rule.high or 0))
        return moment.strftime(date_format) if date_format else moment.isoformat().replace("+00:00", "Z")
    if rule.levels:
        return rule.levels[0]
    return "A-1001" if rule.kind is Kind.CATEGORICAL else "some words"
