"""What a plan costs, in plain arithmetic, term by term.

`verify` holds the terms against the program's objective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.milp.program.costs.terms import CASH_TERMS, PENALTIES
from milp_planner.milp.program.language.cost import Usage
from milp_planner.plans.records import Purchase, Route


def cash_usd(
    instance: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> Mapping[str, float]:
    """The money paid for a plan, USD/month, by the names of `CASH_TERMS`."""
    return {
        term.name: sum(term.purchase_usd(instance, p, routes) for p in purchases)
        + term.change_usd(instance, purchases)
        for term in CASH_TERMS
    }


def purchase_usd(instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]) -> float:
    """The money paid for one purchase, USD/month."""
    return sum(term.purchase_usd(instance, purchase, routes) for term in CASH_TERMS)


def penalties_usd(instance: PlanningInput, workload: str, usage: Usage) -> Mapping[str, float]:
    """The penalties of one workload, USD/month, by name; SEED formulas of InferenceAtlas."""
    return {term.name: term.workload_usd(instance, workload, usage) for term in PENALTIES}
