"""Wishes for waits that cannot be judged, and queues asked of nothing: refused at their line."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import Fault
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policies import may_fall_short
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.problem.traffic import ConcurrentUsers

USERS = "users ask again when they are answered; longest_wait is how long each of them may wait"
SIZES = "requests: is required, since queues are of requests and the traffic counts tokens"
IN_FLIGHT = "in_flight is required, the requests in flight at this rate: latency.wait depends on it"
SHORT = (
    "what queues allow depends on the load, and {} leaves open how much of it is served; "
    "leave one of them out"
)
SHARES = (
    "behind one router everybody serves by capacity, so that no share of the requests can be "
    "kept from anybody; leave out latency.wait, or limit the units in limits.max_units"
)


def queue_faults(problem: Problem) -> Iterator[Fault]:
    """Every wish for a wait that the planner cannot judge, and queues that are asked of nothing."""
    judged = [(i, w) for i, w in enumerate(problem.workloads) if w.latency.judges_queues]
    for i, w in judged:
        for steps, message in _unjudged(problem, w):
            path = f"workloads[{i}].{steps}"
            yield located(problem, Fault("", 0, 0, path, message))
    if problem.policy.utilization.by == "queues" and len(judged) < len(problem.workloads):
        name = next(w.name for w in problem.workloads if not w.latency.judges_queues)
        message = f"workload {name!r} has no latency.wait that queues could keep"
        hint = "write latency: {wait: {p99: 1s}} there"
        yield located(problem, Fault("", 0, 0, "policy.utilization.by", message, hint))
    limits = problem.limits
    if judged and limits.providers.max_share is not None:
        yield located(problem, Fault("", 0, 0, "limits.providers.max_share", SHARES))
    if judged and limits.max_spot_share is not None:
        yield located(problem, Fault("", 0, 0, "limits.max_spot_share", SHARES))


def _unjudged(problem: Problem, w: Workload) -> Iterator[tuple[str, str]]:
    """(where in the workload, why) its wish for the wait cannot be judged."""
    if isinstance(w.traffic, ConcurrentUsers):
        yield "latency.wait", USERS
    elif not (w.classes or w.traffic.brings_classes or w.rates is not None):
        yield "latency.wait", SIZES
    for j, rate in enumerate(w.rates or ()):
        if rate.in_flight is None:
            yield f"rates[{j}]", IN_FLIGHT
    if may_fall_short(problem):
        budget = problem.limits.budget
        short = budget is not None and budget.when_short != "fail"
        key = "limits.budget.when_short" if short else "policy.penalties.shortfall"
        yield "latency.wait", SHORT.format(key)
