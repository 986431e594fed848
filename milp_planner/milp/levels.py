"""Splits utilization levels until the program charges the overload that a plan really owes.

The ramp is charged on a ratio, load ÷ capacity, and so is not linear. The program is a relaxation:
it charges a workload at the lower edge of its level. A plan is then evaluated exactly, and where it
owes more, its level is split in three,

    (floor, (floor + u) ÷ 2]     ((floor + u) ÷ 2, u - δ]     (u - δ, u]     and the rest above u

with u the plan's utilization. The narrow one holds this plan and charges what it owes; the middle
edge is for plans that move along the ramp by degrees, with a share served per token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from milp_planner.milp.model import FleetModel
from milp_planner.milp.variables import PIN_WIDTH
from milp_planner.planning.plan import Plan, WorkloadPlan

LEVEL_TERMS = ("overload", "strict_latency")
"""Penalties that the program charges by level."""


@dataclass
class Splits:
    """Edges between levels, by workload, beyond those that the penalties themselves ask for."""

    edges: dict[str, set[float]] = field(default_factory=dict)

    def refine(self, model: FleetModel, undercharged: Mapping[str, float], plan: Plan) -> bool:
        """Split the levels of workloads that owe more; False when no edge is new."""
        found = False
        for w in plan.workloads:
            if w.name in undercharged and w.penalties["overload"] > 0:
                known = self.edges.setdefault(w.name, set())
                new = _edges(model, w) - known
                known |= new
                found = found or bool(new)
        return found


def _edges(model: FleetModel, w: WorkloadPlan) -> set[float]:
    assert w.utilization is not None
    below = w.utilization * (1 - PIN_WIDTH)
    floors = [level.floor for level in model.fleet.levels[w.name] if level.floor < below]
    middle = (floors[-1] + w.utilization) / 2
    return {middle, below, w.utilization} if middle < below else {below, w.utilization}


def undercharged_usd(
    model: FleetModel, values: Mapping[str, float], plan: Plan, tolerance_usd: float
) -> dict[str, float]:
    """USD/month that workloads owe beyond what the program charges them, where that matters."""
    charged = dict.fromkeys((w.name for w in plan.workloads), 0.0)
    for (name, _), y in model.fleet.level_used.items():
        usd = sum(model.costs[term].get(y, 0.0) for term in LEVEL_TERMS)
        charged[name] += usd * round(values.get(y.name, 0.0))
    owed = {w.name: sum(w.penalties[term] for term in LEVEL_TERMS) for w in plan.workloads}
    return {
        name: owed[name] - charged[name]
        for name in charged
        if owed[name] - charged[name] > tolerance_usd / len(charged)
    }
