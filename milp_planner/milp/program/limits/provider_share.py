"""No provider serves more than its share of a workload's requests."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.shares import ServedShare, in_force


class ProviderShare(ServedShare):
    """No provider serves more than its share of a workload's requests, at the peak of any block.

    Σ_{k ∈ π} Σ_q λ_qt x_qkt ≤ σ Σ_q λ_qt (1 − s_qt)      ∀ w, π, t      [requests/s]
    """

    path = "limits.providers.max_share"
    keys = frozenset((path,))
    nearness = 40
    server = "one provider"
    kind = "provider "

    def share(self, problem: Problem) -> float | None:
        return in_force(problem.limits.providers.max_share)

    def group_of(self, k: Candidate) -> str:
        return k.owner
