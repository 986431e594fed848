"""Units added to and removed from today's fleet, at their prices."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn
from milp_planner.milp.program.language.changing import change_standing
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.changes import unit_change_of


class SwitchingCost(CashTerm):
    """Σ_j (USD per unit added) a_j + (USD per unit removed) r_j, charged once."""

    name = "switching"
    keys = frozenset(("switching.usd_per_unit_added", "switching.usd_per_unit_removed"))

    def terms(self, fleet: Fleet) -> Terms:
        prices = fleet.problem.switching
        terms = {variable: prices.usd_per_unit_added for variable in fleet.added.values()}
        terms.update({variable: prices.usd_per_unit_removed for variable in fleet.removed.values()})
        return terms

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return change_standing(instance, k)

    def change_usd(self, instance: PlanningInput, rented: Sequence[UnitsOn]) -> float:
        prices = instance.problem.switching
        changes = unit_change_of(instance, rented).values()
        added = sum(delta for delta in changes if delta > 0)
        removed = -sum(delta for delta in changes if delta < 0)
        return prices.usd_per_unit_added * added + prices.usd_per_unit_removed * removed
