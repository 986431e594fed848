"""No more types of GPU than allowed."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.names_count import NamesCount


class GpuCount(NamesCount):
    """No more types of GPU than allowed; an API shows none, and counts for none."""

    path = "limits.gpus.max_count"
    keys = frozenset((path,))
    thing = "GPU type"

    def most(self, problem: Problem) -> int | None:
        return problem.limits.gpus.max_count

    def name_of(self, k: Candidate) -> str:
        return k.gpu
