"""Reads a routed plan block by block, and says which limits it breaks, as a person would.

Each reader goes by its sentence in the documents, quoted above it. It shares no line with the rules
of the program, with what checks or evaluates a plan, or with `exact_checker`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

import highspy

from milp_planner import Candidate
from tests.support.oracles.reading.routed import (
    CLOSE,
    NOTHING,
    Asked,
    Block,
    Routed,
    is_api,
    is_beyond,
    may_rest,
    rate_of_unit,
    who,
    work,
)

# milp/README.md: "every request class is served in every block, or counted as short"


def served(month: Routed) -> Iterator[str]:
    penalties, budget = month.problem.policy.active_penalties, month.problem.limits.budget
    may_miss = penalties.shortfall is not None
    may_miss = may_miss or (budget is not None and budget.when_short != "fail")
    said = {w.name: w.shortfall_share for w in month.plan.workloads}
    for block in month.blocks:
        for name in month.awaited:
            for q, wanted in enumerate(month.wanted(name, block.t)):
                got = sum(a.rate for a in block.of(name) if a.q == q)
                missing = (wanted - got) / wanted if wanted else got
                if is_beyond(-missing, 0) or is_beyond(missing, said[name] if may_miss else 0):
                    yield f"{name} is served {got} of {wanted} of class {q} in {block.t}"


# milp/README.md: "units are time-shared between the classes, up to the utilization of their level";
# problems/README.md: "ceiling above target opens hotter fleets"; bands end at 50 % and 75 %


def ceiling(month: Routed) -> Iterator[str]:
    allowed = month.problem.policy.utilization
    for w in month.problem.workloads:
        if w.name not in month.awaited:
            continue
        most = max(allowed.target, allowed.ceiling or 0)
        most = min(most, {"low": 0.5, "medium": 0.75}.get(w.latency.max_band or "", most))
        for block in month.blocks:
            units: Counter[Candidate] = Counter({a.k: 0 for a in block.of(w.name)})
            units.update(dict(block.on_for(w.name)))
            for k, n in units.items():
                if not is_api(k) and is_beyond(work(block, k), most * n):
                    yield f"{k.id} does {work(block, k)} units' work on {n} in {block.t}"


# problems/README.md: "shares of the requests that a workload is served at the peak of a block: no
# provider, and no spot, serves more than that"; a provider is one with its services


def provider_share(month: Routed) -> Iterator[str]:
    yield from _share(month, month.problem.limits.providers.max_share, who)


def spot_share(month: Routed) -> Iterator[str]:
    most = month.problem.limits.max_spot_share
    yield from _share(month, most, lambda k: "spot" if k.offering.billing == "spot" else "")


def _share(month: Routed, most: float | None, name_of: Callable[[Candidate], str]) -> Iterator[str]:
    for block in month.blocks if most is not None else ():
        for name in month.awaited:
            rates = block.rate_by(name, name_of)
            for someone, rate in rates.items():
                if someone and is_beyond(rate / rates.total(), most):
                    yield f"{someone} serves {rate} of {rates.total()} of {name} in {block.t}"


# "The rate limit of an API is the account's: what all workloads ask of it at their peaks stays
# below it together."


def account(month: Routed) -> Iterator[str]:
    for block in month.blocks:
        asked: Counter[str] = Counter()
        most: dict[str, float] = {}
        for a in block.asked:
            limit = getattr(a.k.offering, "max_requests_per_minute", None)
            if limit is not None:
                most[a.k.offering.id] = limit
                asked[a.k.offering.id] += 60 * a.rate
        for api, rate in asked.items():
            if is_beyond(rate / most[api], 1):
                yield f"{api} is asked {rate} a minute of {most[api]} in {block.t}"


# "count a unit as added where more of its offering are on for a workload, in any block, than run
# today, and as removed where fewer are on in every block"


def changed(month: Routed) -> tuple[int, int]:
    """Units added and removed."""
    today: Counter[tuple[str, str, str]] = Counter()
    sold = {k.offering.id: k.offering.billing for k in month.given.candidates.candidates}
    for row in month.problem.current_fleet:
        today[row.offering, row.billing or sold[row.offering], row.workload] += row.units
    on = [Counter() for _ in month.blocks]
    for block, there in zip(month.blocks, on, strict=True):
        for k, n in block.on:
            there[k.offering.id, k.offering.billing, k.workload] += n * k.units_joined
    added = removed = 0
    for what in {*today, *(one for there in on for one in there)}:
        counts = [there[what] for there in on]
        added += max(0, *(n - today[what] for n in counts))
        removed += max(0, min(today[what] - n for n in counts))
    return added, removed


def changes(month: Routed) -> Iterator[str]:
    most = month.problem.switching.max_units_changed
    if most is not None and sum(changed(month)) > most:
        yield f"{changed(month)} units are added and removed, {most} may change"


# "whether all that a workload is served, or its share of all, can be routed again over what is left
# when a provider, region or offering is lost: every class to whatever serves it best, units at up
# to 100 %. An API that is allowed stands by, at no cost: for all of it, or for what its rate limit
# leaves, in equal parts to the workloads that may use it"; `spot` loses all spot at once; a region
# is a metropolitan area, whoever is there, where that is not known, the provider's region


def loss(month: Routed) -> Iterator[str]:
    wish = month.problem.limits.survival
    if wish is None:
        return
    lost_of: dict[str, Callable[[Candidate], object]] = {
        "provider": who,
        "region": lambda k: _metro(k) or (k.offering.provider, k.offering.region),
        "offering": lambda k: k.offering.id,
        "spot": lambda k: k.offering.billing == "spot",
    }
    group = lost_of[wish.kind]
    for block in month.blocks:
        for name in month.awaited:
            mine = [a for a in block.of(name) if a.share > 1e-6]
            here = [(k, n) for k, n in block.on_for(name) if n]
            for lost in {group(k) for k, _ in here} | {group(a.k) for a in mine}:
                if lost is False:
                    continue
                left = [(k, n) for k, n in here if group(k) != lost]
                apis = [a for a in mine if is_api(a.k) and group(a.k) != lost]
                ready = [
                    _spare(month, block, k)
                    for k in month.given.candidates.candidates
                    if k.workload == name and is_api(k) and group(k) != lost
                ]
                little = [2 * CLOSE * rate for rate in month.wanted(name, block.t)]
                if not _can_serve(mine, left, apis, ready, wish.share, little):
                    yield f"{name} does not survive the loss of {lost} in {block.t}"


def _metro(k: Candidate) -> tuple[str, str] | None:
    return (k.offering.country, k.offering.metro) if k.offering.metro else None


def _spare(month: Routed, block: Block, k: Candidate) -> float:
    """Requests/s that an API takes on beside what it serves."""
    if k.rate_limit is None:
        return math.inf
    sharing = sum(o.offering.id == k.offering.id for o in month.given.candidates.candidates)
    used = sum(a.rate for a in block.asked if a.k.offering.id == k.offering.id)
    return max(0.0, k.rate_limit - used) / sharing


def _can_serve(
    mine: list[Asked],
    left: list[tuple[Candidate, int]],
    apis: list[Asked],
    ready: list[float],
    part: float,
    little: list[float],
) -> bool:
    """True where some routing serves that part of every class, but for next to nothing of it."""
    if math.inf in ready:
        return True
    wanted: Counter[int] = Counter()
    for a in mine:
        wanted[a.q] += part * a.rate
    for q in wanted:
        wanted[q] -= part * little[q]
    for a in apis:
        wanted[a.q] -= a.rate
    lp = highspy.Highs()
    lp.silent()
    time = [{q: lp.addVariable() for q in wanted if rate_of_unit(k, q)} for k, _ in left]
    for (_, n), spent in zip(left, time, strict=True):
        if spent:
            lp.addConstr(sum(spent.values()) <= n)
    taken = {q: lp.addVariable() for q in wanted} if sum(ready) else {}
    if taken:
        lp.addConstr(sum(taken.values()) <= sum(ready))
    for q, rate in wanted.items():
        made = [
            rate_of_unit(k, q) / rate * spent[q]
            for (k, _), spent in zip(left, time, strict=True)
            if q in spent and rate > 0
        ]
        if q in taken and rate > 0:
            made.append(taken[q] * (1 / rate))
        if rate > 0 and not made:
            return False
        if rate > 0:
            lp.addConstr(sum(made) >= 1)
    if not any(time) and not taken:
        return True
    lp.run()
    return lp.getModelStatus() == highspy.HighsModelStatus.kOptimal


# "turns on-demand units off in blocks in which their workload has no load. In all others their
# number is one and the same: what follows the load is sold as autoscaling or spot."


def held(month: Routed) -> Iterator[str]:
    counts: dict[Candidate, set[int]] = {}
    for block in month.blocks:
        for k, n in block.on:
            rests = k.offering.billing == "dedicated" and may_rest(month, k)
            if rests and n and not month.has_load(k.workload, block.t):
                yield f"{n} units of {k.id} are on without load in {block.t}"
            elif not rests or month.has_load(k.workload, block.t):
                counts.setdefault(k, set()).add(n)
    for k, seen in counts.items():
        if k.offering.billing not in ("autoscaling", "spot") and len(seen) > 1:
            yield f"{k.id} has {sorted(seen)} units"


# milp/README.md: "units and GPUs that can be had, over all workloads, at any time";
# `max_gpus.per_provider` counts by the seller's own name


def quotas(month: Routed) -> Iterator[str]:
    limits = month.problem.limits
    for block in month.blocks:
        units, sellers, types = Counter[str](), Counter[str](), Counter[str]()
        at_hand: Counter[tuple[str, str]] = Counter()
        had: dict[tuple[str, str], int] = {}
        for k, n in block.on:
            o, n = k.offering, n * k.units_joined
            units[o.id] += n
            sellers[o.provider] += n * o.gpus_per_unit
            types[o.gpu] += n * o.gpus_per_unit
            at_hand[o.id, o.billing] += n
            if o.max_units is not None:
                had[o.id, o.billing] = o.max_units
        total = limits.max_gpus.total
        if total is not None and types.total() > total:
            yield f"{types.total()} GPUs in {block.t}"
        yield from _too_many(limits.max_units, units, block)
        yield from _too_many(limits.max_gpus.per_provider, sellers, block)
        yield from _too_many(limits.max_gpus.per_gpu, types, block)
        yield from (f"{o} in {block.t}" for o, most in had.items() if at_hand[o] > most)


def _too_many(most: dict[str, int], counts: Counter[str], block: Block) -> Iterator[str]:
    for pattern, limit in most.items():
        there = sum(n for name, n in counts.items() if fnmatchcase(name, pattern))
        if there > limit:
            yield f"{there} of {pattern} in {block.t}"


# milp/README.md: "no more providers than allowed; a service of one, such as bedrock of aws, counts
# as it"; "no more regions than allowed: places (us-east-1 of AWS and eastus of Azure are one), else
# names"; "no more types of GPU than allowed; an API shows none"


def counts(month: Routed) -> Iterator[str]:
    limits, used = month.problem.limits, month.used()
    regions = {_metro(k) or k.offering.region for k in used}
    gpus = {k.offering.gpu for k in used if not is_api(k)}
    for most, names in (
        (limits.providers.max_count, {who(k) for k in used}),
        (limits.regions.max_count, regions),
        (limits.gpus.max_count, gpus),
    ):
        if most is not None and len(names) > most:
            yield f"{names} are more than {most}"


# milp/README.md: "at least the replicas asked for are up whenever there is load"


def replicas(month: Routed) -> Iterator[str]:
    for w in month.problem.workloads:
        for block in month.blocks:
            up = sum(n * k.replicas_per_unit for k, n in block.on_for(w.name))
            if w.min_replicas > 1 and month.has_load(w.name, block.t) and up < w.min_replicas:
                yield f"{w.name} has {up} replicas in {block.t}"


# milp/README.md: "at least so many replicas that are not spot are up whenever a workload has load;
# what only an API can serve has none"


def on_demand(month: Routed) -> Iterator[str]:
    least = month.problem.limits.min_on_demand_replicas or 0
    for name in month.awaited:
        mine = [k for k in month.given.candidates.candidates if k.workload == name]
        for block in month.blocks if not all(map(is_api, mine)) else ():
            held = ((k, n) for k, n in block.on_for(name) if k.offering.billing != "spot")
            up = sum(n * k.replicas_per_unit for k, n in held)
            if month.has_load(name, block.t) and up < least:
                yield f"{name} has {up} replicas that are not spot in {block.t}"


# milp/README.md: "only names that the problem lets through are used", "only ways to pay that the
# problem allows are used", "no GPU-hour costs more than the cap"; problems/README.md: "`allow:
# [aws]` takes bedrock in and `deny: [aws]` leaves it out; `deny: [bedrock]` leaves out bedrock
# alone"; regions go by group, country or name


def names(month: Routed) -> Iterator[str]:
    limits = month.problem.limits
    billings = limits.billing.allow or ("dedicated", "autoscaling", "owned")
    for k in month.used():
        o = k.offering
        rented = not is_api(k)
        for which, said in (
            (limits.providers, {o.provider, o.behind} - {""}),
            (limits.regions, {o.region, o.country, o.group} - {""}),
            (limits.offerings, {o.id}),
            (limits.gpus, {o.gpu} if rented else None),
        ):
            if said is None:
                continue
            if which.allow and not _match(which.allow, said):
                yield f"{k.id} is not among {which.allow}"
            if _match(which.deny, said):
                yield f"{k.id} is among {which.deny}"
        if o.billing not in billings:
            yield f"{k.id} is paid as {o.billing}"
        cap = limits.max_usd_per_gpu_hour
        cap = cap if cap is None or isinstance(cap, float) else getattr(cap, o.billing, None)
        if rented and cap is not None and is_beyond(o.usd_per_hour / o.gpus_per_unit, cap):
            yield f"{k.id} costs {o.usd_per_hour / o.gpus_per_unit} of {cap} per GPU-hour"


def _match(patterns: Iterable[str], said: set[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in said)


# milp/README.md: "replicas keep the workload's times per token and to the first token"; "a replica
# has one of the weight formats and GPU counts that its workload names"


def times(month: Routed) -> Iterator[str]:
    for block in month.blocks:
        for a in block.asked:
            if is_api(a.k) or a.share <= NOTHING:
                continue
            wish, point = month.problem.workload(a.k.workload).latency, a.k.points[a.q]
            for name, most, is_ in (
                ("per token", wish.tpot_s, point.tpot_s),
                ("to the first token", wish.ttft_s, point.ttft_s),
            ):
                if most is not None and is_ is not None and is_beyond(is_ / most, 1):
                    yield f"{a.k.id} takes {is_} s {name}"


def shapes(month: Routed) -> Iterator[str]:
    for k in month.used():
        w = month.problem.workload(k.workload)
        if is_api(k) or k.precision == "raw":  # a nominal rate, of whatever shape
            continue
        if w.precision and k.precision not in w.precision:
            yield f"{k.id} is none of {w.precision}"
        if w.tensor_parallel and k.tensor_parallel not in w.tensor_parallel:
            yield f"{k.id} is none of {w.tensor_parallel} GPUs"
