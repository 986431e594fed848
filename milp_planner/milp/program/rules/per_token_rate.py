"""A per-token offering serves no more requests than its rate limit."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.milp.program.language.rows import LE, Row, scaled
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan, exceeds


class PerTokenRate(Structural):
    """A per-token offering serves no more requests than its rate limit.

    Σ_q λ_qt x_qkt ≤ rate limit of k            ∀ k per token, t      [requests/s]
    """

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for k in fleet.candidates:
            limit = k.rate_limit
            if not k.mode.per_token or limit is None:
                continue
            for t in fleet.busy(k.workload):
                terms = {
                    fleet.shares[k, q, t]: fleet.peak(k.workload, q, t)
                    for q in fleet.classes(k.workload)
                }
                yield scaled(f"{k.id} {t}", terms, LE, limit)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        for p in plan.purchases:
            limit = p.candidate.rate_limit
            if limit is None:
                continue
            for block in plan.blocks:
                rate = sum(
                    r.requests_per_second
                    for r in plan.routes
                    if r.candidate is p.candidate and r.block == block
                )
                if exceeds(rate / limit, 1.0):
                    yield (
                        f"{p.candidate.id} serves {rate:g} requests/s in block {block.name}, "
                        f"above its rate limit of {limit:g}"
                    )
