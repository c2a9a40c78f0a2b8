from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema, Snapshot
from tenure.core.errors import ArtifactError
from tenure.core.evidence import Finding, Measurement, QualityReport, Quarantine, Threshold, Verdict
from tenure.core.health import Health, HealthReport, WindowHealth
from tenure.core.lifecycle import Action, Alias, AliasMove, Comparison, Dossier, GateDecision, Outcome, Release, Verb
from tenure.core.modelling import Candidate, Importance, Leaderboard, Scheme, Score, Trim, ValidationPlan, Way
from tenure.core.records import Record, canonical, digest_of, plain

# Text of any kind but lone surrogates, which UTF-8 cannot hold; numbers of any kind, NaN and infinities included.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# Stages also write whole numbers where a field says float: 0, 1, row counts turned into shares.
FLOAT = st.floats() | st.integers(-(2**53), 2**53)
COUNT = st.integers(0, 10**12)
DIGESTS = st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), max_size=3).map(tuple)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PARAMS = st.dictionaries(TEXT, PLAIN, max_size=3)
SCORES = st.builds(Score, TEXT, FLOAT, FLOAT, FLOAT, COUNT)
MAYBE_SCORE = st.none() | SCORES
FINDINGS = st.builds(
    Finding,
    TEXT,
    st.sampled_from(Verdict),
    st.builds(Measurement, TEXT, FLOAT, st.none() | TEXT, TEXT, TEXT, st.none() | FLOAT, st.none() | FLOAT, PARAMS),
    st.none() | st.builds(Threshold, FLOAT, FLOAT),
)
COLUMNS = st.builds(Column, TEXT, TEXT, st.sampled_from(Kind), st.sampled_from(Role), COUNT, COUNT, TEXT)
RULES = st.builds(
    ColumnRule, TEXT, st.sampled_from(Kind), st.sampled_from(Role), TEXT, st.booleans(), FLOAT, FLOAT,
    levels=st.none() | st.lists(TEXT, max_size=3).map(tuple), low=st.none() | FLOAT, max_length=st.none() | COUNT,
)  # fmt: skip
MOVES = st.builds(
    AliasMove, st.sampled_from(Alias), st.none() | COUNT, st.none() | COUNT, TEXT, TEXT, TEXT, st.none() | TEXT
)
CANDIDATES = st.builds(
    Candidate, TEXT, TEXT, PARAMS, SCORES, st.lists(FLOAT, max_size=3).map(tuple), FLOAT, st.none() | COUNT, FLOAT
)
WINDOWS = st.builds(
    WindowHealth, TEXT, TEXT, COUNT, FLOAT, st.lists(COUNT, max_size=2).map(tuple), MAYBE_SCORE, st.none() | FLOAT
)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=2).map(tuple)


RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(Snapshot, TEXT, COUNT, st.builds(Schema, tuples(COLUMNS)), TEXT, tuples(TEXT), DIGESTS),
    st.builds(Contract, tuples(RULES), COUNT, DIGESTS),
    st.builds(
        QualityReport, tuples(FINDINGS), TEXT, COUNT, TEXT,
        tuples(st.builds(Quarantine, TEXT, st.none() | TEXT, COUNT, TEXT)),
        dropped=st.dictionaries(TEXT, TEXT, max_size=2), made_from=DIGESTS,
    ),
    st.builds(
        ValidationPlan, st.sampled_from(Scheme), TEXT, COUNT, TEXT, TEXT, TEXT,
        embargo_seconds=FLOAT, naive=MAYBE_SCORE,
    ),
    st.builds(
        Leaderboard, TEXT, TEXT, tuples(CANDIDATES), TEXT, TEXT, TEXT, SCORES, SCORES, SCORES,
        tuples(st.builds(Importance, TEXT, FLOAT)), st.none() | FLOAT, row_us=FLOAT,
        trim=st.none() | st.builds(
            Trim, st.sampled_from(Way), tuples(TEXT), FLOAT, FLOAT, FLOAT, FLOAT, FLOAT, FLOAT, COUNT, TEXT
        ),
    ),
    st.builds(
        GateDecision, st.sampled_from(Outcome), TEXT, tuples(FINDINGS),
        st.none() | st.builds(Comparison, TEXT, TEXT, SCORES, SCORES, FLOAT, FLOAT, FLOAT, COUNT, st.none() | FLOAT),
    ),
    st.builds(Release, st.none() | COUNT, st.sampled_from(Outcome), tuples(MOVES), st.none() | COUNT),
    st.builds(Dossier, TEXT, TEXT, TEXT, TEXT, DIGESTS),
    st.builds(
        HealthReport, tuples(FINDINGS), st.none() | COUNT, st.sampled_from(Health), TEXT, MAYBE_SCORE,
        tuples(WINDOWS),
    ),
    st.builds(Action, st.sampled_from(Verb), TEXT, st.none() | FINDINGS, st.booleans()),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(record=RECORDS)
