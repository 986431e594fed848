"""Wishes for waits that cannot be judged, and queues asked of nothing: refused at their line."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import Fault
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.policies import (
    can_overload,
    has_own_queues,
    may_be_short,
    may_fall_short,
)
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.problem.traffic import ConcurrentUsers

USERS = "users ask again when they are answered; longest_wait is how long each of them may wait"
SIZES = "requests: is required, since queues are of requests and the traffic counts tokens"
IN_FLIGHT = "in_flight is required, the requests in flight at this rate: {} depends on it"
SHORT = (
    "what each offering's own queue allows depends on what it is sent, and {} leaves open how much "
    "that is; leave it out, or policy.routing: per_offering"
)
HOT = (
    "how hot each offering runs depends on what it is sent, and policy.penalties.overload charges "
    "the hottest; leave out the penalty, a ceiling above it, or per_offering"
)


def queue_faults(problem: Problem) -> Iterator[Fault]:
    """Every wish for a wait that the planner cannot judge, and queues that are asked of nothing."""
    judged = [(i, w) for i, w in enumerate(problem.workloads) if w.latency.asks_queues]
    for i, w in judged:
        for steps, message in _unjudged(problem, w):
            path = f"workloads[{i}].{steps}"
            yield located(problem, Fault("", 0, 0, path, message))
    if problem.policy.utilization.by == "queues" and len(judged) < len(problem.workloads):
        name = next(w.name for w in problem.workloads if not w.latency.asks_queues)
        message = (
            f"workload {name!r} has no latency.wait and no latency.request that queues could keep"
        )
        hint = "write latency: {wait: {p99: 1s}} there"
        yield located(problem, Fault("", 0, 0, "policy.utilization.by", message, hint))
    if any(has_own_queues(problem, w) and can_overload(problem, w) for _, w in judged):
        yield located(problem, Fault("", 0, 0, "policy.routing", HOT))


def _unjudged(problem: Problem, w: Workload) -> Iterator[tuple[str, str]]:
    """(where in the workload, why) its wish for a time in queues cannot be judged."""
    wish = _wish(w)
    if isinstance(w.traffic, ConcurrentUsers):
        yield wish, USERS
    elif not (w.classes or w.traffic.brings_classes or w.rates is not None):
        yield wish, SIZES
    for j, rate in enumerate(w.rates or ()):
        if rate.in_flight is None:
            yield f"rates[{j}]", IN_FLIGHT.format(wish)
    if may_fall_short(problem) and has_own_queues(problem, w):
        yield wish, SHORT.format(_why_short(problem))


def _wish(w: Workload) -> str:
    """The key of its first wish that queues decide."""
    return f"latency.{w.latency.queue_wishes[0].metric}"


def _why_short(problem: Problem) -> str:
    """The key that lets requests go unserved."""
    if problem.policy.when_short not in (None, "fail"):
        return "policy.when_short"
    return "limits.budget.when_short" if may_be_short(problem) else "policy.penalties.shortfall"
