"""What a plan has left when a provider, region, offering or all spot is lost, in requests/s."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.rerouting import Rates, Rerouted, most_served, spread_anew
from milp_planner.plans.consequences import Loss
from milp_planner.plans.records import Plan, Purchase

NOTHING_SERVED = 1e-6
"""Share of a class that no check of a plan tells from none."""

SURVIVAL_GROUPS: dict[str, Callable[[Candidate], str]] = {
    "provider": lambda k: k.owner,
    "region": lambda k: k.place or f"{k.provider}/{k.region}",
    "offering": lambda k: k.offering.id,
    "spot": lambda k: "all spot" if k.offering.billing == "spot" else "",
}
"""What is lost together with a candidate, by kind; '' where it cannot be lost so."""


def worst_losses(instance: PlanningInput, plan: Plan, kind: str) -> tuple[Loss, ...]:
    """For every workload that is served and cannot wait, the loss of one `kind` that leaves the
    least.

    `kind` is `provider`, with its services, `region`, a place with all who are there (where it is
    not known, one provider's region), `offering`, or `spot`, all of it at once.
    """
    worst = []
    demands = instance.schedule.demands
    for w in (w for w in plan.workloads if not demands[w.name].can_wait):
        found = [
            Loss(
                w.name,
                kind,
                loss.lost,
                plan.blocks[loss.block].name,
                loss.left,
                loss.served,
                w.unit,
                tuple(k.offering.id for k in loss.stands_by),
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

    stands_by: tuple[Candidate, ...]
    """Per-token offerings that take over what the rest of the fleet cannot serve."""

    @property
    def served(self) -> float:
        """Requests/s of all classes, before."""
        return sum(self.served_by_class)


NONE_LOST: Mapping[Candidate, int] = {}


def losses(instance: PlanningInput, plan: Plan, workload: str, kind: str) -> Iterator[AfterLoss]:
    """Every loss in every block in which some of the workload is served.

    Everything that is served is routed again over what is left: units at up to 100 % utilization,
    per-token offerings up to what they serve. Where that is too little, per-token offerings stand
    by: for all of it, or for a part of what their rate limit leaves. What is left has the mix of
    what was served.
    """
    group_of = SURVIVAL_GROUPS[kind]
    apis = [_spare(instance, plan, workload, t) for t in range(len(plan.blocks))]
    bought = list(plan.purchases_of(workload))
    groups = sorted({group_of(p.candidate) for p in bought} - {""})
    routed = [_Served.of(instance, plan, workload, t) for t in range(len(plan.blocks))]
    for group in groups:
        rest = [p for p in bought if group_of(p.candidate) != group]
        for t, served in enumerate(routed):
            if served.all:
                ready = {k: spare for k, spare in apis[t].items() if group_of(k) != group}
                yield served.left(group, t, served.units(rest, t), rest, ready)


class SentAnew(NamedTuple):
    """What is on after a loss in a block, and is sent of each class, requests/s."""

    block: int
    sent: list[tuple[Purchase, Rates]] | None
    """None where something cannot be served."""


def sent_after_losses(instance: PlanningInput, plan: Plan, workload: str) -> Iterator[SentAnew]:
    """What is routed where after each loss that must be survived: of every class as large a share
    of what was served, so that the fullest offering is as empty as it can be."""
    survival = instance.problem.limits.survival
    if survival is None:
        return
    group_of = SURVIVAL_GROUPS[survival.kind]
    bought = list(plan.purchases_of(workload))
    for group in sorted({group_of(p.candidate) for p in bought} - {""}):
        for t in range(len(plan.blocks)):
            served = _Served.of(instance, plan, workload, t)
            left = [p for p in bought if group_of(p.candidate) != group and p.units_by_block[t]]
            if served.all:
                wanted = tuple(survival.share * rate for rate in served.by_class)
                sent = spread_anew(wanted, served.units(left, t))
                anew = None if sent is None else [*zip(left, sent, strict=True)]
                yield SentAnew(t, anew)


def unit_losses(instance: PlanningInput, plan: Plan, workload: str) -> Iterator[AfterLoss]:
    """The loss of a single unit of each purchase, in every block in which it is on, as `losses`.

    With a unit that replicas share all go that stand on it.
    """
    bought = list(plan.purchases_of(workload))
    for t in range(len(plan.blocks)):
        served, ready = _Served.of(instance, plan, workload, t), _spare(instance, plan, workload, t)
        for p in bought:
            if served.all and p.units_by_block[t] and not p.candidate.part_of_unit:
                units = served.units(bought, t, without={p.candidate: 1})
                yield served.left(p.candidate.offering.id, t, units, bought, ready)
        for one in plan.shared_units if served.all else ():
            for contents in dict.fromkeys(one.contents_by_block[t]):
                gone = {k: count for k, count in contents if k.workload == workload}
                if gone:
                    units = served.units(bought, t, without=gone)
                    yield served.left(one.candidate.offering.id, t, units, bought, ready)


def _spare(instance: PlanningInput, plan: Plan, workload: str, t: int) -> dict[Candidate, float]:
    """Requests/s that per-token offerings would take on in a block beyond what they serve.

    Without end where there is no rate limit; else what the plan leaves of it, in equal parts to all
    workloads that may use the account.
    """
    spare = {}
    for k in instance.candidates.candidates:
        if k.workload != workload or not k.mode.per_token:
            continue
        if k.rate_limit is None:
            spare[k] = math.inf
            continue
        account = {
            other.id: other
            for other in instance.candidates.candidates
            if (other.offering.id, other.rate_limit) == (k.offering.id, k.rate_limit)
        }
        used = sum(
            route.requests_per_second
            for route in plan.routes
            if route.candidate.id in account and route.block == plan.blocks[t]
        )
        spare[k] = max(0.0, k.rate_limit - used) / len(account)
    return spare


def on_units(instance: PlanningInput, plan: Plan, workload: str, t: int) -> tuple[Rates, Rerouted]:
    """Requests/s by class on units in a block, and how many times over the units could serve them.

    0 times where nothing is on units.
    """
    served = _Served.of(instance, plan, workload, t)
    apis = served.by_api.values()
    rates = tuple(
        max(0.0, rate - sum(api[q] for api in apis)) for q, rate in enumerate(served.by_class)
    )
    rented = [p for p in plan.purchases_of(workload) if not p.candidate.mode.per_token]
    units = [(p.units_by_block[t], p.candidate.requests_per_second) for p in rented]
    nothing = (0.0,) * len(rates)
    again = most_served(rates, units, nothing) if any(rates) else Rerouted(0.0, nothing)
    return rates, again


class _Served:
    """Requests/s of a workload by class at the peak of a block, and what an API serves of them."""

    def __init__(self, by_class: Rates, by_api: dict[Candidate, list[float]]) -> None:
        self.by_class, self.by_api = by_class, by_api

    @classmethod
    def of(cls, instance: PlanningInput, plan: Plan, workload: str, t: int) -> _Served:
        """What the routes of the plan say."""
        classes = instance.schedule.demands[workload].classes
        by_class, by_api = [0.0] * len(classes), dict[Candidate, list[float]]()
        for route in plan.routes_of(workload, plan.blocks[t].name):
            k = route.candidate
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

    def units(
        self, rest: list[Purchase], t: int, without: Mapping[Candidate, int] = NONE_LOST
    ) -> list[tuple[float, Rates]]:
        """How many of each purchase are on, and what one serves of each class alone."""
        return [
            (p.units_by_block[t] - without.get(p.candidate, 0), p.candidate.requests_per_second)
            for p in rest
            if not p.candidate.mode.per_token
        ]

    def left(
        self,
        lost: str,
        t: int,
        units: list[tuple[float, Rates]],
        rest: list[Purchase],
        ready: dict[Candidate, float],
    ) -> AfterLoss:
        """What units and the offerings of `rest` serve, and who stands by where that is less."""
        apis = [self.by_api.get(p.candidate) for p in rest if p.candidate.mode.per_token]
        tokens = tuple(sum(api[q] for api in apis if api) for q in range(len(self.by_class)))
        times, weights = most_served(self.by_class, units, tokens)
        stands_by: list[Candidate] = []
        for k in sorted(ready, key=lambda k: (ready[k] < math.inf, sum(k.usd_per_request), k.id)):
            if times < 1 and ready[k] > 0:
                stands_by.append(k)
                units = [*units, (ready[k], (1.0,) * len(self.by_class))]
                endless = ready[k] == math.inf
                times, weights = (
                    (1.0, weights) if endless else most_served(self.by_class, units, tokens)
                )
        return AfterLoss(lost, t, times * self.all, self.by_class, weights, tuple(stands_by))
