"""What the target column can teach: which task it is, its classes, and which of two counts as yes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from tenure.core.errors import ConfigError, TargetError, did_you_mean
from tenure.core.modelling import Task

_MOST_CLASSES: Final = 500
_FEW_INTEGERS: Final = 20
_YES: Final = frozenset({"yes", "y", "true", "t", "positive", "pos"})
_NO: Final = frozenset({"no", "n", "false", "f", "negative", "neg", "other", "none"})


def guess_task(target: pl.Series) -> tuple[Task, str]:
    """Return the task that the target's values suggest, and why in a sentence.

    Raises:
        TargetError: no value at all, or the same in every row.
    """
    values = _given(target)
    count = values.n_unique()
    if count < 2:
        raise _one_value(target.name, values)
    if count == 2:
        shown = " and ".join(repr(text) for text in sorted(_texts(values).unique()))
        return Task.BINARY, f"{target.name!r} has two values, {shown}."
    if not values.dtype.is_numeric():
        return Task.MULTICLASS, f"{target.name!r} has {count} different values that are not numbers."
    if is_whole(values) and count <= _FEW_INTEGERS:
        return (
            Task.MULTICLASS,
            f"{target.name!r} has only {count} different whole numbers; if they are amounts, make it regression.",
        )
    return Task.REGRESSION, f"{target.name!r} holds {count:,} different numbers."


def check_target(target: pl.Series, task: Task) -> None:
    """Refuse a target that the task cannot learn.

    Raises:
        TargetError: no values, one value, not numbers (regression), or a number of classes that is not the task's.
    """
    values = _given(target)
    count = values.n_unique()
    if count < 2:
        raise _one_value(target.name, values)
    if task is Task.REGRESSION:
        if not values.dtype.is_numeric():
            raise TargetError(
                f"The target {target.name!r} is not numeric, for example {_example(values)!r}.",
                where="data.target",
                hint=f"Regression needs numbers; make project.task {'binary' if count == 2 else 'multiclass'}.",
            )
        return
    if task is Task.BINARY and count != 2:
        raise TargetError(
            f"The target {target.name!r} has {count:,} values, and a binary task has two.",
            where="project.task",
            hint=f"Make project.task {guess_task(target)[0].value!r}, or make the target yes and no.",
        )
    if task is Task.MULTICLASS and count == 2:
        raise TargetError(
            f"The target {target.name!r} has two values only.", where="project.task", hint="Make project.task 'binary'."
        )
    if count > _MOST_CLASSES:
        numeric = values.dtype.is_numeric()
        raise TargetError(
            f"The target {target.name!r} has {count:,} classes; more than {_MOST_CLASSES} cannot be learned.",
            where="data.target",
            hint="Make project.task 'regression'." if numeric else "Put rare values together into one class.",
        )


def class_names(target: pl.Series, task: Task, positive: str | None) -> tuple[str, ...]:
    """Return the target's values as text in the order of probabilities; for a binary task the positive one comes last.

    Raises:
        ConfigError: `positive` is not one of them.
    """
    if task is Task.REGRESSION:
        return ()
    names = [str(text) for text in _texts(_given(target).unique().sort())]
    if task is not Task.BINARY:
        return tuple(names)
    last = guess_positive(target)[0] if positive is None else _same_class(positive, names)
    return (*(name for name in names if name != last), last)


def guess_positive(target: pl.Series) -> tuple[str, str]:
    """Return which of the two values of a binary target counts as yes, and why in a sentence.

    A word for yes wins, then what stands against a word for no, then 1 against 0 or -1, then the rarer value.
    """
    texts = _texts(_given(target))
    one, other = sorted(texts.unique())
    for word, counter in ((one, other), (other, one)):
        if word.lower() in _YES and counter.lower() not in _YES:
            return word, f"{word!r} says yes."
    for word, counter in ((one, other), (other, one)):
        if word.lower() in _NO and counter.lower() not in _NO:
            return counter, f"{counter!r} stands against {word!r}."
    if other == "1" and one in ("0", "-1"):
        return "1", f"1 stands against {one}."
    seen = int((texts == one).sum())
    rarer = one if seen < len(texts) - seen else other
    share = min(seen, len(texts) - seen) / len(texts)
    return rarer, f"{rarer!r} is the rarer of the two values ({share:.1%} of the rows)."


def is_whole(values: pl.Series) -> bool:
    """Say whether all values are whole numbers, whatever type they are stored in."""
    if values.dtype.is_integer():
        return True
    return values.dtype.is_float() and bool((values.is_finite() & (values == values.floor())).all())


def _given(target: pl.Series) -> pl.Series:
    values = target.drop_nulls()
    return values.drop_nans() if values.dtype.is_float() else values


def _texts(values: pl.Series) -> pl.Series:
    return values.cast(pl.String)


def _example(values: pl.Series) -> str:
    return str(values.cast(pl.String)[0])[:40]


def _same_class(positive: str, names: Sequence[str]) -> str:
    """Return the class that `positive` means: letters of either case and 1 for 1.0 are the same."""
    if positive in names:
        return positive
    alike = [name for name in names if _folded(name) == _folded(positive)]
    if len(alike) == 1:
        return alike[0]
    raise ConfigError(
        f"data.positive is {positive!r}, and the target has no such value.",
        where="data.positive",
        hint=did_you_mean(positive, names),
    )


def _folded(text: str) -> str:
    return text.strip().lower().removesuffix(".0")


def _one_value(name: str, values: pl.Series) -> TargetError:
    what = f"holds only {_example(values)!r}" if len(values) else "is empty in every row"
    return TargetError(
        f"The target {name!r} {what}.", where="data.target", hint="There must be at least two values to tell apart."
    )
