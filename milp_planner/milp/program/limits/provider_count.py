"""No more providers than allowed."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.variables import Fleet, ceil_snapped
from milp_planner.milp.program.limits.names_count import NamesCount
from milp_planner.milp.program.limits.shares import in_force


class ProviderCount(NamesCount):
    """No more providers than allowed.

    Where no provider may serve more than a share σ, and all is served: Σ_π z_π ≥ ⌈1 ÷ σ⌉. That
    follows from the rest; said, the solvers need no search to see that the maximum is too small.
    """

    path = "limits.providers.max_count"
    keys = frozenset((path,))
    thing = "provider"

    def most(self, problem: Problem) -> int | None:
        return problem.limits.providers.max_count

    def name_of(self, k: Candidate) -> str:
        return k.owner

    def rows_besides(self, fleet: Fleet) -> Iterator[Row]:
        share = in_force(fleet.problem.limits.providers.max_share)
        if share is not None and not fleet.shortfalls:
            every = [used for (rule, _), used in fleet.used.items() if rule == self.name]
            yield Row("enough", dict.fromkeys(every, 1.0), GE, ceil_snapped(1 / share))
