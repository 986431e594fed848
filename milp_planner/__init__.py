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
    from milp_planner.candidates.records import Candidate, PlanningInput
    from milp_planner.errors import InputError, PlannerError, SolverError
    from milp_planner.inputs.catalog.files import load_catalog
    from milp_planner.inputs.catalog.owned import owned_usd_per_hour
    from milp_planner.inputs.catalog.records import (
        Catalog,
        Gpu,
        Llm,
        Measurement,
        Offering,
        TokenPrice,
    )
    from milp_planner.inputs.problem.load import load_problem
    from milp_planner.inputs.problem.records import Problem, Workload
    from milp_planner.milp.program.language.rows import Row, count_terms
    from milp_planner.milp.program.language.rule import Rule, Standing
    from milp_planner.milp.program.language.variables import Fleet
    from milp_planner.plans.measure_next import MeasureNext, measure_next
    from milp_planner.plans.records import Diagnosis, Plan, Purchase, Route, Status
    from milp_planner.questions.confidence import ConfidenceRange, confidence_range
    from milp_planner.questions.deployments.calibrate import Calibrated, calibrate
    from milp_planner.questions.deployments.estimate import Estimate, estimate
    from milp_planner.questions.evaluate import Evaluation, evaluate
    from milp_planner.questions.reasons.explain import WhyNot, explain
    from milp_planner.questions.reasons.limit_costs import LimitCosts, explain_limits
    from milp_planner.questions.solve import diagnose, solve
    from milp_planner.questions.sweeps.frontier import Frontier, budget_frontier
    from milp_planner.questions.sweeps.scenarios import Scenario, load_scenarios, scenario_grid
    from milp_planner.questions.sweeps.what_if import WhatIf, what_if
    from milp_planner.solving.prepare import prepare

PUBLIC = {
    "Calibrated": "questions.deployments.calibrate",
    "Candidate": "candidates.records",
    "Catalog": "inputs.catalog.records",
    "ConfidenceRange": "questions.confidence",
    "Diagnosis": "plans.records",
    "Estimate": "questions.deployments.estimate",
    "Evaluation": "questions.evaluate",
    "Fleet": "milp.program.language.variables",
    "Frontier": "questions.sweeps.frontier",
    "Gpu": "inputs.catalog.records",
    "InputError": "errors",
    "LimitCosts": "questions.reasons.limit_costs",
    "Llm": "inputs.catalog.records",
    "MeasureNext": "plans.measure_next",
    "Measurement": "inputs.catalog.records",
    "Offering": "inputs.catalog.records",
    "Plan": "plans.records",
    "PlannerError": "errors",
    "PlanningInput": "candidates.records",
    "Problem": "inputs.problem.records",
    "Purchase": "plans.records",
    "Route": "plans.records",
    "Row": "milp.program.language.rows",
    "Rule": "milp.program.language.rule",
    "Scenario": "questions.sweeps.scenarios",
    "SolverError": "errors",
    "Standing": "milp.program.language.rule",
    "Status": "plans.records",
    "TokenPrice": "inputs.catalog.records",
    "WhatIf": "questions.sweeps.what_if",
    "WhyNot": "questions.reasons.explain",
    "Workload": "inputs.problem.records",
    "budget_frontier": "questions.sweeps.frontier",
    "calibrate": "questions.deployments.calibrate",
    "confidence_range": "questions.confidence",
    "count_terms": "milp.program.language.rows",
    "diagnose": "questions.solve",
    "estimate": "questions.deployments.estimate",
    "evaluate": "questions.evaluate",
    "explain": "questions.reasons.explain",
    "explain_limits": "questions.reasons.limit_costs",
    "load_catalog": "inputs.catalog.files",
    "load_problem": "inputs.problem.load",
    "load_scenarios": "questions.sweeps.scenarios",
    "measure_next": "plans.measure_next",
    "owned_usd_per_hour": "inputs.catalog.owned",
    "prepare": "solving.prepare",
    "scenario_grid": "questions.sweeps.scenarios",
    "solve": "questions.solve",
    "what_if": "questions.sweeps.what_if",
}
"""Where each public name lives; to publish one, add it here and above."""

__all__ = ["__version__", *sorted(PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'milp_planner' has no attribute {name!r}")
    return getattr(import_module(f"milp_planner.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
