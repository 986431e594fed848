"""A price on the high band for workloads with a strict latency requirement."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import is_strict
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.cost import Penalty, Usage
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Level, Terms
from milp_planner.plans.records import MEDIUM_BAND, SNAP

HIGH_BAND_FLOOR = 0.75


class StrictLatency(Penalty):
    """Σ_wl USD/month · y_wl for strict workloads at levels in the high band."""

    name = "strict_latency"
    keys = frozenset(
        (
            *("policy.preset", "policy.penalties.strict_latency.below"),
            *("policy.penalties.strict_latency.usd", "workloads.latency.requirement"),
        )
    )

    def terms(self, fleet: Fleet) -> Terms:
        terms: Terms = {}
        for (name, level), y in fleet.level_used.items():
            workload = fleet.problem.workload(name)
            penalties = fleet.problem.policy.active_penalties
            terms[y] = _level_usd(penalties, workload, fleet.levels[name][level])
        return terms

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """All candidates of a workload run at the same utilization."""
        return FREE

    def workload_usd(self, instance: PlanningInput, workload: str, usage: Usage) -> float:
        penalties = instance.problem.policy.active_penalties
        is_hot = usage.utilization > MEDIUM_BAND * (1 + SNAP)
        if penalties.strict_latency is None or not is_hot:
            return 0.0
        is_owed = is_strict(penalties, instance.problem.workload(workload))
        return penalties.strict_latency.usd if is_owed else 0.0


def _level_usd(penalties: Penalties, workload: Workload, level: Level) -> float:
    """The penalty if the level is in the high band and the requirement below the threshold."""
    if penalties.strict_latency is None or not is_strict(penalties, workload):
        return 0.0
    return penalties.strict_latency.usd if level.floor >= HIGH_BAND_FLOOR else 0.0
