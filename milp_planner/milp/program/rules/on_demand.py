"""At least so many replicas that nobody may interrupt are up whenever a workload has load."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import SteppedLimit, plural
from milp_planner.milp.program.rules.replicas import LeastReplicas


class OnDemandReplicas(LeastReplicas):
    """At least so many replicas that nobody may interrupt are up whenever a workload has load.

    Reserved and owned units count as those on demand do. What only an API can serve has none, and
    batch work may rest.
    """

    path = "limits.min_on_demand_replicas"
    keys = frozenset((path,))
    nearness = 41
    which = " that are not spot"

    def least(self, problem: Problem, w: Workload) -> int:
        """The limit, the same for every workload."""
        return problem.limits.min_on_demand_replicas or 0

    def concerns(self, instance: PlanningInput, w: Workload) -> bool:
        """Those that have a candidate paid by the unit, and load that cannot wait."""
        if instance.schedule.demands[w.name].can_wait:
            return False
        return any(not k.mode.per_token for k in instance.candidates.of(w.name))

    def counts(self, k: Candidate) -> bool:
        """True of what is neither spot nor an API."""
        return not (k.mode.interruptible or k.mode.per_token)

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        """One fewer after another."""
        least = instance.problem.limits.min_on_demand_replicas
        if least is not None:
            yield SteppedLimit(
                self.path,
                plural(least, "replica"),
                {self.path: None},
                looser=lambda plan: range(least - 1, 0, -1),
                patch=lambda n: {self.path: n},
                text=lambda n: f"ask for {plural(n, 'replica')} on demand",
                shown=lambda n: plural(n, "replica"),
            )
