"""No provider holds more than its share of a workload's capacity."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.capacity import useful_replicas
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.limits.shares import CapacityShare, in_force


class ProviderShare(CapacityShare):
    """No provider holds more than its share of a workload's capacity.

        Σ_{k ∈ π} μ_k n_kt ≤ σ Σ_k μ_k n_kt      ∀ w, π, t      [requests/s]

    Linear because σ is data: the share of what is bought, not of what is needed.
    """

    path = "limits.providers.max_share"
    keys = frozenset((path,))
    nearness = 40
    holder = "one provider hold"
    kind = "provider "

    def share(self, problem: Problem) -> float | None:
        return in_force(problem.limits.providers.max_share)

    def group_of(self, k: Candidate) -> str:
        return k.provider

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A bigger stand-in, several, or one on in more blocks, could push its provider over."""
        problem = instance.problem
        size = (*k.requests_per_second, useful_replicas(problem, k))
        return Standing(same=(k.provider, *size, is_elastic(problem, k)))
