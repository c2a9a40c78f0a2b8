"""Write numbers for people."""

from __future__ import annotations


def figure(value: float) -> str:
    """Return a number with three or four telling digits: 49,034 or 0.877, never 4.9e+04."""
    if 999.5 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1e12 else f"{value:.2e}"
