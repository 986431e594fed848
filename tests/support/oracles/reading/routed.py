"""A plan as what happens in each time block: who is asked how much, and which units are on.

What the readers of limits and costs go by. It takes the problem as asked, the month, the plan's
routes and its units, and nothing that the planner has worked out of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from milp_planner import Candidate, Plan, PlanningInput, Problem

CLOSE = 1e-6
"""Relative: a limit that is passed by less is kept, as solvers count."""

NOTHING = 1e-9
"""Share of a class that is a solver's noise."""


def is_beyond(value: float, most: float) -> bool:
    """True where a limit is passed."""
    return value > most + CLOSE * max(1.0, abs(most))


def is_api(k: Candidate) -> bool:
    """True where tokens are paid."""
    return k.offering.billing == "per_token"


def who(k: Candidate) -> str:
    """The provider: of a service, the one that it is of."""
    return k.offering.behind or k.offering.provider


@dataclass(frozen=True)
class Asked:
    """Requests of one class that one offering serves."""

    k: Candidate
    q: int
    rate: float
    """Requests/s at the peak of the block."""

    share: float
    """Of the class."""


@dataclass(frozen=True)
class Block:
    """What is served and what is on."""

    t: int
    hours: float
    asked: tuple[Asked, ...]
    on: tuple[tuple[Candidate, int], ...]
    """Units, joined ones counted as one, of what is bought by the unit; 0 too."""

    paid: tuple[tuple[Candidate, int, float], ...]
    """The same with the hours that one of them is paid for: of a batch's elastic ones fewer."""

    def of(self, workload: str) -> tuple[Asked, ...]:
        """What of it is for a workload."""
        return tuple(a for a in self.asked if a.k.workload == workload)

    def on_for(self, workload: str) -> list[tuple[Candidate, int]]:
        """The units of a workload."""
        return [(k, n) for k, n in self.on if k.workload == workload]

    def rate_by(self, workload: str, name_of: Callable[[Candidate], str]) -> Counter[str]:
        """Requests/s of a workload by any name of who serves them."""
        rates: Counter[str] = Counter()
        for a in self.of(workload):
            rates[name_of(a.k)] += a.rate
        return rates


@dataclass(frozen=True)
class Routed:
    """The whole month."""

    given: PlanningInput
    plan: Plan
    blocks: tuple[Block, ...]

    @property
    def problem(self) -> Problem:
        """What was asked."""
        return self.given.problem

    @property
    def names(self) -> list[str]:
        """The workloads."""
        return [w.name for w in self.problem.workloads]

    def wanted(self, workload: str, t: int) -> list[float]:
        """Requests/s by class that come in at the peak of a block."""
        demand = self.given.schedule.demands[workload]
        return [demand.peak[t] * c.share for c in demand.classes]

    @property
    def awaited(self) -> list[str]:
        """The workloads that somebody waits for."""
        demands = self.given.schedule.demands
        return [name for name in self.names if not demands[name].can_wait]

    def has_load(self, workload: str, t: int) -> bool:
        """True where anything comes in."""
        return self.given.schedule.demands[workload].peak[t] > 0

    def used(self) -> set[Candidate]:
        """Whatever serves or is on at some time."""
        on = {k for block in self.blocks for k, n in block.on if n}
        return on | {a.k for block in self.blocks for a in block.asked if a.share > NOTHING}


def routed(given: PlanningInput, plan: Plan) -> Routed:
    """The plan, block by block."""
    return Routed(given, plan, tuple(_blocks(given, plan)))


def _blocks(given: PlanningInput, plan: Plan) -> Iterator[Block]:
    rented = [p for p in plan.purchases if not is_api(p.candidate)]
    for t, block in enumerate(given.schedule.blocks):
        asked = [
            Asked(route.candidate, _number(given, route), route.requests_per_second, route.share)
            for route in plan.routes
            if route.block.name == block.name and route.requests_per_second > 0
        ]
        on = [(p.candidate, p.units_by_block[t]) for p in rented]
        paid = [
            (k, n, p.hours_by_block[t] if _waits(given, k) and k.mode.elastic else block.hours)
            for p, (k, n) in zip(rented, on, strict=True)
        ]
        yield Block(t, block.hours, tuple(asked), tuple(on), tuple(paid))


def _waits(given: PlanningInput, k: Candidate) -> bool:
    return given.schedule.demands[k.workload].can_wait


def _number(given: PlanningInput, route) -> int:
    classes = given.schedule.demands[route.candidate.workload].classes
    return [c.name for c in classes].index(route.request_class.name)


def rate_of_unit(k: Candidate, q: int) -> float:
    """Requests/s that a unit serves of a class alone; 0 where it cannot."""
    return k.replicas_per_unit * k.points[q].requests_per_second


def work(block: Block, k: Candidate) -> float:
    """Units' time that requests take at the peak."""
    return sum(a.rate / (rate_of_unit(k, a.q) or 1e-9) for a in block.asked if a.k is k)


def utilization(month: Routed, workload: str) -> float:
    """How busy the busiest units of a workload are at the busiest peak; 0 without units."""
    return max(
        (work(b, k) / n for b in month.blocks for k, n in b.on_for(workload) if n), default=0.0
    )


def may_rest(month: Routed, k: Candidate) -> bool:
    """ "those that the catalog says are `billed_by` the second, the minute or the hour are off,
    others are not. What is billed by the month, reserved or owned is paid all the same"."""
    if k.offering.billing != "dedicated":
        return k.offering.billing in ("autoscaling", "spot")
    said = month.problem.policy.switch_off_dedicated
    if said is None:
        return k.offering.billed_by in ("second", "minute", "hour")
    return said and k.offering.billed_by != "month"
