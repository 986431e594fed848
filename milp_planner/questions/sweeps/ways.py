"""From which volume of traffic on which way of paying is the cheapest, proven by solving again.

Serving more never costs less: what carries a load carries any share of it. So the cost C_X of a way
X at the upper end of a stretch of traffic bounds it from above all through it, and the cost of
another way Y at the lower end bounds that from below:

    C_X(b) ≤ C_Y(a) ∀ Y   ⟹   X is the cheapest at every multiple from a to b

A stretch where that is not so is halved, until it is a thousandth wide: then the cheapest way
changes inside it, or two ways cost alike. Nothing between two multiples is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, NamedTuple

from milp_planner.deadline import OutOfTime, began_s, until
from milp_planner.errors import InputError, argument_error
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import allowed_billings, check_by_cost, may_fall_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_number
from milp_planner.lazily import dataclass, field
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.solve import provenance_of
from milp_planner.questions.sweeps.break_even import PER_TOKEN, Ways
from milp_planner.questions.sweeps.market import with_billings
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.prepare import prepare
from milp_planner.solving.re_solve import (
    Resolver,
    fleet_line,
    scaled_traffic,
    score_of,
    settings_of,
    stranded,
)
from milp_planner.solving.results import Settings

PRECISION = 1e-3
"""Relative width of a stretch in which the cheapest way changes."""

SAME = 1e-9
"""Relative difference of costs that is none."""

MOST_SOLVES = 400
MOST_FACTOR = 1e6

OWNED = ("owned",)
By = Literal["kind", "billing"]
BY: Mapping[str, By] = {"kind": "kind", "billing": "billing"}
"""What ways may be told apart by."""


@dataclass(frozen=True)
class WayToPay:
    """A way to serve all of a problem: by an API, by what is rented, or by what is owned."""

    name: str
    billings: tuple[str, ...]
    needs: tuple[str, ...]
    """Of these billings those that the problem does not allow."""


@dataclass(frozen=True)
class CheapestFrom:
    """The cheapest way over a stretch of traffic."""

    from_factor: float
    to_factor: float
    """Multiples of the problem's traffic."""

    way: str
    """'' where none can serve so much; of two that cost alike there the cheaper at its start."""

    from_usd_per_month: float | None
    to_usd_per_month: float | None
    """Cash and penalties of that way at both ends, as far as it can serve there; None where it was
    not priced."""

    fleet: str
    """What it buys at the start."""

    proven: bool
    """False where two ways cost alike to a thousandth of the traffic, or time ended."""


