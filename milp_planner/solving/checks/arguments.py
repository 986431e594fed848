"""Checks what Python code passes, before anything is computed from it."""

from __future__ import annotations

from typing import Literal, get_args

from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.load import load_catalog_of
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind, check_number, check_text
from milp_planner.units import shown

SolverChoice = Literal["both", "cbc", "highs"]
"""Which engines solve: both, so that one certifies the other, or one alone."""

SOLVERS: tuple[SolverChoice, ...] = get_args(SolverChoice)
MOST_ALTERNATIVES = 200


def check_problem_and_catalog(problem: object, catalog: object) -> None:
    """Raise ArgumentError for what `load_problem` and `load_catalog` do not give."""
    check_kind(problem, Problem, "load_problem()")
    check_kind(catalog, Catalog, "load_catalog()")


def catalog_for(problem: Problem, catalog: Catalog | None) -> Catalog:
    """`catalog`, or the one that `problem` names; ArgumentError where either is something else."""
    check_kind(problem, Problem, "load_problem()")
    known = load_catalog_of(problem) if catalog is None else catalog
    check_kind(known, Catalog, "load_catalog()")
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
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, above=0.0)
    if gap is not None:
        check_number("gap", gap, least=0.0, most=1.0)
    if alternatives is not None:
        check_number("alternatives", alternatives, least=0, most=MOST_ALTERNATIVES, whole=True)
    if solver is not None:
        check_text("solver", solver)
        if solver not in SOLVERS:
            near = did_you_mean(str(solver), SOLVERS)
            message = f"{shown(solver)} is not one of {', '.join(SOLVERS)}{near}"
            raise input_error(message, path="solver")
