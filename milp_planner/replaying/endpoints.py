"""Which share of a workload's requests each offering of a plan is sent, hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan, Route
from milp_planner.replaying.arrivals import Stretch
from milp_planner.replaying.engine import Endpoints, ReplayRouter
from milp_planner.replaying.speeds import Served
from milp_planner.traffic.schedule import RequestClass

ALIKE = 1e-4
"""Shares of two classes that are closer than this are alike."""


def endpoints_of(
    plan: Plan,
    workload: str,
    stretches: Sequence[Stretch],
    replicas: Sequence[Served],
    classes: Sequence[RequestClass],
) -> Endpoints:
    """An endpoint for each offering, in one shape, that replicas are of, sent what the plan routes
    to it, of each class as much."""
    ids = list(dict.fromkeys(served.candidate.id for served in replicas))
    shares, by_class = [], []
    for stretch in stretches:
        sent = dict.fromkeys(ids, 0.0)
        of_class = [dict.fromkeys(ids, 0.0) for _ in classes]
        for route in plan.routes_of(workload, plan.blocks[stretch.block].name):
            if route.candidate.id in sent:
                sent[route.candidate.id] += route.requests_per_second
                mine = of_class[classes.index(route.request_class)]
                mine[route.candidate.id] += route.requests_per_second
        shares.append(tuple(sent.values()))
        by_class.append(tuple(tuple(mine.values()) for mine in of_class))
    return Endpoints(
        tuple(ids.index(served.candidate.id) for served in replicas),
        tuple(stretch.start_s for stretch in stretches),
        tuple(shares),
        tuple(by_class),
    )


def router_of(plan: Plan, problem: Problem, workload: str, *, is_trace: bool) -> ReplayRouter:
    """What keeps the routes of a plan: they may send classes apart, of which a log knows none."""
    if routes_apart(plan, workload) and not is_trace:
        return "per_class"
    return "per_offering" if problem.policy.routing == "per_offering" else "least"


def sent_to(plan: Plan, k: Candidate) -> dict[RequestClass, float]:
    """Requests of each class that a candidate is sent, over all blocks, in proportion."""
    sent: dict[RequestClass, float] = {}
    for route in plan.routes:
        if route.candidate is k:
            q = route.request_class
            sent[q] = sent.get(q, 0.0) + route.requests_per_second * route.block.hours
    return sent


def sent_by_class(routes: Iterable[Route]) -> Mapping[Candidate, Mapping[RequestClass, float]]:
    """Requests/s of each class that each candidate is sent."""
    found: dict[Candidate, dict[RequestClass, float]] = {}
    for route in routes:
        mine = found.setdefault(route.candidate, {})
        mine[route.request_class] = mine.get(route.request_class, 0.0) + route.requests_per_second
    return found


def routes_apart(plan: Plan, workload: str) -> bool:
    """True where some candidate is sent more of one class than of another in some block."""
    for block in plan.blocks:
        shares: dict[Candidate, dict[RequestClass, float]] = {}
        routes = plan.routes_of(workload, block.name)
        for route in routes:
            mine = shares.setdefault(route.candidate, {})
            mine[route.request_class] = mine.get(route.request_class, 0.0) + route.share
        classes = {route.request_class for route in routes}
        for sent in shares.values():
            of = [sent.get(q, 0.0) for q in classes]
            if max(of) - min(of) > ALIKE:
                return True
    return False
