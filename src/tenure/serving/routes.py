"""What can be asked: the routes of our own protocol, MLflow's, and the Open Inference Protocol's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson
from pydantic import ValidationError

import tenure
from tenure.core.errors import RecordMissingError
from tenure.engine.answering import Holder
from tenure.engine.outcomes import outcome_record
from tenure.engine.workspace import Workspace
from tenure.serving.answers import Answers
from tenure.serving.forms import OutcomeRequest, row_schema
from tenure.serving.front import Reply, Request, Route
from tenure.serving.metrics import CONTENT_TYPE as METRICS_TYPE
from tenure.serving.metrics import Metrics
from tenure.serving.office import WAITING, Holders, Office
from tenure.serving.openapi import openapi_document
from tenure.serving.page import docs_page
from tenure.serving.pages import Pages
from tenure.serving.protocols import mlflow, native, open_inference
from tenure.serving.protocols.ask import JSON, Said, media_type
from tenure.serving.protocols.refusals import MalformedError, Refusal, RequestError
from tenure.serving.security import DESCRIBE, OUTCOMES, PREDICT, READ

_PROBLEM: Final = native.PROBLEM_TYPE.encode()
_TEXT: Final = b"text/plain; charset=utf-8"
_HTML: Final = b"text/html; charset=utf-8"


def routes_of(
    workspace: Workspace, office: Office, answers: Answers, metrics: Metrics, *, secured: bool
) -> list[Route]:
    """Return every route of a project's server."""
    own = _Own(workspace, office, answers, metrics, secured=secured)
    ml = _MLflow(workspace, office, answers)
    v2 = _OpenInference(workspace, office, answers)
    pages = Pages(workspace)
    mine, theirs, oip = _problem, _mlflow_error, _open_inference_error
    model = "/v2/models/{model}"
    version = model + "/versions/{version}"
    return [
        Route("GET", "/docs", READ, own.docs, mine),
        Route("POST", "/predict", PREDICT, own.predict, mine),
        Route("POST", "/explain", PREDICT, own.explain, mine),
        Route("POST", "/outcomes", OUTCOMES, own.outcomes, mine),
        Route("GET", "/schema", DESCRIBE, own.schema, mine),
        Route("GET", "/health", None, own.health, mine, always=True),
        Route("GET", "/openapi.json", READ, own.openapi, mine),
        Route("GET", "/metrics", READ, own.metrics, mine),
        Route("GET", "/", READ, pages.overview, pages.refuse),
        Route("GET", "/health.html", READ, pages.health, pages.refuse),
        Route("GET", "/approvals/{token}", None, pages.ask, pages.refuse),
        Route("POST", "/approvals/{token}", None, pages.answer, pages.refuse),
        Route("POST", "/invocations", PREDICT, ml.invocations, theirs),
        Route("GET", "/ping", None, ml.ping, theirs, always=True),
        Route("GET", "/version", DESCRIBE, ml.version, theirs),
        Route("GET", "/v2", DESCRIBE, v2.server, oip),
        Route("GET", "/v2/health/live", None, v2.live, oip, always=True),
        Route("GET", "/v2/health/ready", None, v2.ready, oip, always=True),
        Route("GET", model, DESCRIBE, v2.metadata, oip),
        Route("GET", version, DESCRIBE, v2.metadata, oip),
        Route("GET", f"{model}/ready", DESCRIBE, v2.model_ready, oip),
        Route("GET", f"{version}/ready", DESCRIBE, v2.model_ready, oip),
        Route("POST", f"{model}/infer", PREDICT, v2.infer, oip),
        Route("POST", f"{version}/infer", PREDICT, v2.infer, oip),
        Route("POST", "/v1/models/{model}:predict", PREDICT, v2.predict_v1, oip),
    ]


class _Description(NamedTuple):
    """How to ask a model: the OpenAPI document, and the page."""

    holder: Holder
    document: bytes
    page: bytes


