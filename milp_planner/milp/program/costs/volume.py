"""What volume discounts take off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milp_planner.candidates.paying.volume import bands, taken_off, volume_of
from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.costs.volume_bands import SPENT, VolumeBands
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Purchase, Route


class VolumeDiscount(CashTerm):
    """−Σ_i d_i W_i z_i: each part of what is spent at its own share; see `VolumeBands`."""

    name = "volume_discount"
    keys = VolumeBands.keys

    def is_told(self, problem: Problem) -> bool:
        return bool(problem.prices.volume)

    def terms(self, fleet: Fleet) -> Terms:
        tiers = fleet.problem.prices.volume
        shares = {pattern: [share for _, share in bands(mine)] for pattern, mine in tiers.items()}
        return {z: -shares[pattern][i] * width for (pattern, i), (z, width) in fleet.bands.items()}

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """For which discount a stand-in counts, `VolumeBands` says."""
        return FREE

    def shared_usd(
        self,
        instance: PlanningInput,
        purchases: Sequence[Purchase],
        routes: Sequence[Route],
        shared: Sequence[UnitsOn],
    ) -> Mapping[Candidate, float]:
        """Purchases bear what is taken off in proportion to what they cost."""
        problem = instance.problem
        found: dict[Candidate, float] = {}
        terms = [term for term in SPENT if term.is_told(problem)]
        for pattern, tiers in problem.prices.volume.items():
            mine = [p for p in purchases if volume_of(problem, p.candidate) == pattern]
            spent = {
                p.candidate: sum(term.purchase_usd(instance, p, routes) for term in terms)
                for p in mine
            }
            total = sum(spent.values())
            off = taken_off(tiers, total)
            found |= {k: -off * usd / total for k, usd in spent.items() if off}
        return found
