"""Brute force: tries every small fleet. Imports nothing of the program, its rows or its solvers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

HOURS = 720


@dataclass(frozen=True)
class Option:
    """What one offering does for one workload."""

    provider: str
    offering: str
    gpu: str
    gpus: int
    usd_per_hour: float
    rates: tuple[float, ...]
    """Requests/s of a unit per class; 0 where it cannot serve."""


@dataclass(frozen=True)
class Load:
    """One workload: a rate per class, the utilization limit and the replicas wanted."""

    name: str
    rates: tuple[float, ...]
    utilization: float = 1.0
    min_replicas: int = 1


@dataclass(frozen=True)
class Rules:
    """The limits that workloads share; None is no limit."""

    budget: float | None = None
    max_gpus: int | None = None
    max_units: tuple[tuple[str, int], ...] = ()
    per_provider: tuple[tuple[str, int], ...] = ()
    per_gpu: tuple[tuple[str, int], ...] = ()
    at_most_providers: int | None = None


Fleet = tuple[tuple[int, ...], ...]
"""Units per workload and option."""


def serves(load: Load, options: list[Option], units: tuple[int, ...]) -> bool:
    """True when the units carry the load, shared between one or two classes.

    With two classes the fastest way is comparative advantage: serve the first class where it is
    relatively fastest, until it is served, and see whether the second fits in what is left.
    """
    if sum(n * o.gpus for n, o in zip(units, options, strict=True)) < load.min_replicas:
        return False
    slack = 1 + 1e-9
    if len(load.rates) == 1:
        capacity = sum(n * o.rates[0] for n, o in zip(units, options, strict=True))
        return load.rates[0] <= capacity * load.utilization * slack
    first, second = load.rates
    left, carried = first, 0.0
    held = [(n * load.utilization, o) for n, o in zip(units, options, strict=True) if n]
    for time, o in sorted(held, key=lambda h: -h[1].rates[0] / h[1].rates[1]):
        used = min(time, left / o.rates[0])
        left -= used * o.rates[0]
        carried += (time - used) * o.rates[1]
    return left <= first * 1e-9 and second <= carried * slack


def fleets(load: Load, options: list[Option], most: int) -> Iterator[tuple[int, ...]]:
    """Every vector of units up to `most` of each that serves the load."""
    for units in itertools.product(range(most + 1), repeat=len(options)):
        if serves(load, options, units):
            yield units


def rent(fleet: Fleet, options: list[Option]) -> float:
    """USD per month."""
    return sum(
        HOURS * n * o.usd_per_hour for units in fleet for n, o in zip(units, options, strict=True)
    )


def allowed(fleet: Fleet, options: list[Option], rules: Rules) -> bool:
    """True when the whole fleet keeps the shared limits."""
    total = [sum(units[i] for units in fleet) for i in range(len(options))]
    gpus = [n * o.gpus for n, o in zip(total, options, strict=True)]

    def gpus_where(attribute: str, value: str) -> int:
        return sum(g for g, o in zip(gpus, options, strict=True) if getattr(o, attribute) == value)

    if rules.max_gpus is not None and sum(gpus) > rules.max_gpus:
        return False
    by_id = {o.offering: n for n, o in zip(total, options, strict=True)}
    if any(by_id.get(name, 0) > most for name, most in rules.max_units):
        return False
    if any(gpus_where("provider", name) > most for name, most in rules.per_provider):
        return False
    if any(gpus_where("gpu", name) > most for name, most in rules.per_gpu):
        return False
    providers = {o.provider for n, o in zip(total, options, strict=True) if n}
    if rules.at_most_providers is not None and len(providers) > rules.at_most_providers:
        return False
    return rules.budget is None or rent(fleet, options) <= rules.budget * (1 + 1e-9)


def feasible_fleets(
    loads: list[Load], options: list[Option], rules: Rules, most: int
) -> list[tuple[float, Fleet]]:
    """(USD per month, fleet) of every fleet that keeps all rules, cheapest first."""
    each = [list(fleets(load, options, most)) for load in loads]
    found = [
        (rent(fleet, options), fleet)
        for fleet in itertools.product(*each)
        if allowed(fleet, options, rules)
    ]
    return sorted(found)


def cheapest(loads: list[Load], options: list[Option], rules: Rules, most: int) -> float | None:
    """The least rent in USD per month; None when no fleet keeps all rules."""
    found = feasible_fleets(loads, options, rules, most)
    return found[0][0] if found else None


# --- several workloads and classes in soft mode -------------------------------------------------


@dataclass(frozen=True)
class Prices:
    """Penalties on each workload: (threshold, USD)."""

    overload: tuple[float, float]
    scaling: tuple[int, float]
    strict_usd: float


def coolest(load: Load, options: list[Option], units: tuple[int, ...]) -> float | None:
    """The least utilization at which the units carry the load, by halving; None above its limit."""
    if not serves(load, options, units):
        return None
    low, high = 0.0, load.utilization
    while high - low > 1e-10:
        middle = (low + high) / 2
        if serves(replace(load, utilization=middle), options, units):
            high = middle
        else:
            low = middle
    return high


def cheapest_soft(
    loads: list[Load], options: list[Option], rules: Rules, prices: Prices, most: int
) -> float | None:
    """The least rent and penalties in USD per month; None when no fleet keeps all rules."""
    priced = [
        [(u, _penalties_usd(load, options, u, prices)) for u in fleets(load, options, most)]
        for load in loads
    ]
    scores = [
        rent(fleet, options) + sum(usd for _, usd in choice)
        for choice in itertools.product(*priced)
        for fleet in [tuple(units for units, _ in choice)]
        if allowed(fleet, options, rules)
    ]
    return min(scores, default=None)


def _penalties_usd(
    load: Load, options: list[Option], units: tuple[int, ...], prices: Prices
) -> float:
    u = coolest(load, options, units)
    assert u is not None
    above, usd_at_full_load = prices.overload
    above_gpus, usd_per_gpu = prices.scaling
    gpus = sum(n * o.gpus for n, o in zip(units, options, strict=True))
    return (
        max(0.0, usd_at_full_load * (u - above) / (1 - above))
        + max(0, gpus - above_gpus) * usd_per_gpu
        + (prices.strict_usd if u > 0.75 * (1 + 1e-9) else 0.0)
    )
