"""A ramp on utilization above a threshold."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.milp.program.language.cost import Penalty, Usage
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms


class Overload(Penalty):
    """Σ_w (USD at full load) o_w, a lower bound of what a plan owes: see `OverloadRamp`."""

    name = "overload"
    keys = frozenset(
        (
            *("policy.preset", "policy.penalties.overload.above"),
            "policy.penalties.overload.usd_at_full_load",
        )
    )

    def terms(self, fleet: Fleet) -> Terms:
        ramp = fleet.problem.policy.active_penalties.overload
        if ramp is None:
            return {}
        return dict.fromkeys(fleet.overload.values(), ramp.usd_at_full_load)

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """All candidates of a workload run at the same utilization."""
        return FREE

    def workload_usd(self, instance: PlanningInput, workload: str, usage: Usage) -> float:
        return overload_usd(instance.problem.policy.active_penalties, usage.utilization)


def overload_usd(penalties: Penalties, utilization: float) -> float:
    """USD/month × (u - above) ÷ (1 - above) beyond the threshold, not capped (InferenceAtlas)."""
    ramp = penalties.overload
    if ramp is None or ramp.above >= 1:
        return 0.0
    return max(0.0, ramp.usd_at_full_load * (utilization - ramp.above) / (1 - ramp.above))
