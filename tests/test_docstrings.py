"""Docstrings of what is public: arguments, result, what is raised, and examples that run."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import milp_planner

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = {name: getattr(milp_planner, name) for name in milp_planner.__all__}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
FINDER = doctest.DocTestFinder()


def examples() -> list[doctest.DocTest]:
    """Every docstring with examples, of public functions and of the methods of public classes."""
    documented = [value for value in PUBLIC.values() if inspect.isfunction(value)]
    documented += [value for value in PUBLIC.values() if inspect.isclass(value)]
    found: dict[str, doctest.DocTest] = {}
    for value in documented:
        for test in FINDER.find(value, value.__name__, globs={}):
            if test.examples:
                found[test.name] = test
    return list(found.values())


EXAMPLES = examples()


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_the_examples_in_a_docstring_run(test, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "problems", tmp_path / "problems")  # as from a checkout's folder
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    failed, _ = doctest.DocTestRunner().run(test, out=said.append)
    assert not failed, "".join(said)


def test_every_public_function_has_an_example_and_so_have_the_ways_to_change_and_to_read():
    named = {test.name for test in EXAMPLES}
    assert {*FUNCTIONS, "Problem.changed", "Plan.from_dict"} <= named


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_tells_every_argument_the_result_and_what_is_raised(name):
    text = inspect.getdoc(FUNCTIONS[name])
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert not [p for p in parameters if not re.search(rf"\b{p}\b", text)]
    assert "Returns " in text
    assert "Raises " in text
    assert len(text.partition("\n")[0]) <= 96


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_example_is_short_enough_to_be_read_at_a_glance(name):
    (test,) = (test for test in EXAMPLES if test.name == name)
    lines = [line for example in test.examples for line in example.source.splitlines()]
    imports = [line for line in lines if line.startswith("from ")]
    assert len(lines) - len(imports) <= 6


def test_a_wrong_example_is_found():
    def example(x: Any) -> Any:
        """Gives it back.

        >>> 1 + 1
        3
        """

    (test,) = FINDER.find(example, "example", globs={})
    failed, tried = doctest.DocTestRunner().run(test, out=lambda _: None)
    assert (failed, tried) == (1, 1)
