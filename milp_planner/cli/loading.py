"""Reads what the commands share: the problem, and the catalog that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milp_planner.inputs.catalog import Catalog
    from milp_planner.inputs.problem import Problem

STDIN = "-"


def read_problem(file: str) -> Problem:
    """The problem in a file, or on standard input."""
    from milp_planner.inputs.load import load_problem

    return load_problem(file)


def read_catalog(
    problem: Problem,
    file: str,
    name: str | None = None,
    overlays: Sequence[Path] | None = None,
    as_of: date | None = None,
) -> Catalog:
    """The catalog that the command line names, else the problem's own.

    A folder that the problem names is relative to the problem's file; one on the command line is
    relative to where the command runs.
    """
    from milp_planner.inputs.catalog_files import load_catalog

    base = Path() if name is not None or file == STDIN else Path(file).parent
    return load_catalog(name or problem.catalog, base=base, overlays=overlays or (), as_of=as_of)
