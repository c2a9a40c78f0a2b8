"""Why a request is refused, without the words of any protocol; each protocol writes it in its own form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final, Self

from tenure.core.errors import (
    ConfigError,
    CredentialError,
    DataError,
    FolderReadOnlyError,
    NoChampionError,
    ProposalMissingError,
    ProposalStateError,
    RecordMissingError,
    ResourceError,
    TemporaryError,
    TenureError,
)

MOST_ERRORS: Final = 20
"""So many places are named at most: an answer must not be larger than what was sent."""


class RequestError(DataError):
    """The body is JSON of the right protocol, but does not say something that can be answered.

    The message tells of nothing but the request. `tells_model` marks a hint that tells of the model, such as its
    columns; it is left out unless errors are verbose. `errors` names places: `{"loc": [...], "msg": ...}`.
    """

    code = "request-invalid"
    title = "The request cannot be answered"
    status: ClassVar[int] = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        where: str | None = None,
        errors: Sequence[dict[str, Any]] = (),
        tells_model: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.errors = list(errors[:MOST_ERRORS])
        self.tells_model = tells_model

    def within(self, place: str) -> Self:
        """Return the error with its place inside `place`."""
        self.where = place if self.where is None else f"{place}.{self.where}"
        return self


class MalformedError(RequestError):
    """The bytes of the body cannot be read at all."""

    code = "request-malformed"
    title = "The body cannot be read"
    status = HTTPStatus.BAD_REQUEST


class MediaTypeError(RequestError):
    """The body is of a type, or in a character set, that the route does not read."""

    code = "unsupported-media-type"
    title = "The content type is not read here"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a client is told: HTTP status, stable code, what happened, where, what to do."""

    status: int
    code: str
    detail: str
    hint: str | None = None
    where: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)


# The first class that fits decides; the order goes from the particular to the general.
_STATUS: Final[tuple[tuple[type[TenureError], HTTPStatus], ...]] = (
    (NoChampionError, HTTPStatus.SERVICE_UNAVAILABLE),
    (FolderReadOnlyError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (CredentialError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (TemporaryError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ResourceError, HTTPStatus.INSUFFICIENT_STORAGE),
    (RecordMissingError, HTTPStatus.NOT_FOUND),
    (ProposalMissingError, HTTPStatus.NOT_FOUND),
    (ProposalStateError, HTTPStatus.CONFLICT),
    (DataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigError, HTTPStatus.BAD_REQUEST),
)
# Errors of the door, which the list above cannot tell from others of their kind.
_STATUS_OF_CODE: Final = {"unauthorized": HTTPStatus.UNAUTHORIZED, "forbidden": HTTPStatus.FORBIDDEN}
_OF_THE_REQUEST: Final = frozenset({"unauthorized", "forbidden", "fields-refused", "data-invalid"})
"""Codes of errors whose words are of the request, and already as long as errors are meant to be."""


def refusal_of(error: BaseException, *, verbose: bool = True) -> Refusal:
    """Return what a client is told of an error.

    What failed inside (5xx) is told by its title only: the message may name files and addresses. Without `verbose`,
    nothing is told that the client did not send: neither the model's columns nor its classes.
    """
    if isinstance(error, RequestError):
        hint = error.hint if verbose or not error.tells_model else None
        return Refusal(error.status, error.code, error.message, hint, error.where, error.errors)
    if not isinstance(error, TenureError):
        return Refusal(500, "unexpected", "The server failed; its log says why.")
    status = _status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not (verbose or error.code in _OF_THE_REQUEST):
        return Refusal(status, error.code, f"{error.title}.")
    errors = [dict(one) for one in getattr(error, "errors", ())][:MOST_ERRORS]
    return Refusal(status, error.code, error.message, error.hint, error.where, errors)


def _status_of(error: TenureError) -> int:
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
