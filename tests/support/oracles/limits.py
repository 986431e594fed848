"""What a fleet keeps and costs, in plain words: the rules that every brute force goes by.

Imports nothing of the program, its rows or its solvers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence

from tests.support.oracles.cases import Case, Load, Offer, Terms

Units = tuple[tuple[int, ...], ...]
"""Units of a load that are on, by offer and block."""

SLACK = 1 + 1e-9
STRICT_FROM = 0.75
"""The utilization above which a strict workload is served too late."""


def gpus_on(case: Case, units: Units, t: int) -> int:
    """GPUs, and so replicas, in a block."""
    return sum(on[t] * o.gpus for on, o in zip(units, case.offers, strict=True))


def capacity(case: Case, units: Units, t: int) -> float:
    """Requests/s in a block at 100 %, where there is one class."""
    return sum(on[t] * o.rate for on, o in zip(units, case.offers, strict=True))


# ---- limits


def counted(case: Case, units: Units) -> tuple[int, ...]:
    """What the units of a load come to under each quota, in each block."""
    return tuple(
        sum(weight * on[t] for weight, on in zip(weights, units, strict=True))
        for weights, _ in case.quotas
        for t in range(len(case.hours))
    )


def within_quotas(case: Case, *counts: tuple[int, ...]) -> bool:
    """True when all loads together, each as `counted`, are above no quota in any block."""
    most = [limit for _, limit in case.quotas for _ in case.hours]
    return all(sum(each) <= limit for *each, limit in zip(*counts, most, strict=True))


def enough_replicas(case: Case, load: Load, units: Units) -> bool:
    """True when as many replicas as wanted are up in every block with load."""
    return load.min_replicas == 1 or all(
        gpus_on(case, units, t) >= load.min_replicas for t in load.busy
    )


def enough_on_demand(case: Case, load: Load, units: Units) -> bool:
    """True when as many GPUs as wanted are up that are not spot, in every block with load."""
    held = [(on, o.gpus) for on, o in zip(units, case.offers, strict=True) if o.billing != "spot"]
    least = case.terms.on_demand or 0
    return all(sum(on[t] * gpus for on, gpus in held) >= least for t in load.busy)


def usable(case: Case, units: Units, t: int) -> float:
    """Requests/s that can be served at 100 % when no provider, and no spot, serves too much.

    Requests flow through a provider, which may take its share of all, to its units of one kind,
    which carry what they carry, through spot, which may take its share, to being served. What flows
    is the least of all cuts: A + b R for some capacities A and shares b of what is served, R. So
    R ≤ A ÷ (1 - b), for every set of providers and every set of kinds.
    """
    terms = case.terms
    if terms.provider_share is None and terms.spot_share is None:
        return capacity(case, units, t)
    held: dict[tuple[str, bool], float] = {}
    for on, o in zip(units, case.offers, strict=True):
        cell = o.provider, o.billing == "spot"
        held[cell] = held.get(cell, 0.0) + on[t] * o.rate
    providers = sorted({provider for provider, _ in held})
    best = math.inf
    for before in powerset(providers):
        for kinds in powerset([False, True]):
            cut = sum(rate for (p, kind), rate in held.items() if p in before and kind not in kinds)
            shares = [terms.provider_share] * (len(providers) - len(before))
            shares += [terms.spot_share if kind else None for kind in kinds]
            if None not in shares and sum(shares) < 1:
                best = min(best, cut / (1 - sum(shares)))
    return best


def left_after_loss(case: Case, units: Units, t: int) -> float:
    """The least capacity that a loss to be survived leaves in a block; infinite without one."""
    if case.terms.survive is None:
        return math.inf
    kind, _ = case.terms.survive
    held = [on[t] * o.rate for on, o in zip(units, case.offers, strict=True)]
    return min(
        _sum_where(case, held, lambda o, name=lost: group(o, kind) != name)
        for lost in ({"spot"} if kind == "spot" else {group(o, kind) for o in case.offers})
    )


def group(offer: Offer, kind: str) -> str:
    """What goes when one of a kind is lost."""
    names = {
        "provider": offer.provider,
        "region": f"{offer.provider}/{offer.region}",
        "offering": offer.id,
        "spot": offer.billing,
    }
    return names[kind]


def changed(case: Case, load: Load, units: Units) -> tuple[int, int]:
    """Units added and removed against today's, by the most that are on in any block."""
    today = list(case.terms.today) if load is case.loads[0] else []
    today += [0] * (len(case.offers) - len(today))
    deltas = [max(on) - n for on, n in zip(units, today, strict=True)]
    return sum(d for d in deltas if d > 0), -sum(d for d in deltas if d < 0)


def few_changes(case: Case, parts: Sequence[Units]) -> bool:
    """True when no more units change than may."""
    most = case.terms.most_changed
    if most is None:
        return True
    return sum(sum(changed(case, *each)) for each in zip(case.loads, parts, strict=True)) <= most


def few_providers(case: Case, paid: Collection[str]) -> bool:
    """True when no more providers are paid than may be."""
    return case.terms.most_providers is None or len(paid) <= case.terms.most_providers


def within_budget(case: Case, cash: float) -> bool:
    """True when the cash of a month is not above the budget."""
    return case.terms.budget is None or cash <= case.terms.budget * SLACK


# ---- costs, USD per month


def rent(case: Case, units: Units) -> float:
    """Rent, with the share of spot that is lost when it is interrupted."""
    total = 0.0
    for on, o in zip(units, case.offers, strict=True):
        paid = on if o.elastic or o.stops else (max(on),) * len(on)
        usd = o.usd_per_hour * sum(n * hours for n, hours in zip(paid, case.hours, strict=True))
        total += usd * (1 + case.terms.spot_loss if o.billing == "spot" else 1)
    return total


def switching_usd(case: Case, load: Load, units: Units) -> float:
    """What the units added and removed cost."""
    added, removed = changed(case, load, units)
    return added * case.terms.usd_added + removed * case.terms.usd_removed


def heat_usd(terms: Terms, utilization: float) -> float:
    """Overload and strict latency of a load at its hottest."""
    usd = 0.0
    if terms.overload is not None:
        above, at_full_load = terms.overload
        usd += max(0.0, at_full_load * (utilization - above) / (1 - above))
    if terms.strict_usd is not None and utilization > STRICT_FROM * SLACK:
        usd += terms.strict_usd
    return usd


def scaling_usd(case: Case, units: Units) -> float:
    """The price of a load's GPUs beyond the count, at the most that are on at once."""
    if case.terms.scaling is None:
        return 0.0
    above, usd = case.terms.scaling
    return usd * max(0, max(gpus_on(case, units, t) for t in range(len(case.hours))) - above)


def powerset(names: Sequence) -> list[set]:
    """Every set of some of the names."""
    sizes = range(len(names) + 1)
    return [set(few) for size in sizes for few in itertools.combinations(names, size)]


def _sum_where(case: Case, held: Sequence[float], chosen) -> float:
    return sum(rate for rate, o in zip(held, case.offers, strict=True) if chosen(o))
