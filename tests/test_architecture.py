"""The house rules that a reader relies on: imports run one way, and only milp/ knows PuLP."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "milp_planner"

# Lower layers first. A module may import from its own layer and from those above it in this list.
LAYERS = [
    ("_version", "deadline", "errors", "units"),
    ("inputs",),
    ("traffic",),
    ("serving",),
    ("candidates",),
    ("study",),
    ("plans",),
    ("milp", "plans.changes"),
    ("replay",),
    ("solving",),
    ("questions",),
    ("reporting",),
    ("cli", "__main__"),
]
KNOWN_CIRCLES: set[frozenset[str]] = set()

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> int:
    exact = {name: i for i, names in enumerate(LAYERS) for name in names}
    steps = module.split(".")
    for length in range(len(steps), 0, -1):
        prefix = ".".join(steps[:length])
        if prefix in exact:
            return exact[prefix]
    raise AssertionError(f"{module} is in no layer")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path):
    module = name_of(path)
    if not module:
        return  # the public API re-exports from everywhere
    for imported in imports_of(path):
        if not imported.startswith("milp_planner."):
            continue
        target = imported.removeprefix("milp_planner.")
        known = target.split(".")[0] in {n.split(".")[0] for names in LAYERS for n in names}
        if known:
            assert layer_of(target) <= layer_of(module), f"{module} may not import {target}"


def files_imported(path: Path, names: set[str]) -> Iterator[str]:
    """The files that a file imports; `from a import b` imports b where that is a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("milp_planner"):
            module = (node.module or "").removeprefix("milp_planner").removeprefix(".")
            for alias in node.names:
                full = f"{module}.{alias.name}".removeprefix(".")
                yield full if full in names else module


def reached_from(start: str, graph: dict[str, set[str]]) -> set[str]:
    """The files that a file imports, directly or by way of others."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        waiting += (new := graph[waiting.pop()] - reached)
        reached |= new
    return reached


def test_no_files_import_each_other_in_a_circle():
    # Imports inside functions and those for types alone count: they tie a reader as fast.
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): set(files_imported(path, names)) for path in MODULES}
    reached = {name: reached_from(name, graph) for name in names}
    circles = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in names
    }
    assert circles - {frozenset()} == KNOWN_CIRCLES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_milp_imports_pulp(path):
    if any(name.split(".")[0] == "pulp" for name in imports_of(path)):
        assert name_of(path).startswith("milp."), f"{name_of(path)} imports pulp"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
