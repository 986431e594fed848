"""Every fleet of shared units and every way to fill it, priced by hand: for problems of one block.

It knows nothing of rows: units are filled one by one, by trying every replica on every unit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

HOURS = 720
HIGH_BAND = 0.75
NEAR = 1e-9


@dataclass(frozen=True)
class Sold:
    """One offering: units of `gpus` GPUs of a type."""

    name: str
    provider: str
    gpu: str
    gpus: int
    usd_per_hour: float
    billing: str = "dedicated"
    max_units: int | None = None
    kilowatts: float = 0.0
    """Of one's own power."""


@dataclass(frozen=True)
class Question:
    """Workloads on shared units, under the limits of a problem as its file spells them."""

    sold: tuple[Sold, ...]
    loads: Mapping[str, float]
    rates: Mapping[tuple[str, str, int], float]
    """Requests/s of a replica by (workload, GPU type, GPUs)."""

    target: float = 1.0
    ceiling: float | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    min_replicas: int = 1
    scaling: tuple[int, float] | None = None
    """(GPUs that are free, USD per GPU beyond)."""

    strict_usd: float = 0.0
    """USD for each workload that runs in the high band."""

    overload: tuple[float, float] | None = None
    """(threshold, USD at full load)."""

    today: tuple[int, ...] = ()
    """Units of each offering that run; nothing where nothing does."""

    per_added: float = 0.0
    per_removed: float = 0.0
    """USD for each unit that is added to them, or given back."""

    most_changed: int | None = None
    committed: tuple[int, ...] = ()
    """Units of each offering that are paid already."""

    volume: tuple[float, float] | None = None
    """(USD of the month that acme is paid in full, what is taken off the rest)."""

    most_units: int = 3
    """Of all offerings together, in the fleets that are tried."""


Standing = tuple[tuple[str, int], ...]
"""(workload, GPUs) of every replica on the units of one offering, in order."""

Fleet = tuple[int, ...]


def scores(question: Question) -> dict[Fleet, float]:
    """The least score of every fleet that can serve everything, USD/month, by units of each."""
    found: dict[Fleet, float] = {}
    for units in itertools.product(range(question.most_units + 1), repeat=len(question.sold)):
        if sum(units) <= question.most_units and _may_be_rented(question, units):
            rent = _rent(question, units)
            fines = min(_fines(question, units), default=math.inf)
            if fines < math.inf:
                found[units] = rent + fines + _moved(question, units)
    return found


def capacities(question: Question) -> Iterator[tuple[float, dict[str, float]]]:
    """(rent, requests/s that each workload can be served) of every fleet and way to fill it."""
    for units in itertools.product(range(question.most_units + 1), repeat=len(question.sold)):
        if sum(units) <= question.most_units and _may_be_rented(question, units):
            for filled in _ways(question, units):
                carried = dict.fromkeys(question.loads, 0.0)
                for one, standing in zip(question.sold, filled, strict=True):
                    for name, size in standing:
                        if name in carried:
                            carried[name] += question.rates[name, one.gpu, size]
                yield _rent(question, units), carried


