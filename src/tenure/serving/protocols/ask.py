"""What every protocol is read into and written from, and the checks that all of them share."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from tenure.core.data import Kind
from tenure.core.errors import did_you_mean
from tenure.core.modelling import Task
from tenure.serving.protocols.refusals import MOST_ERRORS, MalformedError, MediaTypeError, RequestError

if TYPE_CHECKING:
    from tenure.model.fitted import FittedModel

MOST_REASONS: Final = 20
LONGEST_ID: Final = 256
JSON: Final = ("application/json",)

Cell = str | int | float | bool | None
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_INFINITIES: Final = (float("inf"), float("-inf"))


@dataclass(slots=True, eq=False)
class Ask:
    """What a request asks: rows, and how to answer.

    `ids` are the client's own names for its predictions. `reasons` is how many to give (0 to 20). `form` is the shape
    of the answer where a protocol has several, `outputs` the chosen ones with whether each goes out as binary, `echo`
    the request's own id that is sent back.
    """

    rows: list[dict[str, Any]]
    ids: list[str] | None = None
    reasons: int = 0
    action: bool = False
    form: str = ""
    outputs: tuple[tuple[str, bool], ...] = ()
    echo: str | None = None


@dataclass(slots=True, eq=False)
class Reason:
    """How much a column's value moved the raw score."""

    column: str
    value: Any
    contribution: float


@dataclass(slots=True, eq=False)
class Violation:
    """A rule of the contract that a field of a row broke."""

    field: str
    rule: str


@dataclass(slots=True, eq=False)
class Said:
    """The answer for one row, as it stands in the log.

    `probabilities` are in the order of `classes`; both are empty for a value. `version` is the label of the version
    that gave it, with its classes: a row whose id was answered before keeps that answer.
    """

    id: str
    prediction: str | float
    version: str
    probabilities: Sequence[float] = ()
    classes: Sequence[str] = ()
    low: float | None = None
    high: float | None = None
    action: str | None = None
    reasons: Sequence[Reason] | None = None
    violations: Sequence[Violation] = field(default=())


@dataclass(frozen=True, slots=True)
class Signature:
    """What one version takes and gives, made once when it comes into office.

    `columns` are the model's features in order; `kinds` tells how each of them, the key and the time are read.
    """

    name: str
    version: str
    task: Task
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    has_interval: bool

    @classmethod
    def of(cls, model: FittedModel, *, name: str, version: str) -> Self:
        """Return the signature of a model under the name and version label by which it is served."""
        columns = tuple(column.name for column in model.schema.features)
        known = {*columns, model.key, model.time}
        interval = model.interval if model.task is Task.REGRESSION else model.probability_interval
        return cls(
            name=name,
            version=version,
            task=model.task,
            classes=model.classes,
            columns=columns,
            kinds={column.name: column.kind for column in model.schema.columns if column.name in known},
            has_interval=interval is not None,
        )


