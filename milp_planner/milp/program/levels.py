"""Utilization levels, and how the overload ramp, charged on a ratio, becomes exact.

    ramp(u) = max(0, (u - a) ÷ (1 - a)) × USD at full load,        u = load ÷ capacity

The program is a relaxation that never charges too much: relax, evaluate the plan, refine where it
owes more, again, until program and plan agree. `OverloadRamp` has the rows. Where all load is on
units, the ramp is convex in their capacity, and is refined by one more tangent at the utilization u
of the plan. Where a share is served per token or not at all, it is charged by level, and the level
of a plan that owes more is split at u besides:

    (floor, (floor + u) ÷ 2]     ((floor + u) ÷ 2, u - δ]     (u - δ, ceiling]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.costs.strict_latency import HIGH_BAND_FLOOR, is_strict
from milp_planner.milp.program.language.variables import (
    JUST_BELOW,
    Level,
    can_overload,
    is_ramp_convex,
    utilization_limit,
)
from milp_planner.plans.records import Plan, WorkloadPlan

if TYPE_CHECKING:
    from milp_planner.milp.program.model import FleetModel

FIRST_TANGENTS = 6
"""Tangents of a fresh program: over a ramp from 90 % to 120 % they miss at most $200 of $60,000."""

TOLERANCE_USD = 0.05
"""Program and plan agree when they are this close, ..."""

LEVEL_TOLERANCE_USD = 1.0
"""... or this close where the ramp is charged by level."""


@dataclass
class Splits:
    """Utilizations, by workload, at which the ramp is charged exactly."""

    edges: dict[str, set[float]] = field(default_factory=dict)
    """Edges between levels."""

    tangents: dict[str, set[float]] = field(default_factory=dict)

    def refine(self, model: FleetModel, undercharged: Mapping[str, float], plan: Plan) -> bool:
        """Add those of workloads that owe more than they are charged; False when none is new."""
        before = self._size()
        for w in plan.workloads:
            if w.name not in undercharged or w.penalties["overload"] <= 0:
                continue
            assert w.utilization is not None
            self.tangents.setdefault(w.name, set()).add(w.utilization)
            # several classes have no tangents by level, so that only edges raise their charge
            if model.fleet.routed(w.name) or _leaves_load_off_units(plan, w):
                self.edges.setdefault(w.name, set()).update(_edges(model, w.name, w.utilization))
        return self._size() > before

    def _size(self) -> int:
        return sum(map(len, (*self.edges.values(), *self.tangents.values())))


def _leaves_load_off_units(plan: Plan, w: WorkloadPlan) -> bool:
    per_token = any(p.candidate.mode.per_token for p in plan.purchases_of(w.name))
    return per_token or w.shortfall_share > 0


def _edges(model: FleetModel, workload: str, u: float) -> set[float]:
    below = u * (1 - JUST_BELOW)
    floors = [level.floor for level in model.fleet.levels[workload] if level.floor < below]
    middle = (floors[-1] + u) / 2
    return {middle, below} if middle < below else {below}


def utilization_levels(given: PlanningInput, splits: Splits) -> dict[str, tuple[Level, ...]]:
    """The levels of every workload: one, unless a penalty tells utilizations apart."""
    return {
        w.name: tuple(_levels(given, w, splits.edges.get(w.name, ())))
        for w in given.problem.workloads
    }


def _levels(given: PlanningInput, workload: Workload, splits: Iterable[float]) -> Iterable[Level]:
    highest = utilization_limit(given.problem, workload)
    penalties = given.problem.policy.active_penalties
    edges: set[float] = set()
    if can_overload(given.problem, workload) and not is_ramp_convex(given, workload):
        assert penalties.overload is not None
        edges |= {penalties.overload.above, *splits}
    if penalties.strict_latency is not None and is_strict(penalties, workload):
        edges.add(HIGH_BAND_FLOOR)
    ceilings = [*sorted(edge for edge in edges if 0 < edge < highest), highest]
    return map(Level, [0.0, *ceilings], ceilings)


def ramp_tangents(given: PlanningInput, splits: Splits) -> dict[str, tuple[float, ...]]:
    """Utilizations at which a workload's ramp has a tangent: evenly spread ones, and the splits."""
    tangents = {}
    ramp = given.problem.policy.active_penalties.overload
    for w in given.problem.workloads:
        if ramp is not None and can_overload(given.problem, w):
            width = utilization_limit(given.problem, w) - ramp.above
            steps = range(FIRST_TANGENTS)
            first = {ramp.above + width * step / (FIRST_TANGENTS - 1) for step in steps}
            tangents[w.name] = tuple(sorted(first | splits.tangents.get(w.name, set())))
    return tangents


def charges_by_utilization(model: FleetModel) -> bool:
    """True where the program may charge a plan less than it owes."""
    return bool(model.fleet.level_used or model.fleet.overload)


def tolerance_usd(model: FleetModel) -> float:
    """How close the program and the plan must come."""
    given = model.fleet.given
    convex = all(
        is_ramp_convex(given, given.problem.workload(name)) for name in model.fleet.overload
    )
    return TOLERANCE_USD if convex else LEVEL_TOLERANCE_USD


def undercharged_usd(
    model: FleetModel, values: Mapping[str, float], plan: Plan
) -> dict[str, float]:
    """USD/month that workloads owe beyond what the program charges them, where that matters."""
    fleet = model.fleet
    charged = dict.fromkeys((w.name for w in plan.workloads), 0.0)
    for (name, _), y in fleet.level_used.items():
        charged[name] += model.costs["strict_latency"].get(y, 0.0) * round(values.get(y.name, 0.0))
    for name, overload in fleet.overload.items():
        charged[name] += model.costs["overload"][overload] * values.get(overload.name, 0.0)
    owed = {w.name: w.penalties["overload"] + w.penalties["strict_latency"] for w in plan.workloads}
    matters = tolerance_usd(model) / 2 / len(charged)
    return {
        name: owed[name] - charged[name] for name in charged if owed[name] - charged[name] > matters
    }