class _Own:
    """Our own protocol."""

    def __init__(
        self, workspace: Workspace, office: Office, answers: Answers, metrics: Metrics, *, secured: bool
    ) -> None:
        self._workspace = workspace
        self._office = office
        self._answers = answers
        self._metrics = metrics
        self._secured = secured
        self._name = workspace.project.project.name
        self._most = workspace.project.serving.max_rows
        self._reasons = workspace.project.serving.reasons
        self._description: _Description | None = None

    async def predict(self, request: Request) -> Reply:
        ask = native.read(request.body, request.header(b"content-type"), max_rows=self._most, reasons=self._reasons)
        again = request.header(b"idempotency-key")
        if again is not None:
            named = native.ids_of(again, len(ask.rows))
            ask.ids = named if ask.ids is None else ask.ids
        label, said = await self._answers.answer(ask)
        return Reply(native.write(said, version=label), headers=_one_id(said))

    async def explain(self, request: Request) -> Reply:
        ask = native.read_explain(request.body, request.header(b"content-type"), max_rows=self._most)
        label, explained = await self._answers.explain(ask)
        return Reply(native.write_explained(explained, version=label))

    async def outcomes(self, request: Request) -> Reply:
        media_type(request.header(b"content-type"), JSON)
        try:
            asked = OutcomeRequest.model_validate_json(request.body)
        except ValidationError as error:
            raise _unfit(error) from error
        counts = await asyncio.get_running_loop().run_in_executor(WAITING, self._recorded, asked)
        self._metrics.outcomes_joined(counts["joined"])
        return Reply(orjson.dumps(counts))

    def _recorded(self, asked: OutcomeRequest) -> dict[str, int]:
        now = self._workspace.context.clock()
        model = self._office.learnt()
        records = [
            outcome_record(model, item.model_dump(), now=now, where=f"outcomes.{at}")
            for at, item in enumerate(asked.outcomes)
        ]
        counts = self._workspace.traffic.record_outcomes(records)
        return {
            "joined": counts.joined,
            "repeated": counts.repeated,
            "corrected": counts.corrected,
            "waiting": counts.waiting,
        }

    async def schema(self, _: Request) -> Reply:
        holders = await self._office.holders()
        return Reply(orjson.dumps(row_schema(holders.champion.model)))

    async def health(self, _: Request) -> Reply:
        holders = await self._office.holders()
        body = {"status": "ok", "project": self._name, "version": holders.champion.label}
        return Reply(orjson.dumps(body))

    async def openapi(self, _: Request) -> Reply:
        return Reply((await self._described()).document)

    async def docs(self, _: Request) -> Reply:
        return Reply((await self._described()).page, content_type=_HTML)

    async def metrics(self, _: Request) -> Reply:
        self._metrics.flush()  # what was seen here must not be seen to fall after a crash
        return Reply(await asyncio.to_thread(self._metrics.render), content_type=METRICS_TYPE.encode())

    async def _described(self) -> _Description:
        """Return how to ask the model in office, written once for each."""
        champion = (await self._office.holders()).champion
        if self._description is None or self._description.holder is not champion:
            self._description = await asyncio.to_thread(self._describe, champion)
        return self._description

    def _describe(self, holder: Holder) -> _Description:
        document = openapi_document(holder.model, self._name, holder.label, secured=self._secured, max_rows=self._most)
        return _Description(holder, orjson.dumps(document), docs_page(document).encode())


class _Foreign:
    """What the protocols of others need to know."""

    def __init__(self, workspace: Workspace, office: Office, answers: Answers) -> None:
        self._workspace = workspace
        self._office = office
        self._answers = answers
        self._name = workspace.project.project.name
        self._most = workspace.project.serving.max_rows
        self._reasons = workspace.project.serving.reasons


