"""Our own wire form: what is read, what is refused and how it is said, what is written."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.serving.protocols import native
from tenure.serving.protocols.ask import Ask, Reason, Said
from tenure.serving.protocols.refusals import RequestError, refusal_of

CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
ROWS = st.lists(st.dictionaries(st.text(max_size=8), CELLS, max_size=4), min_size=1, max_size=4)
JSON = st.recursive(
    CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


def _read(body: bytes, content_type: str | None = "application/json") -> Ask:
    return native.read(body, content_type, max_rows=10)


def _refused(body: Any, content_type: str | None = "application/json") -> RequestError:
    with pytest.raises(RequestError) as caught:
        _read(body if isinstance(body, bytes) else json.dumps(body).encode(), content_type)
    return caught.value


@given(ROWS, st.integers(0, 20), st.booleans())
def test_what_is_asked_is_read_as_it_was_sent(rows: list[dict[str, Any]], reasons: int, action: bool) -> None:
    ids = [str(at) for at in range(len(rows))]
    ask = _read(orjson.dumps({"rows": rows, "ids": ids, "reasons": reasons, "action": action}))
    assert (ask.rows, ask.ids, ask.reasons, ask.action) == (rows, ids, reasons, action)
    short = _read(orjson.dumps({"rows": rows}), "application/json; charset=UTF-8")
    assert (short.rows, short.ids, short.reasons, short.action) == (rows, None, 0, False)


@given(
    st.binary(max_size=60)
    | JSON.map(orjson.dumps)
    | st.dictionaries(st.sampled_from(["rows", "ids", "reasons", "action", "row"]), JSON, max_size=4).map(orjson.dumps)
)
def test_any_bytes_are_read_or_refused_with_a_4xx_that_can_be_sent(body: bytes) -> None:
    for read in (native.read, native.read_explain):
        try:
            assert read(body, "application/json", max_rows=3).rows
        except RequestError as error:
            refusal = refusal_of(error)
            assert 400 <= refusal.status < 500
            problem = json.loads(native.write_refusal(refusal, instance="/predict"))
            assert problem["status"] == refusal.status
            assert problem["code"] == refusal.code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"rows": [{"a": NaN}]}',
        b'{"rows": [{"a": Infinity}]}',
        b'{"rows": [{"a": 1e999}]}',
        b'{"rows": [{"a": "\\ud800"}]}',
        b'\xef\xbb\xbf{"rows": [{"a": 1}]}',
        b"[" * 100_000,
        b"[]",
        b"null",
    ],
)
def test_bodies_that_are_no_json_object_are_malformed(body: bytes) -> None:
    error = _refused(body)
    assert (error.status, error.code) == (400, "request-malformed")


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ({}, "rows", "{"),
        ({"row": [{}]}, "body", "Did you mean 'rows'?"),
        ({"rows": []}, "rows", "at least one"),
        ({"rows": {}}, "rows", "at least one"),
        ({"rows": [{}] * 11}, "rows", "at most 10"),
        ({"rows": [{"a": 1}, 3]}, "rows.1", "cell"),
        ({"rows": [{"a": [1]}]}, "rows.0.a", "cell"),
        ({"rows": [{"a": 1}, {"b": {"c": 1}}]}, "rows.1.b", "cell"),
        ({"rows": [{}], "ids": ["a", "b"]}, "ids", "ids"),
        ({"rows": [{}], "ids": [7]}, "ids.0", "texts"),
        ({"rows": [{}], "ids": [""]}, "ids.0", "texts"),
        ({"rows": [{}], "ids": ["a\0"]}, "ids.0", "texts"),
        ({"rows": [{}], "ids": ["x" * 257]}, "ids.0", "texts"),
        ({"rows": [{}, {}], "ids": ["a", "a"]}, "ids", "id of its own"),
        ({"rows": [{}], "reasons": 21}, "reasons", "0 to 20"),
        ({"rows": [{}], "reasons": True}, "reasons", "0 to 20"),
        ({"rows": [{}], "reasons": 2.0}, "reasons", "0 to 20"),
        ({"rows": [{}], "action": 1}, "action", "true or false"),
    ],
)
def test_a_refusal_names_the_place_and_what_to_do(body: Any, where: str, said: str) -> None:
    error = _refused(body)
    assert error.status == 422
    assert error.where == where
    assert said in error.hint


def test_every_nested_cell_is_named_up_to_twenty() -> None:
    error = _refused({"rows": [{"a": [], "b": 1, "c": {}}] * 3})
    assert [one["loc"] for one in error.errors][:3] == [["rows", 0, "a"], ["rows", 0, "c"], ["rows", 1, "a"]]
    assert len(_refused({"rows": [{str(at): [] for at in range(50)}]}).errors) == 20


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_only_json_in_utf_8_is_read(content_type: str | None) -> None:
    assert _refused({"rows": [{}]}, content_type).status == 415


def test_a_refusal_does_not_repeat_at_length_what_was_sent() -> None:
    body = {"rows": [{"x" * 100_000: []}], "y" * 100_000: 1}
    for asked in (body, {"rows": body["rows"]}):
        assert len(native.write_refusal(refusal_of(_refused(asked)), instance="/predict")) < 2000


def test_answers_say_what_applies_and_nothing_else(said: list[Said]) -> None:
    value = Said("b", 2.5, "v3", low=1.0, high=4.0)
    several = Said("c", "x", "v2", (0.5, 0.3, 0.2), ("x", "y", "z"))
    found = json.loads(native.write([*said, value, several], version="v3"))
    assert found == {
        "version": "v3",
        "predictions": [
            {
                "id": "a1",
                "prediction": "yes",
                "probability": 0.75,
                "interval": [0.7, 0.8],
                "version": "v3",
                "action": "call",
                "reasons": [{"column": "age", "value": 31, "contribution": 0.5}],
            },
            {
                "id": "a2",
                "prediction": "no",
                "probability": 0.1,
                "interval": [0.05, 0.2],
                "version": "v3",
                "violations": [{"field": "plan", "rule": "level"}],
            },
            {"id": "b", "prediction": 2.5, "interval": [1.0, 4.0], "version": "v3"},
            {"id": "c", "prediction": "x", "probabilities": {"x": 0.5, "y": 0.3, "z": 0.2}, "version": "v2"},
        ],
    }


def test_explanations_say_base_class_and_contributions() -> None:
    parts = [Reason("age", 31, 0.5), Reason("plan", None, -0.1)]
    found = json.loads(
        native.write_explained([native.Explained(0.2, parts, "yes"), native.Explained(7.0, [])], version="v3")
    )
    assert found["explanations"] == [
        {
            "base": 0.2,
            "explains": "yes",
            "contributions": [
                {"column": "age", "value": 31, "contribution": 0.5},
                {"column": "plan", "value": None, "contribution": -0.1},
            ],
        },
        {"base": 7.0, "contributions": []},
    ]


def test_the_usual_number_of_reasons_is_given_where_none_is_asked_for() -> None:
    assert native.read(b'{"rows": [{}]}', "application/json", max_rows=1, reasons=4).reasons == 4
    assert native.read(b'{"rows": [{}], "action": true}', "application/json", max_rows=1, reasons=4).reasons == 4
    assert native.read(b'{"rows": [{}], "reasons": 0}', "application/json", max_rows=1, reasons=4).reasons == 0


def test_an_idempotency_key_names_each_row() -> None:
    assert native.ids_of("k", 1) == ["k"]
    assert native.ids_of("k", 3) == ["k-0", "k-1", "k-2"]
    with pytest.raises(RequestError):
        native.ids_of("x" * 300, 1)


def test_any_id_fits_into_a_header() -> None:
    assert native.header_text("a-1_b") == b"a-1_b"
    assert native.header_text("\u00fc\r\nSet-Cookie: x") == b"%C3%BC%0D%0ASet-Cookie%3A%20x"
