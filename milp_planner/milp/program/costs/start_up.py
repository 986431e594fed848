"""Hours that units are paid for before they serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milp_planner.candidates.paying.start_up import hours_ahead, ready_hours
from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn
from milp_planner.candidates.sharing.standing import is_part_of
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.costs.start_up_ahead import StartUpAhead
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Purchase, Route


class StartUpHours(CashTerm):
    """Σ_kaB h_aB c_k e_kaB: hours in which units are paid for that serve soon; `StartUpAhead`."""

    name = "start_up"
    keys = StartUpAhead.keys

    def is_told(self, problem: Problem) -> bool:
        return bool(problem.policy.start_up)

    def terms(self, fleet: Fleet) -> Terms:
        return {
            extra: hours_ahead(fleet.instance, ready_hours(fleet.problem, k))[at] * k.usd_per_hour
            for (k, at), extra in fleet.ahead.items()
        }

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in is no dearer; how soon it is ready, `StartUpAhead` says."""
        return FREE

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        return 0.0 if purchase.candidate.part_of_unit else _usd(instance, purchase)

    def shared_usd(
        self,
        instance: PlanningInput,
        purchases: Sequence[Purchase],
        routes: Sequence[Route],
        shared: Sequence[UnitsOn],
    ) -> Mapping[Candidate, float]:
        """Those who share units bear what these cost before they serve as they do the rent."""
        found: dict[Candidate, float] = {}
        for one in shared if instance.problem.policy.start_up else ():
            rent = {
                p.candidate: p.shared_rent_usd or 0.0
                for p in purchases
                if is_part_of(p.candidate, one.candidate)
            }
            usd, all_of_it = _usd(instance, one), sum(rent.values())
            found |= {k: usd * mine / all_of_it for k, mine in rent.items() if usd}
        return found


def _usd(instance: PlanningInput, rented: UnitsOn) -> float:
    """What units cost before they serve, USD/month."""
    k, on = rented.candidate, rented.units_by_block
    if not instance.problem.policy.start_up:
        return 0.0
    ahead = hours_ahead(instance, ready_hours(instance.problem, k))
    return k.usd_per_hour * sum(
        hours * max(0, max(on[t] for t in following) - on[block])
        for (block, following), hours in ahead.items()
    )
