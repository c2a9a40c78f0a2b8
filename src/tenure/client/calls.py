"""The client: one method a route."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tenure.client.answers import (
    MISFITS,
    Explanations,
    Health,
    Outcome,
    OutcomeCounts,
    Prediction,
    Predictions,
)
from tenure.client.encoding import Row, encoded, row_list
from tenure.client.wire import Wire, unfit

_TOKEN_VARIABLE: Final = "TENURE_TOKEN"
T = TypeVar("T")


class Client:
    """A connection to a running `tenure serve`, usable by many threads at once.

    `token` is the bearer token; left out, it is that of the environment variable TENURE_TOKEN. `timeout` is in seconds
    for each attempt. What failed is sent again up to `retries` times, where that cannot make a second prediction: the
    connection was never made, the server said that it is busy, or the call changes nothing when repeated. A prediction
    that brings ids of its own is such a call, since an id that was answered gets the same answer; without ids it is not
    sent again once it may have arrived.

    Raises:
        ConfigError: the address or the token cannot be one.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 10.0, retries: int = 2) -> None:
        self._wire = Wire(url, token or os.environ.get(_TOKEN_VARIABLE), timeout=timeout, retries=retries)

    def predict(
        self, rows: Iterable[Row], *, ids: Iterable[str] | None = None, reasons: int = 0, action: bool = False
    ) -> Predictions:
        """Return the answers for rows, in their order.

        Cells may be numbers, text, truth values, dates or None; NaN is sent as None. `reasons` is how many columns to
        name that moved each answer most, `action` asks for the recommended action. `ids` make the call repeatable, and
        the server slower, as it looks each of them up.

        Raises:
            DataError: a cell cannot be sent.
            ProblemError: the server refused; nothing of the request is kept.
            NoAnswerError: there was no answer; `sent` says whether the predictions may be in the log all the same.
        """
        asked: dict[str, Any] = {"rows": row_list(rows)}
        if ids is not None:
            asked["ids"] = list(ids)
        if reasons:
            asked["reasons"] = reasons
        if action:
            asked["action"] = action
        return self._post("/predict", asked, Predictions.from_json, repeatable=ids is not None)

    def predict_one(self, row: Row, *, id: str | None = None, reasons: int = 0, action: bool = False) -> Prediction:
        """Return the answer for one row; all else is as in `predict`."""
        ids = None if id is None else [id]
        said = self.predict([row], ids=ids, reasons=reasons, action=action)
        if len(said) != 1:
            raise unfit(200, self._wire.url)
        return said[0]

    def explain(self, rows: Iterable[Row]) -> Explanations:
        """Return what each column adds to the score of each row; nothing is logged.

        Raises:
            DataError, ProblemError, NoAnswerError: as in `predict`.
        """
        asked = {"rows": row_list(rows)}
        return self._post("/explain", asked, Explanations.from_json, repeatable=True)

    def outcomes(self, outcomes: Iterable[Outcome]) -> OutcomeCounts:
        """Record what came true and return what that changed; sending an outcome again does no harm.

        Raises:
            ProblemError: the server refused; nothing of the request is kept.
            NoAnswerError: there was no answer; send them again.
        """
        asked = {"outcomes": [one.as_json() for one in outcomes]}
        return self._post("/outcomes", asked, OutcomeCounts.from_json, repeatable=True)

    def outcome(
        self,
        *,
        outcome: str | int | float | bool,
        id: str | None = None,
        key: str | int | float | None = None,
        known_at: str | None = None,
    ) -> OutcomeCounts:
        """Record one outcome; all else is as in `outcomes`."""
        return self.outcomes([Outcome(outcome=outcome, id=id, key=key, known_at=known_at)])

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of one row of the model in office."""
        return self._get("/schema", dict)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the server."""
        return self._get("/openapi.json", dict)

    def health(self) -> Health:
        """Return how the server is at this moment; the call is sent once.

        Raises:
            ProblemError: no model is in office (503).
            NoAnswerError: there was no answer.
        """
        return self._get("/health", Health.from_json, patient=False)

    def close(self) -> None:
        """Close the idle connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._wire.url!r})"

    def _post(self, path: str, asked: Any, build: Callable[[Any], T], *, repeatable: bool) -> T:
        return self._built(build, self._wire.ask("POST", path, encoded(asked), repeatable=repeatable))

    def _get(self, path: str, build: Callable[[Any], T], *, patient: bool = True) -> T:
        return self._built(build, self._wire.ask("GET", path, repeatable=True, patient=patient))

    def _built(self, build: Callable[[Any], T], body: Any) -> T:
        try:
            return build(body)
        except (*MISFITS, ValueError):
            raise unfit(200, self._wire.url) from None
