"""A plan and a bound of workloads that quotas link, by prices on these, before the engines begin.

Replicas that workloads may share units by have their part of the price in what bounds a plan, and
of every quota of GPUs: see `milp/presolve/part_prices.py`. The plan is that of these parts, on as
few whole units as hold them, or one that shares nothing.

The same of a workload whose utilization has a price, by how hot it may run: see `soft/`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime, until
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.covering import is_known
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.linked.by_prices import PricedFleet, by_prices
from milp_planner.milp.curves.linked.reading import linked_covers_of
from milp_planner.milp.presolve.part_prices import at_their_part, of_one_each, without_parts
from milp_planner.milp.program.limits.quotas import user_quotas, with_quotas
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.refinement import tolerance_usd
from milp_planner.plans.records import Proof, Provenance, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.results import (
    SAME_USD,
    SearchResult,
    is_above,
    proven_by,
    result_of,
    with_newer_bound,
)
from milp_planner.solving.soft.by_utilization import best_by_utilization

NEAR = 5e-3
"""Relative to its score: a plan whose bound is as near is not looked for without parts of units."""

OF_UNITS = "max_units"
"""What the names of quotas begin with of which a part of a unit takes no part."""

PRICED = "a lower bound by prices on the quotas, in exact numbers, beside what the solvers prove"


@dataclass(frozen=True)
class Priced:
    """What prices on quotas say of a problem."""

    bound_usd: float
    """No plan scores less, USD/month."""

    result: SearchResult | None
    """The plan, feasible or proven; None where there is none."""

    used: frozenset[Candidate] | None
    """The candidates that a plan may use which scores no more; None where that is not known."""

    def narrowed(self, instance: PlanningInput) -> PlanningInput:
        """The problem without candidates that no plan as cheap uses."""
        if self.used is None:
            return instance
        kept = tuple(k for k in instance.candidates.candidates if k in self.used)
        return replace(instance, candidates=replace(instance.candidates, candidates=kept))

    def beside(self, later: SearchResult) -> SearchResult:
        """The result of the engines, or this plan where it is cheaper, with the higher bound."""
        mine = self.result
        if mine is None:
            return later if later.plan is None else at_least(later, self.bound_usd)
        if later.plan is None or (later.bound is not None and is_above(later.bound, mine)):
            return mine
        if later.status is Status.OPTIMAL:
            return later
        return at_least(with_newer_bound(mine, later), self.bound_usd)


def at_least(result: SearchResult, usd: float) -> SearchResult:
    """The result with a bound that is at least so much, and no more than its plan costs."""
    if result.status in (Status.OPTIMAL, Status.INFEASIBLE) or usd <= (result.bound or 0.0):
        return result
    if result.plan is None:
        return replace(result, bound=usd)
    bound = min(usd, result.score_usd_per_month)
    plan = replace(result.known, lower_bound_usd_per_month=bound)
    return replace(result, plan=plan, bound=bound)


def priced(instance: PlanningInput, provenance: Provenance, limit_s: float) -> Priced | None:
    """What prices say within so many seconds; None where quotas are not all that links workloads.

    instance: with the candidates that are left by pruning.
    """
    began_s = time.monotonic()
    demands = instance.schedule.demands.values()
    if not is_known(instance) or any(len(demand.classes) > 1 for demand in demands):
        return None
    try:
        with until(began_s + limit_s):
            return _priced(instance, provenance, began_s)
    except OutOfTime:
        return None


def priced_by_utilization(
    instance: PlanningInput, provenance: Provenance, limit_s: float
) -> Priced | None:
    """What is known within so many seconds of a workload whose utilization has a price; None where
    lists are of no use.

    instance: with the candidates that are left by pruning.
    """
    began_s = time.monotonic()
    found = best_by_utilization(instance, provenance, limit_s, keeps_all)
    if found is None:
        return None
    plan, bound_usd, *size = found
    if plan is None or plan.score_usd_per_month is None:
        return Priced(bound_usd, None, None)
    if plan.score_usd_per_month - bound_usd <= tolerance_usd(plan.score_usd_per_month):
        return Priced(bound_usd, proven_by(CURVES, plan, began_s, *size), None)
    unproven = Proof(certified=False, certified_by=())
    return Priced(bound_usd, result_of(Status.FEASIBLE, plan, unproven, bound_usd), None)


def _priced(instance: PlanningInput, provenance: Provenance, began_s: float) -> Priced | None:
    listed = instance.candidates.candidates
    parts = [k for k in listed if k.part_of_unit]
    alone = [k for k in listed if not k.part_of_unit]
    fractions = [*at_their_part(parts)]
    freed = _by_prices(_freed(instance, (*alone, *fractions)) if parts else instance)
    if freed is None:
        return None
    told = instance, freed.bound_usd, provenance, began_s
    stand_in = dict(zip(fractions, parts, strict=True))
    result: SearchResult | None = None
    try:
        result = _result(*told, _standing(freed, stand_in))
        if parts and not _is_near(result, freed.bound_usd):
            own = _by_prices(_only(without_parts(instance), alone), freed)
            result = _cheaper(result, None if own is None else _result(*told, own))
        used = None if result is None else _used(freed, result)
    except OutOfTime:
        return Priced(freed.bound_usd, result, None)
    if used is not None:
        used = frozenset(stand_in.get(k, k) for k in used)
    return Priced(freed.bound_usd, result, used)


def _is_near(result: SearchResult | None, bound_usd: float) -> bool:
    """True of a plan that others can be little cheaper than."""
    return result is not None and bound_usd >= result.score_usd_per_month * (1 - NEAR)


def _standing(fleet: PricedFleet, stand_in: Mapping[Candidate, Candidate]) -> PricedFleet:
    """The fleet with its parts of units as replicas, on as few whole units as hold them."""
    if fleet.solution is None:
        return fleet
    units = {stand_in.get(k, k): on for k, on in fleet.solution.units.items()}
    return replace(fleet, solution=replace(fleet.solution, units=units))


def _cheaper(one: SearchResult | None, other: SearchResult | None) -> SearchResult | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda result: result.score_usd_per_month)


def _by_prices(instance: PlanningInput, like: PricedFleet | None = None) -> PricedFleet | None:
    linked = linked_covers_of(build_model(instance, instance.candidates.candidates))
    return None if linked is None else by_prices(linked, like)


def _freed(instance: PlanningInput, candidates: Iterable[Candidate]) -> PlanningInput:
    """The problem in which every part of a unit can be had by itself."""
    quotas = [name for name, _, _ in user_quotas(instance.problem) if not name.startswith(OF_UNITS)]
    return with_quotas(of_one_each(instance, candidates), quotas)


def _only(instance: PlanningInput, candidates: Iterable[Candidate]) -> PlanningInput:
    listed = replace(instance.candidates, candidates=tuple(candidates))
    return replace(instance, candidates=listed)


def _result(
    instance: PlanningInput,
    bound_usd: float,
    provenance: Provenance,
    began_s: float,
    fleet: PricedFleet,
) -> SearchResult | None:
    """The plan of a fleet, verified; None where it breaks a rule, or there is none."""
    if fleet.solution is None:
        return None
    plan = assemble(instance, fleet.solution, provenance)
    score = plan.score_usd_per_month
    if score is None or violations(instance, plan):
        return None
    if score - bound_usd <= SAME_USD:
        return proven_by(CURVES, plan, began_s, fleet.linked.rows, fleet.linked.columns)
    bound = min(bound_usd, score)
    proof = Proof(certified=False, certified_by=(), notes=(PRICED,))
    plan = replace(plan, status=Status.FEASIBLE, proof=proof, lower_bound_usd_per_month=bound)
    return SearchResult(Status.FEASIBLE, plan, proof, bound)


def _used(fleet: PricedFleet, result: SearchResult) -> frozenset[Candidate] | None:
    try:
        return fleet.used_within(result.score_usd_per_month + SAME_USD)
    except OutOfTime:
        return None
