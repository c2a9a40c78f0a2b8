"""Say in words what a prospect came to."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tenure.core.retraining import Recipe, Way
from tenure.retraining.forecast import Forecast
from tenure.retraining.history import Terms

_WAYS: Final = {
    Way.CONTINUE: "more trees grown on the newest rows",
    Way.LEAVES: "the same trees with their leaves learned again",
    Way.RECALIBRATE: "the same model with its answers corrected",
}


def told_in_words(best: Forecast | None, chosen: Recipe | None, terms: Terms, blocks: int) -> str:
    """Return one or two sentences: what would be gained, how sure that is, and what follows."""
    if best is None:
        return "Too few outcomes are known that are new to the model in office; nothing can be said yet."
    gain = f"{_number(best.gain.value)} {terms.unit} a row ({_number(best.gain.low)} to {_number(best.gain.high)})"
    total = f"{_number(best.total.value)} {terms.unit} after its cost over the next windows"
    where = "the latest block" if blocks == 1 else f"the latest {blocks} blocks"
    first = f"The best of what was tried is {in_words(best.recipe)}: on {where} it gained {gain}."
    sure = f"That it pays has a probability of {best.probability:.0%}, and {terms.bar:.0%} is asked for"
    if chosen is None:
        return f"{first} {sure}: nothing is changed."
    return f"{first} {sure}: it is worth making, for about {total}."


def _number(value: float) -> str:
    """Return a number with three digits that count, written out."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def in_words(recipe: Recipe) -> str:
    """Return what a recipe makes, in words."""
    if recipe.way is Way.RESTORE:
        return f"version {recipe.version} once more"
    if recipe.way in _WAYS:
        return _WAYS[recipe.way]
    if recipe.since is not None:
        return f"a model of the rows since {datetime.fromisoformat(recipe.since):%-d %B %Y %H:%M}, when they changed"
    if recipe.half_life is not None:
        return f"a model of all rows, the newer ones counting more (half as much for every {recipe.half_life:.0%} back)"
    return "a model of all rows" if recipe.share == 1 else f"a model of the newest {recipe.share:.0%} of the rows"
