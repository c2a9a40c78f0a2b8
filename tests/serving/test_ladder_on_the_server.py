"""The ladder on a real server: shadow, a few keys, more keys, office; and a harmful version that is withdrawn."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from climbs import on_the_ladder, registered, sharper
from small_worlds import small_world
from tenure.core.ladder import Rung, Step
from tenure.engine.ladder import climb
from tenure.engine.workspace import Workspace, open_workspace
from tenure.testing.load import Served

SETTINGS = """
[promotion]
shadow_rows = 200
canary_rows = 150
[serving]
shadow_cpu = 1.0
"""
ROWS = 240


def _post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _eventually(met: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


class Customers:
    """Asks the server about the same customers again and again, and tells it what came true."""

    def __init__(self, url: str) -> None:
        frame = small_world(ROWS, seed=21)
        self.url, self.rows, self.truth = url, frame.drop("left").to_dicts(), frame["left"].to_list()
        self.unknown: list[dict[str, Any]] = []

    def ask(self) -> dict[str, str]:
        """Return which version answered which customer."""
        said = []
        for start in range(0, ROWS, 40):
            said += _post(self.url, "/predict", {"rows": self.rows[start : start + 40]})["predictions"]
        self.unknown += [{"id": one["id"], "outcome": left} for one, left in zip(said, self.truth, strict=True)]
        return {row["customer"]: one["version"] for row, one in zip(self.rows, said, strict=True)}

    def tell(self) -> None:
        """Tell what came true of all that was asked."""
        _post(self.url, "/outcomes", {"outcomes": self.unknown})
        self.unknown = []


def _only(taken: tuple[Rung, ...]) -> tuple[Step, float]:
    (rung,) = taken
    return rung.step, rung.share


def _beside(workspace: Workspace, version: int) -> int:
    return workspace.traffic.shadowed(version).height


def test_a_challenger_climbs_on_live_traffic_and_a_harmful_one_is_withdrawn(office: Path, tmp_path: Path) -> None:
    file = office / "tenure.toml"
    file.write_text(file.read_text() + SETTINGS)
    with open_workspace(office, actor="watch") as workspace, Served(office) as server:
        customers = Customers(server.url)
        good = registered(workspace, tmp_path / "good", sharper(1.05), honest=True)
        on_the_ladder(workspace, good)
        assert set(customers.ask().values()) == {"v1"}
        customers.tell()
        _eventually(lambda: _beside(workspace, good) == ROWS)
        assert _only(climb(workspace)) == (Step.CANARY, 0.05)
        few = _keys(customers.ask(), f"v{good}")
        customers.tell()
        assert _only(climb(workspace)) == (Step.CANARY, 0.25)
        more = _keys(customers.ask(), f"v{good}")
        customers.tell()
        assert 0 < len(few) < len(more) < ROWS / 2
        assert few < more
        assert _only(climb(workspace)) == (Step.OFFICE, 1.0)
        assert set(customers.ask().values()) == {f"v{good}"}

        harmful = registered(workspace, tmp_path / "harmful", sharper(6.0), honest=True)
        on_the_ladder(workspace, harmful)
        customers.ask()
        assert _only(climb(workspace)) == (Step.CANARY, 0.05)
        assert _keys(customers.ask(), f"v{harmful}") == few
        customers.tell()
        assert _only(climb(workspace)) == (Step.WITHDRAWN, 0.0)
        assert set(customers.ask().values()) == {f"v{good}"}


def _keys(answered: dict[str, str], version: str) -> set[str]:
    return {key for key, by in answered.items() if by == version}