def _ways(question: Question, units: Fleet) -> Iterator[tuple[Standing, ...]]:
    """Every way to fill the units."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for workload, gpu, size in question.rates:
        kinds.setdefault(gpu, []).append((workload, size))
    yield from itertools.product(
        *(
            sorted(_fillings(tuple(sorted(kinds.get(one.gpu, ()))), one.gpus, n))
            for n, one in zip(units, question.sold, strict=True)
        )
    )


def _rent(question: Question, units: Fleet) -> float:
    """What is paid for units, less what is paid already, less the discount on volume."""
    paid = question.committed or (0,) * len(units)
    usd = [
        HOURS * max(0, n - free) * one.usd_per_hour
        for n, free, one in zip(units, paid, question.sold, strict=True)
    ]
    if question.volume is None:
        return sum(usd)
    above, discount = question.volume
    spent = sum(u for u, one in zip(usd, question.sold, strict=True) if one.provider == "acme")
    return sum(usd) - discount * max(0.0, spent - above)


def changes(question: Question, units: Fleet) -> tuple[int, int]:
    """(units added to today's, units given back)."""
    today = question.today or (0,) * len(units)
    deltas = [n - now for n, now in zip(units, today, strict=True)]
    return sum(max(0, d) for d in deltas), sum(max(0, -d) for d in deltas)


def _moved(question: Question, units: Fleet) -> float:
    added, removed = changes(question, units)
    return question.per_added * added + question.per_removed * removed


def _may_be_rented(question: Question, units: Fleet) -> bool:
    limits, pairs = question.limits, list(zip(units, question.sold, strict=True))
    quotas = limits.get("max_gpus", {})
    gpus = sum(n * one.gpus for n, one in pairs)
    of_provider = {
        name: sum(n * one.gpus for n, one in pairs if one.provider == name)
        for name in quotas.get("per_provider", {})
    }
    patterns = limits.get("max_units", {})
    return (
        gpus <= quotas.get("total", math.inf)
        and (
            question.most_changed is None or sum(changes(question, units)) <= question.most_changed
        )
        and all(of_provider[name] <= most for name, most in quotas.get("per_provider", {}).items())
        and all(one.max_units is None or n <= one.max_units for n, one in pairs)
        and sum(n * one.kilowatts for n, one in pairs) <= limits.get("max_power_kw", math.inf)
        and all(
            sum(n for n, one in pairs if fnmatchcase(f"{one.provider}/", pattern)) <= most
            for pattern, most in patterns.items()
        )
        and len({one.provider for n, one in pairs if n})
        <= limits.get("providers", {}).get("max_count", math.inf)
    )


def _fines(question: Question, units: Fleet) -> Iterator[float]:
    """Penalties of every way to fill the units that keeps the limits."""
    for filled in _ways(question, units):
        idle = (n and not standing for n, standing in zip(units, filled, strict=True))
        if question.today and any(idle):
            continue  # nobody would pay for units on which nobody stands
        fines = _fine(question, filled)
        if fines is not None:
            yield fines


@cache
def _fillings(kinds: tuple[tuple[str, int], ...], gpus: int, units: int) -> frozenset[Standing]:
    """What can stand on so many units together: one unit, and whatever stands on the rest."""
    if not units:
        return frozenset({()})
    alone = set(_on_one(kinds, gpus))
    rest = _fillings(kinds, gpus, units - 1)
    return frozenset(tuple(sorted(one + other)) for one in alone for other in rest)


def _on_one(kinds: tuple[tuple[str, int], ...], free: int) -> Iterator[Standing]:
    yield ()
    for kind in kinds:
        if kind[1] <= free:
            for rest in _on_one(kinds, free - kind[1]):
                yield tuple(sorted((kind, *rest)))


def _fine(question: Question, filled: tuple[Standing, ...]) -> float | None:
    """What the workloads owe beside rent; None where a limit is broken."""
    total = 0.0
    for workload, load in question.loads.items():
        mine = [
            (one, size, question.rates[workload, one.gpu, size])
            for one, standing in zip(question.sold, filled, strict=True)
            for name, size in standing
            if name == workload
        ]
        capacity = sum(rate for _, _, rate in mine)
        if not capacity or len(mine) < question.min_replicas:
            return None
        firm = sum(one.billing != "spot" for one, _, _ in mine)
        if firm < question.limits.get("min_on_demand_replicas", 0):
            return None
        used = _utilization(question, load, mine)
        highest = question.target if question.ceiling is None else question.ceiling
        if used is None or used > highest + NEAR or not _survives(question, load, mine):
            return None
        if question.scaling is not None:
            free, usd = question.scaling
            total += usd * max(0, sum(size for _, size, _ in mine) - free)
        if used > HIGH_BAND + NEAR:
            total += question.strict_usd
        if question.overload is not None:
            above, usd = question.overload
            total += usd * max(0.0, (used - above) / (1 - above))
    return total


Mine = list[tuple[Sold, int, float]]


def _utilization(question: Question, load: float, mine: Mine) -> float | None:
    """How busy the busiest replica must be, where no group serves more than its share."""
    limits = question.limits
    share = limits.get("providers", {}).get("max_share", 1.0)
    spot = limits.get("max_spot_share", 1.0)
    groups: dict[tuple[str, str], float] = {}
    for one, _, rate in mine:
        key = one.provider, "spot" if one.billing == "spot" else "dedicated"
        groups[key] = groups.get(key, 0.0) + rate

    def served(used: float) -> float:
        """What can be served at a utilization: by provider, spot of each last."""
        best, left = 0.0, spot * load
        for provider in sorted({provider for provider, _ in groups}):
            firm = groups.get((provider, "dedicated"), 0.0)
            loose = groups.get((provider, "spot"), 0.0)
            by_firm = min(used * firm, share * load)
            by_spot = min(used * loose, share * load - by_firm, left)
            left -= by_spot
            best += by_firm + by_spot
        return best

    if share == spot == 1:
        return load / sum(groups.values())
    low, high = 0.0, 10.0
    if served(high) < load * (1 - NEAR):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if served(middle) >= load * (1 - NEAR) else (middle, high)
    return high


def _survives(question: Question, load: float, mine: Mine) -> bool:
    """Whether the loss of any provider, or of any offering, leaves enough."""
    wish = question.limits.get("survive_loss_of")
    if wish is None:
        return True
    kind, share = (wish, 1.0) if isinstance(wish, str) else (wish["kind"], wish.get("share", 1.0))

    def group(one: Sold) -> object:
        return {"provider": one.provider, "offering": one}[kind]

    lost = {group(one) for one, _, _ in mine}
    return all(
        sum(rate for one, _, rate in mine if group(one) != gone) >= share * load * (1 - NEAR)
        for gone in lost
    )
