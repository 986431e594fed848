"""Where a plan owes or lacks more than its program knows, and how the next one knows.

The program is a relaxation that never charges too much: relax, evaluate the plan, refine where it
owes more, again, until program and plan agree. Where all load is on units, the overload ramp is
convex in their capacity, and is refined by one more tangent at the utilization of the plan. Where a
share is served per token or not at all, what the units could serve is split where the plan's can:
the ramp is exact there, whatever is on them (see `OverloadRamp`). The weights of several classes by
which a plan is as busy as it is come from a linear program. They do not say all where a limit keeps
requests from units that are less busy; then the units of every candidate are split at the plan's.

Of the pools that keep a wish for the wait a program knows some tangents, and is refined by those
that a plan breaks (see `QueueTimes`). Of what an offering's own queue carries it knows lines, and
is refined at the counts of units that a plan sends too much (see `OwnQueues`).

With several request classes a program knows what is left after a loss by some weights of the
classes alone (see `LossSurvived`), and is refined by those by which a plan has too little left. So
it is with what is served at all where no column says by whom: see `routes/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.candidates.rerouting import Rates
from milp_planner.milp.program.costs.overload import overload_usd
from milp_planner.milp.program.language.queue_cuts import QueueCut
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.language.variables import (
    RampSplit,
    is_ramp_convex,
)
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.limits.shares import ServedShare
from milp_planner.milp.program.limits.survival import LossSurvived, broken_losses
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.routed_fleets import learn_prices, learn_prices_in_part
from milp_planner.milp.program.rules.capacity import Capacity
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.overload import times_alone
from milp_planner.milp.program.rules.queue_times import (
    QueueTimes,
    cuts_broken,
    cuts_broken_in_part,
)
from milp_planner.milp.program.rules.queues.own_queues import OwnQueues, counts_short
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.losses import on_units
from milp_planner.plans.records import Plan, WorkloadPlan

TOLERANCE_USD, TOLERANCE = 0.005, 1e-6
"""Program and plan agree when they are this close, or this part of the plan's score."""

SAME = 1e-6
"""Relative: weights that come so near to what a plan owes say all of it."""

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
        if is_ramp_convex(model.fleet.instance, model.fleet.problem.workload(w.name)):
            continue
        charged = w.penalties["overload"] - undercharged[w.name]
        found = set(_hot_blocks(model, plan, w, charged))
        splits.headrooms.setdefault(w.name, set()).update(found)
    return splits.count > before


def _hot_blocks(
    model: FleetModel, plan: Plan, w: WorkloadPlan, charged_usd: float
) -> Iterator[RampSplit]:
    """What the units could serve in blocks in which a workload owes more than it is charged."""
    penalties = model.fleet.problem.policy.active_penalties
    rented = [p for p in plan.purchases_of(w.name) if not p.candidate.mode.per_token]
    busiest = 0.0
    for t in model.fleet.busy(w.name):
        served, (times, by_served) = on_units(model.fleet.instance, plan, w.name, t)
        if times and overload_usd(penalties, 1 / times) > charged_usd:
            busiest = max(busiest, 1 / times)
            shares = [q.share for q in model.fleet.demand(w.name).classes]
            weights = _of_the_mix(by_served, served, shares)
            could = sum(
                p.units_by_block[t] * times_alone(model.fleet, p.candidate, t, weights)
                for p in rented
            )
            yield RampSplit(t, could, weights)
    if overload_usd(penalties, busiest) < w.penalties["overload"] * (1 - SAME):
        for t in model.fleet.busy(w.name):
            yield from (
                RampSplit(t, p.units_by_block[t], candidate=p.candidate)
                for p in rented
                if p.units_by_block[t]
            )


def unknown_to(model: FleetModel) -> tuple[type[Rule], ...]:
    """Rules that a program does not know all of, but learns from plans that break them."""
    instance = model.fleet.instance
    losses = (LossSurvived,) if _counts_losses_by_weights(instance) else ()
    waits = (QueueTimes, OwnQueues) if counts_times_by_tangents(instance) else ()
    routes = (Coverage, Capacity, ServedShare) if model.fleet.prices else ()
    return (*losses, *waits, *routes)


def learn(splits: Splits, model: FleetModel, solution: FleetSolution, plan: Plan) -> bool:
    """Add all by which a plan is none as programs know it from now on; False when none is new."""
    if learn_prices(splits, model, solution):
        return True
    losses = _refine_losses(splits, model.fleet.instance, plan)
    return _refine_times(splits, model, plan) or losses


def learns_from_parts(model: FleetModel) -> bool:
    """True where fractions of units teach a program what it does not know yet."""
    return counts_times_by_tangents(model.fleet.instance) or bool(model.fleet.prices)


def learn_from_parts(splits: Splits, model: FleetModel, values: Mapping[str, float]) -> bool:
    """Add what fractions of units break, where that matters; False when none is new."""
    prices = learn_prices_in_part(splits, model, values)
    waits = counts_times_by_tangents(model.fleet.instance) and _has_cuts(
        splits, cuts_broken_in_part(model.fleet, values)
    )
    return prices or waits


def _counts_losses_by_weights(instance: PlanningInput) -> bool:
    """True where a program may take a plan for one that survives a loss, and it does not."""
    return instance.problem.limits.survival is not None and any(
        len(demand.classes) > 1 for demand in instance.schedule.demands.values()
    )


def _refine_losses(splits: Splits, instance: PlanningInput, plan: Plan) -> bool:
    """Add the weights by which the plan has too little left; False when none is new."""
    before = splits.count
    for w in plan.workloads:
        classes = instance.schedule.demands[w.name].classes
        for loss in broken_losses(instance, plan, w.name):
            shares = [q.share for q in classes]
            weights = _of_the_mix(loss.weights, loss.served_by_class, shares)
            splits.weights.setdefault(w.name, {}).setdefault(weights)
    return splits.count > before


def counts_times_by_tangents(instance: PlanningInput) -> bool:
    """True where a program may take a plan for one that keeps its waits, and it does not."""
    return any(w.latency.judges_queues for w in instance.problem.workloads)


def _refine_times(splits: Splits, model: FleetModel, plan: Plan) -> bool:
    """Add the tangents that the plan's pools break, and the counts of units of which queues of
    their own are sent too much; False when none is new."""
    before = splits.count
    for workload, count in counts_short(model.fleet.instance, plan):
        splits.counts.setdefault(workload, {}).setdefault(count)
    has_cuts = _has_cuts(splits, cuts_broken(model.fleet, plan))
    return has_cuts or splits.count > before


def _has_cuts(splits: Splits, found: Iterable[tuple[str, QueueCut]]) -> bool:
    before = splits.count
    for workload, cut in found:
        splits.cuts.setdefault(workload, {}).setdefault(cut)
    return splits.count > before


def _of_the_mix(
    weights: Rates, served_by_class: Rates, shares: Sequence[float]
) -> tuple[float, ...]:
    """Weights of what is served for the workload's own mix: some of a class may not be.

    What is next to nothing is left out: whatever is said by weights is true of any.
    """
    by_share = [
        weight * share / served if served else 0.0
        for weight, share, served in zip(weights, shares, served_by_class, strict=True)
    ]
    kept = [weight if weight > LEAST_WEIGHT * max(by_share) else 0.0 for weight in by_share]
    return tuple(round(weight / sum(kept), 12) for weight in kept)


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
