"""Checks what Python code passes, before anything is computed from it."""

from __future__ import annotations

import math
from typing import Any

from milp_planner.errors import InputError, argument_error, did_you_mean, input_error
from milp_planner.inputs.catalog import Catalog
from milp_planner.inputs.load import load_catalog_of
from milp_planner.inputs.problem import Problem
from milp_planner.units import shown

SOLVERS = ("both", "cbc", "highs")
MOST_ALTERNATIVES = 100


def check_problem_and_catalog(problem: object, catalog: object) -> None:
    """Raise ArgumentError for what `load_problem` and `load_catalog` do not give."""
    _check_kind(problem, Problem)
    _check_kind(catalog, Catalog)


def _check_kind(value: object, kind: type) -> None:
    if not isinstance(value, kind):
        path = kind.__name__.lower()
        loader = f"load_{path}()"
        raise argument_error(
            f"expected a {kind.__name__}, as {loader} gives, not {type(value).__name__}",
            path=path,
            hint=f"give what milp_planner.{loader} returns",
        )


def catalog_for(problem: Problem, catalog: Catalog | None) -> Catalog:
    """`catalog`, or the one that `problem` names; ArgumentError where either is something else."""
    _check_kind(problem, Problem)
    known = load_catalog_of(problem) if catalog is None else catalog
    _check_kind(known, Catalog)
    return known


def check_settings(
    *,
    time_limit_s: object = None,
    gap: object = None,
    alternatives: object = None,
    solver: object = None,
) -> None:
    """Raise ArgumentError for a setting of the wrong type, InputError for one out of range.

    None stands for the problem's own setting.
    """
    _check_number("time_limit_s", time_limit_s, above=0.0, most=math.inf)
    _check_number("gap", gap, least=0.0, most=1.0)
    _check_number("alternatives", alternatives, least=0, most=MOST_ALTERNATIVES, whole=True)
    if solver is not None and not isinstance(solver, str):
        raise argument_error(f"expected text, not {type(solver).__name__}", path="solver")
    if solver is not None and solver not in SOLVERS:
        near = did_you_mean(solver, SOLVERS)
        raise _wrong("solver", f"{shown(solver)} is not one of {', '.join(SOLVERS)}{near}")


def _check_number(
    name: str,
    value: Any,
    *,
    most: float,
    least: float | None = None,
    above: float | None = None,
    whole: bool = False,
) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        expected = "a whole number" if whole else "a number"
        raise argument_error(f"expected {expected}, not {type(value).__name__}", path=name)
    if math.isnan(value):
        raise _wrong(name, "must be a number (is nan)")
    if above is not None and value <= above:
        raise _wrong(name, f"must be greater than {above:g} (is {shown(value)})")
    if least is not None and value < least:
        raise _wrong(name, f"must be at least {least:g} (is {shown(value)})")
    if value > most:
        raise _wrong(name, f"must be at most {most:g} (is {shown(value)})")


def _wrong(name: str, message: str) -> InputError:
    return input_error(message, path=name)
