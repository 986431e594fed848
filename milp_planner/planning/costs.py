"""What a plan costs, in plain arithmetic, written apart from the program's objective.

`verify` holds the two against each other, term by term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milp_planner.milp.limits import unit_change_of
from milp_planner.milp.objective import is_strict, overload_usd
from milp_planner.planning.plan import MEDIUM_BAND, SNAP, Purchase, Route
from milp_planner.serving.candidates import Candidate, PlanningInput
from milp_planner.units import SECONDS_PER_HOUR, TOKENS_PER_MILLION

PENALTIES = ("overload", "scaling", "strict_latency", "shortfall")


def cash_usd(
    given: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> Mapping[str, float]:
    """The money paid for a plan, USD/month, by the names of `CASH_TERMS`."""
    return {
        "rent": sum(rent_usd(p) for p in purchases),
        "per_token": sum(per_token_usd(given, p.candidate, routes) for p in purchases),
        "spot_loss": sum(spot_loss_usd(given, p) for p in purchases),
        "switching": switching_usd(given, purchases),
    }


def rent_usd(purchase: Purchase) -> float:
    """Unit-hours times the price of a unit and hour, USD/month."""
    return purchase.unit_hours * purchase.candidate.usd_per_hour


def per_token_usd(given: PlanningInput, k: Candidate, routes: Sequence[Route]) -> float:
    """Requests served times their price, USD/month."""
    if not k.mode.per_token:
        return 0.0
    demand = given.schedule.demands[k.workload]
    prices = dict(zip((q.name for q in demand.classes), k.usd_per_request, strict=True))
    total = 0.0
    for route in routes:
        if route.candidate is k:
            t = given.schedule.blocks.index(route.block)
            requests = demand.mean[t] * route.block.hours * SECONDS_PER_HOUR
            volume = requests * route.request_class.share * route.share
            total += volume * prices[route.request_class.name]
    return total


def spot_loss_usd(given: PlanningInput, purchase: Purchase) -> float:
    """Expected cost of work lost to interruptions, USD/month."""
    if not purchase.candidate.mode.interruptible:
        return 0.0
    return given.problem.policy.spot_loss * rent_usd(purchase)


def switching_usd(given: PlanningInput, purchases: Sequence[Purchase]) -> float:
    """Units added and removed against today's fleet, at their prices."""
    prices = given.problem.switching
    changes = unit_change_of(given, purchases).values()
    added = sum(delta for delta in changes if delta > 0)
    removed = -sum(delta for delta in changes if delta < 0)
    return prices.usd_per_unit_added * added + prices.usd_per_unit_removed * removed


def penalties_usd(
    given: PlanningInput,
    workload: str,
    utilization: float | None,
    most_gpus: int,
    unserved_requests: float,
) -> Mapping[str, float]:
    """The penalties of one workload, USD/month, by name; SEED formulas of InferenceAtlas."""
    penalties = given.problem.policy.active_penalties
    u = 0.0 if utilization is None else utilization
    extra = 0 if penalties.scaling is None else max(0, most_gpus - penalties.scaling.above_gpus)
    strict = penalties.strict_latency is not None and is_strict(
        penalties, given.problem.workload(workload)
    )
    hot = u > MEDIUM_BAND * (1 + SNAP)
    return {
        "overload": overload_usd(penalties, u),
        "scaling": 0.0 if penalties.scaling is None else penalties.scaling.usd_per_gpu * extra,
        "strict_latency": penalties.strict_latency.usd
        if penalties.strict_latency and strict and hot
        else 0.0,
        "shortfall": 0.0
        if penalties.shortfall is None
        else penalties.shortfall.usd_per_million_requests * unserved_requests / TOKENS_PER_MILLION,
    }
