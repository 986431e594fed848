"""No more regions than allowed."""

from __future__ import annotations

from milp_planner.inputs.problem import Problem
from milp_planner.milp.limits.names_count import NamesCount
from milp_planner.serving.candidates import Candidate


class RegionCount(NamesCount):
    """No more regions than allowed, each by the name that its provider gives it."""

    path = "limits.regions.max_count"
    keys = frozenset((path,))
    thing = "region"

    def most(self, problem: Problem) -> int | None:
        return problem.limits.regions.max_count

    def name_of(self, k: Candidate) -> str:
        return k.region
