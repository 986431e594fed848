"""No more types of GPU than allowed."""

from __future__ import annotations

from milp_planner.inputs.problem import Problem
from milp_planner.milp.limits.names_count import NamesCount
from milp_planner.serving.candidates import Candidate


class GpuCount(NamesCount):
    """No more types of GPU than allowed; an API shows none, and counts for none."""

    path = "limits.gpus.max_count"
    keys = frozenset((path,))
    thing = "GPU type"

    def most(self, problem: Problem) -> int | None:
        return problem.limits.gpus.max_count

    def name_of(self, k: Candidate) -> str:
        return k.gpu
