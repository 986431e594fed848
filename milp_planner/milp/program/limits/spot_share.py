"""Interruptible capacity serves no more than its share of a workload's requests."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.shares import ServedShare, in_force


class SpotShare(ServedShare):
    """Interruptible capacity serves no more than its share of a workload's requests.

    Σ_{k spot} Σ_q λ_qt x_qkt ≤ σ Σ_q λ_qt (1 − s_qt)      ∀ w, t      [requests/s]
    """

    path = "limits.max_spot_share"
    keys = frozenset((path,))
    nearness = 41
    server = "spot"

    def share(self, problem: Problem) -> float | None:
        return in_force(problem.limits.max_spot_share)

    def group_of(self, k: Candidate) -> str:
        return "interruptible capacity" if k.mode.interruptible else ""
