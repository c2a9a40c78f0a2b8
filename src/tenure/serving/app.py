"""The HTTP face: predictions, outcomes, schema, health. Every answered prediction is in the log before it is sent."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import tenure
from tenure.core.errors import DataError
from tenure.core.lifecycle import PredictionRecord
from tenure.engine.outcomes import outcome_record
from tenure.engine.scoring import answer_rows
from tenure.engine.workspace import Workspace
from tenure.serving import problems
from tenure.serving.forms import (
    Answer,
    HealthResponse,
    OutcomeRequest,
    OutcomeResponse,
    PredictRequest,
    PredictResponse,
    row_schema,
)
from tenure.serving.office import Holder, Office
from tenure.serving.page import described, docs_page

_PREDICTION_HEADER: Final = "X-Prediction-Id"


def create_app(workspace: Workspace, *, token: str | None = None) -> FastAPI:
    """Build the application for one project. With `token`, every route but /health asks for it as a bearer token."""
    name = workspace.project.project.name
    office = Office(workspace)
    # FastAPI's own pages load scripts from elsewhere and ask for no token.
    app = FastAPI(title=f"{name} (tenure)", version=tenure.__version__, openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)
    app.add_middleware(_BodyLimit, limit=int(workspace.project.serving.max_body_mb * 1_000_000))
    guarded = [Depends(_bearer(token))] if token else []

    @app.post("/predict", operation_id="predict", response_model_exclude_none=True, dependencies=guarded)
    def predict(request: PredictRequest, response: Response) -> PredictResponse:
        """Answer rows with the model in office."""
        limit = workspace.project.serving.max_rows
        if len(request.rows) > limit:
            raise DataError(f"{len(request.rows):,} rows in one request.", hint=f"Send at most {limit:,} at a time.")
        holder = office.holder()
        records = answer_rows(workspace, holder.version, holder.scorer, request.rows, ids=request.ids)
        if len(records) == 1:
            response.headers[_PREDICTION_HEADER] = quote(records[0].id)
        answers = [_answer(record, holder, office) for record in records]
        return PredictResponse(version=holder.version.label, predictions=answers)

    @app.post("/outcomes", operation_id="recordOutcomes", dependencies=guarded)
    def outcomes(request: OutcomeRequest) -> OutcomeResponse:
        """Record what came true; late, repeated and corrected outcomes are all welcome."""
        now = workspace.context.clock()
        model = office.learnt()
        records = [
            outcome_record(model, item.model_dump(), now=now, where=f"outcomes.{at}")
            for at, item in enumerate(request.outcomes)
        ]
        counts = workspace.traffic.record_outcomes(records)
        return OutcomeResponse(
            joined=counts.joined, repeated=counts.repeated, corrected=counts.corrected, waiting=counts.waiting
        )

    @app.get("/health", operation_id="health")
    def health() -> HealthResponse:
        """Say that the server answers, and with which version; 503 while no model is in office."""
        version = office.holder().version.label
        count = workspace.traffic.prediction_count()
        return HealthResponse(status="ok", project=name, version=version, predictions=count)

    @app.get("/schema", operation_id="rowSchema", dependencies=guarded)
    def schema() -> dict[str, Any]:
        """Give the JSON schema of one row, from the contract of the model in office."""
        return row_schema(office.holder().scorer.model)

    @app.get("/openapi.json", include_in_schema=False, dependencies=guarded)
    def document() -> JSONResponse:
        """Give the OpenAPI document, with the row of the model in office."""
        return JSONResponse(described(app, office))

    @app.get("/docs", include_in_schema=False, dependencies=guarded)
    def docs() -> HTMLResponse:
        """Show the routes and what they take as one page without scripts."""
        return HTMLResponse(docs_page(described(app, office)))

    return app


def _answer(record: PredictionRecord, holder: Holder, office: Office) -> Answer:
    answer = Answer(id=record.id, prediction=record.prediction, version=f"v{record.version}")
    if len(record.probabilities) == 2:
        answer.probability = record.probabilities[-1]
    elif record.probabilities:
        classes = office.classes_of(record.version, holder)
        answer.probabilities = dict(zip(classes, record.probabilities, strict=True))
    if record.low is not None and record.high is not None:
        answer.interval = (record.low, record.high)
    return answer


def _bearer(token: str) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "Send the token as: Authorization: Bearer ...")

    return check


class _BodyLimit:
    """Refuse bodies above a size, whether declared or only seen while reading."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        too_large = HTTPException(413, f"The body is larger than {self._limit / 1e6:g} MB.")
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            refusal = problems.problem(413, "content-too-large", too_large.detail, instance=scope["path"])
            await refusal(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise too_large
            return message

        await self._app(scope, counted, send)
