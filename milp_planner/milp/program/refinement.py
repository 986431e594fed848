"""Where a plan owes or lacks more than its program knows, and how the next one knows.

The program is a relaxation that never charges too much: relax, evaluate the plan, refine where it
owes more, again, until program and plan agree. Where all load is on units, the overload ramp is
convex in their capacity, and is refined by one more tangent at the utilization u of the plan. Where
a share is served per token or not at all, it is charged by level, and the level of a plan that owes
more is split at u besides:

    (floor, (floor + u) ÷ 2]     ((floor + u) ÷ 2, u - δ]     (u - δ, ceiling]

With several request classes a program knows what is left after a loss by some weights of the
classes alone (see `LossSurvived`), and is refined by those by which a plan has too little left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.milp.program.language.variables import JUST_BELOW
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.limits.survival import broken_losses
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.losses import AfterLoss
from milp_planner.plans.records import Plan, WorkloadPlan

TOLERANCE_USD, TOLERANCE = 0.005, 1e-6
"""Program and plan agree when they are this close, or this part of the plan's score."""

LEAST_WEIGHT = 1e-6
"""Relative: the least weight of a class that is kept."""


def refine(
    splits: Splits, model: FleetModel, undercharged: Mapping[str, float], plan: Plan
) -> bool:
    """Add splits for workloads that owe more than they are charged; False when none is new."""
    before = splits.count
    for w in plan.workloads:
        if w.name not in undercharged or w.penalties["overload"] <= 0:
            continue
        assert w.utilization is not None
        splits.tangents.setdefault(w.name, set()).add(w.utilization)
        # several classes have no tangents by level, so that only edges raise their charge
        if model.fleet.routed(w.name) or _leaves_load_off_units(plan, w):
            splits.edges.setdefault(w.name, set()).update(_edges(model, w.name, w.utilization))
    return splits.count > before


def counts_losses_by_weights(instance: PlanningInput) -> bool:
    """True where a program may take a plan for one that survives a loss, and it does not."""
    return instance.problem.limits.survival is not None and any(
        len(demand.classes) > 1 for demand in instance.schedule.demands.values()
    )


def refine_losses(splits: Splits, instance: PlanningInput, plan: Plan) -> bool:
    """Add the weights by which the plan has too little left; False when none is new."""
    before = splits.count
    for w in plan.workloads:
        classes = instance.schedule.demands[w.name].classes
        for loss in broken_losses(instance, plan, w.name):
            shares = [q.share for q in classes]
            weights = _of_the_mix(loss, shares)
            splits.weights.setdefault(w.name, {}).setdefault(weights)
    return splits.count > before


def _of_the_mix(loss: AfterLoss, shares: Sequence[float]) -> tuple[float, ...]:
    """The weights of a loss for the workload's own mix: some of a class may not be served.

    What is next to nothing is left out: any weights are true of a fleet that survives.
    """
    by_share = [
        weight * share / served if served else 0.0
        for weight, share, served in zip(loss.weights, shares, loss.served_by_class, strict=True)
    ]
    kept = [weight if weight > LEAST_WEIGHT * max(by_share) else 0.0 for weight in by_share]
    return tuple(round(weight / sum(kept), 12) for weight in kept)


def _leaves_load_off_units(plan: Plan, w: WorkloadPlan) -> bool:
    per_token = any(p.candidate.mode.per_token for p in plan.purchases_of(w.name))
    return per_token or w.shortfall_share > 0


def _edges(model: FleetModel, workload: str, u: float) -> set[float]:
    below = u * (1 - JUST_BELOW)
    floors = [level.floor for level in model.fleet.levels[workload] if level.floor < below]
    middle = (floors[-1] + u) / 2
    return {middle, below} if middle < below else {below}


def charges_by_utilization(model: FleetModel) -> bool:
    """True where the program may charge a plan less than it owes."""
    return bool(model.fleet.level_used or model.fleet.overload)


def tolerance_usd(score_usd_per_month: float) -> float:
    """How close the program must come to a plan of this score, USD/month."""
    return max(TOLERANCE_USD, TOLERANCE * abs(score_usd_per_month))


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
    assert plan.score_usd_per_month is not None
    matters = tolerance_usd(plan.score_usd_per_month) / 2 / len(charged)
    return {
        name: owed[name] - charged[name] for name in charged if owed[name] - charged[name] > matters
    }
