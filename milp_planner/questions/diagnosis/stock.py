"""How many more units of what would do, where the catalog has too few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Offering
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.program.language.rows import LE, Row, count_terms, distinct
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.reasons import TooFewUnits
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.re_solve import Resolver

Key = tuple[str, str]
"""(offering id, billing)."""


@dataclass(frozen=True)
class MoreUnits(Rule):
    """No more than so many units beyond those that there are.

    Σ_{k ∈ o} m_k n_kt − e_o ≤ stock_o  ∀ o, t,    Σ_o e_o ≤ most      [units]
    """

    stock: Mapping[Key, int]
    most: int

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        beyond = {key: fleet.column(f"more of[{' '.join(key)}]", self.most) for key in self.stock}
        for key, extra in beyond.items():
            mine = [(k, float(k.units_joined)) for k in fleet.candidates if k.offering.key == key]
            yield from distinct(
                Row(f"{' '.join(key)} {t}", {**terms, extra: -1.0}, LE, self.stock[key])
                for t in range(len(fleet.blocks))
                if (terms := count_terms(fleet, mine, t))
            )
        yield Row("in all", dict.fromkeys(beyond.values(), 1.0), LE, self.most)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        more = sum(_beyond(plan, self.stock).values())
        if more > self.most:
            yield f"{more} units beyond those that there are, more than {self.most}"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in is of the same offering, or of one of which there is no end."""
        key = k.offering.key if k.offering.key in self.stock else None
        return Standing(uses=(float(k.units_joined) if key else 0.0,), stock=key)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False


def too_few(resolver: Resolver, instance: PlanningInput) -> tuple[TooFewUnits, ...]:
    """The fewest units that would do beyond those that there are; empty where none are found."""
    stock = {
        k.offering.key: k.offering.max_units
        for k in instance.candidates.candidates
        if isinstance(k.offering, Offering) and k.offering.max_units is not None
    }
    candidates = tuple(map(_unlimited, instance.candidates.candidates))
    freed = replace(instance, candidates=replace(instance.candidates, candidates=candidates))
    best = resolver.answer_of(freed).plan
    if best is None:
        return ()
    least, most = 1, sum(_beyond(best, stock).values())
    while least < most:
        middle = (least + most) // 2
        rules = [MoreUnits(stock, middle)]
        answer = resolver.answer_of(replace(freed, problem=freed.problem.with_rules(rules)))
        if answer.plan is not None:
            best, most = answer.plan, sum(_beyond(answer.plan, stock).values())
        elif answer.status is Status.INFEASIBLE:
            least = middle + 1
        else:
            return ()
    more = sorted(_beyond(best, stock).items())
    return tuple(TooFewUnits(*key, stock[key], stock[key] + extra) for key, extra in more)


def has_stock(k: Candidate) -> bool:
    """Whether there are only so many units of what a candidate is."""
    return isinstance(k.offering, Offering) and k.offering.max_units is not None


def _unlimited(k: Candidate) -> Candidate:
    if not has_stock(k):
        return k
    return replace(k, offering=k.offering.model_copy(update={"max_units": None}))


def _beyond(plan: Plan, stock: Mapping[Key, int]) -> dict[Key, int]:
    """Units beyond the stock by offering, over all workloads, in the block with most."""
    most: Counter[Key] = Counter()
    for t in range(len(plan.blocks)):
        on: Counter[Key] = Counter()
        for p in plan.purchases:
            on[p.candidate.offering.key] += p.candidate.units_joined * p.units_by_block[t]
        most |= on
    return {key: most[key] - units for key, units in stock.items() if most[key] > units}
