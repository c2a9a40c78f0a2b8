from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tenure.core import errors
from tenure.core.errors import ExtraMissingError, TargetMissingError, TenureError, did_you_mean


def every_error(base: type[TenureError] = TenureError) -> Iterator[type[TenureError]]:
    yield base
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_error(child)


EVERY = list(every_error())


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in EVERY]
    assert len(set(codes)) == len(codes) > 20


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.code)
def test_every_error_says_what_where_and_what_now(kind: type[TenureError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert "code" in vars(kind)
    assert "title" in vars(kind)
    assert re.fullmatch(r"[A-Z].*[^.]", kind.title)
    assert kind.exit_code in {1, 2, 3, 8, 75}
    assert kind.__doc__
    error = kind("It broke.", where="here", hint="Mend it.")
    assert str(error) == "It broke."
    assert error.as_dict() == {"code": kind.code, "message": "It broke.", "where": "here", "hint": "Mend it."}


def test_nearest_word_is_suggested() -> None:
    assert did_you_mean("linaer", ["linear", "lightgbm"]) == "Did you mean 'linear'?"
    assert did_you_mean("xyz", ["b", "a"]) == "Known: a, b."
    assert did_you_mean("xyz", []) == "There is nothing to choose from."
    assert did_you_mean("xyz", (f"long{n}" for n in range(20))).endswith("long19 and 8 more.")


def test_missing_column_and_missing_extra_say_what_to_do() -> None:
    missing = TargetMissingError.from_column("lefd", ["left", "age"])
    assert (missing.where, missing.hint) == ("data.target", "Did you mean 'left'?")
    assert TargetMissingError.from_column("x", ["age"], role="time").where == "data.time"
    assert "pip install 'tenure[postgres]'" in ExtraMissingError.from_extra("postgres", needed_for="State").hint
