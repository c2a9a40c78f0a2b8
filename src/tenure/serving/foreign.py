"""The bodies of MLflow's protocol and of the Open Inference Protocol as pydantic models, to describe them.

They describe only: what comes in is read by `protocols`, which takes a tenth of the time.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tenure.serving.protocols.ask import MOST_REASONS, Cell

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
Output = Literal["predict", "predict_proba", "interval", "action", "reasons", "prediction_id"]
Row = dict[str, Cell]
T = TypeVar("T")
Filled = Annotated[list[T], Field(min_length=1)]


class DataframeSplit(BaseModel):
    """A table by rows, as pandas writes it: without columns, cells are in the order of the model's."""

    model_config = ConfigDict(extra="forbid")
    columns: list[str] | None = None
    data: list[list[Cell]] = Field(min_length=1)
    index: list[Any] | None = None


class InvocationsParams(BaseModel):
    """What to answer: labels or values, probabilities in class order, or full answers (with reasons and action)."""

    model_config = ConfigDict(extra="forbid")
    output: Literal["predict", "proba", "full"] = "predict"
    reasons: int = Field(0, ge=0, le=MOST_REASONS)
    action: bool = False


class InvocationsRequest(BaseModel):
    """Rows in exactly one of four forms."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": [form]} for form in ("dataframe_split", "dataframe_records", "instances", "inputs")]
        },
    )
    dataframe_split: DataframeSplit | None = None
    dataframe_records: list[Row] | None = Field(None, min_length=1)
    instances: list[Row] | list[list[Cell]] | list[Cell] | None = Field(None, min_length=1)
    inputs: Filled[Row] | Filled[list[Cell]] | dict[str, Filled[Cell]] | Row | None = None
    params: InvocationsParams | None = None


class Predictions(BaseModel):
    """One prediction for each row: a label or value, a list of probabilities, or a full answer."""

    predictions: list[Any]


class MlflowError(BaseModel):
    """What went wrong."""

    error_code: str
    message: str


class InstancesRequest(BaseModel):
    """Rows as objects, as lists in the order of the model's columns, or as cells of its only column."""

    instances: list[Row] | list[list[Cell]] | list[Cell] = Field(min_length=1)


class TensorParameters(BaseModel):
    """How many bytes after the JSON are this tensor, where it has no data."""

    binary_data_size: int | None = Field(None, ge=0)


class InputTensor(BaseModel):
    """A column of shape [n] or [n, 1]; or, as the only input, all columns in the model's order as [n, k]."""

    name: str
    shape: list[int] = Field(min_length=1, max_length=2)
    datatype: Datatype
    parameters: TensorParameters | None = None
    data: list[Cell] | list[list[Cell]] | None = None


class OutputParameters(BaseModel):
    """Whether the output goes out as bytes after the JSON."""

    binary_data: bool | None = None


class ChosenOutput(BaseModel):
    """An output that the answer shall have."""

    name: Output
    parameters: OutputParameters | None = None


class InferParameters(BaseModel):
    """What more to answer."""

    reasons: int = Field(0, ge=0, le=MOST_REASONS)
    action: bool = False
    binary_data_output: bool = False


class InferRequest(BaseModel):
    """Columns to answer, and which outputs to give; left out, all that there are."""

    id: str | None = None
    parameters: InferParameters | None = None
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[ChosenOutput] | None = None


class OutputTensor(BaseModel):
    """An output in row-major order; reasons are texts of JSON."""

    name: Output
    shape: list[int]
    datatype: Datatype
    parameters: TensorParameters | None = None
    data: list[Cell] | None = None


class InferResponse(BaseModel):
    """The outputs, and the version that gave them."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorMetadata(BaseModel):
    """A column or output; -1 is the number of rows."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(BaseModel):
    """What the model in office takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ServerReady(BaseModel):
    """That the server lives, and whether it is ready."""

    live: bool
    ready: bool | None = None


class ModelReady(BaseModel):
    """That the model answers."""

    name: str
    ready: bool


class OpenInferenceError(BaseModel):
    """What went wrong."""

    error: str
