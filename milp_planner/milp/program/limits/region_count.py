"""No more regions than allowed."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.names_count import NamesCount


class RegionCount(NamesCount):
    """No more regions than allowed: places, whoever is there; where the place of a region is not
    known, each by the name that its provider gives it."""

    path = "limits.regions.max_count"
    keys = frozenset((path,))
    thing = "region"

    def most(self, problem: Problem) -> int | None:
        return problem.limits.regions.max_count

    def name_of(self, k: Candidate) -> str:
        return k.place or k.region
