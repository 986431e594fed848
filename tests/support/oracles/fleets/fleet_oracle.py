"""The least that a fleet case costs, by trying every fleet hour by hour.

It goes by the sentences of `problems/README.md` and `milp/README.md`, quoted where they are read,
and shares no line with the planner: no blocks, no rows, no cost terms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.support.oracles.fleets.fleet_cases import DAYS, FleetCase, Kind

SLOTS = 10  # of six minutes, an hour
TINY = 1e-9
MOST = 6  # units of a kind

Units = dict[int, int]
"""Units on by the load of an hour."""


class Priced(NamedTuple):
    """What a fleet costs."""

    usd: float
    changes: int


def best_fleet(case: FleetCase) -> Priced | None:
    """The least USD per month, and of fleets that cost as much the fewest changes."""
    fleets = itertools.product(*(_ways(case, kind) for kind in case.kinds))
    priced = (_priced(case, fleet) for fleet in fleets if _keeps(case, fleet))
    found = [one for one in priced if one is not None]
    return min(found, key=lambda one: (round(one.usd, 4), one.changes), default=None)


def _levels(case: FleetCase) -> list[int]:
    return sorted({load for load in case.hours if load})


def _ways(case: FleetCase, kind: Kind) -> Iterator[Units]:
    """Every number of units that it may have on, load by load."""
    most = min(MOST, math.ceil(max(case.hours) * case.burst / kind.rate) + 2)
    most = most if kind.stock is None else min(most, kind.stock)
    if case.kilowatts and kind.billing == "owned" and kind.kilowatts is None:
        most = 0  # "those whose draw is not stated are left out"
    levels = _levels(case)
    if kind.billing in ("autoscaling", "spot"):
        for counts in itertools.product(range(most + 1), repeat=len(levels)):
            yield {0: 0, **dict(zip(levels, counts, strict=True))}
        return
    for n in range(most + 1):
        yield {0: 0 if _rests(case, kind) else n, **dict.fromkeys(levels, n)}


def _rests(case: FleetCase, kind: Kind) -> bool:
    """ "units are off, and unpaid, in blocks in which their workload has no load"."""
    if kind.billing in ("autoscaling", "spot"):
        return True
    if kind.billing != "dedicated":
        return False
    if case.switch_off is None:
        return kind.billed_by in ("second", "minute", "hour")
    return case.switch_off and kind.billed_by != "month"


def _api_rate(case: FleetCase) -> float:
    if case.api is None:
        return 0.0
    return math.inf if case.api[1] is None else case.api[1] / 60


# --- limits --------------------------------------------------------------------------------------


def _keeps(case: FleetCase, fleet: Sequence[Units]) -> bool:
    if case.kilowatts:
        for load in set(case.hours):
            drawn = sum(
                n[load] * (kind.kilowatts or 0.0)
                for n, kind in zip(fleet, case.kinds, strict=True)
                if kind.billing == "owned"
            )
            if drawn > case.kilowatts + TINY:
                return False
    return all(_keeps_at(case, fleet, load) for load in _levels(case))


def _keeps_at(case: FleetCase, fleet: Sequence[Units], load: int) -> bool:
    on = [(n[load], kind) for n, kind in zip(fleet, case.kinds, strict=True)]
    peak, api = load * case.burst, _api_rate(case)
    if sum(n * kind.rate for n, kind in on) + api < peak - TINY:
        return False
    if case.replicas > 1 and sum(n for n, _ in on) < case.replicas:
        return False
    if sum(n for n, kind in on if kind.billing != "spot") < case.on_demand:
        return False
    return all(left >= share * peak - TINY for left, share in _left(case, on, api))


def _left(
    case: FleetCase, on: Sequence[tuple[int, Kind]], api: float
) -> Iterator[tuple[float, float]]:
    """(requests/s, share asked) after each loss: "an API that is allowed stands by"."""
    if case.survive is None:
        return
    lost_by, share = case.survive
    if lost_by == "spot":
        yield sum(n * kind.rate for n, kind in on if kind.billing != "spot") + api, share
        return
    for _, gone in on:
        yield sum(n * kind.rate for n, kind in on if kind is not gone) + api, share
    if case.api:
        yield sum(n * kind.rate for n, kind in on), share


# --- money ---------------------------------------------------------------------------------------


def _priced(case: FleetCase, fleet: Sequence[Units]) -> Priced | None:
    changes = _changes(case, fleet)
    most = case.switching.get("max_units_changed")
    if most is not None and sum(changes) > most:
        return None
    added, removed = changes
    usd = added * case.switching.get("usd_per_unit_added", 0)
    usd += removed * case.switching.get("usd_per_unit_removed", 0)
    tokens = 0.0
    for load in _levels(case):
        work = _work(case, fleet, load)
        if work is None:
            return None
        usd += work[0]
        tokens += work[1]
    spent = {"*": tokens}
    for n, kind in zip(fleet, case.kinds, strict=True):
        serves = [n[load] for load in case.hours]
        hours = DAYS * sum(serves)
        ahead = _ahead(case, serves) * DAYS if _rests(case, kind) else 0.0
        paid = (hours + ahead) * kind.usd
        usd += paid - DAYS * sum(_covered(case, kind, on) for on in serves)
        if kind.billing == "spot":
            usd += case.spot_loss * hours * kind.usd
        if case.power_by_load and kind.idle_usd is not None:
            usd += hours * (kind.idle_usd - kind.usd)
        spent[kind.seller] = paid
        spent["*"] += paid if kind.billing != "owned" else 0.0  # "of every billing but owned"
    if case.volume:
        who, above, off = case.volume
        usd -= off * max(0.0, spent[who] - above)
    return Priced(usd, sum(changes))


def _changes(case: FleetCase, fleet: Sequence[Units]) -> tuple[int, int]:
    """Units added and removed, "by the most that are on in any block"; none where nothing runs."""
    if case.today is None:
        return 0, 0
    who, units = case.today
    steps = [
        max(n.values()) - (units if kind.seller == who else 0)
        for n, kind in zip(fleet, case.kinds, strict=True)
    ]
    return sum(max(0, step) for step in steps), sum(max(0, -step) for step in steps)


def _ahead(case: FleetCase, serves: Sequence[int]) -> float:
    """Unit-hours of a day in which units "are paid for so long before" they serve."""
    if case.ready_min is None:
        return 0.0
    slots = [n for n in serves for _ in range(SLOTS)]
    reach = case.ready_min * SLOTS // 60
    paid = sum(max((slots * 2)[s : s + reach + 1]) for s in range(len(slots)))
    return paid / SLOTS - sum(serves)


def _covered(case: FleetCase, kind: Kind, on: int) -> float:
    """USD of an hour that are paid already: "part of a unit too"."""
    paid = case.committed
    if paid is None or paid.seller != kind.seller:
        return 0.0
    if paid.units is not None:
        units = min(float(on), paid.units)
    else:
        assert paid.usd_per_hour is not None
        units = min(on, paid.usd_per_hour / ((1 - paid.discount) * kind.usd))
    return units * kind.usd * (1.0 if paid.day is None else paid.day / DAYS)


def _work(case: FleetCase, fleet: Sequence[Units], load: int) -> tuple[float, float] | None:
    """(USD a month of the work in hours of that load, of these for tokens): the cheapest do it."""
    hours, peak = DAYS * case.hours.count(load), load * case.burst
    ways = []
    for n, kind in zip(fleet, case.kinds, strict=True):
        usd = 0.0
        if case.power_by_load and kind.idle_usd is not None and kind.busy_usd is not None:
            usd = (kind.busy_usd - kind.idle_usd) / kind.rate * load * hours
        ways.append((usd, n[load] * kind.rate / peak, False))
    if case.api:
        usd = case.api[0] * 2 / 1e6 * load * 3_600 * hours
        ways.append((usd, _api_rate(case) / peak, True))
    left, total, tokens = 1.0, 0.0, 0.0
    for usd, room, is_api in sorted(ways):
        part = min(left, room)
        left -= part
        total += part * usd
        tokens += part * usd * is_api
    return None if left > TINY else (total, tokens)
