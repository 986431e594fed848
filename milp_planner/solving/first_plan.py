"""A plan in hand before any program is built: cheap, verified, and given where time ends too soon.

It is put together from the fleets of `fleets.py` only when it is needed. It claims no more than it
knows: feasible, by no solver, and no plan costs less than `bounds.py` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import (
    has_own_queues,
    is_gpus_first,
    may_be_short,
    may_fall_short,
)
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.presolve.routing import balanced
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Proof, Provenance, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.short_notes import short_note
from milp_planner.solving.assembly.spare_units import with_spare_units
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.first.bounds import least_usd_per_month
from milp_planner.solving.first.fleets import FirstFleet, first_fleets
from milp_planner.solving.results import CONTRADICTED, SearchResult, contradicted, is_as_good

MOST_VERIFIED = 4
"""Fleets, cheapest first, that are held against every rule before none is said to be found."""

FIRST_PLAN_CPU_S = 0.35
"""What a first plan may take beyond the time limit, where reading or listing took all of that."""

IN_HAND = "a first plan, put together without the solvers, which had none as cheap when time ended"
OF_FEW = "not everything that can be rented was looked at before time ended"


@dataclass(frozen=True)
class FirstPlan:
    """Fleets that may keep all limits; a plan of the first that does."""

    instance: PlanningInput
    fleets: tuple[FirstFleet, ...]
    bound: float | None = None
    """No plan costs less, USD/month; None where that is not known."""

    of_few: bool = False
    """True where only some of what can be rented was looked at."""

    @classmethod
    def of(cls, instance: PlanningInput, *, of_few: bool = False) -> FirstPlan:
        """The first plan of a problem; without fleets where time ends before there is any."""
        try:
            fleets = tuple(first_fleets(instance))
        except OutOfTime:
            return cls(instance, (), None, of_few)
        bound = None if of_few else _bound(instance)
        return cls(instance, fleets, bound, of_few)

    def result(self, provenance: Provenance, said: str = IN_HAND) -> SearchResult | None:
        """The verified plan, with `said` of how it was found; None where no fleet passes."""
        passed = self._passed(provenance)
        if not self._may_choose:
            best = next(passed, None)
        else:
            best = min(passed, key=lambda plan: plan.score_usd_per_month or 0.0, default=None)
        return None if best is None else self._told(best, said)

    @property
    def _may_choose(self) -> bool:
        """True where leaving requests unserved has a price, to be weighed against serving them."""
        problem = self.instance.problem
        return may_fall_short(problem) and not may_be_short(problem)

    @property
    def least_usd(self) -> float:
        """No plan of these fleets scores less, USD/month."""
        return min((fleet.usd_per_month for fleet in self.fleets), default=math.inf)

    def _passed(self, provenance: Provenance) -> Iterator[Plan]:
        for fleet in self.fleets[:MOST_VERIFIED]:
            plan = assemble(self.instance, self._spread(fleet.solution), provenance)
            if not violations(self.instance, plan):
                yield plan
            elif more := with_spare_units(self.instance, plan, fleet.solution):
                plan = assemble(self.instance, self._spread(more), provenance)
                if not violations(self.instance, plan):
                    yield plan

    def _spread(self, solution: FleetSolution) -> FleetSolution:
        """The fleet with requests spread so that no queue is sent too much, where there are any."""
        problem = self.instance.problem
        has_queues = any(has_own_queues(problem, w) for w in problem.workloads)
        return balanced(self.instance, solution) if has_queues else solution

    def _told(self, plan: Plan, said: str) -> SearchResult:
        notes = (said, OF_FEW) if self.of_few else (said,)
        proof = Proof(certified=False, certified_by=(), notes=notes)
        score = plan.score_usd_per_month
        bound = self.bound if self.bound is None or score is None else min(self.bound, score)
        warnings = plan.warnings
        if may_be_short(self.instance.problem) and any(w.shortfall_share for w in plan.workloads):
            warnings = (*warnings, short_note(self.instance.problem, plan))
        plan = replace(
            plan,
            status=Status.FEASIBLE,
            proof=proof,
            lower_bound_usd_per_month=bound,
            warnings=warnings,
        )
        return SearchResult(Status.FEASIBLE, plan, proof, bound)


def or_in_hand(result: SearchResult, first: FirstPlan, provenance: Provenance) -> SearchResult:
    """The result, or the first plan where that one is better than what the solvers came to.

    A proof that a verified plan contradicts is no proof: the plan stands, and nothing is proven.
    """
    if not first.fleets or is_as_good(result, first.least_usd):
        return result
    problem = first.instance.problem
    if result.status is not Status.NO_PLAN and (may_be_short(problem) or is_gpus_first(problem)):
        return result  # what is served, or rented, counts before the score
    is_proven = result.status in (Status.OPTIMAL, Status.INFEASIBLE)
    mine = first.result(provenance, CONTRADICTED if is_proven else IN_HAND)
    if mine is None or is_as_good(result, mine.score_usd_per_month):
        return result
    if is_proven:
        return contradicted(result, mine)
    bound = max((b for b in (mine.bound, result.bound) if b is not None), default=None)
    notes = dict.fromkeys((*result.proof.notes, *mine.proof.notes))
    proof = replace(result.proof, certified=False, certified_by=(), notes=tuple(notes))
    plan = replace(mine.known, proof=proof, lower_bound_usd_per_month=bound)
    return SearchResult(Status.FEASIBLE, plan, proof, bound)


def _bound(instance: PlanningInput) -> float | None:
    try:
        bound = least_usd_per_month(instance)
    except OutOfTime:
        return None
    return bound if bound is not None and math.isfinite(bound) else None
