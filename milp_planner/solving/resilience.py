"""What it costs to survive the loss of a provider, region or offering."""

from __future__ import annotations

from milp_planner.plans.consequences import ResilienceCost
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.results import SearchResult


def resilience_cost(plan: Plan, freed: SearchResult | None) -> ResilienceCost | None:
    """What `limits.survive_loss_of` adds to the score of `plan`; `freed` is the result without it.

    None without a result: there is no such limit, or it was not asked for.
    """
    if freed is None or plan.score_usd_per_month is None:
        return None
    if freed.plan is None:
        return ResilienceCost(plan.score_usd_per_month, None, proven=False)
    return ResilienceCost(
        plan.score_usd_per_month,
        freed.plan.score_usd_per_month,
        proven=plan.status is Status.OPTIMAL and freed.status is Status.OPTIMAL,
        unserved=_unserved(plan),
        unserved_without=_unserved(freed.plan),
    )


def _unserved(plan: Plan) -> float:
    return max((w.shortfall_share for w in plan.workloads), default=0.0)
