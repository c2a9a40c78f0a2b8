"""Numbers as people say them: rounded sensibly, as frequencies, with their range.

Frequencies after Gigerenzer and Hoffrage 1995: "62 of 100" is understood where "a precision of 0.62" is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tenure.core.modelling import Score

GAP: Final = "\u00a0"
"""A space that no line breaks at."""

_TO: Final = "–\u2060"
"""A dash between numbers that no line breaks after."""

_MINUS: Final = "−"
_RARE: Final = 0.02
_METRIC_WORDS: Final = {
    "roc_auc": "In {of_100} of 100 pairs of a yes and a no, the yes gets the higher score (50 is a coin flip).",
    "average_precision": "Going down the ranked list, on average {of_100} of 100 cases seen so far are a yes.",
    "accuracy": "{of_100} of 100 answers are right.",
    "balanced_accuracy": "{of_100} of 100 answers are right when every class counts the same.",
    "f1": "Balance of finding every yes and flagging only a yes: {of_100} of 100 at best.",
    "r2": "The answers explain {of_100} of 100 parts of the differences between cases.",
    "log_loss": "How surprised the model is by the truth: {plain}. Zero is never surprised; smaller is better.",
    "brier": "Squared distance between stated chances and the truth: {plain}. Smaller is better.",
    "rmse": "Off by about {plain}, with large errors counted more heavily.",
    "mae": "Off by {plain} on average.",
}

_CHECK_WORDS: Final = {
    "additive_identity": "columns that add up to the answer",
    "as_of_violation": "times after the prediction",
    "baseline": "the gain over a simple rule",
    "calibration": "stated chances",
    "class_rarity": "rare classes",
    "constant-column": "a column that stopped changing",
    "column_gone": "dependence on single columns",
    "constant_columns": "columns that never change",
    "coverage": "ranges given with answers",
    "determinism": "repeated training",
    "dominance": "one column above all others",
    "drift": "drift beyond chance",
    "dtype_slip": "values of another type",
    "duplicate_columns": "repeated columns",
    "duplicate_rows": "repeated rows",
    "enough-rows": "enough rows",
    "estimated-score": "what is expected before outcomes",
    "extremes": "extreme values",
    "id_columns": "columns that name rows",
    "invariance": "order and copies of rows",
    "latency": "speed of an answer",
    "missing": "empty cells",
    "missing-values": "empty cells",
    "missingness_oracle": "gaps that tell the answer",
    "name_proxy": "a name that sounds like the outcome",
    "new-values": "values never seen before",
    "noise": "sensitivity to noise",
    "out-of-range": "values outside the usual range",
    "parity": "same answer in one row and in many",
    "permutation_canary": "what a model finds in pure chance",
    "psi": "moved columns",
    "realised-score": "what came true",
    "realised-value": "money that came true",
    "row_order": "the order of rows",
    "sentinel_values": "stand-ins for empty cells",
    "single_feature_oracle": "a column that tells the answer",
    "target_copy": "a copy of the answer",
    "unit-slip": "another unit",
    "unit_slip": "other units",
    "unreadable-values": "values that cannot be read",
    "unseen": "unseen categories",
    "volume": "how many rows come",
    "worst_slice": "a weak group of cases",
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """Return the estimate in other units."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def number(value: float, *, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits and thousands separated: 48,300 or 0.123."""
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - size)
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0) if rounded else 0
    text = f"{rounded:,.{decimals}f}".replace("-", _MINUS)
    return text.rstrip("0").removesuffix(".") if decimals else text


def whole(value: int) -> str:
    """Return a count with thousands separated."""
    return f"{value:,}"


def money(value: float, currency: str) -> str:
    """Return an amount with its unit, where it has one, three significant digits: EUR 5,830."""
    sign = _MINUS if value < 0 else ""
    return f"{sign}{_unit(currency)}{_amount(abs(value))}"


