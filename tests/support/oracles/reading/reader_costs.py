"""Reads what a routed plan costs block by block, as a person would who has the price list.

Each reader goes by its sentence in `milp_planner/milp/README.md`, quoted above it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.support.oracles.reading import reader_terms as terms
from tests.support.oracles.reading.reader_limits import changed
from tests.support.oracles.reading.routed import Routed, is_api, utilization

CENT = 0.01

# "unit-hours at the price of a unit and hour"


def rent(month: Routed) -> float:
    return sum(
        hours * n * k.units_joined * k.offering.usd_per_hour
        for block in month.blocks
        for k, n, hours in block.paid
    )


# "requests at the price of a request"


def per_token(month: Routed) -> float:
    usd = 0.0
    for block in month.blocks:
        for a in block.asked:
            if not is_api(a.k):
                continue
            demand = month.given.schedule.demands[a.k.workload]
            size, price = demand.classes[a.q], a.k.offering
            requests = 3600 * block.hours * a.rate * demand.mean[block.t] / demand.peak[block.t]
            usd += requests * size.input_tokens * price.usd_per_m_input_tokens / 1e6
            usd += requests * size.output_tokens * price.usd_per_m_output_tokens / 1e6
    return usd


# "work lost to interruptions and run again, as a share of the spot rent"


def spot_loss(month: Routed) -> float:
    spot = [k for k in month.used() if k.offering.billing == "spot"]
    paid = sum(
        hours * n * k.units_joined * k.offering.usd_per_hour
        for block in month.blocks
        for k, n, hours in block.paid
        if k in spot
    )
    return month.problem.policy.spot_loss * paid


# "units added to and removed from today's fleet, by the most that are on in any block, charged
# once"


def switching(month: Routed) -> float:
    added, removed = changed(month)
    prices = month.problem.switching
    return added * prices.usd_per_unit_added + removed * prices.usd_per_unit_removed


# "a ramp on utilization above a threshold"


def overload(month: Routed) -> float:
    ramp = month.problem.policy.active_penalties.overload
    if ramp is None:
        return 0.0
    over = [max(0.0, utilization(month, name) - ramp.above) for name in month.names]
    return ramp.usd_at_full_load * sum(over) / (1 - ramp.above)


# "a price per GPU beyond a count"


def scaling(month: Routed) -> float:
    price = month.problem.policy.active_penalties.scaling
    if price is None:
        return 0.0
    most = [
        max(
            sum(n * k.units_joined * k.offering.gpus_per_unit for k, n in b.on_for(name))
            for b in month.blocks
        )
        for name in month.names
    ]
    return sum(price.usd_per_gpu * max(0, gpus - price.above_gpus) for gpus in most)


# "a price on the high band, for workloads with a strict latency requirement"


def strict_latency(month: Routed) -> float:
    price = month.problem.policy.active_penalties.strict_latency
    if price is None:
        return 0.0
    strict = [
        w.name
        for w in month.problem.workloads
        if w.latency.requirement_s is not None and w.latency.requirement_s < price.below_s
    ]
    return price.usd * sum(utilization(month, name) > 0.75 * (1 + 1e-9) for name in strict)


# "a price on requests left unserved, where the problem sets one"


def shortfall(month: Routed) -> float:
    price = month.problem.policy.active_penalties.shortfall
    if price is None:
        return 0.0
    missing = 0.0
    for block in month.blocks:
        for name in month.names:
            if not month.has_load(name, block.t):
                continue
            demand = month.given.schedule.demands[name]
            lost = sum(month.wanted(name, block.t)) - sum(a.rate for a in block.of(name))
            share = lost / demand.peak[block.t]
            missing += share * demand.mean[block.t] * demand.requests_per_unit * block.hours * 3600
    return price.usd_per_million_requests * missing / 1e6


CASH: dict[str, Callable[[Routed], float]] = {
    "rent": rent,
    "commitments": terms.commitments,
    "start_up": terms.start_up,
    "power_by_load": terms.power_by_load,
    "volume_discount": terms.volume_discount,
    "per_token": per_token,
    "spot_loss": spot_loss,
    "switching": switching,
}
PENALTIES: dict[str, Callable[[Routed], float]] = {
    "overload": overload,
    "scaling": scaling,
    "strict_latency": strict_latency,
    "shortfall": shortfall,
}


def costs(month: Routed) -> Iterator[str]:
    plan, every = month.plan, {**CASH, **PENALTIES}
    read = {name: usd(month) for name, usd in every.items()}
    for name in every:
        said = plan.costs.get(name, 0.0)  # what nobody asks for is not told
        if not _same(said, read[name]):
            yield f"{name} is {read[name]}, the plan says {said}"
    score, cash = sum(read.values()), sum(read[name] for name in CASH)
    for name, said, is_ in (
        ("score", plan.score_usd_per_month, score),
        ("cash", plan.cash_usd_per_month, cash),
    ):
        if said is None or not _same(said, is_):
            yield f"the {name} is {is_}, the plan says {said}"


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= CENT + 1e-6 * abs(other)


# "cash stays within the budget; penalties do not count"


def budget(month: Routed) -> Iterator[str]:
    wish = month.problem.limits.budget
    paid = sum(usd(month) for usd in CASH.values())
    if wish is not None and paid > wish.usd_per_month * (1 + 1e-6) + CENT:
        yield f"{paid} is paid of {wish.usd_per_month}"
