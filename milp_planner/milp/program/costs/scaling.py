"""A price per GPU beyond a count."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.cost import Penalty, Usage
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms


class Scaling(Penalty):
    """Σ_w (USD per GPU) e_w, e_w the workload's GPUs beyond the count (InferenceAtlas: 8)."""

    name = "scaling"
    keys = frozenset(
        (
            *("policy.preset", "policy.penalties.scaling.above_gpus"),
            *("policy.penalties.scaling.usd_per_gpu", "policy.penalties.scaling.per"),
        )
    )

    def terms(self, fleet: Fleet) -> Terms:
        penalty = fleet.problem.policy.active_penalties.scaling
        if penalty is None:
            return {}
        return {extra: penalty.usd_per_gpu for extra in fleet.extra_gpus.values()}

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in has no more GPUs."""
        if instance.problem.policy.active_penalties.scaling is None:
            return FREE
        return Standing(uses=(float(k.gpus_per_unit),))

    def workload_usd(self, instance: PlanningInput, workload: str, usage: Usage) -> float:
        penalty = instance.problem.policy.active_penalties.scaling
        if penalty is None:
            return 0.0
        return penalty.usd_per_gpu * max(0, usage.most_gpus - penalty.above_gpus)
