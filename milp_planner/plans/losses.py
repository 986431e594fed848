"""What a plan has left when a provider, region or offering is lost, in requests/s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.rerouting import Rates, Rerouted, most_served
from milp_planner.plans.consequences import Loss
from milp_planner.plans.records import Plan, Purchase

NOTHING_SERVED = 1e-6
"""Share of a class that no check of a plan tells from none."""

SURVIVAL_GROUPS: dict[str, Callable[[Candidate], str]] = {
    "provider": lambda k: k.owner,
    "region": lambda k: k.place or f"{k.provider}/{k.region}",
    "offering": lambda k: k.offering.id,
}


def worst_losses(instance: PlanningInput, plan: Plan, kind: str) -> tuple[Loss, ...]:
    """For every workload that is served, the loss of one `kind` that leaves the least.

    `kind` is `provider`, with its services, `region`, a place with all who are there (where it is
    not known, one provider's region), or `offering`.
    """
    worst = []
    for w in plan.workloads:
        found = [
            Loss(
                w.name,
                kind,
                loss.lost,
                plan.blocks[loss.block].name,
                loss.left,
                loss.served,
                w.unit,
            )
            for loss in losses(instance, plan, w.name, kind)
        ]
        worst += sorted(found, key=_least)[:1]
    return tuple(worst)


def _least(loss: Loss) -> tuple[float, str, str]:
    return loss.share, loss.lost, loss.block


class AfterLoss(NamedTuple):
    """What is left of a workload in a block after a loss, in requests/s."""

    lost: str
    block: int
    left: float
    served_by_class: Rates
    """Before."""

    weights: Rates
    """What the classes count for where it is tightest, by what is wanted of them: see
    `candidates/rerouting.py`. They sum to 1."""

    @property
    def served(self) -> float:
        """Requests/s of all classes, before."""
        return sum(self.served_by_class)


def losses(instance: PlanningInput, plan: Plan, workload: str, kind: str) -> Iterator[AfterLoss]:
    """Every loss in every block in which some of the workload is served.

    Everything that is served is routed again over what is left: units at up to 100 % utilization,
    per-token offerings up to what they serve. What is left has the mix of what was served.
    """
    group_of = SURVIVAL_GROUPS[kind]
    bought = list(plan.purchases_of(workload))
    groups = sorted({group_of(p.candidate) for p in bought})
    routed = [_Served.of(instance, plan, workload, t) for t in range(len(plan.blocks))]
    for group in groups:
        rest = [p for p in bought if group_of(p.candidate) != group]
        for t, served in enumerate(routed):
            if served.all:
                times, weights = served.again(rest, t)
                yield AfterLoss(group, t, times * served.all, served.by_class, weights)


def unit_losses(instance: PlanningInput, plan: Plan, workload: str) -> Iterator[AfterLoss]:
    """The loss of a single unit of each purchase, in every block in which it is on, as `losses`."""
    bought = list(plan.purchases_of(workload))
    for t in range(len(plan.blocks)):
        served = _Served.of(instance, plan, workload, t)
        for p in bought:
            if served.all and p.units_by_block[t]:
                times, weights = served.again(bought, t, without_one_of=p)
                left = times * served.all
                yield AfterLoss(p.candidate.offering.id, t, left, served.by_class, weights)


class _Served:
    """Requests/s of a workload by class at the peak of a block, and what an API serves of them."""

    def __init__(self, by_class: Rates, by_api: dict[Candidate, list[float]]) -> None:
        self.by_class, self.by_api = by_class, by_api

    @classmethod
    def of(cls, instance: PlanningInput, plan: Plan, workload: str, t: int) -> _Served:
        """What the routes of the plan say."""
        classes = instance.schedule.demands[workload].classes
        by_class, by_api = [0.0] * len(classes), dict[Candidate, list[float]]()
        for route in plan.routes:
            k = route.candidate
            if k.workload != workload or route.block != plan.blocks[t]:
                continue
            q = classes.index(route.request_class)
            if route.share <= NOTHING_SERVED:
                continue
            by_class[q] += route.requests_per_second
            if k.mode.per_token:
                by_api.setdefault(k, [0.0] * len(classes))[q] += route.requests_per_second
        return cls(tuple(by_class), by_api)

    @property
    def all(self) -> float:
        """Requests/s of all classes."""
        return sum(self.by_class)

    def again(
        self, rest: list[Purchase], t: int, without_one_of: Purchase | None = None
    ) -> Rerouted:
        """How many times over the rest serves all of it."""
        units = [
            (p.units_by_block[t] - (p is without_one_of), p.candidate.requests_per_second)
            for p in rest
            if not p.candidate.mode.per_token
        ]
        apis = [self.by_api.get(p.candidate) for p in rest if p.candidate.mode.per_token]
        tokens = [sum(api[q] for api in apis if api) for q in range(len(self.by_class))]
        return most_served(self.by_class, units, tuple(tokens))
