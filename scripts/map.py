"""Print the module map with line counts and the import graph between rooms; exit 1 on a ring.

Imports are read from the source (also those inside functions and behind TYPE_CHECKING), so nothing is hidden.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "src"
FRONT_DOOR = "tenure"  # the lazy top module names its public things for type checkers only


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its lines, the lengths of its functions, and what of ours it imports."""

    name: str
    lines: int
    functions: tuple[int, ...]
    imports: frozenset[str]

    @property
    def room(self) -> str:
        """Return the first part below the package."""
        return self.name.split(".")[1] if "." in self.name else self.name


def read_modules(root: Path = ROOT) -> dict[str, Module]:
    """Read every module below `root`."""
    paths = {_dotted(path, root): path for path in sorted(root.rglob("*.py"))}
    return {name: _read(name, path, set(paths)) for name, path in paths.items()}


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(name: str, path: Path, known: set[str]) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = tuple(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return Module(name, text.count("\n"), functions, frozenset(_imports(tree, known)) - {name})


def _imports(tree: ast.AST, known: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module


def room_graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return which room imports which."""
    graph: dict[str, set[str]] = defaultdict(set)
    for module in modules.values():
        if module.name == FRONT_DOOR:
            continue
        graph[module.room] |= {
            modules[name].room for name in module.imports if name != FRONT_DOOR and modules[name].room != module.room
        }
    return dict(graph)


def ring(graph: Mapping[str, set[str]]) -> list[str] | None:
    """Return the names along a ring, or None where there is none."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return None


def module_graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return which module imports which, without the lazy front door."""
    return {m.name: {i for i in m.imports if i != FRONT_DOOR} for m in modules.values() if m.name != FRONT_DOOR}


def print_map(modules: Mapping[str, Module]) -> None:
    """Print rooms from the ground up, each with its modules, sizes and imports."""
    graph = room_graph(modules)
    order = list(TopologicalSorter(graph).static_order())
    for room in order:
        inside = [m for m in modules.values() if m.room == room and m.name != FRONT_DOOR]
        arrows = ", ".join(sorted(graph.get(room, ()), key=order.index)) or "nothing of ours"
        print(f"\n{room}  ({sum(m.lines for m in inside):,} lines)  imports {arrows}")
        for module in inside:
            print(f"  {module.lines:>5}  {module.name}")
    sizes = sorted(m.lines for m in modules.values())
    functions = sorted(length for m in modules.values() for length in m.functions)
    print(
        f"\n{len(sizes)} modules, {sum(sizes):,} lines; module lines: median {statistics.median(sizes):g}, "
        f"p95 {sizes[int(0.95 * len(sizes))]}, longest {sizes[-1]}"
    )
    print(
        f"{len(functions):,} functions; lines: median {statistics.median(functions):g}, "
        f"p95 {functions[int(0.95 * len(functions))]}, longest {functions[-1]}"
    )


def main() -> int:
    """Print the map and return the exit code."""
    modules = read_modules()
    for name, graph in (("rooms", room_graph(modules)), ("modules", module_graph(modules))):
        found = ring(graph)
        if found:
            print(f"A ring between {name}: {' -> '.join(found)}", file=sys.stderr)
            return 1
    print_map(modules)
    print("No ring between rooms, none between modules.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
