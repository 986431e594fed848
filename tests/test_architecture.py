"""The house rules that a reader relies on: imports run one way, and only milp/ knows PuLP."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "milp_planner"

# Lower layers first. A module may import from its own layer and from those above it in this list.
LAYERS = [
    ("_version", "errors", "units"),
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
# The plan prints itself through these, imported when asked.
EDGES = {("plans.records", "plans.document")}

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
        if (module, target) in EDGES or (module, target.rsplit(".", 1)[0]) in EDGES:
            continue
        known = target.split(".")[0] in {n.split(".")[0] for names in LAYERS for n in names}
        if known:
            assert layer_of(target) <= layer_of(module), f"{module} may not import {target}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_milp_imports_pulp(path):
    if any(name.split(".")[0] == "pulp" for name in imports_of(path)):
        assert name_of(path).startswith("milp."), f"{name_of(path)} imports pulp"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
