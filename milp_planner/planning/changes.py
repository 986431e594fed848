"""From today's fleet to a plan: what to keep, what to add, what to remove."""

from __future__ import annotations

from dataclasses import dataclass

from milp_planner.milp.limits import unit_change_of
from milp_planner.planning.plan import Plan
from milp_planner.serving.candidates import PlanningInput


@dataclass(frozen=True)
class Change:
    """What happens to the units of one offering for one workload."""

    workload: str
    offering: str
    billing: str
    today: int
    """Units running today."""

    planned: int
    """Units of the plan in the workload's busiest block."""

    @property
    def keep(self) -> int:
        """Units that stay."""
        return min(self.today, self.planned)

    @property
    def add(self) -> int:
        """Units to rent besides."""
        return max(0, self.planned - self.today)

    @property
    def remove(self) -> int:
        """Units to give back."""
        return max(0, self.today - self.planned)

    def __str__(self) -> str:
        counts = {"keep": self.keep, "add": self.add, "remove": self.remove}
        said = ", ".join(f"{verb} {units}" for verb, units in counts.items() if units)
        return f"{said} x {self.offering} {self.billing} for {self.workload}"


def changes(given: PlanningInput, plan: Plan) -> tuple[Change, ...]:
    """One row per offering, billing and workload, of today's fleet or of the plan.

    Units are compared in the workload's busiest block, all replica configurations together;
    per-token use has no units and is left out.
    """
    current = given.current_units()
    deltas = unit_change_of(given, plan.purchases)
    rows = (
        Change(workload, offering, billing, today, today + delta)
        for (offering, billing, workload), delta in deltas.items()
        for today in [current.get((offering, billing, workload), 0)]
    )
    order = {w.name: i for i, w in enumerate(given.problem.workloads)}
    return tuple(sorted(rows, key=lambda c: (order[c.workload], c.offering, c.billing)))
