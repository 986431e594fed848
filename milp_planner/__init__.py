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
    from milp_planner.inputs.owned import owned_usd_per_hour
    from milp_planner.inputs.problem import Problem, Workload
    from milp_planner.milp.family import Rule, Standing
    from milp_planner.milp.rows import Row, count_terms
    from milp_planner.milp.variables import Fleet
    from milp_planner.planning.confidence import ConfidenceRange, confidence_range
    from milp_planner.planning.diagnose import diagnose
    from milp_planner.planning.evaluate import Evaluation, evaluate
    from milp_planner.planning.explain import WhyNot, explain
    from milp_planner.planning.frontier import Frontier, budget_frontier
    from milp_planner.planning.limit_costs import LimitCosts, explain_limits
    from milp_planner.planning.measure_next import MeasureNext, measure_next
    from milp_planner.planning.plan import Diagnosis, Plan, Purchase, Route, Status
    from milp_planner.planning.planner import solve
    from milp_planner.planning.prepare import prepare
    from milp_planner.planning.scenarios import Scenario, load_scenarios, scenario_grid
    from milp_planner.planning.what_if import WhatIf, what_if
    from milp_planner.serving.calibrate import Calibrated, calibrate
    from milp_planner.serving.candidates import Candidate, PlanningInput
    from milp_planner.serving.estimate import Estimate, estimate

PUBLIC = {
    "Calibrated": "serving.calibrate",
    "Candidate": "serving.candidates",
    "Catalog": "inputs.catalog",
    "ConfidenceRange": "planning.confidence",
    "Diagnosis": "planning.plan",
    "Estimate": "serving.estimate",
    "Evaluation": "planning.evaluate",
    "Fleet": "milp.variables",
    "Frontier": "planning.frontier",
    "Gpu": "inputs.catalog",
    "InputError": "errors",
    "LimitCosts": "planning.limit_costs",
    "Llm": "inputs.catalog",
    "MeasureNext": "planning.measure_next",
    "Measurement": "inputs.catalog",
    "Offering": "inputs.catalog",
    "Plan": "planning.plan",
    "PlannerError": "errors",
    "PlanningInput": "serving.candidates",
    "Problem": "inputs.problem",
    "Purchase": "planning.plan",
    "Route": "planning.plan",
    "Row": "milp.rows",
    "Rule": "milp.family",
    "Scenario": "planning.scenarios",
    "SolverError": "errors",
    "Standing": "milp.family",
    "Status": "planning.plan",
    "TokenPrice": "inputs.catalog",
    "WhatIf": "planning.what_if",
    "WhyNot": "planning.explain",
    "Workload": "inputs.problem",
    "budget_frontier": "planning.frontier",
    "calibrate": "serving.calibrate",
    "confidence_range": "planning.confidence",
    "count_terms": "milp.rows",
    "diagnose": "planning.diagnose",
    "estimate": "serving.estimate",
    "evaluate": "planning.evaluate",
    "explain": "planning.explain",
    "explain_limits": "planning.limit_costs",
    "load_catalog": "inputs.catalog_files",
    "load_problem": "inputs.load",
    "load_scenarios": "planning.scenarios",
    "measure_next": "planning.measure_next",
    "owned_usd_per_hour": "inputs.owned",
    "prepare": "planning.prepare",
    "scenario_grid": "planning.scenarios",
    "solve": "planning.planner",
    "what_if": "planning.what_if",
}
"""Where each public name lives; to publish one, add it here and above."""

__all__ = ["__version__", *sorted(PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'milp_planner' has no attribute {name!r}")
    return getattr(import_module(f"milp_planner.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
