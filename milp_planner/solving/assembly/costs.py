"""What a plan costs, in plain arithmetic, term by term.

`verify` holds the terms against the program's objective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from milp_planner.candidates.records import PlanningInput, UnitsOn
from milp_planner.milp.program.costs.terms import CASH_TERMS, PENALTIES
from milp_planner.milp.program.language.cost import Usage
from milp_planner.plans.records import SNAP, Purchase, Route


def cash_usd(
    instance: PlanningInput,
    purchases: Sequence[Purchase],
    routes: Sequence[Route],
    shared: Sequence[UnitsOn],
) -> Mapping[str, float]:
    """The money paid for a plan, USD/month, by the names of `CASH_TERMS`."""
    rented = (*(p for p in purchases if not p.candidate.part_of_unit), *shared)
    return {
        term.name: sum(term.purchase_usd(instance, p, routes) for p in purchases)
        + term.change_usd(instance, rented)
        + sum(term.shared_usd(instance, purchases, routes, shared).values())
        for term in CASH_TERMS
        if term.is_told(instance.problem)
    }


def with_shared_usd(
    instance: PlanningInput,
    purchases: Sequence[Purchase],
    routes: Sequence[Route],
    shared: Sequence[UnitsOn],
) -> tuple[Purchase, ...]:
    """The purchases, each with its part of what all of them owe or save together."""
    by_term = [term.shared_usd(instance, purchases, routes, shared) for term in CASH_TERMS]
    parts = {k: sum(one.get(k, 0.0) for one in by_term) for one in by_term for k in one}
    return tuple(
        replace(p, cash_usd_per_month=_no_dust(p.cash_usd_per_month, parts[p.candidate]))
        if p.candidate in parts
        else p
        for p in purchases
    )


def _no_dust(usd: float, shared: float) -> float:
    """The sum; 0 where it is a rounding error of its parts."""
    both = usd + shared
    return 0.0 if abs(both) <= SNAP * abs(usd) else both


def purchase_usd(instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]) -> float:
    """The money paid for one purchase, USD/month."""
    return sum(term.purchase_usd(instance, purchase, routes) for term in CASH_TERMS)


def penalties_usd(instance: PlanningInput, workload: str, usage: Usage) -> Mapping[str, float]:
    """The penalties of one workload, USD/month, by name; SEED formulas of InferenceAtlas."""
    return {term.name: term.workload_usd(instance, workload, usage) for term in PENALTIES}
