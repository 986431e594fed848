"""Power of owned units by the load that they carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn, hours_held
from milp_planner.candidates.sharing.standing import is_part_of
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Purchase, Route


class PowerHours(NamedTuple):
    """What an hour of a unit costs more or less than its price, in USD."""

    idle: float
    work: float
    """What an hour at full load costs more than one without."""


def power_hours(problem: Problem, k: Candidate) -> PowerHours | None:
    """What power by load does to an hour of a unit; None where it is not counted, or not stated."""
    o = k.offering
    if not (problem.policy.power_by_load and isinstance(o, Offering)):
        return None
    if o.idle_usd_per_hour is None or o.busy_usd_per_hour is None or o.list_usd_per_hour:
        return None
    each = o.idle_usd_per_hour - o.usd_per_hour, o.busy_usd_per_hour - o.idle_usd_per_hour
    if k.part_of_unit:  # the unit is paid, and it does its part of the unit's work
        return PowerHours(0.0, each[1] * k.gpus_per_unit / o.gpus_per_unit)
    return PowerHours(*(usd * k.units_joined for usd in each))


class PowerByLoad(CashTerm):
    """Σ_k H i_k n_k + Σ_kt h_t w_k Σ_q (mean_qt ÷ μ_kq) x_qkt: power of owned units by their load.

    i_k is what an hour without load costs less, or more, than the price of an hour, which has the
    power at an average or at full load in it; w_k what one at full load costs more than one
    without. Draw grows in proportion to the load between the two, as servers' does nearly (Fan,
    Weber and Barroso, "Power provisioning for a warehouse-sized computer", ISCA 2007). A unit that
    replicas share draws i for all of them; w_k of a replica is its GPUs' part of the unit's.
    """

    name = "power_by_load"
    keys = frozenset(("policy.power_by_load",))

    def is_told(self, problem: Problem) -> bool:
        return problem.policy.power_by_load

    def terms(self, fleet: Fleet) -> Terms:
        terms: Terms = {}
        hours = {
            k: found
            for k in (*fleet.rentable, *fleet.candidates)
            if (found := power_hours(fleet.problem, k)) is not None
        }
        for k, _, units in fleet.rented():
            if k in hours and units not in terms:  # one column for all blocks: they are held
                terms[units] = hours_held(fleet.instance, k) * hours[k].idle
        for (k, q, t), share in fleet.shares.items():
            if k in hours:
                demand = fleet.demand(k.workload)
                mean = demand.classes[q].share * demand.mean[t]
                busy = fleet.blocks[t].hours * mean / k.requests_per_second[q]
                add(terms, share, busy * hours[k].work)
        return terms

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in draws no more for any request; what it draws idle is in its price.

        Of replicas that share units those stand in that draw as much: there a use is one of GPUs.
        """
        hours = power_hours(instance.problem, k)
        work = 0.0 if hours is None else hours.work
        drawn = tuple(work / rate if rate else 0.0 for rate in k.requests_per_second)
        if k.part_of_unit and work:
            return Standing(same=drawn, uses=(0.0,) * len(drawn))
        return Standing(uses=drawn)

    def usd_per_unit_hour(self, instance: PlanningInput, k: Candidate) -> float:
        hours = power_hours(instance.problem, k)
        return 0.0 if hours is None else hours.idle

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        k = purchase.candidate
        hours = power_hours(instance.problem, k)
        if hours is None:
            return 0.0
        demand, blocks = instance.schedule.demands[k.workload], instance.schedule.blocks
        rate_of = dict(zip(demand.classes, k.requests_per_second, strict=True))
        busy = sum(
            demand.mean[blocks.index(r.block)]
            * r.request_class.share
            * r.share
            / rate_of[r.request_class]
            * r.block.hours
            for r in routes
            if r.candidate is k
        )
        return purchase.unit_hours * hours.idle + busy * hours.work

    def shared_usd(
        self,
        instance: PlanningInput,
        purchases: Sequence[Purchase],
        routes: Sequence[Route],
        shared: Sequence[UnitsOn],
    ) -> Mapping[Candidate, float]:
        """Those who share units bear what these draw without load by the GPUs that they hold."""
        found: dict[Candidate, float] = {}
        for one in shared:
            hours = power_hours(instance.problem, one.candidate)
            if hours is None:
                continue
            mine = [p for p in purchases if is_part_of(p.candidate, one.candidate)]
            held = {p.candidate: p.candidate.gpus_per_unit * p.unit_hours for p in mine}
            usd, total = one.unit_hours * hours.idle, sum(held.values())
            found |= {k: usd * gpus / total for k, gpus in held.items() if total}
        return found
