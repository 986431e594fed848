"""Work lost to interruptions, and run again."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.costs.rent import rent_usd
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Purchase, Route


class SpotLoss(CashTerm):
    """Expected cost of work lost to interruptions: the policy's share of the spot rent."""

    name = "spot_loss"
    keys = frozenset(("policy.spot_loss",))

    def terms(self, fleet: Fleet) -> Terms:
        loss = fleet.problem.policy.spot_loss
        terms: Terms = {}
        for k, t, units in fleet.rented():
            if loss and k.mode.interruptible:
                units = fleet.running.get((k, t), units)
                add(terms, units, loss * fleet.blocks[t].hours * k.usd_per_hour)
        return terms

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def usd_per_unit_hour(self, instance: PlanningInput, k: Candidate) -> float:
        if k.part_of_unit or not k.mode.interruptible:
            return 0.0
        return instance.problem.policy.spot_loss * k.usd_per_hour

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        if not purchase.candidate.mode.interruptible:
            return 0.0
        return instance.problem.policy.spot_loss * rent_usd(purchase)
