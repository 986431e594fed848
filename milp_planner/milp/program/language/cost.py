"""What a cost term is: linear terms for the program, and the same amount in plain arithmetic.

`verify` holds the two against each other, term by term, so that neither can be forgotten. As with
rules, what a term does not answer is taken the careful way: nothing may stand in for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Purchase, Route


@dataclass(frozen=True)
class Usage:
    """How a workload fares, as far as penalties look at it."""

    utilization: float
    """The highest over purchases and blocks; 0 without units."""

    most_gpus: int
    """GPUs of its whole fleet in the block with most."""

    unserved_requests: float
    """Requests per month."""


class CostTerm:
    """One amount in USD/month that a plan owes."""

    name: ClassVar[str]
    """Its name in every breakdown."""

    keys: ClassVar[frozenset[str]] = frozenset()
    """Dotted keys of the problem that it reads, as `keys.leaves` spells them."""

    def is_told(self, problem: Problem) -> bool:
        """Whether the breakdown of a plan of `problem` has it."""
        return True

    def terms(self, fleet: Fleet) -> Terms:
        """The linear terms of the program."""
        raise NotImplementedError(f"{self.name} says no terms")

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """What counts of `k` when another candidate is to stand in for it; asked while in force."""
        return Standing(same=(k.id,))

    def usd_per_unit_hour(self, instance: PlanningInput, k: Candidate) -> float:
        """What a unit of `k` owes for every hour that it is on."""
        return 0.0


class CashTerm(CostTerm):
    """Money paid."""

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        """What a purchase owes, USD/month, in plain arithmetic."""
        return 0

    def change_usd(self, instance: PlanningInput, rented: Sequence[UnitsOn]) -> float:
        """What all that is rented owes together beyond that, units that are shared once."""
        return 0

    def shared_usd(
        self,
        instance: PlanningInput,
        purchases: Sequence[Purchase],
        routes: Sequence[Route],
        shared: Sequence[UnitsOn],
    ) -> Mapping[Candidate, float]:
        """What the purchases owe together that is part of what each of them costs.

        shared: the units that replicas among them share.
        """
        return {}


class Penalty(CostTerm):
    """A price on an outcome, shown apart from money paid."""

    def workload_usd(self, instance: PlanningInput, workload: str, usage: Usage) -> float:
        """What a workload owes, USD/month, in plain arithmetic."""
        raise NotImplementedError(f"{self.name} says no amount")
