"""Our own protocol: POST /predict and POST /explain, with problem documents of RFC 9457."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson

from tenure.serving.protocols.ask import (
    JSON,
    Ask,
    Reason,
    Said,
    check_flag,
    check_ids,
    check_known,
    check_reasons,
    check_rows,
    loaded,
    media_type,
)
from tenure.serving.protocols.refusals import Refusal, RequestError

CONTENT_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
LONGEST_KEY: Final = 200
"""Characters of an `Idempotency-Key`: with a row's number after it, it is still an id."""
_KEYS: Final = frozenset({"rows", "ids", "reasons", "action"})
_EXPLAIN_KEYS: Final = frozenset({"rows"})
_ROWS_ONLY: Final = {"rows"}


def read(body: bytes, content_type: str | None, *, max_rows: int, reasons: int = 0) -> Ask:
    """Return what a body of POST /predict asks; `reasons` is how many to give where it does not say.

    Raises:
        RequestError: it asks nothing that can be answered; malformed bodies and other media types are of this kind.
    """
    media_type(content_type, JSON)
    asked = loaded(body)
    if asked.keys() == _ROWS_ONLY:
        return Ask(check_rows(asked["rows"], most=max_rows), reasons=reasons)
    check_known(asked, _KEYS, where="body")
    rows = check_rows(_rows(asked), most=max_rows)
    ids = asked.get("ids")
    return Ask(
        rows,
        ids=None if ids is None else check_ids(ids, len(rows)),
        reasons=check_reasons(asked.get("reasons", reasons)),
        action=check_flag(asked.get("action", False), where="action"),
    )


def ids_of(key: str, count: int) -> list[str]:
    """Return the ids of the rows of a request that was sent under an `Idempotency-Key`.

    Raises:
        RequestError: the key cannot be kept.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        hint = f"Keys have 1 to {LONGEST_KEY} characters."
        raise RequestError("The Idempotency-Key is empty or too long.", where="Idempotency-Key", hint=hint)
    return check_ids([key] if count == 1 else [f"{key}-{at}" for at in range(count)], count)


def header_text(text: str) -> bytes:
    """Return an id as a header can hold it: percent-encoded where it is not plain ASCII."""
    return quote(text).encode()


def read_explain(body: bytes, content_type: str | None, *, max_rows: int) -> Ask:
    """Return what a body of POST /explain asks; errors as in `read`."""
    media_type(content_type, JSON)
    asked = loaded(body)
    check_known(asked, _EXPLAIN_KEYS, where="body")
    return Ask(check_rows(_rows(asked), most=max_rows))


def _rows(asked: dict[str, Any]) -> Any:
    if "rows" not in asked:
        errors = [{"loc": ["body", "rows"], "msg": "missing"}]
        raise RequestError("The body has no rows.", where="rows", hint='Send: {"rows": [{...}]}', errors=errors)
    return asked["rows"]


def write(said: Sequence[Said], *, version: str) -> bytes:
    """Return the answers in the order of the rows; `version` is the label of the version in office."""
    return orjson.dumps({"version": version, "predictions": [answer(one) for one in said]})


def answer(said: Said) -> dict[str, Any]:
    """Return one answer as plain data; what does not apply is left out."""
    found: dict[str, Any] = {"id": said.id, "prediction": said.prediction}
    chances = said.probabilities
    if len(chances) == 2:
        found["probability"] = chances[1]
    elif chances:
        found["probabilities"] = dict(zip(said.classes, chances, strict=True))
    if said.low is not None and said.high is not None:
        found["interval"] = (said.low, said.high)
    found["version"] = said.version
    if said.action is not None:
        found["action"] = said.action
    if said.reasons is not None:
        found["reasons"] = said.reasons
    if said.violations:
        found["violations"] = said.violations
    return found


@dataclass(slots=True, eq=False)
class Explained:
    """What each column of one row adds to the raw score, which is `base` and all contributions together.

    `explains` is the class that the raw score speaks for: the positive one, or the predicted one of several; None
    where the raw score is the value itself.
    """

    base: float
    contributions: Sequence[Reason]
    explains: str | None = None


def write_explained(explained: Sequence[Explained], *, version: str) -> bytes:
    """Return the explanations in the order of the rows."""
    return orjson.dumps(
        {
            "version": version,
            "explanations": [
                {"base": one.base}
                | ({} if one.explains is None else {"explains": one.explains})
                | {"contributions": one.contributions}
                for one in explained
            ],
        }
    )


def write_refusal(refusal: Refusal, *, instance: str) -> bytes:
    """Return a refusal as a problem document (RFC 9457); `instance` is the path that was asked."""
    body: dict[str, Any] = {
        "type": f"https://tenure.invalid/errors/{refusal.code}",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": instance,
        "code": refusal.code,
    }
    body |= {name: value for name in ("hint", "where", "errors") if (value := getattr(refusal, name))}
    return dumped(body)


def dumped(body: Any) -> bytes:
    """Return JSON that can always be sent: what a refused request holds need not be valid Unicode."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(_valid(body))


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_valid(name): _valid(inner) for name, inner in value.items()}
    return [_valid(inner) for inner in value] if isinstance(value, list | tuple) else value
