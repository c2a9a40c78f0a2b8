"""MLflow's wire forms: the four of JSON, CSV, params, and what is written back."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.serving.protocols import mlflow
from tenure.serving.protocols.ask import Ask, Said, Signature
from tenure.serving.protocols.refusals import RequestError, refusal_of

ROWS = [{"age": 31.5, "plan": "a", "on": True}, {"age": None, "plan": None, "on": False}]
CELLS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5) | st.floats()
JSON = st.recursive(
    CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
KEYS = ["dataframe_split", "dataframe_records", "instances", "inputs", "params", "columns", "data", "index", "output"]


def _read(body: Any, signature: Signature, content_type: str | None = "application/json") -> Ask:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return mlflow.read(sent, content_type, signature, max_rows=10)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["age", "plan", "on"], "data": [[31.5, "a", True], [None, None, False]]}},
        {"dataframe_split": {"index": [4, 9], "data": [[31.5, "a", True], [None, None, False]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [[31.5, "a", True], [None, None, False]]},
        {"inputs": ROWS},
        {"inputs": [[31.5, "a", True], [None, None, False]]},
        {"inputs": {"age": [31.5, None], "plan": ["a", None], "on": [True, False]}},
        {"inputs": {"age": [[31.5], [None]], "plan": [["a"], [None]], "on": [[True], [False]]}},
        b"age,plan,on\r\n31.5,a,true\r\n,,false\r\n",
        b'\xef\xbb\xbfage,plan,on\n31.5,"a",True\nNaN,NA,False\n',
    ],
)
def test_every_form_says_the_same_rows(body: Any, signature: Signature) -> None:
    kind = "text/csv; charset=utf-8" if isinstance(body, bytes) else "application/json"
    assert _read(body, signature, kind).rows == ROWS


def test_one_row_and_one_column_have_short_forms(signature: Signature) -> None:
    assert _read({"inputs": {"age": 3, "plan": "a"}}, signature).rows == [{"age": 3, "plan": "a"}]
    one = Signature("m", "v1", signature.task, signature.classes, ("age",), signature.kinds, has_interval=False)
    assert _read({"instances": [1, 2]}, one).rows == [{"age": 1}, {"age": 2}]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (  # MLflow 3.17, ScoringServerClient.invoke of a pandas table with missing cells
            b'{"dataframe_split": {"index": [0, 1], "columns": ["age", "plan", "n", "when"], "data": '
            b'[[31.5, "a", 1, "2026-01-02T00:00:00"], [NaN, NaN, 2, "2026-01-03T00:00:00"]]}, '
            b'"params": {"output": "proba"}}',
            [
                {"age": 31.5, "plan": "a", "n": 1, "when": "2026-01-02T00:00:00"},
                {"age": None, "plan": None, "n": 2, "when": "2026-01-03T00:00:00"},
            ],
        ),
        (b'{"inputs": [{"age": 1}, {"age": 2}]}', [{"age": 1}, {"age": 2}]),
        (
            b'{"inputs": [[31.5, 1.0, 0], [NaN, 2.0, -18446744073709551616]]}',
            [{"age": 31.5, "plan": 1.0, "on": 0}, {"age": None, "plan": 2.0, "on": -(2.0**64)}],
        ),
    ],
)
def test_what_mlflows_own_client_sends_is_read(body: bytes, rows: list[dict[str, Any]], signature: Signature) -> None:
    assert _read(body, signature).rows == rows


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": [{"age": NaN, "plan": Infinity}]}',
        b'{"inputs": [{"age": NaN, "plan": 1e999}]}',
        b'{"inputs": [{"age": NaN, "plan": "\\ud800"}]}',
        b'{"inputs": [{"age": NaN, "plan": "\xff"}]}',
        b'{"inputs": [NaN, ' + b"[" * 100_000,
        b'{"inputs": [{"age": NaN, "plan": ' + b"9" * 5000 + b"}]}",
    ],
)
def test_where_nan_may_stand_all_else_is_still_refused(body: bytes, signature: Signature) -> None:
    with pytest.raises(RequestError) as caught:
        _read(body, signature)
    assert caught.value.status == 400


@given(data=st.data())
def test_any_bytes_are_read_or_refused_with_a_4xx(signature: Signature, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["application/json", "text/csv"]))
    objects = st.dictionaries(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(KEYS), JSON) | JSON, max_size=3)
    body = data.draw(st.binary(max_size=60) | st.text().map(str.encode) | objects.map(lambda o: json.dumps(o).encode()))
    try:
        rows = mlflow.read(body, kind, signature, max_rows=3).rows
    except RequestError as error:
        status, sent = mlflow.write_refusal(refusal_of(error))
        assert status == 400
        assert json.loads(sent)["error_code"] == "BAD_REQUEST"
    else:
        assert orjson.loads(orjson.dumps(rows)) == rows


NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**52), 2**52)
# Texts as CSV can hold them, but none that stands for a missing cell.
TEXTS = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), min_size=1).map("<{}>".format)


@given(st.lists(st.tuples(NUMBERS, TEXTS, st.booleans() | st.none()), min_size=1, max_size=5))
def test_csv_says_what_json_says(signature: Signature, table: list[tuple[Any, ...]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([signature.columns, *table])
    rows = mlflow.read(out.getvalue().encode(), "application/csv", signature, max_rows=10).rows
    assert [tuple(row.values()) for row in rows] == table


def test_text_in_a_column_of_numbers_is_left_for_the_contract_to_judge(signature: Signature) -> None:
    body = b"age,plan,customer\n1_000,7,007\n12,07,1\n" + b"9" * 30 + b",x,y\n"
    assert _read(body, signature, "text/csv").rows == [
        {"age": "1_000", "plan": "7", "customer": "007"},
        {"age": 12, "plan": "07", "customer": "1"},
        {"age": 1e30, "plan": "x", "customer": "y"},
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "0 of the keys"),
        ({"instances": [{}], "inputs": [{}]}, "2 of the keys"),
        ({"instance": [{}]}, "'instance'"),
        ({"instances": []}, "no list of rows"),
        ({"instances": [[1, 2]]}, "without names"),
        ({"instances": [1]}, "without names"),
        ({"instances": [[1, [2], 3]]}, "flat"),
        ({"instances": [{}] * 11}, "11 rows"),
        ({"instances": [[1, 2, 3]] * 11}, "11 rows"),
        ({"inputs": {"age": [1], "plan": [1, 2]}}, "same length"),
        ({"inputs": {"age": [1], "plan": 2}}, "same length"),
        ({"inputs": {"age": [[1, 2]]}}, "flat"),
        ({"dataframe_records": {}}, "no list"),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, "no rows"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "different names"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "for each column"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [1, 2]}}, "index"),
        ({"dataframe_split": {"columns": ["a"], "date": [[1]], "data": [[1]]}}, "'date'"),
        ({"instances": [{}], "params": {"reason": 3}}, "'reason'"),
        ({"instances": [{}], "params": {"output": "labels"}}, "output"),
        ({"instances": [{}], "params": {"output": []}}, "output"),
        ({"instances": [{}], "params": {"output": "proba", "reasons": 3}}, "full"),
        ({"instances": [{}], "params": []}, "params"),
    ],
)
def test_what_does_not_fit_is_refused(body: Any, said: str, signature: Signature) -> None:
    with pytest.raises(RequestError, match=said):
        _read(body, signature)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"age,plan\n",
        b"age,age\n1,2\n",
        b"age,plan\n1\n",
        b"age,plan\n1,2,3\n",
        b'age,plan\n"1,2\n',
        b"age\ninf\n",
        b"age\n\xff\n",
        b"age\n" + b"1\n" * 11,
        b'age\n"' + b"x" * 200_000 + b'"\n',
    ],
)
def test_csv_that_is_no_table_is_refused(body: bytes, signature: Signature) -> None:
    with pytest.raises(RequestError):
        _read(body, signature, "text/csv")


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "text/csv; charset=latin-1", "application/json;charset=utf-16", "application/octet-stream"],
)
def test_other_content_types_and_character_sets_are_refused(kind: str | None, signature: Signature) -> None:
    with pytest.raises(RequestError) as caught:
        _read({"instances": ROWS}, signature, kind)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("params", "predictions"),
    [
        (None, ["yes", "no"]),
        ({}, ["yes", "no"]),
        ({"output": "predict"}, ["yes", "no"]),
        ({"output": "proba"}, [[0.25, 0.75], [0.9, 0.1]]),
    ],
)
def test_params_choose_what_is_answered(
    params: Any, predictions: list[Any], signature: Signature, said: list[Said]
) -> None:
    ask = _read({"instances": ROWS, "params": params}, signature)
    assert json.loads(mlflow.write(ask, said)) == {"predictions": predictions}


def test_reasons_and_action_come_with_full_answers(signature: Signature, said: list[Said]) -> None:
    ask = _read({"instances": ROWS, "params": {"reasons": 2, "action": True}}, signature)
    assert (ask.reasons, ask.action) == (2, True)
    first = json.loads(mlflow.write(ask, said))["predictions"][0]
    assert (first["action"], first["reasons"][0]["column"]) == ("call", "age")


def test_values_have_no_probabilities_to_give(signature: Signature) -> None:
    ask = _read({"instances": ROWS, "params": {"output": "proba"}}, signature)
    assert json.loads(mlflow.write(ask, [Said("a", 2.5, "v1")])) == {"predictions": [2.5]}


def test_the_usual_number_of_reasons_goes_with_full_answers_only(signature: Signature) -> None:
    for params, reasons in (({"output": "full"}, 4), ({"output": "proba"}, 0), ({"reasons": 0, "output": "full"}, 0)):
        body = json.dumps({"instances": ROWS, "params": params}).encode()
        assert mlflow.read(body, "application/json", signature, max_rows=10, reasons=4).reasons == reasons
