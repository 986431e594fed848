"""What a plan has left when a provider, region or offering is lost, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from milp_planner.inputs.catalog import Catalog
from milp_planner.inputs.problem import Problem
from milp_planner.milp.limits import losses, served_at_peak
from milp_planner.planning.plan import Plan
from milp_planner.planning.planner import solve


@dataclass(frozen=True)
class Loss:
    """What one loss leaves of a workload's service, in the block where that is least."""

    workload: str
    kind: str
    """provider, region or offering."""

    lost: str
    block: str
    left_requests_per_second: float
    """Capacity that is left, units at 100 % utilization, per-token offerings as they serve."""

    served_requests_per_second: float
    """What the plan serves at the peak of the block."""

    @property
    def share(self) -> float:
        """What is left as a share of what the plan serves; above 1 the loss is not felt."""
        return self.left_requests_per_second / self.served_requests_per_second

    def __str__(self) -> str:
        return (
            f"worst case for {self.workload}, {self.kind} {self.lost} lost: "
            f"{self.left_requests_per_second:.4g} req/s left for "
            f"{self.served_requests_per_second:.4g} req/s of peak ({self.share:.0%})"
        )


def worst_losses(plan: Plan, kind: str) -> tuple[Loss, ...]:
    """For every workload that is served, the loss of one `kind` that leaves the least.

    `kind` is `provider`, `region` (one provider's) or `offering`.
    """
    found = (min(_losses(plan, w.name, kind), key=_least, default=None) for w in plan.workloads)
    return tuple(loss for loss in found if loss is not None)


def _losses(plan: Plan, workload: str, kind: str) -> Iterator[Loss]:
    for lost, t, left in losses(plan, workload, kind):
        served = served_at_peak(plan, workload, t)
        if served:
            yield Loss(workload, kind, lost, plan.blocks[t].name, left, served)


def _least(loss: Loss) -> tuple[float, str, str]:
    return loss.share, loss.lost, loss.block


@dataclass(frozen=True)
class ResilienceCost:
    """What `survive_loss_of` costs: two optima compared."""

    with_limit_usd: float
    without_limit_usd: float

    @property
    def usd_per_month(self) -> float:
        """Score with the limit less score without."""
        return self.with_limit_usd - self.without_limit_usd

    def __str__(self) -> str:
        more = self.usd_per_month / self.without_limit_usd if self.without_limit_usd else 0.0
        return f"resilience costs ${self.usd_per_month:,.0f} per month ({more:+.0%})"


def resilience_cost(
    problem: Problem, plan: Plan, catalog: Catalog | None = None
) -> ResilienceCost | None:
    """What `limits.survive_loss_of` adds to the score of `plan`, by solving without it.

    None without such a limit, or where either has no plan.
    """
    if problem.limits.survival is None or plan.score_usd_per_month is None:
        return None
    limits = problem.limits.model_copy(update={"survive_loss_of": "none"})
    freed = problem.model_copy(update={"limits": limits})
    other = solve(freed, catalog, alternatives=0)
    if other.score_usd_per_month is None:
        return None
    return ResilienceCost(plan.score_usd_per_month, other.score_usd_per_month)
