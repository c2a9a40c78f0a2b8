"""The two ways in which a call fails: the server refused it, or there was no answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final, Self

from tenure.client.answers import MISFITS, FieldProblem
from tenure.core.errors import TemporaryError, TenureError

_SHOWN_FIELDS: Final = 3
_HINTS: Final = {
    401: "Give the right token: Client(url, token=...), or TENURE_TOKEN in the environment.",
    403: "Give a token whose role may do this.",
    404: "Check the address; `GET /docs` of the server lists its routes.",
    413: "Send fewer rows in one request.",
    429: "Send less at a time, or later; the client has already waited and tried again.",
    503: "Try again later; the client has already waited and tried again.",
}
_GENERAL_HINT: Final = "`GET /docs` of the server says what it takes."


class ProblemError(TenureError):
    """The server refused the call, as its problem document (RFC 9457) says.

    `code` is the server's stable word for it, `errors` the fields that do not fit, `retry_after` the seconds after
    which the server asks to try again.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        where: str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after: float | None = None,
    ) -> None:
        fields = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in errors[:_SHOWN_FIELDS])
        said = f"{status} {code}: {detail}" + (f" ({fields})" if fields else "")
        super().__init__(said, hint=hint or _HINTS.get(status, _GENERAL_HINT), where=where)
        self.status = status
        self.code = code  # type: ignore[misc]  # of other errors the class knows it, here the server
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @classmethod
    def from_reply(cls, status: int, content: bytes, retry_after: float | None) -> Self:
        """Build the error from a reply; one that is no problem document, as of a proxy, is told by its status."""
        body = _document(content)
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "refused"
        return cls(
            status,
            _text(body.get("code")) or phrase.lower().replace(" ", "-"),
            _text(body.get("detail")) or _text(body.get("title")) or phrase,
            hint=_text(body.get("hint")),
            where=_text(body.get("where")),
            errors=_fields(body.get("errors")),
            retry_after=retry_after,
        )


class NoAnswerError(TemporaryError):
    """The server did not answer: it could not be reached, or went away, or took too long.

    `sent` says whether the whole request had been sent, so that the server may have carried it out.
    """

    def __init__(self, message: str, *, hint: str, where: str, sent: bool) -> None:
        super().__init__(message, hint=hint, where=where)
        self.sent = sent


def _document(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fields(value: Any) -> tuple[FieldProblem, ...]:
    try:
        return tuple(FieldProblem.from_json(one) for one in value or ())
    except MISFITS:
        return ()
