"""Who serves which share of each class: what a solver routed, and what follows from capacity."""

from __future__ import annotations

from dataclasses import replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import has_one_router
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Route

NOTHING = 1e-7
"""Shares smaller than this are noise of a solver."""

Shares = dict[tuple[int, int], dict[Candidate, float]]
"""Who serves which share of a class (index) in a block (index)."""


def shares_by_workload(solution: FleetSolution) -> dict[str, Shares]:
    chosen: dict[str, Shares] = {}
    for (k, q, t), share in solution.shares.items():
        if share > NOTHING:
            chosen.setdefault(k.workload, {}).setdefault((q, t), {})[k] = share
    return chosen


def routes_of(
    instance: PlanningInput, solution: FleetSolution, workload: str, chosen: Shares
) -> list[Route]:
    """Who serves which share; one class that is not routed goes to units by their capacity."""
    demand = instance.schedule.demands[workload]
    by_capacity = spreads_by_capacity(instance, workload)
    one_router = has_one_router(instance.problem, instance.problem.workload(workload))
    routes = []
    for t, block in enumerate(instance.schedule.blocks):
        if demand.peak[t] <= 0:
            continue
        for q, request_class in enumerate(demand.classes):
            shares = chosen.get((q, t), {})
            if one_router:
                shares = {k: x for k, x in shares.items() if k.mode.per_token}
            short = solution.shortfalls.get((workload, q, t), 0.0)
            is_routed = any(not k.mode.per_token for k in shares)
            if by_capacity and not is_routed:
                shares |= _by_capacity(solution, workload, t, 1 - short - sum(shares.values()))
            shares = shares if demand.can_wait else _normalised(shares, 1 - short)
            rate = request_class.share * demand.peak[t]
            routes += [
                Route(k, request_class, block, share, share * rate)
                for k, share in sorted(shares.items(), key=lambda item: item[0].id)
            ]
    return routes


def spreads_by_capacity(instance: PlanningInput, workload: str) -> bool:
    """True where units serve in proportion to what they can, unless a solver says otherwise.

    So it is with one class, and where queues are judged.
    """
    demand = instance.schedule.demands[workload]
    if demand.can_wait:
        return False  # what is done when, the program says
    shared = instance.problem.workload(workload).latency.judges_queues
    return shared or len(demand.classes) == 1


def routed_alike(
    instance: PlanningInput, solution: FleetSolution, workload: str
) -> FleetSolution | None:
    """The same with all classes of a workload sent alike, by capacity; None where some units, or
    tokens, do not serve all of them."""
    demand = instance.schedule.demands[workload]
    on = solution.units_by_workload.get(workload, ())
    shares = {key: x for key, x in solution.shares.items() if key[0].workload != workload}
    short = any(key[0] == workload and x > NOTHING for key, x in solution.shortfalls.items())
    by_token = any(k.workload == workload and k.mode.per_token for k, _, _ in solution.shares)
    if short or by_token or not all(k.serves_all for k, _ in on):
        return None
    for t, peak in enumerate(demand.peak):
        for k, share in _by_capacity(solution, workload, t, 1.0).items() if peak > 0 else ():
            shares |= {(k, q, t): share for q in range(len(demand.classes))}
    return replace(solution, shares=shares)


def _by_capacity(
    solution: FleetSolution, workload: str, t: int, share: float
) -> dict[Candidate, float]:
    held = {
        k: k.mix_requests_per_second * units[t]
        for k, units in solution.units_by_workload.get(workload, ())
        if units[t] and not k.mode.per_token
    }
    total = sum(held.values())
    if share <= NOTHING or total <= 0:
        return {}
    return {k: share * capacity / total for k, capacity in held.items()}


def _normalised(shares: dict[Candidate, float], served: float) -> dict[Candidate, float]:
    """Shares that sum to what is served, a solver's noise taken out; a real lack is left."""
    total = sum(shares.values())
    if total <= 0 or abs(total - served) > 1e-5:
        return shares
    return {k: share * served / total for k, share in shares.items()}
