"""Plans GPU fleets for LLM inference as a mixed-integer program.

    from milp_planner import load_problem, solve

    plan = solve(load_problem("problems/quickstart.yaml"))
    print(plan.status, plan.cash_usd_per_month, plan.to_frame())

Names are imported on first use, so that `import milp_planner` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from milp_planner._version import __version__

if TYPE_CHECKING:
    from milp_planner.errors import InputError, PlannerError, SolverError
    from milp_planner.inputs.catalog import (
        Catalog,
        Gpu,
        Llm,
        Measurement,
        Offering,
        TokenPrice,
    )
    from milp_planner.inputs.catalog_files import load_catalog
    from milp_planner.inputs.load import load_problem
    from milp_planner.inputs.problem import Problem, Workload
    from milp_planner.planning.plan import Plan, Purchase, Route, Status
    from milp_planner.planning.planner import solve
    from milp_planner.planning.prepare import prepare

PUBLIC = {
    "Catalog": "inputs.catalog",
    "Gpu": "inputs.catalog",
    "InputError": "errors",
    "Llm": "inputs.catalog",
    "Measurement": "inputs.catalog",
    "Offering": "inputs.catalog",
    "Plan": "planning.plan",
    "PlannerError": "errors",
    "Problem": "inputs.problem",
    "Purchase": "planning.plan",
    "Route": "planning.plan",
    "SolverError": "errors",
    "Status": "planning.plan",
    "TokenPrice": "inputs.catalog",
    "Workload": "inputs.problem",
    "load_catalog": "inputs.catalog_files",
    "load_problem": "inputs.load",
    "prepare": "planning.prepare",
    "solve": "planning.planner",
}
"""Where each public name lives; to publish one, add it here and above."""

__all__ = ["__version__", *sorted(PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'milp_planner' has no attribute {name!r}")
    return getattr(import_module(f"milp_planner.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
