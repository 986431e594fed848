"""Unit-hours at the price of a unit and hour."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate, PlanningInput, hours_held
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Purchase, Route


class Rent(CashTerm):
    """Σ_k H c_k n_k for units held all month, Σ_kt h_t c_k n_kt for elastic ones,
    which a batch pays for the hours that they are on.

    H is the hours of the month, Σ_t h_t; those with load for units that rest without. Of units that
    replicas share the unit is paid, whoever stands on it; in a plan those who do pay for it by the
    GPUs that they hold.
    """

    name = "rent"

    def terms(self, fleet: Fleet) -> Terms:
        terms: Terms = {}
        for k, t, units in fleet.rented():
            if fleet.elastic(k):
                units = fleet.running.get((k, t), units)
                add(terms, units, fleet.blocks[t].hours * k.usd_per_hour)
            elif units not in terms:  # one column for all blocks
                terms[units] = hours_held(fleet.instance, k) * k.usd_per_hour
        return terms

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def usd_per_unit_hour(self, instance: PlanningInput, k: Candidate) -> float:
        return 0.0 if k.part_of_unit else k.usd_per_hour

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        return rent_usd(purchase)


def rent_usd(purchase: Purchase) -> float:
    """Unit-hours times the price of a unit and hour, USD/month; its part of units it shares."""
    if purchase.shared_rent_usd is not None:
        return purchase.shared_rent_usd
    return purchase.unit_hours * purchase.candidate.usd_per_hour