def money_range(estimate: Estimate, currency: str) -> str:
    """Return the interval of an amount: EUR 5,310 to 6,350."""
    low = _amount(abs(estimate.low)) if estimate.low >= 0 else _MINUS + _amount(abs(estimate.low))
    high = _amount(abs(estimate.high)) if estimate.high >= 0 else _MINUS + _amount(abs(estimate.high))
    return f"{_unit(currency)}{low} to {high}"


def _unit(currency: str) -> str:
    return f"{currency}{GAP}" if currency else ""


def _amount(value: float) -> str:
    return f"{value:.2f}" if 0 < value < 1 else number(value)


def of_100(share: float) -> str:
    """Return a share as a frequency: 62 of 100, or 7 of 1,000 where it is rare."""
    if not math.isfinite(share):
        return f"an unknown number of{GAP}100"
    if 0 < share < _RARE:
        return f"{_count(share * 1000)}{GAP}of{GAP}1,000"
    return f"{_count(share * 100)}{GAP}of{GAP}100"


def hundredths(share: float) -> str:
    """Return a share as a count out of 100 whatever its size, for columns that must compare: 62, 1.6."""
    return f"{share * 100:.1f}".removesuffix(".0") if 0 < share < _RARE else _count(share * 100)


def of_100_range(estimate: Estimate, *, rare: bool = True) -> str:
    """Return the interval of a share: 58–66; in the scale that `of_100` chooses for its value, unless not `rare`."""
    scale = 1000 if rare and 0 < estimate.value < _RARE else 100
    low, high = max(estimate.low, 0.0) * scale, min(estimate.high, 1.0) * scale
    if f"{low:.0f}" == f"{high:.0f}":
        return f"{low:.1f}{_TO}{high:.1f}"
    return f"{_count(low)}{_TO}{_count(high)}"


def _count(value: float) -> str:
    """Return a count out of a hundred; one decimal only near the ends, where whole numbers would hide it."""
    if 0 < value < 1 or 99 < value < 100:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.0f}"


def chance(probability: float) -> str:
    """Return a probability or score cut as people read it: 0.23."""
    return f"{probability:.2f}" if 0.01 <= probability <= 0.99 else number(probability)


def number_range(estimate: Estimate) -> str:
    """Return the interval of a plain number: 0.838 to 0.857."""
    return f"{number(estimate.low)} to {number(estimate.high)}"


def listing(words: list[str] | tuple[str, ...], *, join: str = "and") -> str:
    """Return words as a sentence lists them: a, b and c."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} {join} {words[-1]}"


def sentence(text: str) -> str:
    """Return text as a sentence: a capital first, a full stop last."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: 1 check, 2 checks."""
    return f"{whole(count)}{GAP}{one if count == 1 else many or one + 's'}"


def scored(score: Score) -> str:
    """Return a score with its interval for who knows the metric: 0.8349 (0.8249 to 0.8449)."""
    return f"{number(score.value, digits=4)} ({number(score.low, digits=4)} to {number(score.high, digits=4)})"


def check_in_words(name: str) -> str:
    """Return what a check is about, for who has never heard its name."""
    return _CHECK_WORDS.get(name) or name.replace("-", " ").replace("_", " ")


def metric_in_words(score: Score) -> str:
    """Return a metric's value as a sentence that needs no training to read."""
    template = _METRIC_WORDS.get(score.metric, "{plain}")
    return template.format(of_100=f"{score.value * 100:.0f}", plain=number(score.value))


def milliseconds(microseconds: float) -> str:
    """Return a row's time as people say it: 0.21 ms, 12 ms."""
    return f"{microseconds / 1_000:.2g} ms"


def seconds_in_words(seconds: float) -> str:
    """Return a duration as people say it: 48 s, 3 min, 2.5 h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


def plain_spaces(text: str) -> str:
    """Return text for terminals and plain files, where a space that never breaks is only in the way."""
    return text.replace(GAP, " ").replace("\u2060", "")


def short(digest: str) -> str:
    """Return the first twelve signs of a digest, enough to find it again."""
    return digest[:12]
