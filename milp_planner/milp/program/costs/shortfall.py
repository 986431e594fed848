"""A price on requests left unserved."""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.cost import Penalty, Usage
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.units import TOKENS_PER_MILLION


class Shortfall(Penalty):
    """Σ v_qt s_qt × the price of an unserved request, where the user set one."""

    name = "shortfall"
    keys = frozenset(("policy.penalties.shortfall.usd_per_million_requests",))

    def terms(self, fleet: Fleet) -> Terms:
        price = fleet.problem.policy.active_penalties.shortfall
        if price is None:
            return {}
        per_request = price.usd_per_million_requests / TOKENS_PER_MILLION
        return {
            short: fleet.volume(w, q, t) * per_request
            for (w, q, t), short in fleet.shortfalls.items()
        }

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        return FREE

    def workload_usd(self, instance: PlanningInput, workload: str, usage: Usage) -> float:
        price = instance.problem.policy.active_penalties.shortfall
        if price is None:
            return 0.0
        return price.usd_per_million_requests * usage.unserved_requests / TOKENS_PER_MILLION