@dataclass(frozen=True)
class Crossovers:
    """Which way of paying is the cheapest at which volume."""

    name: str
    tokens_per_month: float
    """At 1x; 0 where requests have no tokens."""

    ways: tuple[WayToPay, ...]
    stretches: tuple[CheapestFrom, ...]
    complete: bool
    """False where time or work ended before all was known."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "name": self.name,
            "tokens_per_month": self.tokens_per_month,
            "ways": [asdict(way) for way in self.ways],
            "stretches": [asdict(one) for one in self.stretches],
            "complete": self.complete,
        }


def crossovers(
    problem: Problem,
    from_factor: float = 0.1,
    to_factor: float = 10.0,
    catalog: Catalog | None = None,
    *,
    by: By = "kind",
    time_limit_s: float | None = None,
    solver: SolverChoice | None = None,
) -> Crossovers:
    """Which way of paying is the cheapest at every multiple of the traffic between two.

    from_factor, to_factor: multiples of the problem's traffic, above 0. catalog: default: the one
    that the problem names. by: `kind` sets per token, rented and owned side by side; `billing`
    every billing that something is sold under, allowed or not. time_limit_s: seconds for all solves
    together; solver: which engines. Both stand for the problem's own settings where they are given.

    Returns Crossovers: stretches of traffic in order, each with its cheapest way, in USD per month.

    Raises InputError as `solve` does; ArgumentError for factors that are none, where the problem
    lets requests go unserved, counts GPUs first or has rules of its own: more traffic may then cost
    less.

    >>> from milp_planner import crossovers, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> found = crossovers(problem, 0.5, 2)
    >>> [(one.way, one.from_factor, one.to_factor) for one in found.stretches]
    [('rented', 0.5, 2)]
    """
    catalog = catalog_for(problem, catalog)
    check_number("from_factor", from_factor, above=0.0, most=MOST_FACTOR)
    check_number("to_factor", to_factor, above=0.0, most=MOST_FACTOR)
    if to_factor <= from_factor:
        raise argument_error("must be above from_factor", path="to_factor")
    if by not in BY:
        raise argument_error(f"expected kind or billing, not {by!r}", path="by")
    began = began_s()
    settings = settings_of(problem, time_limit_s=time_limit_s, solver=solver, began=began)
    return crossovers_within(problem, catalog, settings, (from_factor, to_factor), by)


def crossovers_within(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    span: tuple[float, float] = (0.1, 10.0),
    by: By = "kind",
) -> Crossovers:
    """The same under settings that are known; raises ArgumentError where it has no answer."""
    _check_monotone(problem)
    ways = tuple(_ways(problem, catalog, by))
    try:
        with until(settings.ends_s):
            instance = prepare(with_billings(problem, _all_billings(ways)), catalog)
    except OutOfTime:
        return Crossovers(problem.name, 0.0, ways, (), complete=False)
    resolver = Resolver(instance, settings, provenance_of(instance, settings))
    costs = _Costs(resolver, problem, {way.name: way.billings for way in ways})
    found = list(_stretches(costs, *span))
    tokens = sum(instance.schedule.tokens_per_month(w.name) for w in problem.workloads)
    return Crossovers(
        name=problem.name,
        tokens_per_month=tokens,
        ways=tuple(way for way in ways if way.name in costs.able),
        stretches=tuple(_told(costs, found)),
        complete=all(one.way is not None or one.is_narrow for one in found),
    )


def _check_monotone(problem: Problem) -> None:
    check_by_cost(problem, "a crossover")
    if may_fall_short(problem):
        raise argument_error(
            "crossovers compare what serves everything, and this problem may leave requests "
            "unserved",
            path="problem",
            hint="leave out when_short and policy.penalties.shortfall to ask that",
        )
    if problem.rules:
        raise argument_error(
            "under a rule of your own more traffic may cost less, so nothing is known between two "
            "multiples",
            path="problem",
        )


def _ways(problem: Problem, catalog: Catalog, by: By) -> Iterator[WayToPay]:
    """The ways that are set side by side, as far as anything is sold under them."""
    allowed = allowed_billings(problem)
    sold = {*(row.billing for row in catalog.offerings)}
    sold |= {*(row.billing for row in catalog.token_prices)}
    named: dict[str, tuple[str, ...]]
    if by == "billing":
        named = {name.replace("_", " "): (name,) for name in BILLING_MODES}
    else:
        hourly = tuple(b for b in allowed if b not in (*PER_TOKEN, *OWNED))
        by_default = tuple(
            mode.name
            for mode in BILLING_MODES.values()
            if mode.by_default and mode.name not in (*PER_TOKEN, *OWNED)
        )
        named = {"per token": PER_TOKEN, "rented": hourly or by_default, "owned": OWNED}
    for name, billings in named.items():
        if sold & {*billings}:
            yield WayToPay(name, billings, tuple(b for b in billings if b not in allowed))


def _all_billings(ways: Sequence[WayToPay]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(billing for way in ways for billing in way.billings))


class _Cost(NamedTuple):
    """What is known of the least score of a way at a multiple, USD/month; inf where it cannot."""

    least: float
    most: float
    plan: Plan | None = None

    @property
    def is_told(self) -> bool:
        """True where nothing is left to know."""
        return self.most <= self.least * (1 + SAME)


@dataclass
class _Costs:
    """What each way costs at any multiple of the traffic, solved where nothing else tells it."""

    resolver: Resolver
    problem: Problem
    ways: Mapping[str, tuple[str, ...]]
    solves: int = 0
    _known: dict[str, dict[float, _Cost]] = field(default_factory=dict)

    @cached_property
    def able(self) -> tuple[str, ...]:
        """Those that can serve every workload at all."""
        return tuple(name for name in self.ways if self._is_able(name))

    @cached_property
    def in_proportion(self) -> Mapping[str, float]:
        """USD per month at 1x of ways that cost in proportion to the traffic: tokens alone."""
        every = Ways(self.resolver, self.problem)
        tokens = [name for name in self.able if {*self.ways[name]} <= {*PER_TOKEN}]
        if not tokens or not every.tokens_in_proportion:
            return {}
        found = {name: self.solved(name, 1.0) for name in tokens}
        return {name: one.most for name, one in found.items() if math.isfinite(one.most)}

    @property
    def is_ended(self) -> bool:
        """True where no more may be solved."""
        return self.solves >= MOST_SOLVES or self.resolver.is_stopped

    def at(self, name: str, factor: float) -> _Cost:
        """What is known of a way at a multiple, by what was solved there, below and above."""
        if name in self.in_proportion:
            usd = self.in_proportion[name] * factor
            return _Cost(usd, usd)
        known = self._known.get(name, {})
        if factor in known:
            return known[factor]
        return _Cost(
            max((one.least for at, one in known.items() if at < factor), default=0.0),
            min((one.most for at, one in known.items() if at > factor), default=math.inf),
        )

    def solved(self, name: str, factor: float) -> _Cost:
        """The cost of a way at a multiple, with its plan."""
        known = self._known.setdefault(name, {})
        if factor not in known:
            self.solves += 1
            known[factor] = self._solved(name, factor)
        return known[factor]

    def _is_able(self, name: str) -> bool:
        try:
            with self.resolver.in_force():
                given = self.resolver.given_for(with_billings(self.problem, self.ways[name]))
        except OutOfTime:
            return True
        return not any(stranded(given))

    def _solved(self, name: str, factor: float) -> _Cost:
        problem = with_billings(scaled_traffic(self.problem, factor), self.ways[name])
        try:
            answer = self.resolver.answer(problem)
        except InputError:  # more, or less, than can be planned
            return _Cost(0.0, math.inf)
        if answer.plan is None:
            is_none = answer.status is Status.INFEASIBLE
            return _Cost(math.inf if is_none else 0.0, math.inf)
        score = score_of(answer.plan)
        least = score if answer.status is Status.OPTIMAL else answer.bound or 0.0
        return _Cost(least, score, answer.plan)


class _Found(NamedTuple):
    """A stretch of traffic, and its cheapest way: '' where none serves it, None where not known."""

    low: float
    high: float
    way: str | None

    @property
    def is_narrow(self) -> bool:
        """True where nothing more is asked of it."""
        return self.high <= self.low * (1 + PRECISION) * (1 + 1e-9)


def _stretches(costs: _Costs, low: float, high: float) -> Iterator[_Found]:
    """Stretches in order that the whole is cut into, the cheapest way of each where it is known."""
    left = [(low, high)]
    while left:
        a, b = left.pop()
        found = _Found(a, b, _cheapest(costs, a, b))
        if found.way is not None or found.is_narrow or costs.is_ended:
            yield found
            continue
        middle = _middle(costs, a, b)
        left += [(middle, b), (a, middle)]


def _middle(costs: _Costs, a: float, b: float) -> float:
    """Where a stretch is cut: where a way in proportion costs what another one does at an end, else
    half way."""
    for name, usd in costs.in_proportion.items():
        others = [costs.at(other, b) for other in costs.able if other != name]
        others += [costs.at(other, a) for other in costs.able if other != name]
        for other in others:
            if other.is_told and a * (1 + PRECISION) < other.most / usd < b / (1 + PRECISION):
                return other.most / usd
    return math.sqrt(a * b)


def _cheapest(costs: _Costs, a: float, b: float) -> str | None:
    """The way that is the cheapest at every multiple from a to b; None where that is not known.

    No more is solved than it takes to tell.
    """
    while True:
        least = {name: costs.at(name, a).least for name in costs.able}
        if all(map(math.isinf, least.values())):
            return ""
        most = {name: costs.at(name, b).most for name in costs.able}
        best = min(costs.able, key=lambda name: (most[name], costs.at(name, b).least))
        others = (usd for name, usd in least.items() if name != best)
        if most[best] < math.inf and all(most[best] <= usd * (1 + SAME) for usd in others):
            return best
        ask = _to_ask(costs, a, b, best, least)
        if ask is None or costs.is_ended:
            return None
        costs.solved(*ask)


def _to_ask(
    costs: _Costs, a: float, b: float, best: str, least: Mapping[str, float]
) -> tuple[str, float] | None:
    """(way, multiple) to be solved next: what the likeliest costs above, then others below."""
    likeliest = sorted(costs.able, key=lambda name: (name != best, costs.at(name, b).least))
    for name in likeliest:
        if not _is_solved(costs, name, b) and costs.at(name, b).least <= costs.at(best, b).most:
            return name, b
    for name in sorted(costs.able, key=lambda name: least[name]):
        below = name != best and least[name] < costs.at(best, b).most
        if below and not _is_solved(costs, name, a):
            return name, a
    return None if _is_solved(costs, best, a) else (best, a)


def _is_solved(costs: _Costs, name: str, factor: float) -> bool:
    return costs.at(name, factor).is_told or factor in costs._known.get(name, {})


def _told(costs: _Costs, found: Sequence[_Found]) -> Iterator[CheapestFrom]:
    """Neighbours of one way as one stretch; a narrow one goes to whom is cheaper at its start."""

    def way_of(one: _Found) -> str:
        if one.way is not None:
            return one.way
        best = min(costs.able, key=lambda name: costs.at(name, one.low).most, default="")
        return best if best and math.isfinite(costs.at(best, one.low).most) else ""

    for way, group in groupby(found, key=way_of):
        mine = list(group)
        low, high = mine[0].low, mine[-1].high
        served = (usd for one in reversed(mine) if (usd := _usd(costs, way, one.high)) is not None)
        start = _usd(costs, way, low)
        end = next(served, start)
        plan = costs.solved(way, low).plan if way and not costs.is_ended else None
        yield CheapestFrom(
            from_factor=low,
            to_factor=high,
            way=way,
            from_usd_per_month=start,
            to_usd_per_month=end,
            fleet="" if plan is None else fleet_line(plan),
            proven=all(one.way is not None for one in mine[:-1]) and _ends_well(mine[-1]),
        )


def _ends_well(last: _Found) -> bool:
    """Whether the end of a stretch is known to a thousandth."""
    return last.way is not None or last.is_narrow


def _usd(costs: _Costs, way: str, factor: float) -> float | None:
    known = costs.at(way, factor) if way else None
    return known.most if known is not None and known.is_told and known.most < math.inf else None
