"""What `milp_planner` publishes: all that its signatures and results are made of, lazily."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import subprocess
import sys
import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from pydantic import BaseModel

import milp_planner

SOURCE = Path(milp_planner.__file__)
TREE = ast.parse(SOURCE.read_text(encoding="utf-8"))
NAMES = [name for name in milp_planner.__all__ if name != "__version__"]
PUBLIC = {name: getattr(milp_planner, name) for name in NAMES}
FUNCTIONS = [name for name, value in PUBLIC.items() if inspect.isfunction(value)]

OTHERS = {"Axes": Any, "DataFrame": pandas.DataFrame, "threading": threading}
"""Names of other packages that annotations hold and that are imported for type checkers alone."""


def written_list() -> list[str]:
    """`__all__` as a type checker reads it, without running anything."""
    (value,) = (
        node.value
        for node in TREE.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return ast.literal_eval(value)


def imports_for_type_checkers() -> dict[str, str]:
    """Module by name, of the imports under `if TYPE_CHECKING`."""
    return {
        alias.name: node.module.removeprefix("milp_planner.")
        for block in TREE.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_list_of_public_names_is_written_out_and_in_order():
    assert written_list() == sorted(milp_planner.__all__)
    assert dir(milp_planner) == sorted(milp_planner.__all__)


def test_type_checkers_and_python_find_every_public_name_at_the_same_place():
    homes = {name: module for module, names in milp_planner.HOMES.items() for name in names.split()}
    assert homes == imports_for_type_checkers()
    assert sorted(homes) == sorted(NAMES)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'milp_planner' has no attribute 'solv'"):
        milp_planner.solv  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys; before = {*sys.modules}; import milp_planner; print(*{*sys.modules} - before)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE.parents[1], capture_output=True, text=True
    )
    ours = {name for name in ran.stdout.split() if name.startswith("milp_planner")}
    assert ours == {"milp_planner", "milp_planner._homes", "milp_planner._version"}
    assert not {"pydantic", "pandas", "pulp", "highspy", "typer"} & {*ran.stdout.split()}


# --- every type met on the way is public --------------------------------------------------------


@functools.cache
def classes_by_name() -> dict[str, type]:
    """Every class of the package, for names that only type checkers import."""
    names = (m.name for m in pkgutil.walk_packages(milp_planner.__path__, "milp_planner."))
    modules = [importlib.import_module(n) for n in names if "cli" not in n and "__main__" not in n]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and is_ours(value)
    }


def is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "milp_planner"


def hints_of(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing, localns=OTHERS)
    except NameError:
        return typing.get_type_hints(thing, localns={**classes_by_name(), **OTHERS})


def types_in(hint: Any) -> Iterator[type]:
    """The classes that an annotation is made of."""
    if isinstance(hint, type) and not typing.get_args(hint):
        yield hint
    for part in typing.get_args(hint):
        for one in part if isinstance(part, list | tuple) else [part]:
            yield from types_in(one)


def functions_of(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class that the package itself defines."""
    for ancestor in filter(is_ours, kind.__mro__):
        for name, value in [*vars(ancestor).items()]:  # a look at hints may add to it
            function = getattr(value, "fget", None) or getattr(value, "func", value)
            function = getattr(function, "__func__", function)
            if inspect.isfunction(function) and not name.startswith(("_", "model_")):
                yield name, function


def annotations_of(thing: Any) -> Iterator[tuple[str, Any]]:
    """(where, annotation) of a function's signature, or of a record's fields and methods."""
    if inspect.isfunction(thing):
        yield from hints_of(thing).items()
        return
    if isinstance(thing, type):
        if dataclasses.is_dataclass(thing) or issubclass(thing, BaseModel):
            yield from ((k, v) for k, v in hints_of(thing).items() if not k.startswith("_"))
        if issubclass(thing, BaseException):
            yield from hints_of(thing.__init__).items()
        for name, function in functions_of(thing):
            yield from ((f"{name}.{k}", v) for k, v in hints_of(function).items())


def met() -> dict[type, str]:
    """Every class of the package that one comes to from the public names, and where it was met."""
    found: dict[type, str] = {}
    left = list(PUBLIC.items())
    while left:
        owner, thing = left.pop()
        for where, hint in annotations_of(thing):
            for kind in types_in(hint):
                if is_ours(kind) and kind not in found:
                    found[kind] = f"{owner}.{where}"
                    left.append((kind.__name__, kind))
    return found


def test_every_type_in_a_public_signature_or_result_is_public():
    hidden = {kind.__name__: at for kind, at in met().items() if kind not in PUBLIC.values()}
    assert hidden == {}


def test_the_walk_meets_what_is_deep_in_a_plan():
    # Plan.alternatives -> Plan.purchases -> Purchase.candidate -> Candidate.points -> RatePoint
    names = {kind.__name__ for kind in met()}
    assert {"RatePoint", "EngineReport", "Utilization", "TraceColumns", "Fault"} <= names


def test_a_public_class_is_published_by_its_own_name():
    classes = {name: value for name, value in PUBLIC.items() if isinstance(value, type)}
    assert {name: value.__name__ for name, value in classes.items()} == {n: n for n in classes}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_engines_to_choose_from_are_named_in_the_signature(name):
    solver = hints_of(PUBLIC[name]).get("solver", milp_planner.SolverChoice | None)
    assert solver == typing.Literal["both", "cbc", "highs"] | None