class _MLflow(_Foreign):
    """MLflow's scoring protocol."""

    async def invocations(self, request: Request) -> Reply:
        holders = await self._office.holders()
        signature = holders.signature
        ask = mlflow.read(
            request.body, request.header(b"content-type"), signature, max_rows=self._most, reasons=self._reasons
        )
        _, said = await self._answers.answer(ask, holders)
        return Reply(mlflow.write(ask, said), headers=_one_id(said))

    async def ping(self, _: Request) -> Reply:
        await self._office.holders()
        return Reply(mlflow.PING, content_type=_TEXT)

    async def version(self, _: Request) -> Reply:
        return Reply(tenure.__version__.encode(), content_type=_TEXT)


class _OpenInference(_Foreign):
    """The Open Inference Protocol, and its forerunner's one route."""

    async def infer(self, request: Request) -> Reply:
        holders = await self._named(request.parameters)
        signature = holders.signature
        ask = open_inference.read(
            request.body,
            request.header(b"content-type"),
            signature,
            max_rows=self._most,
            json_length=request.header(open_inference.LENGTH_HEADER.lower().encode()),
            reasons=self._reasons,
        )
        is_pinned = len(request.parameters) > 1
        label, said = await self._answers.answer(ask, holders, only_champion=is_pinned)
        body, headers = open_inference.write(ask, said, signature, version=label)
        kind = headers.pop("Content-Type", open_inference.CONTENT_TYPE)
        more = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
        return Reply(body, content_type=kind.encode(), headers=more)

    async def predict_v1(self, request: Request) -> Reply:
        holders = await self._named(request.parameters)
        signature = holders.signature
        ask = open_inference.read_v1(request.body, request.header(b"content-type"), signature, max_rows=self._most)
        _, said = await self._answers.answer(ask, holders)
        return Reply(open_inference.write_v1(said), headers=_one_id(said))

    async def server(self, _: Request) -> Reply:
        return Reply(open_inference.server_metadata(self._name))

    async def live(self, _: Request) -> Reply:
        return Reply(open_inference.LIVE)

    async def ready(self, _: Request) -> Reply:
        await self._office.holders()
        return Reply(open_inference.READY)

    async def metadata(self, request: Request) -> Reply:
        return Reply(open_inference.model_metadata((await self._named(request.parameters)).signature))

    async def model_ready(self, request: Request) -> Reply:
        return Reply(open_inference.model_ready((await self._named(request.parameters)).signature))

    async def _named(self, parameters: Sequence[str]) -> Holders:
        """Return who holds office, if the path names it.

        Raises:
            RecordMissingError: it names another model or version.
        """
        holders = await self._office.holders()
        signature = holders.signature
        name, *version = parameters
        if name != signature.name or (version and version[0] not in (signature.version, signature.version[1:])):
            raise RecordMissingError(
                "No such model is in office.",
                where="path",
                hint="GET /v2/models/ and the project's name tells which is.",
            )
        return holders


def _one_id(said: Sequence[Said]) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-prediction-id", native.header_text(said[0].id)),) if len(said) == 1 else ()


def _unfit(error: ValidationError) -> RequestError:
    found = error.errors(include_input=False)
    if found[0]["type"] == "json_invalid":
        return MalformedError(
            f"The body is no JSON: {found[0]['ctx']['error']}.", hint="Send one JSON object as UTF-8."
        )
    errors = [{"loc": list(one["loc"]), "msg": one["msg"]} for one in found]
    return RequestError("The request does not fit.", hint="See errors, and GET /docs.", errors=errors)


def _problem(refusal: Refusal, path: str) -> Reply:
    return Reply(native.write_refusal(refusal, instance=path), refusal.status, _PROBLEM)


def _mlflow_error(refusal: Refusal, _: str) -> Reply:
    status, body = mlflow.write_refusal(refusal)
    return Reply(body, status)


def _open_inference_error(refusal: Refusal, _: str) -> Reply:
    status, body = open_inference.write_refusal(refusal)
    return Reply(body, status)
