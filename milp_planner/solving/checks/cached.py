"""Input that a prefix cache holds, where the traffic's file tells it and the problem does not."""

from __future__ import annotations

from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.traffic.month import Schedule

SHARE = "prefix_cache_share"


def with_cached_shares(problem: Problem, schedule: Schedule) -> Problem:
    """The problem with `deployment.prefix_cache_share` of workloads whose file tells it.

    What a problem states, 0 too, stays. A trace with hashes of its blocks tells what a cache that
    forgets nothing would find; a usage export tells what was found.
    """
    filled = tuple(_filled(w, schedule) for w in problem.workloads)
    if all(new is old for new, old in zip(filled, problem.workloads, strict=True)):
        return problem
    return problem.model_copy(update={"workloads": filled})


def _filled(w: Workload, schedule: Schedule) -> Workload:
    trace = schedule.demands[w.name].trace
    if trace is None or not trace.cached_share or SHARE in w.deployment.model_fields_set:
        return w
    told = w.deployment.model_copy(update={SHARE: round(trace.cached_share, 4)})
    return w.model_copy(update={"deployment": told})
