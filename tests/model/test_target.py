from __future__ import annotations

import polars as pl
import pytest

from tenure.core.errors import TargetError
from tenure.core.modelling import Task
from tenure.model.target import encode_target


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
