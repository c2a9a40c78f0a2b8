"""Growth with the rows, from planted figures."""

from __future__ import annotations

from rows import growth_table


def _figures(rows: int, power: float) -> dict[str, dict[str, float]]:
    fixed = {"seconds": rows**power / 1e4, "encode_seconds": 0.1, "mb": 10.0, "columns": 20}
    whole = {"seconds": 60.0, "mb": 400.0, "peak_mb": 700.0, "stated": 1.0, "fresh": 1.1, "constant": 2.0}
    return {"fixed": fixed, "whole": whole}


def test_the_growth_exponent_is_the_slope_of_the_logarithms() -> None:
    sizes = [10_000, 100_000, 1_000_000]
    text = growth_table(sizes, [_figures(rows, 1.05) for rows in sizes])
    assert "Growth exponent of the fixed work: 1.05 over all sizes; step by step 1.05, 1.05." in text


def test_the_limit_is_twice_the_binned_table_and_500_mb() -> None:
    text = growth_table([5_000_000], [_figures(5_000_000, 1.0)])
    assert "| 5,000,000 | 500.00 | 0.10 | 60.0 | 10 | 400 | 700 | 700 | 1 | 1.1 | 2 |" in text
