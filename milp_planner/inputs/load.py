"""Reads a problem file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from milp_planner.errors import Fault
from milp_planner.inputs.problem import Problem
from milp_planner.inputs.strict_yaml import Document, read_yaml
from milp_planner.inputs.validation import validate


def load_problem(source: str | Path, *, text: str | None = None) -> Problem:
    """The problem in a YAML file; `-` reads standard input.

    With `text` nothing is read and `source` only names it. Raises InputError that names every
    fault with file, line and column.
    """
    document = read_yaml(source, text=text)
    problem = validate(Problem, document)
    problem._origin = document
    return problem


def located(problem: Problem, fault: Fault) -> Fault:
    """`fault` with file, line and column, where the problem came from a file."""
    document: Document | None = problem._origin
    if document is None:
        return fault
    line, column = document.named(fault.path)
    return replace(fault, file=document.file, line=line, column=column)
