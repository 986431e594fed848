"""A first calendar where a program plans the months: nothing is signed, each rents for itself.

Every month of every future has the first plan of its own rentals (`solving/first_plan.py`), which
is verified in plain arithmetic: no program is built, and nothing is proven.
"""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import check, checked
from milp_planner.futures.months.optimum import MonthsAnswer, broken_budget, moves_between
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import binds
from milp_planner.milp.months.program import MonthsShape
from milp_planner.plans.records import Plan, Proof, Provenance, Status
from milp_planner.solving.first.bounds import least_usd_per_month
from milp_planner.solving.first_plan import FirstPlan


@dataclass(frozen=True)
class RentedMonths:
    """What each month of each future rents where nothing is signed; the months of `shape`."""

    instances: Sequence[PlanningInput]
    shape: MonthsShape
    plans: tuple[Plan, ...]

    @classmethod
    def of(
        cls, instances: Sequence[PlanningInput], shape: MonthsShape, provenance: Provenance
    ) -> RentedMonths | None:
        """None where some month has no such plan; raises OutOfTime when time is up."""
        plans: list[Plan] = []
        for instance in checked(instances):
            found = FirstPlan.of(_without_what_binds(instance)).result(provenance)
            if found is None or found.plan is None:
                check()  # it may be that time was up
                return None
            plans.append(found.plan)
        return cls(instances, shape, tuple(plans))

    def answer(self, measure: Measure, shape: MonthsShape) -> MonthsAnswer | None:
        """They as an answer; None where they break a rule over several months, or where it is not
        known what they leave unserved is worth. shape: as many months of each future, or fewer."""
        plans = [
            self.plans[self.shape.block(f, i)]
            for f in range(shape.futures)
            for i in range(shape.all_months)
        ]
        has_value = measure.usd_per_million_requests or measure.usd_per_million_tokens
        if has_value and any(w.shortfall_share > 0 for plan in plans for w in plan.workloads):
            return None
        moves = moves_between(plans, shape)
        instances = [
            self.instances[self.shape.block(f, i)]
            for f in range(shape.futures)
            for i in range(shape.all_months)
        ]
        if moves is None or broken_budget(instances, plans, moves, measure, shape):
            return None
        counted = tuple(
            constant
            + sum(
                (plans[b].score_usd_per_month or 0.0) + moves[b]
                for b in range(shape.block(f, 0), shape.block(f + 1, 0))
            )
            for f, constant in enumerate(measure.constants)
        )
        return MonthsAnswer(
            Status.FEASIBLE,
            Proof(certified=False, certified_by=()),
            plans=tuple(plans),
            counted=counted,
            minimised_usd=measure.minimised(counted),
            moves_usd=tuple(moves),
        )


def _without_what_binds(instance: PlanningInput) -> PlanningInput:
    listed = instance.candidates
    rentals = tuple(k for k in listed.candidates if not binds(k))
    return replace(instance, candidates=replace(listed, candidates=rentals))


def least_usd(instances: Sequence[PlanningInput]) -> list[float]:
    """No plan of each month costs less, where what is signed is had by the month: without a
    program, so that it may be 0. Raises OutOfTime when time is up."""
    return [max(0.0, least_usd_per_month(one) or 0.0) for one in checked(instances)]
