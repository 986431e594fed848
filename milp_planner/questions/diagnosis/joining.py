"""Whether units joined to one replica would serve what no unit alone holds."""

from __future__ import annotations

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.deployment import MOST_UNITS_JOINED
from milp_planner.inputs.problem.patching import Patch
from milp_planner.plans.diagnosis import Change
from milp_planner.plans.records import Status
from milp_planner.questions.diagnosis.misfit import is_too_big_for_a_unit
from milp_planner.questions.diagnosis.smallest_change import Trials
from milp_planner.solving.re_solve import cash_of, fleet_line, stranded


def joined_units(trials: Trials, instance: PlanningInput) -> Change | None:
    """As few joined units as serve the workload that nothing serves; None where none do, where
    several workloads are not served, or where memory is not what they lack."""
    names = tuple(stranded(instance))
    if len(names) != 1 or not _may_be_joined(instance, names[0]):
        return None
    path = f"workloads.{names[0]}.deployment.units_per_replica"
    is_sure = True
    for units in range(2, MOST_UNITS_JOINED + 1):
        patch: Patch = {path: units}
        plan = trials.plan(patch)
        if plan is None:
            is_sure = is_sure and trials.is_infeasible(patch)
            continue
        return Change(
            path=path,
            now="1 unit",
            text=f"join {units} units to one replica",
            patch=patch,
            too_little={path: units - 1} if units > 2 else None,
            cash_usd_per_month=cash_of(plan),
            fleet=fleet_line(plan),
            proven=is_sure and plan.status is Status.OPTIMAL,
        )
    return None


def _may_be_joined(instance: PlanningInput, name: str) -> bool:
    if instance.problem.policy.serving_model == "infrascale":  # its formulas join no units
        return False
    deployment = instance.problem.workload(name).deployment
    return deployment.units_per_replica is None and is_too_big_for_a_unit(instance, name)
