"""Cash stays within the budget."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.paying.commitments import most_covered
from milp_planner.candidates.paying.volume import largest_share
from milp_planner.candidates.records import Candidate, PlanningInput, hours_held, is_elastic
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.milp.program.costs.terms import cash_terms
from milp_planner.milp.program.language.loosening import CashLimit
from milp_planner.milp.program.language.rows import LE, Row, scaled
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, merged
from milp_planner.plans.records import SNAP, Plan, exceeds
from milp_planner.units import usd_shown


class BudgetLimit(Rule):
    """Cash stays within the budget; penalties do not count.

    Σ cash terms ≤ B      [USD/month]; equality passes
    """

    keys = frozenset(("limits.budget.usd_per_month", "limits.budget.when_short"))
    nearness = 90
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        budget = fleet.problem.limits.budget
        if budget is not None:
            yield scaled("budget", merged(cash_terms(fleet).values()), LE, budget.usd_per_month)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        budget = instance.problem.limits.budget
        cash = plan.cash_usd_per_month or 0.0
        if budget is not None and exceeds(cash, budget.usd_per_month):
            paid, most = usd_shown(cash, 2), usd_shown(budget.usd_per_month, 2)
            yield f"cash is {paid} per month, above the budget of {most}"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """What stands in is never dearer, under any rule."""
        return FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def leaves(self, instance: PlanningInput, k: Candidate) -> float:
        """Units that the budget pays for, on in a single block each, or that are paid already."""
        budget, usd = instance.problem.limits.budget, least_usd(instance, k)
        usd *= 1 - largest_share(instance.problem, k)
        if budget is None or usd <= 0:
            return math.inf
        return budget.usd_per_month * (1 + SNAP) / usd + most_covered(instance, k)

    def loosened(self, instance: PlanningInput) -> Iterator[CashLimit]:
        budget = instance.problem.limits.budget
        if budget is not None and not may_be_short(instance.problem):
            path = "limits.budget.usd_per_month"
            said = usd_shown(budget.usd_per_month)
            yield CashLimit(path, said, {"limits.budget": None}, usd=budget.usd_per_month)


def least_usd(instance: PlanningInput, k: Candidate) -> float:
    """USD/month of a unit of `k` that is on in a single block; for held units, in all of them."""
    blocks = instance.schedule.blocks
    if not is_elastic(instance.problem, k):
        return hours_held(instance, k) * k.usd_per_hour
    peaks = instance.schedule.demands[k.workload].peak
    busy = (block.hours for block, peak in zip(blocks, peaks, strict=True) if peak > 0)
    return min(busy) * k.usd_per_hour
