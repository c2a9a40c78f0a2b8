"""The watcher as a process of its own: it outlives what goes wrong, wakes for an answer, and stops without a loss."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from small_worlds import small_world
from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.lifecycle import Action, Verb
from tenure.engine import approvals
from tenure.engine.watch import look_and_act
from tenure.engine.workspace import open_workspace
from tenure.state.proposals import ProposalState


class Watcher:
    """A `tenure watch` process and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "watch.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenure", "watch", "--project", str(folder)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def says(self, words: str) -> bool:
        assert self.process.poll() is None or words in self.log.read_text(), self.log.read_text()
        return words in self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def watcher(office: Path) -> Iterator[Callable[[str], Watcher]]:
    """Return a function that starts a watcher which looks as often as it is told."""
    started: list[Watcher] = []

    def start(every: str) -> Watcher:
        text = (office / "tenure.toml").read_text().replace('budget = "6s"', 'budget = "2s"')
        (office / "tenure.toml").write_text(f'{text}\n[operations]\ncheck_every = "{every}"\n')
        started.append(Watcher(office))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def eventually(met: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def test_a_watcher_outlives_a_file_that_is_being_edited_and_stops_when_told(
    office: Path, watcher: Callable[[str], Watcher]
) -> None:
    watch = watcher("0.1s")
    eventually(lambda: watch.says("keep: "))
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(f"{text}\n[[[")
    eventually(lambda: watch.says("not now [config-invalid]"))
    (office / "tenure.toml").write_text(text)
    looks = watch.log.read_text().count("keep: ")
    eventually(lambda: watch.log.read_text().count("keep: ") > looks)
    assert (office / "reports" / "health.html").is_file()
    assert watch.stop() == 0


def test_a_watcher_that_is_stopped_in_a_walk_leaves_it_to_be_gone_on_with(
    office: Path, watcher: Callable[[str], Watcher]
) -> None:
    watch = watcher("1h")
    eventually(lambda: watch.says("keep: "))
    more = small_world(900, seed=8).with_columns(customer=pl.concat_str(pl.lit("n"), "customer"))
    more.write_csv(office / "data" / "second.csv")
    cause = Finding("realised score", Verdict.FAIL, Measurement("s", 0.5, evidence={"version": 1, "since": "w1"}))
    with open_workspace(office) as workspace:
        health = workspace.ledger.events(kind="health")[-1].output or ""
        approvals.propose(workspace, Action(Verb.RETRAIN, "Worse.", cause, made_from=(health,)))
        approvals.approve(workspace, None, who="ann")  # which wakes the watcher long before its hour is over
        eventually(lambda: watch.says("quality: "))
        assert watch.stop(signal.SIGINT) == 0
        assert workspace.ledger.unfinished_run() is not None
        assert [one.state for one in approvals.answered(workspace)] == [ProposalState.BEGUN]
    with open_workspace(office, actor="watch") as workspace:
        look_and_act(workspace)
        assert approvals.answered(workspace) == ()
        assert len(workspace.ledger.runs()) == 2
        assert workspace.ledger.unfinished_run() is None
