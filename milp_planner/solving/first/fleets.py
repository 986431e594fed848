"""Fleets without a solver: for each workload what serves it cheapest alone, rounded up.

Time grows with the candidates, and nothing is searched. Every limit is thought of in the simplest
way that can keep it: quotas by going on to the next candidate, shares and survival by equal parts
that no one holder has two of, counts of names by one name alone, a short budget by serving the same
share of everything. Whether a fleet keeps all limits is for `verify` to say, not for this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nsmallest

from milp_planner.candidates.records import Candidate, PlanningInput, change_key, is_elastic
from milp_planner.deadline import check, checked
from milp_planner.inputs.problem.policies import may_be_short, may_fall_short, when_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.language.variables import tracks_changes
from milp_planner.milp.program.limits.names_count import NamesCount
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.losses import SURVIVAL_GROUPS
from milp_planner.plans.records import SNAP
from milp_planner.solving.assembly.routes import spreads_by_capacity
from milp_planner.solving.first.loads import Load, Part
from milp_planner.solving.first.stock import Stock

MOST_TRIED = 16
"""Candidates of a workload, cheapest first, that are reckoned to the unit."""

MOST_NAMES = 3
"""Names, cheapest first, that are tried alone where only so many are allowed."""

BISECTIONS, TRIED_WHEN_SHORT = 9, 2
"""Halvings of the share that a short budget may pay for, and candidates tried at each."""

Allowed = Callable[[Candidate], bool]
Parts = dict[str, list[Part]]
"""Who serves which share, by workload."""


@dataclass(frozen=True)
class FirstFleet:
    """A fleet with what it pays for rent and tokens, USD/month."""

    solution: FleetSolution
    usd_per_month: float
    served: float = 1.0
    """Mean share of the workloads that is served."""


@dataclass
class Candidates:
    """The candidates of one workload, as a first fleet looks at them."""

    load: Load
    able: list[Candidate]
    """Those that serve every class alone, cheapest first."""

    partly: list[Candidate]
    """Those that serve some classes."""


@dataclass
class _Fleets:
    """One problem's workloads, and the fleets made for them."""

    instance: PlanningInput
    known: Mapping[str, Candidates]
    equal: EqualParts | None
    names: list[NamesCount] = field(default_factory=list)


def first_fleets(instance: PlanningInput) -> list[FirstFleet]:
    """Fleets that may keep all limits; raises OutOfTime when time is up before.

    Those that serve most come first, of these the cheapest.
    """
    by_workload: dict[str, list[Candidate]] = {w.name: [] for w in instance.problem.workloads}
    for k in checked(instance.candidates.candidates):
        by_workload[k.workload].append(k)
    known = {name: _candidates(instance, name, mine) for name, mine in by_workload.items()}
    made = _Fleets(instance, known, equal_parts(instance.problem), _names_counted(instance.problem))
    return sorted(_made(made), key=lambda fleet: (-fleet.served, fleet.usd_per_month))


def _candidates(instance: PlanningInput, workload: str, mine: list[Candidate]) -> Candidates:
    load = Load.of(instance, workload)
    if instance.problem.limits.max_spot_share is not None:
        mine = [k for k in mine if not k.mode.interruptible]
    costs = [(load.rough_usd(k), k.id, k) for k in checked(mine)]
    able = [k for usd, _, k in sorted(costs, key=lambda one: one[:2]) if usd < math.inf]
    return Candidates(load, able, [k for k in mine if not (k.mode.per_token or k.serves_all)])


def _made(fleets: _Fleets) -> Iterator[FirstFleet]:
    """Every fleet of every way to think of the limits."""
    problem = fleets.instance.problem
    for allowed in _allowed(fleets):
        for keep in (True, False) if _may_keep(problem) else (False,):
            yield from _of_shares(fleets, allowed, keep)
    budget = problem.limits.budget
    if may_fall_short(problem) and not (budget is not None and may_be_short(problem)):
        yield _fleet(fleets, {w.name: [] for w in problem.workloads}, {})


def _may_keep(problem: Problem) -> bool:
    return bool(problem.current_fleet) and tracks_changes(problem)


def _of_shares(fleets: _Fleets, allowed: Allowed, keep: bool) -> Iterator[FirstFleet]:
    """The fleet that serves everything, or what the budget pays for where that may be less."""
    names = [w.name for w in fleets.instance.problem.workloads]
    budget = fleets.instance.problem.limits.budget

    def parts_of(served: Mapping[str, float], tries: int) -> Parts | None:
        return _parts(fleets, served, allowed, keep, tries)

    def affordable(parts: Parts | None) -> bool:
        if parts is None or budget is None:
            return parts is not None
        return _usd(parts) <= budget.usd_per_month * (1 + SNAP)

    everything = dict.fromkeys(names, 1.0)
    whole = parts_of(everything, MOST_TRIED)
    if whole is not None and affordable(whole):
        yield _fleet(fleets, whole, everything)
    elif whole is not None and budget is not None and may_be_short(fleets.instance.problem):
        # A short budget is no excuse for another limit: without it everything could be served.
        served = dict.fromkeys(names, 0.0)
        for group in _in_order(fleets.instance.problem):

            def keeps(share: float, group: Sequence[str] = group) -> bool:
                more = {**served, **dict.fromkeys(group, share)}
                return affordable(parts_of(more, TRIED_WHEN_SHORT))

            served.update(dict.fromkeys(group, _largest(keeps)))
        paid = parts_of(served, TRIED_WHEN_SHORT)
        if paid is not None:
            yield _fleet(fleets, paid, served)


