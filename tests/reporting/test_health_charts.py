from __future__ import annotations

import re

import pytest

from tenure.reporting import health_charts as charts
from tenure.reporting.figures import svg
from tenure.reporting.look import ALARM, NARROW, SMALL, WIDE, Size
from tenure.reporting.words import Estimate

ONE = "2026-01-05T00:00:00+00:00"
NOW = [f"2026-01-{day:02d}T00:00:00+00:00" for day in (5, 12, 19, 26)]
HALF = Estimate(0.5, 0.4, 0.6)


@pytest.mark.parametrize("size", [WIDE, NARROW, SMALL])
def test_a_single_window_flat_values_losses_and_gaps_can_be_drawn(size: Size) -> None:
    for spec in (
        charts.performance([(ONE, None)], [], promised=None, limit=None, label="x", size=size),
        charts.performance([(ONE, HALF)], [charts.Known(ONE, HALF)], promised=HALF, limit=0.45, label="x", size=size),
        charts.misses([(ONE, Estimate(0.0, 0.0, 0.0), True)], label="x", size=size),
        charts.drift([(ONE, 0.0)], [], size=size),
        charts.drift([(ONE, 1e9)], [NOW[1]], size=size),
        charts.amounts([ONE], [-4.0], [None], young=[True], label="EUR", size=size),
        charts.maturity([ONE], [0.0], young=[False], size=size),
        charts.course(NOW, [None, 5.0, None, 5.0], [], [], usual=(None, None, None), share=False, size=size),
        charts.course(NOW[:2], [0.1, 0.1], [], [], usual=(0.1, 0.0, 0.2), share=True, size=size),
        charts.emptiness(NOW[:2], [None, 1.0], size=size),
        charts.prices(["a"], [HALF], limit=None, size=size),
    ):
        assert svg(spec, name="n").startswith("<svg")


def test_an_estimate_line_breaks_where_nothing_was_told() -> None:
    whole = [(time, HALF) for time in NOW]
    holed = [*whole[:2], (NOW[2], None), whole[3]]

    def pieces(told: list[tuple[str, Estimate | None]]) -> int:
        text = svg(charts.performance(told, [], promised=None, limit=None, label="", size=WIDE), name="n")
        return max(path.count("M") for path in re.findall(r' d="([^"]+)"', text))

    assert pieces([*whole]) == 1
    assert pieces([*holed]) == 2


def test_levels_past_the_alarm_are_red_and_stay_on_the_drawing() -> None:
    spec = charts.drift([(NOW[0], 0.1), (NOW[1], 1.0), (NOW[2], 5e4)], [], size=WIDE)
    points = spec["layer"][-1]["data"]["values"]
    assert [point["state"] for point in points] == ["quiet", "alarm", "alarm"]
    assert points[-1]["level"] == charts.HIGHEST
    assert ALARM in spec["layer"][-1]["encoding"]["color"]["scale"]["range"]


def test_young_windows_are_paler_than_final_ones() -> None:
    spec = charts.maturity(NOW[:2], [1.0, 0.4], young=[False, True], size=WIDE)
    depths = [row["depth"] for row in spec["layer"][0]["data"]["values"]]
    assert depths[0] == 1.0
    assert depths[1] < 0.5
