"""The architecture itself: layers, rings, names, import cost, documents."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tenure.cli.app import COMMANDS
from tenure.core import errors
from tenure.core.plugins import HOMES, plugin, plugin_names
from tenure.core.project import editor_schema

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "tenure"
DOCS = ROOT / "docs"
HEAVY = (
    "polars",
    "numpy",
    "pandas",
    "sklearn",
    "lightgbm",
    "scipy",
    "sqlalchemy",
    "uvicorn",
    "orjson",
    "pydantic",
    "vl_convert",
)


def _map_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("map_script", ROOT / "scripts" / "map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["map_script"] = module
    spec.loader.exec_module(module)
    return module


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_ring_of_imports_between_rooms_or_modules() -> None:
    script = _map_script()
    modules = script.read_modules()
    assert script.ring(script.room_graph(modules)) is None
    assert script.ring(script.module_graph(modules)) is None


def test_a_ring_would_be_noticed() -> None:
    assert _map_script().ring({"a": {"b"}, "b": {"a"}}) is not None


@pytest.mark.parametrize("statement", ["import tenure", "import tenure; tenure.TenureError"])
def test_importing_tenure_loads_nothing_heavy(statement: str) -> None:
    loaded = _python(f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))")
    assert not set(json.loads(loaded)) & set(HEAVY)


def test_the_help_page_loads_nothing_heavy() -> None:
    code = (
        "import sys, json\nsys.argv = ['tenure', '--help']\nfrom tenure.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('\\n@@' + json.dumps(sorted(sys.modules)))"
    )
    assert not set(json.loads(_python(code).split("\n@@")[1])) & set(HEAVY)


def test_no_file_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert not [path for path in SOURCE.rglob("*.py") if path.stem in banned]


def test_no_function_imports_our_own_code() -> None:
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [
                    n for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("tenure")
                ]
                found += [f"{path.name}:{n.lineno}" for n in inner]
    assert not found


def test_clocks_and_chance_stay_out_of_the_rooms() -> None:
    """Stages get time and randomness from their context; only order-and-time and the faces may look at a clock."""
    allowed = {"engine", "cli", "serving", "state"}
    banned = re.compile(
        r"datetime\.now\(|time\.time\(|random\.random\(|np\.random\.(seed|rand|normal|choice)\(|default_rng\(\)"
    )
    found = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in allowed
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if banned.search(line)
    ]
    assert not found


def test_nothing_is_pickled() -> None:
    banned = re.compile(
        r"^\s*(import|from)\s+(pickle|cloudpickle|joblib|dill|marshal|shelve)\b|allow_pickle\s*=\s*True", re.M
    )
    assert not [path for path in SOURCE.rglob("*.py") if banned.search(path.read_text())]


def test_every_public_thing_says_what_it_does() -> None:
    missing = []
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        things = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
        missing += [f"{path.relative_to(SOURCE)}:{t.name}" for t in things if ast.get_docstring(t) is None]
        if ast.get_docstring(tree) is None:
            missing.append(str(path.relative_to(SOURCE)))
    assert not missing


@pytest.mark.parametrize("kind", sorted(HOMES))
def test_every_plugin_is_found_by_its_file_name(kind: str) -> None:
    names = plugin_names(kind)
    assert names
    for name in names:
        found = plugin(kind, name)
        assert getattr(found, "kind" if kind == "member" else "name") == name


def _error_classes() -> list[type[errors.TenureError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TenureError)]


@pytest.mark.parametrize("error", _error_classes(), ids=lambda error: error.code)
def test_every_error_code_has_a_page(error: type[errors.TenureError]) -> None:
    page = DOCS / "reference" / "errors" / f"{error.code}.md"
    text = page.read_text()
    assert text.startswith(f"# {error.code}")
    assert f"Exit code: {error.exit_code}" in text
    assert "## What to do" in text


def test_no_page_describes_an_error_that_is_gone() -> None:
    pages = {path.stem for path in (DOCS / "reference" / "errors").glob("*.md")} - {"index"}
    assert pages == {error.code for error in _error_classes()}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_documented_with_all_its_options(command: str) -> None:
    text = (DOCS / "reference" / "cli.md").read_text()
    section = text.split(f"## tenure {command}\n")[1].split("\n## ")[0]
    shown = subprocess.run(
        [sys.executable, "-m", "tenure", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin", "NO_COLOR": "1"},
    ).stdout
    assert COMMANDS[command][1].split(":")[0].split(";")[0].rstrip(".") in shown
    for option in set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}:
        assert f"`{option}" in section or f"{option}`" in section, f"{option} is not described"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads((DOCS / "reference" / "tenure.schema.json").read_text()) == editor_schema()


def test_every_key_of_the_project_file_is_documented() -> None:
    text = (DOCS / "reference" / "project-file.md").read_text()
    schema = editor_schema()
    for name, definition in schema["$defs"].items():
        if name.endswith("Section"):
            for key, spec in definition["properties"].items():
                assert f"`{key}`" in text, f"{name}.{key}"
                if "description" in spec:
                    assert spec["description"] in text, f"{name}.{key}: {spec['description']}"