def media_type(content_type: str | None, accepted: Collection[str]) -> str:
    """Return the media type in small letters, without its parameters.

    Raises:
        MediaTypeError: it is none of `accepted`, or names a character set other than UTF-8.
    """
    if content_type is not None and content_type in accepted:
        return content_type
    kind, *parameters = (content_type or "").split(";")
    found = kind.strip().lower()
    if found not in accepted:
        named = ascii(found[:60]) if found else "none"
        raise MediaTypeError(f"The content type is {named}.", hint=f"Send: Content-Type: {next(iter(accepted))}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise MediaTypeError("The character set is not UTF-8.", hint="Send the body as UTF-8.")
    return found


def loaded(body: bytes | memoryview, *, nan: bool = False) -> dict[str, Any]:
    """Return the object that a body says as JSON; with `nan`, the word NaN is null, as Python's clients write it.

    Raises:
        MalformedError: it is no JSON (which itself knows no NaN), no UTF-8, nested too deep, or no object.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not nan or b"NaN" not in bytes(body):
            raise MalformedError(f"The body is no JSON: {error}.", hint="Send one JSON object as UTF-8.") from error
        found = _with_nan(bytes(body))
    if type(found) is not dict:
        raise MalformedError("The body is no JSON object.", hint='Send an object: {"...": ...}')
    return found


def _with_nan(body: bytes) -> Any:
    """Return JSON in which NaN may stand; all else is held to what orjson takes."""
    try:
        found = json.loads(body.decode(), parse_constant=_number, parse_float=_number, parse_int=_number)
        return orjson.loads(orjson.dumps(found))
    except (ValueError, TypeError, RecursionError) as error:
        hint = "Send one JSON object as UTF-8, with null or NaN for missing numbers."
        raise MalformedError("The body is no JSON, even where NaN may stand.", hint=hint) from error


def _number(text: str) -> float | int | None:
    number = float(text)
    if math.isinf(number):
        raise ValueError("infinite")
    if math.isnan(number):
        return None
    return int(text) if abs(number) < 2**63 and text.lstrip("-").isdecimal() else number


def check_known(names: Iterable[str], known: Collection[str], *, where: str) -> None:
    """Accept names of the wire form only.

    Raises:
        RequestError: one is not known.
    """
    for name in names:
        if name not in known:
            raise RequestError(
                f"{shown(name)} is not a key of {where}.",
                where=where,
                hint=did_you_mean(name[:60], known),
                errors=[{"loc": [where, name[:200]], "msg": "unknown key"}],
            )


def check_rows(rows: Any, *, most: int, where: str = "rows") -> list[dict[str, Any]]:
    """Return rows that are a list, not empty nor longer than `most`, of flat objects.

    Raises:
        RequestError: they are not; it names up to 20 places.
    """
    if type(rows) is not list or not rows:
        hint = "Send at least one row in a list."
        errors = [{"loc": [where], "msg": "no list of rows"}]
        raise RequestError(f"{where} is no list of rows.", where=where, hint=hint, errors=errors)
    check_count(len(rows), most, where)
    for row in rows:
        if type(row) is not dict or not _SCALARS.issuperset(map(type, row.values())):
            raise _nested(rows, where)
    return rows


def check_count(count: int, most: int, where: str) -> None:
    """Accept a number of rows up to `most`.

    Raises:
        RequestError: there are more.
    """
    if count > most:
        raise RequestError(
            f"{count:,} rows in one request.", where=where, hint=f"Send at most {most:,} at a time, or score a file."
        )


def _nested(rows: list[Any], where: str) -> RequestError:
    errors: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        if type(row) is not dict:
            errors.append({"loc": [where, at], "msg": "a row is an object of columns and cells"})
        else:
            errors += [
                {"loc": [where, at, name[:200]], "msg": "a cell is text, a number, true, false or null"}
                for name, cell in row.items()
                if type(cell) not in _SCALARS
            ]
        if len(errors) >= MOST_ERRORS:
            break
    return RequestError(
        "Rows are flat objects of columns and cells.",
        where=".".join(str(part) for part in errors[0]["loc"]),
        hint="Send text, numbers, true, false or null in each cell.",
        errors=errors,
    )


def check_ids(ids: Any, count: int) -> list[str]:
    """Return ids that are one text for each row, each another.

    Raises:
        RequestError: they are not.
    """
    if type(ids) is not list or len(ids) != count:
        raise RequestError("ids is no list with one id for each row.", where="ids", hint="Or leave ids out.")
    for at, one in enumerate(ids):
        if type(one) is not str or not 0 < len(one) <= LONGEST_ID or "\0" in one:
            raise RequestError(
                "An id is no text that can be kept.",
                where=f"ids.{at}",
                hint=f"Ids are texts of 1 to {LONGEST_ID} characters without NUL.",
                errors=[{"loc": ["ids", at], "msg": "no text that can be kept"}],
            )
    if len(set(ids)) != count:
        raise RequestError("An id stands twice.", where="ids", hint="Give each row an id of its own, or leave ids out.")
    return ids


def check_reasons(value: Any, *, where: str = "reasons") -> int:
    """Return how many reasons to give.

    Raises:
        RequestError: it is no whole number from 0 to 20.
    """
    if type(value) is not int or not 0 <= value <= MOST_REASONS:
        hint = f"Send a whole number from 0 to {MOST_REASONS}."
        raise RequestError(f"{where} is no number of reasons.", where=where, hint=hint)
    return value


def check_flag(value: Any, *, where: str) -> bool:
    """Return a flag.

    Raises:
        RequestError: it is neither true nor false.
    """
    if type(value) is not bool:
        raise RequestError(f"{where} is neither true nor false.", where=where, hint="Send true or false.")
    return value


def rows_of_columns(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return rows from columns of equal length."""
    names = list(columns)
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def rows_in_order(cells: Sequence[Sequence[Any]], columns: Sequence[str], *, where: str) -> list[dict[str, Any]]:
    """Return rows from lists of cells in the order of `columns`, which are the model's.

    Raises:
        RequestError: a list is longer or shorter.
    """
    for at, row in enumerate(cells):
        if type(row) is not list or len(row) != len(columns):
            raise RequestError(
                "A row without names does not have a cell for each column of the model.",
                where=f"{where}.{at}",
                hint=f"Send names, or {len(columns)} cells in this order: {', '.join(columns[:50])}.",
                tells_model=True,
            )
    return [dict(zip(columns, row, strict=True)) for row in cells]


def finite(cells: list[Any], *, where: str) -> list[Any]:
    """Return cells with NaN as missing.

    Raises:
        RequestError: one is infinite.
    """
    if any(infinity in cells for infinity in _INFINITIES):
        raise RequestError("A number is infinite.", where=where, hint="Send a finite number, or a missing one.")
    return [None if cell != cell else cell for cell in cells]


def shown(text: str) -> str:
    """Return what a client sent, quoted and cut, for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
