"""Requests at the price of a request."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Purchase, Route
from milp_planner.units import SECONDS_PER_HOUR


class PerToken(CashTerm):
    """Σ v_qt p_kq x_qkt: the share of the month's volume at the price of one request."""

    name = "per_token"

    def terms(self, fleet: Fleet) -> Terms:
        return {
            share: fleet.volume(k.workload, q, t) * k.usd_per_request[q]
            for (k, q, t), share in fleet.shares.items()
            if k.mode.per_token
        }

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def purchase_usd(
        self, instance: PlanningInput, purchase: Purchase, routes: Sequence[Route]
    ) -> float:
        """Requests served times their price."""
        k = purchase.candidate
        if not k.mode.per_token:
            return 0.0
        demand = instance.schedule.demands[k.workload]
        prices = dict(zip((q.name for q in demand.classes), k.usd_per_request, strict=True))
        total = 0.0
        for route in routes:
            if route.candidate is k:
                t = instance.schedule.blocks.index(route.block)
                requests = demand.mean[t] * route.block.hours * SECONDS_PER_HOUR
                volume = requests * route.request_class.share * route.share
                total += volume * prices[route.request_class.name]
        return total
