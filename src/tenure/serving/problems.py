"""Errors over HTTP as RFC 9457 problem documents: what happened, where, what to do; never how the inside looks."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tenure.core.errors import (
    ConfigError,
    DataError,
    NoChampionError,
    RecordMissingError,
    ResourceError,
    TemporaryError,
    TenureError,
)

# The first class that fits decides; the order goes from the particular to the general.
_STATUS: Final[tuple[tuple[type[TenureError], HTTPStatus], ...]] = (
    (NoChampionError, HTTPStatus.SERVICE_UNAVAILABLE),
    (TemporaryError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ResourceError, HTTPStatus.INSUFFICIENT_STORAGE),
    (RecordMissingError, HTTPStatus.NOT_FOUND),
    (DataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigError, HTTPStatus.BAD_REQUEST),
)


class _ProblemResponse(JSONResponse):
    """JSON that can always be sent: what a refused request holds may not be valid Unicode."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def problem(status: int, code: str, detail: str, *, instance: str, **more: Any) -> JSONResponse:
    """Return a problem document as a response."""
    body = {
        "type": f"https://tenure.invalid/errors/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        **more,
    }
    return _ProblemResponse(jsonable_encoder(body), status_code=status)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    @app.exception_handler(TenureError)
    async def ours(request: Request, error: TenureError) -> JSONResponse:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        return problem(status, error.code, error.message, instance=request.url.path, hint=error.hint, where=error.where)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"loc": list(e["loc"]), "msg": e["msg"]} for e in error.errors()[:20]]
        return problem(422, "request-invalid", "The request does not fit.", instance=request.url.path, errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return problem(error.status_code, code, str(error.detail), instance=request.url.path)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        detail = "The server failed; its log says why."
        return problem(500, "unexpected", detail, instance=request.url.path)
