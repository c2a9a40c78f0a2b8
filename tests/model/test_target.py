from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tenure.core.errors import TargetError
from tenure.core.modelling import Task
from tenure.model.target import class_of, encode_target, value_of


def test_classes_become_their_positions() -> None:
    codes = encode_target(pl.Series("y", ["yes", "no", "yes"]), Task.BINARY, ("no", "yes"))
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype.name == "int64"


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1], ("0", "1")),
        ([False, True], ("false", "true")),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ("a", "b")),
        ([0.0, 1.0], ("0.0", "1.0")),
    ],
)
def test_classes_of_any_type_are_known_by_their_text(values: object, classes: tuple[str, ...]) -> None:
    assert encode_target(pl.Series("y", values), Task.BINARY, classes).tolist() == [0, 1]


def test_values_become_floats() -> None:
    values = encode_target(pl.Series("y", [1, 2]), Task.REGRESSION, ())
    assert values.dtype.name == "float64"
    assert encode_target(pl.Series("y", ["1.5"]), Task.REGRESSION, ()).tolist() == [1.5]


def test_an_unknown_class_is_named_with_the_nearest_one() -> None:
    with pytest.raises(TargetError, match="'yess'") as caught:
        encode_target(pl.Series("y", ["no", "yess"]), Task.BINARY, ("no", "yes"))
    assert "'yes'" in caught.value.hint
    assert "row 2" in caught.value.message


@pytest.mark.parametrize("task", list(Task))
def test_a_missing_target_is_refused(task: Task) -> None:
    with pytest.raises(TargetError, match="row 1"):
        encode_target(pl.Series("y", [None, "1"]), task, ("0", "1"))


@pytest.mark.parametrize(
    ("value", "classes", "meant"),
    [
        ("yes", ("no", "yes"), "yes"),
        ("banana", ("no", "yes"), None),
        ("Yes", ("no", "yes"), None),
        (True, ("no", "yes"), None),
        (1, ("0", "1"), "1"),
        (1.0, ("0", "1"), "1"),
        ("1.0", ("0", "1"), "1"),
        (1, ("0.0", "1.0"), "1.0"),
        (True, ("0", "1"), "1"),
        ("false", ("0", "1"), "0"),
        (True, ("false", "true"), "true"),
        ("True", ("false", "true"), "true"),
        (0, ("false", "true"), "false"),
        (True, ("1", "2", "3"), None),
        (2, ("0", "1"), None),
        (float("nan"), ("0", "1"), None),
        ("01", ("0", "1"), None),
        (1, ("01", "02"), None),
        ("01", ("01", "1"), "01"),
        (2**53 + 1, (str(2**53), str(2**53 + 1)), str(2**53 + 1)),
        (None, ("no", "yes"), None),
        ([1], ("0", "1"), None),
    ],
)
def test_an_outcome_stands_for_one_class_or_none(value: object, classes: tuple[str, ...], meant: str | None) -> None:
    assert class_of(value, classes) == meant


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        ("3.5", 3.5),
        (np.float32(0.5), 0.5),
        (True, None),
        ("true", None),
        (float("nan"), None),
        ("inf", None),
        (10**400, None),
        ("1_000", None),
        (None, None),
        ("banana", None),
    ],
)
def test_an_outcome_of_regression_is_a_finite_number(value: object, number: float | None) -> None:
    assert value_of(value) == number
