"""Which share of a workload's requests each offering of a plan is sent, hour by hour."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.plans.records import Plan
from milp_planner.replaying.arrivals import Stretch
from milp_planner.replaying.engine import Endpoints
from milp_planner.replaying.speeds import Served


def endpoints_of(
    plan: Plan, workload: str, stretches: Sequence[Stretch], replicas: Sequence[Served]
) -> Endpoints:
    """An endpoint for each offering, in one shape, that replicas are of, sent what the plan routes
    to it."""
    ids = list(dict.fromkeys(served.candidate.id for served in replicas))
    shares = []
    for stretch in stretches:
        sent = dict.fromkeys(ids, 0.0)
        for route in plan.routes_of(workload, plan.blocks[stretch.block].name):
            if route.candidate.id in sent:
                sent[route.candidate.id] += route.requests_per_second
        shares.append(tuple(sent.values()))
    return Endpoints(
        tuple(ids.index(served.candidate.id) for served in replicas),
        tuple(stretch.start_s for stretch in stretches),
        tuple(shares),
    )
