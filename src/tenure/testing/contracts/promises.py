"""The form of a promise, and how one is seen to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tenure.core.modelling import Floats

Promise = tuple[str, Callable[[], None]]


def promised(kept: bool, otherwise: str) -> None:
    """Raise AssertionError with the text `otherwise` unless the promise was kept."""
    if not kept:
        raise AssertionError(otherwise)


def bound(promises: Iterable[Callable[..., None]], *given: Any) -> Iterator[Promise]:
    """Yield each promise under its function's name, bound to what it is about."""
    for promise in promises:
        yield promise.__name__.strip("_"), partial(promise, *given)


def same_numbers(one: Floats, other: Floats) -> bool:
    """Say whether two arrays are equal bit for bit, NaN counting as equal to NaN."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))
