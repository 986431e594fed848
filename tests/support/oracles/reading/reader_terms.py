"""Reads what is paid already, paid ahead, paid less or limited of a routed plan's units.

Each reader goes by its sentence in `problems/README.md` or `milp/README.md`, quoted above it, and
shares no line with the planner's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

import highspy

from milp_planner import Candidate, Commitment
from tests.support.oracles.reading.routed import (
    Block,
    Routed,
    is_api,
    is_beyond,
    may_rest,
    rate_of_unit,
)

SLOTS = 10
"""Of six minutes, an hour: starts of other lengths are not read."""

BILLINGS = ("dedicated", "autoscaling", "reserved_1y", "reserved_3y", "owned", "spot", "per_token")

# "owned units that are on draw no more power than there is, cooling included"


def power(month: Routed) -> Iterator[str]:
    most = month.problem.limits.max_power_kw
    for block in month.blocks if most is not None else ():
        drawn = sum(
            n * k.units_joined * (k.offering.kilowatts or 0.0)
            for k, n in block.on
            if k.offering.billing == "owned"
        )
        if is_beyond(drawn, most):
            yield f"{drawn} kW are drawn in {block.t}"


# "a plan pays nothing more for what they cover"; "Units stand for any unit of what they name, on
# demand or reserved, in all workloads together; an amount pays for the list price less its
# discount, part of a unit too. They cover what saves most"


def commitments(month: Routed) -> float:
    saved = 0.0
    for block in month.blocks:
        on: Counter[tuple[str, str]] = Counter()
        usd: dict[tuple[str, str], float] = {}
        for k, n, hours in block.paid:
            key = k.offering.id, k.offering.billing
            on[key] += n * k.units_joined * hours / block.hours
            usd[key] = k.offering.usd_per_hour
        saved += block.hours * _most_saved(month, on, usd)
    return -saved


def _most_saved(
    month: Routed, on: Counter[tuple[str, str]], usd: dict[tuple[str, str], float]
) -> float:
    """USD an hour, as a linear program of what covers what."""
    lp = highspy.Highs()
    lp.silent()
    of_units: dict[tuple[str, str], list[object]] = {key: [] for key in on}
    total: list[object] = []
    for paid in month.problem.commitments:
        mine = []
        for key, price in usd.items():
            if not on[key] or not _is_about(paid, *key):
                continue
            units = lp.addVariable(0, on[key])
            of_units[key].append(units)
            part = 1.0 if paid.discount is None else (1 - paid.discount) * price
            mine.append(part * units)
            total.append(price * _part_of_month(month, paid) * units)
        if mine:
            lp.addConstr(sum(mine) <= (paid.units or paid.usd_per_hour))
    for key, covering in of_units.items():
        if covering:
            lp.addConstr(sum(covering) <= on[key])
    if not total:
        return 0.0
    lp.maximize(sum(total))
    return lp.getObjectiveValue()


def _is_about(paid: Commitment, offering: str, billing: str) -> bool:
    of_billing = paid.billing in (None, billing) and billing != "spot"
    return of_billing and fnmatchcase(offering, paid.offering)


def _part_of_month(month: Routed, paid: Commitment) -> float:
    """ "One that ends within the month, which begins today, covers its part of it"."""
    if paid.until is None:
        return 1.0
    days = (paid.until - month.given.catalog.read_on).days + 1
    return min(1.0, max(0.0, 24 * days / month.problem.policy.hours_per_month))


# "Units that are off at times ... are then paid for so long before every block in which more of
# them serve"; "the last that matches holds"


def start_up(month: Routed) -> float:
    return sum(usd for _, usd in starts(month))


def starts(month: Routed) -> Iterator[tuple[Candidate, float]]:
    """(whose units start, USD a month) of all that is off at times."""
    clock = month.given.schedule.block_by_hour or (0,)
    for k in {k for block in month.blocks for k, _ in block.on}:
        minutes = _ready_minutes(month, k)
        if not minutes or not may_rest(month, k):
            continue
        units = [dict(block.on)[k] for block in month.blocks]
        slots = [units[t] for t in clock for _ in range(SLOTS)]
        reach = int(minutes * SLOTS // 60)
        paid = sum(max((slots * 3)[s : s + reach + 1]) for s in range(len(slots)))
        hours = month.problem.policy.hours_per_month
        extra = (paid - sum(slots)) / len(slots) * hours
        yield k, extra * k.units_joined * k.offering.usd_per_hour


def _ready_minutes(month: Routed, k: Candidate) -> float:
    found = 0.0
    for one in month.problem.policy.start_up:
        of_billing = one.billing in (None, k.offering.billing)
        if of_billing and fnmatchcase(k.offering.id, one.offering):
            found = one.ready_after_s / 60
    return found


# "of a month's spend on all that a pattern is about, in all workloads, each part costs less by the
# share of its tier. What matches most exactly holds, as for discounts": "of every billing but
# owned, unless one is named"


def volume_discount(month: Routed) -> float:
    spent: Counter[str] = Counter()
    for block in month.blocks:
        for k, n in block.on:
            usd = block.hours * n * k.units_joined * k.offering.usd_per_hour
            spent[_pattern_of(month, k)] += usd
    for k, usd in starts(month):
        spent[_pattern_of(month, k)] += usd
    for k, usd in tokens(month):
        spent[_pattern_of(month, k)] += usd
    off = 0.0
    for pattern, tiers in month.problem.prices.volume.items():
        ends = [*(tier.above_usd for tier in tiers[1:]), float("inf")]
        for tier, end in zip(tiers, ends, strict=True):
            off += tier.discount * max(0.0, min(spent[pattern], end) - tier.above_usd)
    return -off


def _pattern_of(month: Routed, k: Candidate) -> str:
    found = ("", -1, False)
    for pattern in month.problem.prices.volume:
        name, _, billing = pattern.rpartition(" ")
        if billing not in BILLINGS:
            name, billing = pattern, ""
        meant = billing == k.offering.billing if billing else k.offering.billing != "owned"
        letters = len(re.sub(r"[*?]", "", name))
        if meant and fnmatchcase(k.offering.id, name) and (letters, bool(billing)) > found[1:]:
            found = pattern, letters, bool(billing)
    return found[0]


def tokens(month: Routed) -> Iterator[tuple[Candidate, float]]:
    """(offering, USD) of all that is paid per token."""
    for block in month.blocks:
        for a in block.asked:
            if is_api(a.k):
                demand, price = month.given.schedule.demands[a.k.workload], a.k.offering
                size = demand.classes[a.q]
                mean = a.rate * demand.mean[block.t] / demand.peak[block.t]
                usd = size.input_tokens * price.usd_per_m_input_tokens
                usd += size.output_tokens * price.usd_per_m_output_tokens
                yield a.k, 3_600 * block.hours * mean * usd / 1e6


# "power of owned units by the load that they carry, less what of it is in their price"


def power_by_load(month: Routed) -> float:
    usd = 0.0
    for block in month.blocks if month.problem.policy.power_by_load else ():
        for k, n in block.on:
            o = k.offering
            if o.billing != "owned" or o.idle_usd_per_hour is None:
                continue
            usd += block.hours * n * k.units_joined * (o.idle_usd_per_hour - o.usd_per_hour)
            per_unit = k.units_joined * (o.busy_usd_per_hour - o.idle_usd_per_hour)
            usd += block.hours * per_unit * mean_work(month, block, k)
    return usd


def mean_work(month: Routed, block: Block, k: Candidate) -> float:
    """Units' time that requests take on average over a block."""
    demand = month.given.schedule.demands[k.workload]
    if not demand.peak[block.t]:
        return 0.0
    scale = demand.mean[block.t] / demand.peak[block.t]
    return sum(scale * a.rate / rate_of_unit(k, a.q) for a in block.asked if a.k is k)