def _in_order(problem: Problem) -> list[list[str]]:
    """Workloads whose share is the same: all, or those of one priority after another."""
    groups: dict[int, list[str]] = {}
    for w in problem.workloads:
        by_priority = when_short(problem) == "priority"
        groups.setdefault(w.priority if by_priority else 1, []).append(w.name)
    return [names for _, names in sorted(groups.items())]


def _largest(keeps: Callable[[float], bool]) -> float:
    """The largest share found that keeps the budget; more of it never costs less."""
    if keeps(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


# ---- names, of which there may be only so many


def _names_counted(problem: Problem) -> list[NamesCount]:
    rules = [rule for rule in rules_of(problem) if isinstance(rule, NamesCount)]
    return [rule for rule in rules if rule.most(problem) is not None]


def _allowed(fleets: _Fleets) -> Iterator[Allowed]:
    """Which candidates may be used: all, and where names are counted those of one name alone."""
    yield lambda k: True
    if not fleets.names:
        return
    cheapest: dict[tuple[str, ...], dict[str, float]] = {}
    for workload, known in fleets.known.items():
        for k in checked(known.able):
            of_name = cheapest.setdefault(_names_of(fleets, k), {})
            of_name.setdefault(workload, known.load.rough_usd(k))
    complete = {
        name: sum(usd.values()) for name, usd in cheapest.items() if len(usd) == len(fleets.known)
    }
    for name in nsmallest(MOST_NAMES, complete, key=lambda one: (complete[one], one)):
        yield lambda k, name=name: _names_of(fleets, k) == name  # type: ignore[misc]


def _names_of(fleets: _Fleets, k: Candidate) -> tuple[str, ...]:
    return tuple(rule.name_of(k) for rule in fleets.names)


# ---- equal parts


@dataclass(frozen=True)
class EqualParts:
    """How many equal parts keep a share limit or survive a loss, and who may hold one of them."""

    parts: int
    holder: Callable[[Candidate], str]
    left: float
    """Share of the workload that all parts but one must carry at 100 %; 0 asks for nothing."""


def equal_parts(problem: Problem) -> EqualParts | None:
    """The parts that the problem's limits ask for; None where one may serve all."""
    share, survival = problem.limits.providers.max_share, problem.limits.survival
    parts, holder, left = 1, SURVIVAL_GROUPS["provider"], 0.0
    if survival is not None and survival.kind != "spot":
        parts, left = 2, survival.share
        holder = SURVIVAL_GROUPS[survival.kind]
    if share is not None and share < 1:
        parts = max(parts, math.ceil(1 / share - SNAP)) if share > 0 else 0
        holder = SURVIVAL_GROUPS["provider"]
    return None if parts == 1 else EqualParts(parts, holder, left)


def _equal(known: Candidates, wanted: EqualParts, share: float, stock: Stock) -> list[Part] | None:
    """The cheapest candidates that serve alike, one of each holder."""
    load, parts = known.load, wanted.parts
    alike: dict[object, dict[str, Part]] = {}
    for k in known.able:
        if k.mode.per_token and (wanted.left or not _accepts(k, load, share / parts)):
            continue
        key = (k.requests_per_second, is_elastic(load.problem, k), k.mode.per_token)
        held = alike.setdefault(key, {})
        if wanted.holder(k) in held or len(held) == parts:
            continue
        left = wanted.left * share / (parts - 1) if parts > 1 else 0.0
        part = load.part(k, share / parts, of_lost=left, parts=parts)
        if stock.holds(part):
            held[wanted.holder(k)] = part
    complete = [list(held.values()) for held in alike.values() if len(held) == parts > 0]
    return min(complete, key=lambda one: sum(p.usd_per_month for p in one), default=None)


# ---- one workload after another


def _parts(
    fleets: _Fleets, served: Mapping[str, float], allowed: Allowed, keep: bool, tries: int
) -> Parts | None:
    """Who serves which share of every workload, None where some cannot be served."""
    stock = Stock(fleets.instance.problem)
    parts: dict[str, list[Part]] = {}
    for workload, known in fleets.known.items():
        check()
        kept = list(_kept(fleets.instance, known, workload)) if keep else []
        for part in kept:
            stock.take(part)
        rest = max(0.0, served[workload] - sum(part.shares[0] for part in kept))
        more: list[Part] | None = []
        if rest > 0:
            mine = Candidates(
                known.load,
                [k for k in known.able if allowed(k)],
                [k for k in known.partly if allowed(k)],
            )
            more = _serving(mine, fleets.equal, rest, stock, tries)
        if more is None:
            return None
        for part in more:
            stock.take(part)
        parts[workload] = [*kept, *more]
    return parts


def _serving(
    known: Candidates, equal: EqualParts | None, share: float, stock: Stock, tries: int
) -> list[Part] | None:
    if equal is not None:
        return _equal(known, equal, share, stock)
    tried = [
        part
        for k in known.able[:tries]
        if _accepts(k, known.load, share) and stock.holds(part := known.load.part(k, share))
    ]
    if tried:
        return [min(tried, key=lambda part: part.usd_per_month)]
    return _filled(known, share, stock) or _by_class(known, share, stock)


def _accepts(k: Candidate, load: Load, share: float) -> bool:
    """Whether the rate limit of a per-token offering lets it serve so much."""
    return k.rate_limit is None or share * load.demand.highest_peak <= k.rate_limit


def _filled(known: Candidates, share: float, stock: Stock) -> list[Part] | None:
    """As much of one candidate as can be had, then of the next, until all is served."""
    load, left = known.load, stock.copy()
    parts: list[Part] = []
    for k in checked(known.able):
        whole = load.part(k, share)
        if left.holds(whole) and _accepts(k, load, share):
            return [*parts, whole]
        if k.mode.per_token:
            most = min(share, (k.rate_limit or 0.0) / load.demand.highest_peak)
        else:
            most = min(share, load.carried_by(k, left.room(k)))
        if most <= SNAP:
            continue
        part = load.part(k, most)
        if left.holds(part):
            left.take(part)
            parts.append(part)
            share -= most
    return None


def _by_class(known: Candidates, share: float, stock: Stock) -> list[Part] | None:
    """Where nothing serves every class: each class by what serves it cheapest."""
    load = known.load
    chosen: dict[Candidate, list[float]] = {}
    for q in range(len(load.demand.classes)):
        mine = [k for k in known.partly if k.requests_per_second[q] > 0]
        best = min(
            mine, key=lambda k: (k.usd_per_hour / k.requests_per_second[q], k.id), default=None
        )
        if best is None:
            return None
        chosen.setdefault(best, [0.0] * len(load.demand.classes))[q] = share
    parts = [load.part_of_classes(k, tuple(shares)) for k, shares in chosen.items()]
    return parts if all(stock.holds(part) for part in parts) else None


def _kept(instance: PlanningInput, known: Candidates, workload: str) -> Iterator[Part]:
    """Today's units of a workload, serving what they can of it, as long as there is more."""
    load, left = known.load, 1.0
    fastest: dict[tuple[str, str, str], Candidate] = {}
    for k in known.able:
        other = fastest.get(change_key(k))
        if other is None or k.mix_requests_per_second > other.mix_requests_per_second:
            fastest[change_key(k)] = k
    for key, units in sorted(instance.current_units().items()):
        now = fastest.get(key)
        if key[2] != workload or now is None or now.mode.per_token:
            continue
        count = units // now.units_joined
        share = min(left, load.carried_by(now, count))
        left -= share
        yield load.with_units(now, (share,) * len(load.demand.classes), 0.0, count)


# ---- as a fleet


def _fleet(
    fleets: _Fleets, parts: Mapping[str, Sequence[Part]], served: Mapping[str, float]
) -> FirstFleet:
    units: dict[Candidate, tuple[int, ...]] = {}
    shares: dict[tuple[Candidate, int, int], float] = {}
    short: dict[tuple[str, int, int], float] = {}
    for workload, known in fleets.known.items():
        demand = known.load.demand
        routed = not spreads_by_capacity(fleets.instance, workload)
        busy = [t for t, peak in enumerate(demand.peak) if peak > 0]
        for part in parts[workload]:
            k = part.candidate
            if not k.mode.per_token:
                before = units.get(k, (0,) * len(demand.peak))
                units[k] = tuple(a + b for a, b in zip(before, part.units, strict=True))
            if routed or k.mode.per_token:
                for t in busy:
                    for q, share in enumerate(part.shares):
                        if share:
                            shares[k, q, t] = shares.get((k, q, t), 0.0) + share
        unserved = 1 - served.get(workload, 0.0)
        if unserved > 0:
            cells = ((workload, q, t) for t in busy for q in range(len(demand.classes)))
            short.update(dict.fromkeys(cells, unserved))
    mean = sum(served.values()) / len(parts)
    return FirstFleet(FleetSolution(units, shares, short), _usd(parts), mean)


def _usd(parts: Mapping[str, Sequence[Part]]) -> float:
    return sum(part.usd_per_month for mine in parts.values() for part in mine)