def test_record_survives_json_with_the_same_digest(record: Record) -> None:
    stored = json.loads(canonical(record))
    back = type(record).from_dict(stored)
    assert type(back) is type(record)
    assert canonical(back) == canonical(record)
    assert back.digest == record.digest
    assert type(record).from_dict(record.to_dict()).digest == record.digest


@given(numbers=st.lists(FLOAT, max_size=6).map(tuple))
def test_numbers_come_back_as_the_same_numbers(numbers: tuple[float, ...]) -> None:
    candidate = Candidate("c", "f", {}, Score("m", 0.5, 0.4, 0.6, 10), numbers, 1.0)
    board = Leaderboard("binary", "m", (candidate,), "", "", "", *(candidate.score,) * 3, ())
    (back,) = Leaderboard.from_dict(json.loads(canonical(board))).candidates
    assert len(back.fold_scores) == len(numbers)
    for got, put in zip(back.fold_scores, numbers, strict=True):
        assert isinstance(got, float)
        assert got == put or (math.isnan(got) and math.isnan(put))


def test_order_of_keys_does_not_matter_and_order_of_values_does() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])
    assert digest_of(1) == digest_of(1.0)
    assert digest_of(True) != digest_of(1)
    assert digest_of("1") != digest_of(1)
    assert digest_of({"record": "Dossier", "content": 1}) != digest_of({"record": "Release", "content": 1})


def test_digest_never_changes_between_versions() -> None:
    move = AliasMove(Alias.CHAMPION, None, 1, "2026-01-01T00:00:00+00:00", "ada", "first")
    release = Release(1, Outcome.PROMOTE, (move,), reason="better", made_from=("ü",))
    assert (
        canonical({"share": 0.1, "none": None, "at": date(2026, 1, 2)})
        == b'{"at":"2026-01-02","none":null,"share":0.1}'
    )
    assert release.digest == "66d55940634d96ac3232187dec6177c373b1f29847161be5290f58921608a0fd"


class Colour(Enum):
    RED = "red"


def test_plain_turns_times_and_enums_into_words() -> None:
    assert plain({Kind.TEXT: Colour.RED, "at": datetime(2026, 1, 2, 3, tzinfo=UTC)}) == {
        "text": "red",
        "at": "2026-01-02T03:00:00+00:00",
    }
    assert plain((math.nan, math.inf, -math.inf)) == ["NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", Score])
def test_what_has_no_place_in_a_record_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no place in a record"):
        canonical({"value": value})


@pytest.mark.parametrize(
    "data", [{}, {"page": 1}, {"page": "p", "card": ["c"]}, {"page": "p", "card": "c", "made_from": 3}]
)
def test_data_that_do_not_fit_are_an_artifact_error(data: dict[str, object]) -> None:
    with pytest.raises(ArtifactError) as caught:
        Dossier.from_dict(data)
    assert caught.value.where
