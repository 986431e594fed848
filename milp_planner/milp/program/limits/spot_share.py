"""Interruptible capacity stays under its share of a workload's capacity."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.capacity import useful_replicas
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.limits.shares import CapacityShare, in_force


class SpotShare(CapacityShare):
    """Interruptible capacity stays under its share of a workload's capacity.

    Σ_{k spot} μ_k n_kt ≤ σ Σ_k μ_k n_kt      ∀ w, t      [requests/s]
    """

    path = "limits.spot_share"
    keys = frozenset((path,))
    nearness = 41
    holder = "spot hold"

    def share(self, problem: Problem) -> float | None:
        return in_force(problem.limits.spot_share)

    def group_of(self, k: Candidate) -> str:
        return "interruptible capacity" if k.mode.interruptible else ""

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A bigger stand-in, or several, could push spot over its share."""
        size = (*k.requests_per_second, useful_replicas(instance.problem, k))
        return Standing(same=(self.group_of(k), *size))
