"""The list of next-best plans of a part that nothing links to the others, as it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    change_key,
    hours_held,
    is_elastic,
    rests_when_idle,
)
from milp_planner.lazily import dataclass, field
from milp_planner.milp.presolve.dominance import Pruned, all_of
from milp_planner.milp.presolve.lazy_rows import only_workloads
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.exclusion import Difference
from milp_planner.milp.program.language.variables import merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.records import Plan
from milp_planner.solving.apart.served import Found, Served, Spare

SAME = 1e-9
"""Relative difference of two costs that were meant to be equal."""


class Asked(NamedTuple):
    """What is looked for of a part: the cheapest plan."""

    difference: Difference
    unlike: tuple[Plan, ...] = ()
    """Plans that it must differ from."""

    without: tuple[Plan, ...] = ()
    """Plans that it must not contain."""

    names: frozenset[str] = frozenset()
    """What it has to use, each."""

    containing: Plan | None = None
    """What it has to contain, where that is asked for, ..."""

    beside: frozenset[str] = frozenset()
    """... with something that is none of these."""

    @property
    def is_of_a_list(self) -> bool:
        """True where the same is asked for again, of more plans."""
        return not self.names and self.containing is None


class Ask(Protocol):
    """Gives the cheapest plan of a part."""

    def __call__(
        self, part: PlanningInput, pruned: Pruned, asked: Asked, *, at_length: bool
    ) -> tuple[Plan | None, float]:
        """The plan, and what none costs less than, USD/month; endless where there is none."""
        ...


@dataclass
class ListOfPart:
    """Of one group of workloads; solves a program of these alone for each of its plans."""

    instance: PlanningInput
    """Of these workloads alone."""

    pruned: Pruned
    """Its candidates."""

    difference: Difference
    ask: Ask
    first: Plan | None = None
    """Its best plan, where that is known."""

    is_priced: bool = False
    """True where nothing is paid for but hours of units, at their prices."""

    _every: Sequence[Candidate] = field(init=False)
    _earlier: Sequence[Plan] = ()
    _spares: tuple[int, Sequence[Spare]] = (0, ())

    def __post_init__(self) -> None:
        self.workloads = frozenset(self.instance.schedule.demands)
        self._every = (*self.pruned.kept, *self.pruned.dominated_by)

    def bring_back(self, earlier: Sequence[Plan]) -> None:
        self._earlier = earlier
        self._readmit(())

    def next_of(self, known: Sequence[Served], *, at_length: bool) -> Found:
        if not known and self.first is not None:
            best = Served.of(self.first, self.difference)
            return Found(best, best.usd)
        self._readmit(known)
        asked = Asked(self.difference, unlike=tuple(one.plan for one in known))
        return self._found(*self.ask(self.instance, self.pruned, asked, at_length=at_length))

    def others_of(self, one: Served, known: Sequence[Served]) -> Found:
        naming = self.difference.name_of
        assert naming is not None, "where plans differ by none, nothing is asked for"
        mine = [k for k in self._every if naming(k) in one.names]
        part = only_workloads(self.instance, self.workloads, mine)
        without = (one.plan, *(other.plan for other in known))
        asked = Asked(self.difference, without=without, names=one.names)
        return self._found(*self.ask(part, all_of(mine), asked, at_length=True))

    def more_than(self, one: Served, have: frozenset[str], known: Sequence[Served]) -> Found:
        naming = self.difference.name_of
        assert naming is not None, "where plans differ by none, nothing is asked for"
        self._readmit(known)
        stood_for = self.pruned.dominated_by.items()
        mine = {a for a, b in stood_for if naming(b) in have}
        mine |= {*self.pruned.kept, *(p.candidate for p in one.plan.purchases)}
        in_order = sorted(mine, key=lambda k: k.id)
        asked = Asked(
            self.difference,
            without=tuple(other.plan for other in known),
            containing=one.plan,
            beside=have,
        )
        part = only_workloads(self.instance, self.workloads, in_order)
        return self._found(*self.ask(part, all_of(in_order), asked, at_length=True))

    def spares(self) -> Sequence[Spare] | None:
        if not self.is_priced:
            return None
        if self._spares[0] != len(self.pruned.kept):
            same = {(one.name, one.uses): one for one in self._units()}
            self._spares = len(self.pruned.kept), list(same.values())
        return self._spares[1]

    def _found(self, plan: Plan | None, least_usd: float) -> Found:
        return Found(None if plan is None else Served.of(plan, self.difference), least_usd)

    def _readmit(self, known: Sequence[Served]) -> None:
        plans = (*self._earlier, *(one.plan for one in known))
        self.pruned.readmit(plans, self.difference.differ_by)

    def _units(self) -> Iterator[Spare]:
        naming = self.difference.name_of
        if naming is None:
            return
        problem, blocks = self.instance.problem, self.instance.schedule.blocks
        for k in self.pruned.kept:
            peak = self.instance.schedule.demands[k.workload].peak
            busy = [t for t in range(len(blocks)) if peak[t] > 0]
            name, key, an_hour = naming(k), change_key(k), unit_price(self.instance, k)
            if is_elastic(problem, k):
                for t in busy:
                    yield Spare(an_hour * blocks[t].hours, name, k, frozenset([(key, t)]))
            else:
                on = busy if rests_when_idle(problem, k) else range(len(blocks))
                usd = an_hour * hours_held(self.instance, k)
                yield Spare(usd, name, k, frozenset((key, t) for t in on))


def unit_price(instance: PlanningInput, k: Candidate) -> float:
    """USD/hour of a unit that is on."""
    return sum(term.usd_per_unit_hour(instance, k) for term in COST_TERMS)


def pays_for_hours_alone(model: FleetModel) -> bool:
    """True where a program's costs are those of hours of units, at their prices."""
    fleet = model.fleet
    owed = {column.name: usd for column, usd in merged(model.costs.values()).items() if usd}
    if fleet.shared or any(k.mode.per_token for k in fleet.candidates):
        return False
    for (k, _, t), column in fleet.units.items():
        hours = fleet.blocks[t].hours if fleet.elastic(k) else hours_held(fleet.instance, k)
        price = unit_price(fleet.instance, k) * hours
        if price < 0 or not math.isclose(owed.get(column.name, 0.0), price, rel_tol=SAME):
            return False
    return owed.keys() <= {column.name for column in fleet.units.values()}
