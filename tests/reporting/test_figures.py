from __future__ import annotations

import re

import numpy as np

from tenure.reporting import charts
from tenure.reporting.figures import svg
from tenure.reporting.look import NARROW, SMALL, STAND_INS, WIDE
from tenure.reporting.words import Estimate

EVERY = [Estimate(0.3, 0.2, 0.4), Estimate(0.6, 0.5, 0.7)]
LINE = np.linspace(0.0, 1.0, 11)


def test_charts_are_plain_data_and_do_not_share_state() -> None:
    first = charts.calibration(LINE[:2], EVERY, size=WIDE)
    second = charts.calibration(LINE[:2], EVERY, size=WIDE)
    assert first == second
    first["layer"][0]["mark"]["color"] = "red"
    assert charts.calibration(LINE[:2], EVERY, size=WIDE) == second


def test_drawing_twice_gives_the_same_text_and_no_stand_in_is_left() -> None:
    spec = charts.gains(LINE, LINE**0.5, chosen=(0.2, 0.45), yes="left = yes", size=NARROW)
    text = svg(spec, name="a")
    assert text == svg(spec, name="a")
    assert not any(colour in text for colour in STAND_INS)
    assert "var(--accent)" in text


def test_ids_carry_the_name_of_their_figure() -> None:
    spec = charts.intervals(["one", "two"], EVERY, title="t", size=WIDE)
    for one in re.findall(r'id="([^"]+)"', svg(spec, name="mine")):
        assert one.startswith("mine-")


def test_hostile_labels_stay_text() -> None:
    label = '<script>x</script>" onload="y'
    spec = charts.partial_bars(
        [label, "b"], ["yes"], [[0.1], [0.2]], shares=True, reach=(0, 0.2), label=label, size=SMALL
    )
    text = svg(spec, name="h")
    assert "<script" not in text
    assert " onload=" not in re.sub(r">[^<]*<", "><", text)


def test_losses_constant_values_and_single_windows_can_be_drawn() -> None:
    flat = np.zeros(3)
    for spec in (
        charts.profit(LINE[:3], flat - 5, flat - 9, flat, chosen=(0.1, -5.0), currency="EUR", size=NARROW),
        charts.predicted_actual(flat, flat, flat[:1], flat[:1], flat[:1], unit="m", size=NARROW),
        charts.partial_line(
            [1.0, 2.0], ["a"], [[5.0], [5.0]], shares=False, reach=(0, 5), label="", dates=True, size=SMALL
        ),
    ):
        assert svg(spec, name="n").startswith("<svg")


def test_lines_that_peak_together_share_a_label() -> None:
    spec = charts.partial_line(
        [0.0, 1.0],
        ["a", "b", "c"],
        [[0.5, 0.49, 0.1], [0.0, 0.0, 0.9]],
        shares=True,
        reach=(0.0, 0.9),
        label="",
        dates=False,
        size=SMALL,
    )
    labels = [row["line"] for row in spec["layer"][-1]["data"]["values"]]
    assert labels == ["a, b", "c"]
    assert spec["layer"][0]["encoding"]["x"]["axis"]["values"] == [0.0, 1.0]
