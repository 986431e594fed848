"""At which price, and under which traffic, something enters the plan; shown by solving again.

The best plan that uses it costs V(f) at a factor f on its price: the least of many straight lines,
each the cost of one fleet, so V bends downwards. It enters where V(f) falls below the best plan
without it, V₀. From the line of the fleet at f the next f is where that line meets V₀; this climbs
to the meeting point of V itself and stops there, usually after two or three fleets.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate
from milp_planner.candidates.sharing.shared_units import unit_of
from milp_planner.lazily import dataclass
from milp_planner.milp.presolve.forced_use import Required, Wanted
from milp_planner.plans.records import Plan, Purchase, Status
from milp_planner.solving.re_solve import Resolver, repriced, scaled_traffic, score_of

CENT = 0.01
LEAST_FACTOR = 1e-3
"""At a thousandth of its price a thing counts as given away."""

MOST_FLEETS = 40
TOKEN_PRICE_STEP = 1e-3
"""Relative step of the check where the price is per token, in place of a cent per hour."""

SAME_USD = 1e-3

TRAFFIC_STEP = 2**0.5
MOST_TRAFFIC = 64.0
TRAFFIC_PRECISION = 1.01


@dataclass(frozen=True)
class EntryPrice:
    """The price below which something enters the plan."""

    offering: str
    """The offering that the plan then uses most of."""

    billing: str
    factor: float
    """Price ÷ today's price; the same for all that was asked about."""

    usd_per_hour: float | None
    """Of a unit; None where paid by the token."""

    usd_per_gpu_hour: float | None
    now_usd_per_gpu_hour: float | None
    is_verified: bool
    """Solved again: in the plan a cent per unit and hour below, not in it a cent above."""


@dataclass(frozen=True)
class EntryTraffic:
    """The traffic at which something enters the plan, at today's prices."""

    factor: float
    """At this factor on the traffic it is used."""

    not_at: float
    """At this one, within 1 %, it is not."""

    fleet_usd_per_month: float


def entry_price(
    resolver: Resolver, required: Required, best: Plan, forced: Plan | None
) -> EntryPrice | None:
    """Where the price must fall to; None when not even a thousandth of it would do, or no time.

    `best` is the best plan, which does not use it; `forced` the best one that does, at today's
    price, None when there is none under the limits.
    """
    wanted, target = required.wanted, score_of(best)
    factor, plan = 1.0, forced
    if plan is None or score_of(plan) >= target:
        start = _meeting(plan, wanted, factor, target) if plan is not None else LEAST_FACTOR
        factor = max(start, LEAST_FACTOR)
        plan = _forced_at(resolver, required, factor)
    if plan is None or score_of(plan) > target + SAME_USD:
        return None
    for _ in range(MOST_FLEETS):
        further = _meeting(plan, wanted, factor, target)
        if (further - factor) * _price(_most_used(plan, wanted), factor) < CENT / 100:
            break
        there = _forced_at(resolver, required, further)
        if there is None:
            break
        factor, plan = further, there
    return _priced(resolver, wanted, plan, factor)


def _meeting(plan: Plan, wanted: Wanted, factor: float, target: float) -> float:
    """The factor at which the plan's fleet costs as much as the best plan without it."""
    mine = sum(p.cash_usd_per_month for p in _mine(plan, wanted))
    rest = score_of(plan) - mine
    return (target - rest) * factor / mine if mine else factor


def _mine(plan: Plan, wanted: Wanted) -> Iterator[Purchase]:
    return (p for p in plan.purchases if wanted(p.candidate))


def _forced_at(resolver: Resolver, required: Required, factor: float) -> Plan | None:
    instance = repriced(resolver.instance, required.wanted, factor)
    return resolver.answer_of(instance, required).plan


def _most_used(plan: Plan, wanted: Wanted) -> Purchase:
    return max(_mine(plan, wanted), key=lambda p: (p.cash_usd_per_month, p.candidate.id))


def _price(purchase: Purchase, factor: float) -> float:
    """Today's price of a unit and hour, from a plan at `factor` of it; 1 where per token."""
    return _rented(purchase).usd_per_hour / factor or 1.0


def _rented(purchase: Purchase) -> Candidate:
    """What is rented for it: the whole unit where others share that."""
    return unit_of(purchase.candidate)


def _priced(resolver: Resolver, wanted: Wanted, plan: Plan, factor: float) -> EntryPrice:
    purchase = _most_used(plan, wanted)
    k, now = _rented(purchase), _price(purchase, factor)
    step = TOKEN_PRICE_STEP if k.mode.per_token else CENT / now
    flips = _uses_at(resolver, wanted, factor - step) is True
    flips = flips and _uses_at(resolver, wanted, factor + step) is False
    rented = not k.mode.per_token
    return EntryPrice(
        offering=k.offering.id,
        billing=k.mode.name,
        factor=factor,
        usd_per_hour=now * factor if rented else None,
        usd_per_gpu_hour=now * factor / k.gpus_per_unit if rented else None,
        now_usd_per_gpu_hour=now / k.gpus_per_unit if rented else None,
        is_verified=flips,
    )


def _uses_at(resolver: Resolver, wanted: Wanted, factor: float) -> bool | None:
    """Whether the best plan uses it at a factor on its price; None when that is not known."""
    if factor <= 0:
        return None
    answer = resolver.answer_of(repriced(resolver.instance, wanted, factor))
    if answer.plan is None or answer.status is not Status.OPTIMAL:
        return None
    return any(True for _ in _mine(answer.plan, wanted))


def entry_traffic(resolver: Resolver, wanted: Wanted) -> EntryTraffic | None:
    """The first factor on the traffic, upwards and then downwards, at which it is used.

    Looks in steps of √2 up to 64-fold and down to a 64th, then halves the step to 1 %. None when it
    is used nowhere there, where the limits leave no plan, or when time is up.
    """
    for step in (TRAFFIC_STEP, 1 / TRAFFIC_STEP):
        before, factor = 1.0, step
        while 1 / MOST_TRAFFIC * 0.99 < factor < MOST_TRAFFIC * 1.01:
            plan = resolver.answer(scaled_traffic(resolver.problem, factor)).plan
            if plan is None:
                break
            if any(True for _ in _mine(plan, wanted)):
                plan = _plan_at(resolver, factor)  # it may only have shared the least score
                if plan is not None and any(True for _ in _mine(plan, wanted)):
                    return _narrowed(resolver, wanted, before, factor, plan)
            before, factor = factor, factor * step
    return None


def _plan_at(resolver: Resolver, factor: float) -> Plan | None:
    """The plan at a factor on the traffic, ties broken as `solve` breaks them."""
    return resolver.answer(scaled_traffic(resolver.problem, factor), break_ties=True).plan


def _narrowed(
    resolver: Resolver, wanted: Wanted, unused: float, used: float, plan: Plan
) -> EntryTraffic | None:
    while max(unused / used, used / unused) > TRAFFIC_PRECISION:
        middle = (unused * used) ** 0.5
        there = _plan_at(resolver, middle)
        if there is None:
            return None
        if any(True for _ in _mine(there, wanted)):
            used, plan = middle, there
        else:
            unused = middle
    return EntryTraffic(used, unused, plan.cash_usd_per_month or 0.0)
