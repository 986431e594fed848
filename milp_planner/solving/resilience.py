"""What a plan has left when a provider, region or offering is lost, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from milp_planner.milp.program.limits.survival import losses, served_at_peak
from milp_planner.plans.consequences import Loss, ResilienceCost
from milp_planner.plans.records import Plan, Status

if TYPE_CHECKING:
    from milp_planner.solving.search import Answer


def worst_losses(plan: Plan, kind: str) -> tuple[Loss, ...]:
    """For every workload that is served, the loss of one `kind` that leaves the least.

    `kind` is `provider`, `region` (one provider's) or `offering`.
    """
    found = (min(_losses(plan, w.name, kind), key=_least, default=None) for w in plan.workloads)
    return tuple(loss for loss in found if loss is not None)


def _losses(plan: Plan, workload: str, kind: str) -> Iterator[Loss]:
    [unit] = [w.unit for w in plan.workloads if w.name == workload]
    for lost, t, left in losses(plan, workload, kind):
        served = served_at_peak(plan, workload, t)
        if served:
            yield Loss(workload, kind, lost, plan.blocks[t].name, left, served, unit)


def _least(loss: Loss) -> tuple[float, str, str]:
    return loss.share, loss.lost, loss.block


def resilience_cost(plan: Plan, freed: Answer | None) -> ResilienceCost | None:
    """What `limits.survive_loss_of` adds to the score of `plan`; `freed` is the answer without it.

    None without an answer: there is no such limit, or it was not asked for.
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
