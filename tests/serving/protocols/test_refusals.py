"""What a client is told of an error, and what it is not."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from tenure.core import errors
from tenure.serving.protocols import mlflow, native, open_inference
from tenure.serving.protocols.refusals import RequestError, refusal_of

SECRET = "postgresql://db.inside/columns income, age"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NoChampionError(SECRET, hint=SECRET), 503),
        (errors.StateUnreachableError(SECRET, hint=SECRET, where=SECRET), 503),
        (errors.DiskFullError(SECRET, hint=SECRET, where=SECRET), 507),
        (errors.BundleError(SECRET, hint=SECRET, where=SECRET), 500),
        (RuntimeError(SECRET), 500),
    ],
)
def test_what_fails_inside_is_told_by_its_title_only(error: Exception, status: int) -> None:
    refusal = refusal_of(error)
    assert refusal.status == status
    for body in (
        native.write_refusal(refusal, instance="/predict"),
        mlflow.write_refusal(refusal)[1],
        open_inference.write_refusal(refusal)[1],
    ):
        assert b"inside" not in body
        assert b"income" not in body


def test_columns_of_the_model_are_told_only_where_errors_are_verbose() -> None:
    error = errors.SchemaChangedError("lacks 'income'", hint="Give 'income'.", where="columns.income")
    assert "income" in refusal_of(error).detail
    quiet = refusal_of(error, verbose=False)
    assert (quiet.status, quiet.code, quiet.hint, quiet.where) == (422, "schema-changed", None, None)
    assert "income" not in quiet.detail
    about = RequestError("Too short.", hint="Send: income.", tells_model=True)
    assert refusal_of(about).hint == "Send: income."
    assert refusal_of(about, verbose=False).hint is None


class _FieldsRefusedError(errors.DataError):
    code = "fields-refused"
    errors = ({"loc": ["rows", 0, "age"], "msg": "no number"},)


class _UnauthorizedError(errors.TenureError):
    code = "unauthorized"


def test_errors_of_the_request_are_told_in_full_with_their_places() -> None:
    refusal = refusal_of(_FieldsRefusedError("The field 'age' is no number.", hint="Mend it."), verbose=False)
    assert (refusal.status, refusal.detail) == (422, "The field 'age' is no number.")
    assert refusal.errors == [{"loc": ["rows", 0, "age"], "msg": "no number"}]
    assert refusal_of(_UnauthorizedError("No token.", hint="Send one.")).status == 401


def test_each_protocol_says_it_in_its_own_form() -> None:
    refusal = refusal_of(
        RequestError("No rows.", hint="Send some.", where="rows", errors=[{"loc": ["rows"], "msg": "missing"}])
    )
    assert json.loads(native.write_refusal(refusal, instance="/predict")) == {
        "type": "https://tenure.invalid/errors/request-invalid",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "detail": "No rows.",
        "instance": "/predict",
        "code": "request-invalid",
        "hint": "Send some.",
        "where": "rows",
        "errors": [{"loc": ["rows"], "msg": "missing"}],
    }
    status, body = mlflow.write_refusal(refusal)
    assert (status, json.loads(body)) == (400, {"error_code": "BAD_REQUEST", "message": "No rows. (rows) Send some."})
    status, body = open_inference.write_refusal(refusal)
    assert (status, json.loads(body)) == (400, {"error": "No rows. (rows) Send some."})


def test_half_a_surrogate_pair_can_be_told() -> None:
    refusal = refusal_of(errors.DataError("the text '\ud800'", hint="whole ones"))
    assert "the text '?'" in json.loads(native.write_refusal(refusal, instance="/\udc00"))["detail"]
