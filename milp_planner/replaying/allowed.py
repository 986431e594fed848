"""How full a pool of replicas may run for a wished wait, by the formulas of serving/queues."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, replace
from milp_planner.replaying.speeds import served_by
from milp_planner.serving.queues.chain import ReplicaQueue, pool_rates
from milp_planner.serving.queues.sizes import lognormal_sizes
from milp_planner.serving.queues.wait import LEAST_PLACES, admissible_load, is_judged
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.schedule import RequestClass

WAIT_S, SHARE = 1.0, 0.99
"""A p99 wait of a second, where nobody says another."""

REPLICAS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class AllowedLoad:
    """How full so many replicas may run."""

    replicas: int
    utilization: float
    """Of their full rate, as planned."""


@dataclass(frozen=True)
class QueueingOf:
    """What queueing allows on the replicas of a candidate."""

    offering: str
    places: int
    """Requests in flight in a replica."""

    wait_s: float
    share: float
    """Of the requests, whose wait is no longer."""

    allowed: tuple[AllowedLoad, ...]
    """Under Poisson arrivals, outputs with a coefficient of variation of 1, and least-in-flight
    routing; half of the misses that the wish allows are left as a margin."""


def queueing_of(
    k: Candidate,
    problem: Problem,
    classes: Sequence[RequestClass],
    catalog: Catalog,
    model: ServingModel,
    wait_s: float = WAIT_S,
    share: float = SHARE,
) -> QueueingOf | None:
    """What queueing allows on a candidate; None where too little is known of its replicas."""
    if k.mode.per_token or not k.serves_all:
        return None
    served = served_by(k, problem, classes, catalog, model)
    if served.rate_only or served.speed.places < LEAST_PLACES:
        return None
    allowed = allowed_utilizations(served.taking_turns_s, REPLICAS, wait_s, share)
    of_plan = served.service_s[-1] / served.taking_turns_s[-1]
    found = tuple(replace(one, utilization=of_plan * one.utilization) for one in allowed)
    return QueueingOf(k.offering.id, served.speed.places, wait_s, share, found)


def allowed_utilizations(
    service_s: Sequence[float],
    replicas: Sequence[int],
    wait_s: float,
    share: float,
    gaps_scv: float = 1.0,
) -> list[AllowedLoad]:
    """By number of replicas, those that the formulas judge.

    service_s: time of a request in a replica with 1, 2, … in flight   [s].
    """
    sizes, found, load = lognormal_sizes(1.0), [], 0.0
    for r in sorted(replicas):
        rates = pool_rates([ReplicaQueue(r, service_s)])
        load = admissible_load(wait_s, share, rates, sizes, gaps_scv, at_least=load)
        if is_judged(load, rates, gaps_scv):
            found.append(AllowedLoad(r, load / float(rates[-1])))
    return found
