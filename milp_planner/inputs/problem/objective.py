"""What `objective: gpus` goes together with, and what it does not."""

from __future__ import annotations

from typing import Any

from milp_planner.errors import RecordError
from milp_planner.inputs.problem.policy import Utilization

FULL = Utilization(target=1.0)


def with_objective(problem: Any) -> Any:
    """The problem, once its objective fits what else it says.

    Under InfraScale's formulas the fewest GPUs are counted as that tool counts them, at full load,
    unless the problem states a utilization. Raises RecordError for what contradicts the objective.
    """
    if problem.objective != "gpus":
        return problem
    if problem.policy.active_penalties.shortfall is not None:
        raise RecordError(
            "with a price on unserved requests the fewest GPUs are none at all; leave out "
            "policy.penalties.shortfall, or plan by cost",
            at=("objective",),
        )
    if problem.alternatives.within is not None:
        raise RecordError(
            "a band of cost says nothing of plans with the fewest GPUs; leave out "
            "alternatives.within, or plan by cost",
            at=("objective",),
        )
    policy = problem.policy
    if policy.serving_model == "infrascale" and "utilization" not in policy.model_fields_set:
        problem.__dict__["policy"] = policy.model_copy(update={"utilization": FULL})
    return problem