# "the LLMs that serve a workload are as good as asked, on average over its requests"; `each`: "of
# every LLM that serves"


def quality(month: Routed) -> Iterator[str]:
    for w in month.problem.workloads:
        if isinstance(w.llm, str):
            continue
        served: Counter[str] = Counter()
        demand = month.given.schedule.demands[w.name]
        for block in month.blocks:
            for a in block.of(w.name):
                mean = a.rate * demand.mean[block.t] / demand.peak[block.t]
                served[a.k.llm] += mean * block.hours
        for llm in served:
            if w.llm.each is not None and w.llm.quality[llm] < w.llm.each:
                yield f"{w.name} is served by {llm}"
        total = sum(served.values())
        if w.llm.at_least is not None and total:
            mean = sum(w.llm.quality[llm] * part for llm, part in served.items()) / total
            if is_beyond(w.llm.at_least, mean):
                yield f"{w.name} has a mean of {mean}"


# "When they are done is part of the program: in hours in which units of another workload have time
# left": "up to the utilization that they may have, beside their own mean load"


def batches(month: Routed) -> Iterator[str]:
    demands, plan = month.given.schedule.demands, month.plan
    short = {w.name: w.shortfall_share for w in plan.workloads}
    for name in month.names:
        demand = demands[name]
        if not demand.can_wait:
            continue
        for q, c in enumerate(demand.classes):
            wanted = sum(b.hours * p for b, p in zip(month.blocks, demand.peak, strict=True))
            done = sum(b.hours * a.rate for b in month.blocks for a in b.of(name) if a.q == q)
            done += sum(
                run.block.hours * run.requests_per_second
                for run in plan.batch_runs
                if (run.workload, run.request_class.name) == (name, c.name)
            )
            if abs(done / (wanted * c.share) + short[name] - 1) > 1e-5:
                yield f"{name} has {done} of {wanted * c.share} done of class {q}"
    if any(demand.can_wait for demand in demands.values()):
        yield from _too_much_beside(month)


def _too_much_beside(month: Routed) -> Iterator[str]:
    most = month.problem.policy.utilization.target
    for block in month.blocks:
        for k, n, hours in block.paid:
            busy = mean_work(month, block, k)
            for run in month.plan.batch_runs:
                if run.candidate is k and run.block.name == month.plan.blocks[block.t].name:
                    rates = next(m for m in k.meanwhile if m.workload == run.workload)
                    busy += run.requests_per_second / rates.requests_per_second[0]
            if is_beyond(busy, most * n * hours / block.hours):
                yield f"{k.id} has {busy} units' time of work in {block.t}"
