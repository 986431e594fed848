"""Brute force over several loads of one or two classes in one block: tries every small fleet.

Imports nothing of the program, its rows or its solvers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.oracles.cases import Case, Load
from tests.support.oracles.limits import (
    SLACK,
    Units,
    counted,
    enough_replicas,
    few_providers,
    heat_usd,
    rent,
    scaling_usd,
    within_budget,
    within_quotas,
)

Fleet = tuple[Units, ...]
"""Units by load, offer and block."""


def cheapest(case: Case, most: int) -> float | None:
    """The least rent and penalties in USD per month; None when no fleet keeps all limits."""
    return min((usd for usd, _ in feasible_fleets(case, most)), default=None)


def feasible_fleets(case: Case, most: int) -> Iterator[tuple[float, Fleet]]:
    """(USD per month, fleet) of every fleet, of up to `most` units each, that keeps all limits."""
    ways = [list(_ways(case, load, most)) for load in case.loads]
    for chosen in itertools.product(*ways):
        cash = sum(way.cash for way in chosen)
        if (
            within_budget(case, cash)
            and within_quotas(case, *(way.counts for way in chosen))
            and few_providers(case, frozenset().union(*(way.paid for way in chosen)))
        ):
            yield cash + sum(way.penalties for way in chosen), tuple(way.units for way in chosen)


class _Way(NamedTuple):
    """What serves one load, and what it comes to."""

    units: Units
    cash: float
    penalties: float
    counts: tuple[int, ...]
    paid: frozenset[str]


def _ways(case: Case, load: Load, most: int) -> Iterator[_Way]:
    """Everything that serves a load."""
    limit = load.max_utilization or case.terms.ceiling
    for counts in itertools.product(range(most + 1), repeat=len(case.offers)):
        units = tuple((n,) for n in counts)
        if enough_replicas(case, load, units) and serves(case, load, units, limit):
            heat = heat_usd(case.terms, coolest(case, load, units, limit))
            paid = frozenset(o.provider for n, o in zip(counts, case.offers, strict=True) if n)
            penalties = heat + scaling_usd(case, units)
            yield _Way(units, rent(case, units), penalties, counted(case, units), paid)


def serves(case: Case, load: Load, units: Units, limit: float) -> bool:
    """True when the units carry the load at a utilization, shared between one or two classes.

    With two classes the fastest way is comparative advantage: serve the first class where it is
    relatively fastest, until it is served, and see whether the second fits in what is left.
    """
    held = [(n * limit, o) for (n,), o in zip(units, case.offers, strict=True) if n]
    (rates,) = load.rates
    if len(rates) == 1:
        return rates[0] <= sum(time * o.rate for time, o in held) * SLACK
    first, second = rates
    left, carried = first, 0.0
    for time, o in sorted(held, key=lambda h: -h[1].rates[0] / h[1].rates[1]):
        used = min(time, left / o.rates[0])
        left -= used * o.rates[0]
        carried += (time - used) * o.rates[1]
    return left <= first * 1e-9 and second <= carried * SLACK


def coolest(case: Case, load: Load, units: Units, limit: float) -> float:
    """The least utilization at which the units carry the load, by halving from `limit`."""
    if case.terms.overload is None and case.terms.strict_usd is None:
        return limit  # nothing turns on it
    low, high = 0.0, limit
    while high - low > 1e-10:
        middle = (low + high) / 2
        if serves(case, load, units, middle):
            high = middle
        else:
            low = middle
    return high
