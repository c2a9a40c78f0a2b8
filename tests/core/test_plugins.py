from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenure.core.errors import UnknownPluginError
from tenure.core.plugins import HOMES, plugin, plugin_names

OWN = '''
class Gate:
    """Not a plug-in: it has neither name nor kind."""


class _Part:
    name = "part"


class Mine:
    name = "mine"
'''


def own_plugin(project: Path, name: str, text: str, kind: str = "drift-test") -> None:
    folder = project / "plugins" / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text)


def test_own_plugin_is_listed_and_found(tmp_path: Path) -> None:
    own_plugin(tmp_path, "mine", OWN)
    own_plugin(tmp_path, "_helper", "raise AssertionError")
    assert "mine" in plugin_names("drift-test", project=tmp_path)
    assert "_helper" not in plugin_names("drift-test", project=tmp_path)
    assert "mine" not in plugin_names("drift-test")
    assert plugin("drift-test", "mine", project=tmp_path).__name__ == "Mine"
    assert plugin("drift-test", "mine", project=tmp_path) is plugin("drift-test", "mine", project=tmp_path)


def test_own_file_wins_over_a_built_in_of_the_same_name(tmp_path: Path) -> None:
    name = plugin_names("source")[0]
    own_plugin(tmp_path, name, OWN, kind="source")
    assert plugin("source", name, project=tmp_path).__name__ == "Mine"
    assert plugin("source", name).__name__ != "Mine"


@pytest.mark.parametrize("text", ["", OWN + "\nclass Second:\n    name = 'second'\n"])
def test_file_with_none_or_two_plugins_is_refused(tmp_path: Path, text: str) -> None:
    own_plugin(tmp_path, "odd", text)
    with pytest.raises(UnknownPluginError, match="exactly one plug-in class"):
        plugin("drift-test", "odd", project=tmp_path)


def test_unknown_plugin_brings_the_nearest_name(tmp_path: Path) -> None:
    own_plugin(tmp_path, "mine", OWN)
    with pytest.raises(UnknownPluginError) as caught:
        plugin("drift-test", "mime", project=tmp_path)
    assert caught.value.hint == "Did you mean 'mine'?"


@pytest.mark.parametrize("name", ["", "__init__", "_private", "../sources/files", "files.py", "..", "/etc/passwd"])
def test_name_that_is_no_plugin_name_is_unknown(tmp_path: Path, name: str) -> None:
    (tmp_path / "plugins" / "source").mkdir(parents=True)
    (tmp_path / "plugins" / "sources.py").write_text(OWN)
    for project in (None, tmp_path):
        with pytest.raises(UnknownPluginError):
            plugin("source", name, project=project)


@pytest.mark.parametrize("kind", sorted(HOMES))
def test_names_are_listed_without_importing_anything(kind: str) -> None:
    code = f"""
import sys
from tenure.core.plugins import HOMES, plugin_names
names = plugin_names({kind!r})
assert names == tuple(sorted(names))
assert not [n for n in names if f"{{HOMES[{kind!r}]}}.{{n}}" in sys.modules]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", sorted(HOMES))
def test_every_built_in_has_the_name_of_its_file(kind: str) -> None:
    for name in plugin_names(kind):
        found = plugin(kind, name)
        assert getattr(found, "name", getattr(found, "kind", None)) == name
