"""Who answers, as the registry says it, also where a model cannot be loaded for a while."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from climbs import on_the_ladder, registered, sharper
from tenure.engine.workspace import open_workspace
from tenure.serving.office import Office


def test_a_challenger_that_could_not_be_loaded_is_tried_again_at_the_next_look(
    office: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_workspace(office, actor="watch") as workspace:
        number = registered(workspace, tmp_path / "second", sharper(1.05), honest=True)
        on_the_ladder(workspace, number)
        tree = workspace.context.artifacts.get_tree(workspace.registry.version(number).model)
        away = tree.rename(tree.with_name("away"))
        offices = Office(workspace)
        with caplog.at_level(logging.ERROR, logger="tenure.serving"):
            for _ in range(3):
                held = offices.renew(look_again=True)
                assert (held.champion.label, held.challenger) == ("v1", None)
        assert len(caplog.records) == 1
        away.rename(tree)
        challenger = offices.renew(look_again=True).challenger
        assert challenger is not None
        assert challenger.version.number == number
        assert offices.renew(look_again=True) is offices.current()
