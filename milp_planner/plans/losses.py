"""What a plan has left when a provider, region or offering is lost, in requests/s."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner.candidates.records import Candidate
from milp_planner.plans.consequences import Loss
from milp_planner.plans.records import Plan, Purchase

SURVIVAL_GROUPS: dict[str, Callable[[Candidate], str]] = {
    "provider": lambda k: k.owner,
    "region": lambda k: k.place or f"{k.provider}/{k.region}",
    "offering": lambda k: k.offering.id,
}


def worst_losses(plan: Plan, kind: str) -> tuple[Loss, ...]:
    """For every workload that is served, the loss of one `kind` that leaves the least.

    `kind` is `provider`, with its services, `region`, a place with all who are there (where it is
    not known, one provider's region), or `offering`.
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


def losses(plan: Plan, workload: str, kind: str) -> Iterator[tuple[str, int, float]]:
    """(what is lost, block, requests/s left) for every group the workload uses."""
    group_of = SURVIVAL_GROUPS[kind]
    bought = list(plan.purchases_of(workload))
    for group in sorted({group_of(p.candidate) for p in bought}):
        for t in range(len(plan.blocks)):
            left = sum(
                capacity_of(plan, p, t, mix_rate) for p in bought if group_of(p.candidate) != group
            )
            yield group, t, left


def served_at_peak(plan: Plan, workload: str, t: int) -> float:
    """Requests/s of a workload that the plan serves at the peak of a block."""
    block = plan.blocks[t]
    mine = (r for r in plan.routes if r.candidate.workload == workload and r.block == block)
    return sum(r.requests_per_second for r in mine)


def capacity_of(plan: Plan, p: Purchase, t: int, unit_rate: Callable[[Candidate], float]) -> float:
    """Requests/s of a purchase in a block, at 100 % utilization; per-token use as served."""
    if p.candidate.mode.per_token:
        block = plan.blocks[t]
        return sum(
            r.requests_per_second
            for r in plan.routes
            if r.candidate is p.candidate and r.block == block
        )
    return unit_rate(p.candidate) * p.units_by_block[t]


def mix_rate(k: Candidate) -> float:
    """Requests/s of a unit at the workload's mix; 0 where it cannot serve all of it."""
    return k.mix_requests_per_second
