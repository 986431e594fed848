"""A per-token offering serves no more requests than its rate limit, which is the account's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.rows import LE, Row, scaled
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan, exceeds


class PerTokenRate(Structural):
    """A per-token offering serves no more requests than its rate limit, which is the account's.

        Σ_{k of j} Σ_q λ_qt x_qkt ≤ rate limit of j        ∀ j per token, t      [requests/s]

    The candidates k of an offering j, one for each workload that it can serve, share the account.
    What they ask for at their peaks is added up, block by block.
    """

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for account in _accounts(fleet.candidates):
            for t in range(len(fleet.blocks)):
                terms = {
                    fleet.shares[k, q, t]: fleet.peak(k.workload, q, t)
                    for k in account.sharing
                    for q in fleet.classes(k.workload)
                    if (k, q, t) in fleet.shares
                }
                if terms:
                    yield scaled(f"{account.offering} {t}", terms, LE, account.limit)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """Accounts that serve more than their rate limit, all workloads together."""
        for account in _accounts(p.candidate for p in plan.purchases):
            sharing = set(account.sharing)
            for block in plan.blocks:
                rate = sum(
                    r.requests_per_second
                    for r in plan.routes
                    if r.candidate in sharing and r.block == block
                )
                if exceeds(rate / account.limit, 1.0):
                    yield (
                        f"{account.offering} serves {rate:g} requests/s in block {block.name}, "
                        f"above its rate limit of {account.limit:g}"
                    )


class _Account(NamedTuple):
    """A per-token offering with a rate limit."""

    offering: str
    limit: float
    """Requests/s that it accepts."""

    sharing: tuple[Candidate, ...]
    """Its candidates, one for each workload."""


def _accounts(candidates: Iterable[Candidate]) -> Iterator[_Account]:
    """Every per-token offering with a rate limit, in order."""
    sharing: dict[tuple[str, float], list[Candidate]] = {}
    for k in candidates:
        if k.rate_limit is not None:
            sharing.setdefault((k.offering.id, k.rate_limit), []).append(k)
    for (offering, limit), mine in sharing.items():
        yield _Account(offering, limit, tuple(mine))
